"""Which rows of ours a page of Stripe's objects is about: found by our mark in their metadata, or by what our rows name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from payments.gateway import Listed
from payments.models import Dispute, Payment, Refund

READ = (
    "pk", "stripe_account", "amount_minor", "currency", "state", "checkout_session", "intent", "charge", "card_id", "released_at",
    "entry__public_id",
)  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """What our objects carry at Stripe. Another site may use the same account, so that both have to fit."""

    payment_id: int
    public_id: str


def mark_of(metadata: dict[str, str]) -> Mark | None:
    """The mark in an object's metadata; None for one that carries none of ours."""
    named, public_id = _number(metadata, "payment"), metadata.get("entry", "")
    return Mark(named, public_id) if named is not None and public_id else None


def _number(metadata: dict[str, str], key: str) -> int | None:
    named = metadata.get(key, "")
    return int(named) if named.isdecimal() and named.isascii() and len(named) <= 18 else None


class Rows:
    """The rows of one account that some objects are about. A statement for each kind of row, however many objects."""

    def __init__(self, account: str, items: Sequence[Listed]) -> None:
        self.account = account
        marks = [mark for item in items if (mark := mark_of(item.metadata))]
        intents = {item.intent for item in items if item.intent}
        found = self._payments([mark.payment_id for mark in marks], intents)
        self._by_mark = {Mark(payment.pk, payment.entry.public_id): payment for payment in found}
        self._by_intent = {payment.intent: payment for payment in found if payment.intent}

    def _payments(self, ids: Collection[int], intents: Collection[str]) -> list[Payment]:
        either = Q(pk__in=ids) | Q(intent__in=intents)
        rows = Payment.objects.filter(either, stripe_account=self.account)
        return list(rows.select_related("entry").only(*READ))

    def payment_of(self, item: Listed) -> Payment | None:
        mark = mark_of(item.metadata)
        return (mark and self._by_mark.get(mark)) or self._by_intent.get(item.intent)


class Refunds:
    """Our refunds that some of Stripe's are, by their id or by the number in their metadata."""

    def __init__(self, items: Sequence[Listed]) -> None:
        numbers = [number for item in items if (number := _number(item.metadata, "refund")) is not None]
        found = Refund.objects.filter(Q(pk__in=numbers) | Q(stripe_id__in=[item.id for item in items]))
        rows = list(found.only("pk", "payment_id", "amount_minor", "state", "stripe_id"))
        self._by_id: dict[Any, Refund] = {row.stripe_id: row for row in rows if row.stripe_id}
        self._by_number = {row.pk: row for row in rows}

    def of(self, item: Listed, payment: Payment | None) -> Refund | None:
        if item.id in self._by_id:
            return self._by_id[item.id]
        named = self._by_number.get(_number(item.metadata, "refund") or 0)
        return named if named and payment and named.payment_id == payment.pk else None


def disputes_of(items: Sequence[Listed]) -> dict[str, Dispute]:
    """Our disputes by Stripe's ids."""
    return {row.stripe_id: row for row in Dispute.objects.filter(stripe_id__in=[item.id for item in items])}
