"""Comparing Stripe's objects with our rows, both ways: what is clear is repaired, the rest is listed for somebody to look at."""

from payments.services.reconciling.listing import DiscrepancyClosedError, resolve_discrepancy
from payments.services.reconciling.running import accounts, begin, begin_planned, go_on

__all__ = ["DiscrepancyClosedError", "accounts", "begin", "begin_planned", "go_on", "resolve_discrepancy"]
