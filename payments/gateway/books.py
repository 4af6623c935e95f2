"""Stripe's lists, a page at a time, for comparing them with our rows; and one object of a list, asked for again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil
from typing import Any

import stripe

from payments.gateway.calling import Caller, client
from payments.gateway.intents import declined_charge_of

PAGE = 100  # the most that Stripe gives at once


class Listing(StrEnum):
    """What Stripe lists by the time of its making."""

    SESSIONS = "sessions"
    INTENTS = "intents"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    TRANSACTIONS = "transactions"


@dataclass(frozen=True)
class Listed:
    """An object of a list. `intent` is the payment intent that it belongs to, for an intent itself its own id.

    `status` as Stripe says it; `amount_minor` what it is about, `moved_minor` what was taken or given back by it;
    `declined_charge` the attempt to pay an intent that a bank refused last.
    A balance transaction has no status, and its metadata are those of what it is of.
    """

    listing: Listing
    id: str
    status: str = ""
    amount_minor: int = 0
    moved_minor: int = 0
    currency: str = ""
    intent: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    declined_charge: str = ""


@dataclass(frozen=True)
class Transaction(Listed):
    """Money that moved: `source` is the charge, refund or dispute that moved it."""

    category: str = ""
    source: str = ""
    fee_minor: int = 0
    net_minor: int = 0
    booked_at: datetime = field(kw_only=True)
    available_at: datetime = field(kw_only=True)


@dataclass(frozen=True)
class Page:
    """Up to a hundred objects, newest first; `more` says that older ones follow."""

    items: tuple[Any, ...]
    more: bool


class BookCalls(Caller):
    def page(self, listing: Listing, *, since: datetime, until: datetime, after: str = "") -> Page:
        """One page of what was made in [since, until), in full seconds, beginning after the object `after`.

        Raises:
            GatewayAwayError
        """
        params: dict[str, Any] = {
            "limit": PAGE,
            "created": {"gte": int(since.timestamp()), "lt": ceil(until.timestamp())},
        }
        if after:
            params["starting_after"] = after
        if listing == Listing.TRANSACTIONS:
            params["expand"] = ["data.source"]
        found = self._call(lambda options: _service(listing).list(params, options))
        return Page(tuple(_READERS[listing](one) for one in found.data), bool(found.has_more))

    def one(self, listing: Listing, object_id: str) -> Any:
        """An object as it stands now, in the shape of its list.

        Raises:
            GatewayAwayError, NotAtStripeError
        """
        return _READERS[listing](self._call(lambda options: _service(listing).retrieve(object_id, {}, options)))


def _service(listing: Listing) -> Any:
    v1 = client().v1
    return {
        Listing.SESSIONS: v1.checkout.sessions,
        Listing.INTENTS: v1.payment_intents,
        Listing.REFUNDS: v1.refunds,
        Listing.DISPUTES: v1.disputes,
        Listing.TRANSACTIONS: v1.balance_transactions,
    }[listing]


def _session(found: stripe.checkout.Session) -> Listed:
    """A session that saves a card moves no money: it has no status here."""
    return Listed(
        Listing.SESSIONS,
        found.id,
        status=(found.status or "") if found.mode == "payment" else "",
        amount_minor=found.amount_total or 0,
        currency=found.currency or "",
        intent=_id(found.payment_intent),
        metadata=_metadata(found),
    )


def _intent(found: stripe.PaymentIntent) -> Listed:
    return Listed(
        Listing.INTENTS,
        found.id,
        status=found.status,
        amount_minor=found.amount,
        moved_minor=found.amount_received,
        currency=found.currency,
        intent=found.id,
        metadata=_metadata(found),
        declined_charge=declined_charge_of(found),
    )


def _refund(found: stripe.Refund) -> Listed:
    """An authorisation that was let go is a refund to Stripe, too: one that is in no book, so that it moved nothing."""
    return Listed(
        Listing.REFUNDS,
        found.id,
        status=found.status or "pending",
        amount_minor=found.amount,
        moved_minor=found.amount if found.balance_transaction else 0,
        currency=found.currency,
        intent=_id(found.payment_intent),
        metadata=_metadata(found),
    )


def _dispute(found: stripe.Dispute) -> Listed:
    return Listed(
        Listing.DISPUTES,
        found.id,
        status=found.status,
        amount_minor=found.amount,
        currency=found.currency,
        intent=_id(found.payment_intent),
        metadata=_metadata(found),
    )


def _transaction(found: stripe.BalanceTransaction) -> Transaction:
    source: Any = found.source
    return Transaction(
        Listing.TRANSACTIONS,
        found.id,
        amount_minor=found.amount,
        currency=found.currency,
        intent=_id(getattr(source, "payment_intent", None)),
        metadata=_metadata(source),
        category=found.reporting_category,
        source=_id(source),
        fee_minor=found.fee,
        net_minor=found.net,
        booked_at=datetime.fromtimestamp(found.created, UTC),
        available_at=datetime.fromtimestamp(found.available_on, UTC),
    )


_READERS: dict[Listing, Callable[[Any], Any]] = {
    Listing.SESSIONS: _session,
    Listing.INTENTS: _intent,
    Listing.REFUNDS: _refund,
    Listing.DISPUTES: _dispute,
    Listing.TRANSACTIONS: _transaction,
}


def _metadata(found: Any) -> dict[str, str]:
    kept = getattr(found, "metadata", None)
    return kept.to_dict() if kept else {}


def _id(found: Any) -> str:
    """The id of an object that may be there as such, as its id, or not at all."""
    return found if isinstance(found, str) else str(getattr(found, "id", "") or "")
