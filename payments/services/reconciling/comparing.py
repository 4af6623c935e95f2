"""What Stripe says of an object beside what our rows say: every difference, in words, and what repairs it if that is clear."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from payments.gateway import Listed, Listing
from payments.models import Dispute, Payment, Refund
from payments.rules import ENDED, REFUND_TRANSITIONS, Finding, RefundState, State
from payments.services.disputing import record_dispute
from payments.services.reconciling import repairing
from payments.services.reconciling.rows import Refunds, Rows, disputes_of, mark_of
from payments.services.refunding import OUTCOMES
from vgchub.words import money


@dataclass(frozen=True)
class Difference:
    """`repair` asks Stripe by itself and may be called twice; without one, somebody has to look."""

    finding: Finding
    listing: Listing
    object_id: str
    payment_id: int | None
    says: str
    repair: Callable[[], Any] | None = None


def differences(account: str, items: Sequence[Listed]) -> list[Difference]:
    """Of objects of one list and account. Objects that are not ours differ in nothing."""
    if not items:
        return []
    return list(_COMPARE[items[0].listing](Rows(account, items), items))


def _sessions(rows: Rows, items: Sequence[Listed]) -> Iterator[Difference]:
    for item in items:
        payment = rows.payment_of(item)
        if not item.status:  # saves a card
            continue
        if payment is None:
            yield from _not_ours(item)
        elif repair := _repair_of_session(item, payment):
            says = _("The checkout page is %(status)s, payment %(payment)s is %(state)s.") % _both(item, payment)
            yield _difference(Finding.STATE, item, payment, says, repair)


def _repair_of_session(item: Listed, payment: Payment) -> Callable[[], Any] | None:
    is_known = payment.checkout_session == item.id
    is_begun = payment.state == State.CREATED
    if is_begun and payment.checkout_session is None and payment.card_id is None and item.status != "expired":
        # Whoever made it was killed before its answer was kept; the same button would be given the same page.
        return partial(repairing.adopt_session, payment_id=payment.pk, session_id=item.id)
    if item.status == "open" and not (is_known and is_begun):
        return partial(repairing.close_session, payment_id=payment.pk, session_id=item.id)
    if is_begun and is_known and item.status != "open":
        return partial(repairing.look_at, payment_id=payment.pk)
    return None


def _intents(rows: Rows, items: Sequence[Listed]) -> Iterator[Difference]:
    for item in items:
        payment = rows.payment_of(item)
        if payment is None:
            yield from _not_ours(item)
        elif (payment.amount_minor, payment.currency) != (item.amount_minor, item.currency):
            says = _("It is about %(amount)s, payment %(payment)s about %(ours)s.") % _both(item, payment)
            yield _difference(Finding.AMOUNT, item, payment, says)
        else:
            yield from _intent(item, payment)


def _intent(item: Listed, payment: Payment) -> Iterator[Difference]:
    if item.status not in ("requires_capture", "succeeded"):
        yield from _without_money(item, payment)
    elif payment.state == State.CREATED:
        says = _("The card was charged (%(status)s), payment %(payment)s is %(state)s.") % _both(item, payment)
        yield _difference(Finding.STATE, item, payment, says, partial(repairing.look_at, payment_id=payment.pk))
    elif payment.intent != item.id or payment.state in ENDED:
        yield _stray(item, payment)
    else:
        yield from _own_money(item, payment)


def _without_money(item: Listed, payment: Payment) -> Iterator[Difference]:
    """Nothing is held or was taken: right for all but what our row says has money. Who was refused has to be told."""
    if _is_unheard_decline(item, payment):
        says = _("A card was refused, and payment %(payment)s does not say so.") % _both(item, payment)
        repair = partial(repairing.hear_of_decline, payment_id=payment.pk, intent_id=item.id)
        yield _difference(Finding.STATE, item, payment, says, repair)
    if payment.intent != item.id or payment.state not in (State.AUTHORISED, State.CAPTURED):
        return
    says = _("It has no money (%(status)s), payment %(payment)s is %(state)s.") % _both(item, payment)
    look = partial(repairing.look_at, payment_id=payment.pk)
    yield _difference(Finding.STATE, item, payment, says, look if payment.state == State.AUTHORISED else None)


def _is_unheard_decline(item: Listed, payment: Payment) -> bool:
    """Only at a checkout: a card on file is charged by us, who hear the answer."""
    is_at_checkout = payment.state == State.CREATED and payment.card_id is None
    is_refused = item.status == "requires_payment_method" and bool(item.declined_charge)
    return is_at_checkout and is_refused and item.declined_charge != payment.charge


def _stray(item: Listed, payment: Payment) -> Difference:
    """Money of a payment that is over, or for which another intent stands: held, it is let go; taken, somebody decides."""
    if item.status == "requires_capture":
        says = _("It holds money, though payment %(payment)s is %(state)s without it.") % _both(item, payment)
        repair = partial(repairing.let_go, payment_id=payment.pk, intent_id=item.id)
        return _difference(Finding.STATE, item, payment, says, repair)
    says = _("It took %(moved)s, though payment %(payment)s is %(state)s without it.") % _both(item, payment)
    return _difference(Finding.AMOUNT, item, payment, says)


def _own_money(item: Listed, payment: Payment) -> Iterator[Difference]:
    if item.status == "requires_capture":
        if payment.state == State.CAPTURED:
            says = _("Its money is only held, payment %(payment)s is %(state)s.") % _both(item, payment)
            yield _difference(Finding.STATE, item, payment, says)
    elif item.moved_minor != payment.amount_minor:
        says = _("It took %(moved)s, payment %(payment)s is about %(ours)s.") % _both(item, payment)
        yield _difference(Finding.AMOUNT, item, payment, says)
    elif payment.state == State.AUTHORISED:
        says = _("Its money was taken, payment %(payment)s is %(state)s.") % _both(item, payment)
        yield _difference(Finding.STATE, item, payment, says, partial(repairing.look_at, payment_id=payment.pk))


def _refunds(rows: Rows, items: Sequence[Listed]) -> Iterator[Difference]:
    ours = Refunds(items)
    for item in items:
        payment = rows.payment_of(item)
        refund = ours.of(item, payment)
        if refund is None:
            yield from _unknown_refund(item, payment)
        else:
            yield from _refund(item, refund)


def _unknown_refund(item: Listed, payment: Payment | None) -> Iterator[Difference]:
    """One with our mark, or one that gave money of a payment of ours back; what is only held, Stripe lets go by refunds too."""
    if "refund" in item.metadata and mark_of(item.metadata):
        yield from _not_ours(item, payment)
        return
    is_money = item.status not in ("failed", "canceled") and bool(item.moved_minor)
    if payment is None or not (is_money or (payment.state == State.CAPTURED and item.status == "pending")):
        return
    says = _("%(amount)s of payment %(payment)s went back (%(status)s), and no refund here says so.")
    repair = partial(
        repairing.adopt_foreign_refund, payment_id=payment.pk, stripe_id=item.id, amount_minor=item.amount_minor
    )
    yield _difference(Finding.NOT_OURS, item, payment, says % _both(item, payment), repair)


def _refund(item: Listed, refund: Refund) -> Iterator[Difference]:
    state = OUTCOMES.get(item.status, RefundState.PENDING)
    words = {"status": item.status, "refund": refund.pk, "state": refund.state, "amount": _money(item)}
    if refund.stripe_id not in (None, item.id):
        if state != RefundState.FAILED:
            says = _("Refund %(refund)s was made twice: this one gives %(amount)s back once more (%(status)s).") % words
            yield _difference(Finding.AMOUNT, item, refund, says)
    elif refund.amount_minor != item.amount_minor:
        ours = {"ours": money(refund.amount_minor, item.currency)}
        says = _("It gives %(amount)s back, refund %(refund)s is about %(ours)s.") % (words | ours)
        yield _difference(Finding.AMOUNT, item, refund, says)
    elif refund.state != state:
        says = _("It is %(status)s, refund %(refund)s is %(state)s.") % words
        can_follow = (refund.state, state) in REFUND_TRANSITIONS
        repair = partial(repairing.adopt_refund, refund_id=refund.pk, stripe_id=item.id) if can_follow else None
        yield _difference(Finding.STATE, item, refund, says, repair)


def _disputes(rows: Rows, items: Sequence[Listed]) -> Iterator[Difference]:
    ours = disputes_of(items)
    for item in items:
        payment, dispute = rows.payment_of(item), ours.get(item.id)
        if payment is None:
            continue
        if dispute is None:
            says = _("%(amount)s of payment %(payment)s is disputed (%(status)s), and no dispute here says so.")
            yield _disputed(Finding.NOT_OURS, item, payment, says % _both(item, payment))
        elif dispute.status != item.status:
            says = _("The dispute is %(status)s, here it is %(state)s.")
            yield _disputed(Finding.STATE, item, payment, says % {"status": item.status, "state": dispute.status})
        elif dispute.amount_minor != item.amount_minor:
            yield _disputed(Finding.AMOUNT, item, payment, _disputed_amounts(item, dispute))


def _disputed(finding: Finding, item: Listed, payment: Payment, says: str) -> Difference:
    repair = partial(record_dispute, stripe_id=item.id, stripe_account=payment.stripe_account)
    return _difference(finding, item, payment, says, repair)


def _disputed_amounts(item: Listed, dispute: Dispute) -> str:
    ours = money(dispute.amount_minor, dispute.currency)
    return _("The dispute is about %(amount)s, here about %(ours)s.") % {"amount": _money(item), "ours": ours}


_COMPARE: dict[Listing, Callable[[Rows, Sequence[Listed]], Iterator[Difference]]] = {
    Listing.SESSIONS: _sessions,
    Listing.INTENTS: _intents,
    Listing.REFUNDS: _refunds,
    Listing.DISPUTES: _disputes,
}


def _not_ours(item: Listed, payment: Payment | None = None) -> Iterator[Difference]:
    mark = mark_of(item.metadata)
    if mark is None:
        return
    says = _("It carries the mark of payment %(payment)s of entry %(entry)s, and there is no such row.")
    if "refund" in item.metadata:
        says = _("It carries the mark of a refund of payment %(payment)s of entry %(entry)s, and there is no such row.")
    words = {"payment": mark.payment_id, "entry": mark.public_id}
    yield _difference(Finding.NOT_OURS, item, payment, says % words)


def _difference(
    finding: Finding, item: Listed, row: Payment | Refund | None, says: str, repair: Callable[[], Any] | None = None
) -> Difference:
    if isinstance(row, Refund):
        payment_id: int | None = row.payment_id
    else:
        payment_id = row.pk if row else None
    return Difference(finding, item.listing, item.id, payment_id, says, repair)


def _both(item: Listed, payment: Payment) -> dict[str, Any]:
    return {
        "status": item.status,
        "amount": _money(item),
        "moved": money(item.moved_minor, item.currency),
        "payment": payment.pk,
        "state": payment.state,
        "ours": money(payment.amount_minor, payment.currency),
    }


def _money(item: Listed) -> str:
    return money(item.amount_minor, item.currency)
