"""Reads of money that deserve a name: what is left and on file, the books, and the signals of fraud."""

from payments.queries.books import AMOUNTS, BALANCES, DISPUTED, Balance, unexplained
from payments.queries.refunds import (
    FROZEN,
    SETTLED,
    CancellationProgress,
    cancellation_progress,
    card_on_file,
    given_back,
    is_frozen,
    is_overdrawn,
    left_of,
    settled_another_way,
    with_stage,
)
from payments.queries.signals import Sighting, sightings_of, signals_in_force

__all__ = [
    "AMOUNTS",
    "BALANCES",
    "DISPUTED",
    "FROZEN",
    "SETTLED",
    "Balance",
    "CancellationProgress",
    "Sighting",
    "cancellation_progress",
    "card_on_file",
    "given_back",
    "is_frozen",
    "is_overdrawn",
    "left_of",
    "settled_another_way",
    "sightings_of",
    "signals_in_force",
    "unexplained",
    "with_stage",
]
