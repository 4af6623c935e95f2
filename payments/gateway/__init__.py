"""The only place that talks to Stripe. Plain values come out; one file for each kind of object."""

from payments.gateway.books import BookCalls, Listed, Listing, Transaction
from payments.gateway.budget import BUDGET, urgently
from payments.gateway.calling import IN_FLIGHT
from payments.gateway.cards import CardCalls, CardCharge, CardMethod, SetupOrder, SetupSession
from payments.gateway.checkout import CheckoutCalls, CheckoutOrder, Session
from payments.gateway.disputes import DisputeCalls, StripeDispute
from payments.gateway.endpoints import Endpoint, EndpointCalls
from payments.gateway.errors import GatewayAwayError, GatewayError, GatewayRefusedError, NotAtStripeError
from payments.gateway.events import Attempt, EventCalls
from payments.gateway.intents import Charge, Intent, IntentCalls
from payments.gateway.refunds import RefundCalls, StripeRefund

__all__ = [
    "BUDGET",
    "IN_FLIGHT",
    "Attempt",
    "CardCharge",
    "CardMethod",
    "Charge",
    "CheckoutOrder",
    "Endpoint",
    "Gateway",
    "GatewayAwayError",
    "GatewayError",
    "GatewayRefusedError",
    "Intent",
    "Listed",
    "Listing",
    "NotAtStripeError",
    "Session",
    "SetupOrder",
    "SetupSession",
    "StripeDispute",
    "StripeRefund",
    "Transaction",
    "urgently",
]


class Gateway(CheckoutCalls, CardCalls, IntentCalls, RefundCalls, DisputeCalls, EndpointCalls, BookCalls, EventCalls):
    """Stripe on behalf of one account: `Gateway("acct_...")`; empty is the platform's own."""
