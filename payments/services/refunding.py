"""Giving a paid seat back: what a player gets is said before, decided with the cancellation, and carried out after it."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import pghistory
from django.db import IntegrityError, transaction
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from payments.gateway import Gateway, GatewayAwayError, GatewayError, StripeRefund
from payments.models import Payment, Refund, new_idempotency_key
from payments.queries import is_frozen, is_overdrawn, left_of
from payments.rules import REFUND_OPEN, LetterKind, RefundState, RefundTerms, State, pause, refund_terms
from payments.services import letters
from payments.services.disputing import CHARGED_BACK, learn_of_disputes
from payments.services.locking import lock_entry, lock_payment
from payments.services.releasing import decide_refund, release_payment
from payments.services.staff_mails import tell_organizer
from registrations import rules as entries
from registrations.models import Notice, QueueEntry
from registrations.services import NotInQueueError, cancel_entry, notices
from registrations.services.leaving import own_entry
from tournaments.queries import database_now
from vgchub.errors import RefusedError
from vgchub.pages import absolute
from vgchub.words import card_step, money

logger = logging.getLogger(__name__)

ASK_AGAIN = timedelta(hours=1)  # at a refund on which a bank is working
OUTCOMES = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
}


class RefundChangedError(RefusedError):
    code = "refund_changed"

    def __init__(self, terms: RefundTerms) -> None:
        super().__init__(
            _("What you would get back has changed since the page was made."),
            remedy=_("Open the page again to see the amount, then decide."),
            refund_minor=terms.refund_minor,
        )


class NothingToRefundError(RefusedError):
    code = "nothing_to_refund"
    message = gettext_lazy("All of this payment went back already, or is on its way, or is kept by the rule.")
    remedy = gettext_lazy("The payment's page lists its refunds.")


@dataclass(frozen=True)
class Cancellation:
    """What cancelling an entry now would mean; amounts are zero where nothing was paid.

    `is_frozen`: a dispute is open, and the refund waits for its end.
    """

    refund_minor: int
    kept_minor: int
    currency: str
    is_frozen: bool = False


def cancellation_terms(entry: QueueEntry) -> Cancellation:
    """What the player would get back, and what is kept, by the tournament's rule as of now."""
    payment = entry.payments.filter(state__in=[State.AUTHORISED, State.CAPTURED]).first()
    terms = _terms(entry, payment)
    if payment is None:
        return Cancellation(0, 0, "")
    return Cancellation(terms.refund_minor, terms.kept_minor, payment.currency, is_frozen(payment))


def _terms(entry: QueueEntry, payment: Payment | None) -> RefundTerms:
    """The rule, applied to what did not go back already."""
    if payment is None:
        return RefundTerms(0, 0)
    tournament, left = entry.tournament, left_of(payment)
    if tournament.cancelled_at is not None:
        return RefundTerms(left, 0)
    return refund_terms(
        amount_minor=left,
        kept_percent=tournament.refund_kept_percent,
        refund_until=tournament.refund_until,
        now=database_now(),
        step_minor=card_step(payment.currency),
    )


def cancel_and_refund(*, account: User, public_id: str, expected_minor: int | None = None) -> QueueEntry:
    """A player gives a confirmed seat back; the refund follows the tournament's rule. Repeating it changes nothing.

    `expected_minor` is the refund that the player was shown.

    Raises:
        EntryNotFoundError
        NotInQueueError: not confirmed
        RefundChangedError: the refund is no longer `expected_minor`; nothing is changed
    """
    entry_id = own_entry(account, public_id).pk
    with transaction.atomic(), pghistory.context(service="cancel_and_refund", by=account.pk):
        entry = lock_entry(entry_id)
        if entry.state == entries.State.CANCELLED:
            return entry
        if entry.state != entries.State.CONFIRMED:
            raise NotInQueueError(entry.state)
        payment = Payment.objects.live().locked().filter(entry=entry).first()
        terms = _terms(entry, payment)
        if expected_minor is not None and expected_minor != terms.refund_minor:
            raise RefundChangedError(terms)
        return give_seat_back(entry, payment, terms, reason=_("Cancelled by the player."), by=account)


def give_seat_back(
    entry: QueueEntry, payment: Payment | None, terms: RefundTerms, *, reason: str, by: User | None
) -> QueueEntry:
    """Cancel a locked, confirmed entry and release its locked payment, if it has one."""
    cancelled = cancel_entry(entry_id=entry.pk, reason=reason, by=by)
    if payment is not None:
        release_payment(payment, reason=reason, kept_minor=terms.kept_minor, by=by)
    return cancelled


def refund_payment(*, refund_id: int) -> None:
    """Carry a decided refund out at Stripe, or ask how one that is under way stands. While a dispute is open, it waits."""
    refund = Refund.objects.select_related("payment__entry").get(pk=refund_id)
    if refund.state not in REFUND_OPEN or refund.payment.state != State.CAPTURED:
        return
    try:
        _advance(refund)
    except GatewayAwayError as error:
        logger.warning("Stripe did not refund %s: %s", refund.pk, error)
        _postpone(refund, new_key=error.answered)
    except GatewayError as error:
        _after_refusal(refund, error)
    except IntegrityError:  # Stripe gave back what a bank took, too: reconciling lists it
        logger.exception("Refund %s and a dispute together are more than was paid", refund.pk)
        _postpone(refund)


def _advance(refund: Refund) -> None:
    made = _made_already(refund)
    if made is None and is_frozen(refund.payment):
        _wait_for_dispute(refund)
    elif made is None and is_overdrawn(refund.payment):
        _end_taken(refund)
    else:
        _record(refund.pk, made or _made_now(refund))


def check_refund(*, stripe_id: str) -> None:
    """Stripe says that something happened to a refund of ours: ask for it, also when it had succeeded.

    Raises:
        GatewayAwayError
    """
    refund = Refund.objects.select_related("payment").filter(stripe_id=stripe_id).first()
    if refund is not None:
        _record(refund.pk, Gateway(refund.payment.stripe_account).retrieve_refund(stripe_id))


def record_refund_of_stripe(*, refund_id: int, stripe_id: str) -> None:
    """Stripe has made this refund, whether we heard of it or not: ask for it, and record it.

    Raises:
        GatewayAwayError, NotAtStripeError
    """
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    if refund.stripe_id in (None, stripe_id):
        _record(refund.pk, Gateway(refund.payment.stripe_account).retrieve_refund(stripe_id))


def adopt_refund_of_stripe(*, payment_id: int, stripe_id: str, amount_minor: int) -> None:
    """A person gave money of a payment back at Stripe's dashboard: it becomes a refund like any other.

    Not if it does not fit: more than is left, or all that was paid for a seat that stays.

    Raises:
        GatewayAwayError, NotAtStripeError
    """
    with transaction.atomic(), pghistory.context(service="adopt_refund"):
        payment = lock_payment(payment_id)
        left, stays = left_of(payment), payment.entry.state == entries.State.CONFIRMED
        if payment.state != State.CAPTURED or payment.refunds.filter(stripe_id=stripe_id).exists():
            return
        if amount_minor > left or (stays and amount_minor == left):
            return
        refund = decide_refund(payment, amount_minor, reason=_("Made at Stripe."), by=None)
        refund.stripe_id = stripe_id
        refund.save(update_fields=["stripe_id"])
    record_refund_of_stripe(refund_id=refund.pk, stripe_id=stripe_id)


def _mark(refund: Refund) -> dict[str, str]:
    return {"refund": str(refund.pk), "payment": str(refund.payment_id), "entry": refund.payment.entry.public_id}


def _made_already(refund: Refund) -> StripeRefund | None:
    """The refund as it stands at Stripe; an earlier call, of which we heard nothing, may have made it."""
    payment, gateway = refund.payment, Gateway(refund.payment.stripe_account)
    if refund.stripe_id:
        return gateway.retrieve_refund(refund.stripe_id)
    if refund.attempts or payment.disputes.exists():
        return gateway.find_refund(payment.intent or "", metadata=_mark(refund))
    return None


def _made_now(refund: Refund) -> StripeRefund:
    payment = refund.payment
    return Gateway(payment.stripe_account).create_refund(
        payment.intent or "", amount_minor=refund.amount_minor, key=refund.idempotency_key, metadata=_mark(refund)
    )


def _record(refund_id: int, answer: StripeRefund) -> None:
    """What Stripe says of a refund becomes what our row says; once it is on its way, the player is told."""
    state = OUTCOMES.get(answer.status, RefundState.PENDING)
    with transaction.atomic(), pghistory.context(service="refund_payment"):
        refund = _lock_refund(refund_id)
        if refund.state in (state, RefundState.FAILED) and state not in REFUND_OPEN:
            return
        refund.stripe_id = answer.id
        if state == RefundState.FAILED:
            says = _("The bank did not take the money back; it has to reach the player another way.")
            _fail(refund, answer.problem or answer.status, says)
            return
        now, is_first = database_now(), refund.state == RefundState.DUE
        is_open = state in REFUND_OPEN
        refund.state, refund.taken_until = state, None
        refund.ended_at, refund.due_at = (None, now + ASK_AGAIN) if is_open else (now, None)
        refund.save()
        if is_first:
            _tell_player(refund, now)


def _lock_refund(refund_id: int) -> Refund:
    """A refund's row, and before it its entry's and its payment's."""
    payment = lock_payment(Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id))
    refund = Refund.objects.select_for_update(of=("self",)).get(pk=refund_id)
    refund.payment = payment
    return refund


def _tell_player(refund: Refund, now: datetime) -> None:
    facts = {"amount_minor": refund.amount_minor, "currency": refund.payment.currency, "reason": refund.reason}
    notices.due([refund.payment.entry], Notice.Kind.REFUNDED, now, number=refund.pk, facts=facts)


def _after_refusal(refund: Refund, error: GatewayError) -> None:
    """Stripe says no. If that is for a dispute of which we did not know, the refund waits for its end."""
    try:
        if error.code == CHARGED_BACK and learn_of_disputes(refund.payment):
            _postpone(refund, new_key=True)
            return
    except GatewayError as silence:
        logger.warning("Stripe did not say by what refund %s is disputed: %s", refund.pk, silence)
        _postpone(refund, new_key=True)
        return
    logger.error("Stripe refuses refund %s: %s", refund.pk, error)
    with transaction.atomic(), pghistory.context(service="refund_payment", reason=error.code):
        locked = _lock_refund(refund.pk)
        if locked.state in REFUND_OPEN:
            _fail(locked, error.code or "refused", error.message or "refused")


def _fail(refund: Refund, code: str, message: str) -> None:
    """A locked refund came to nothing, at Stripe or at the bank: somebody has to look, and the organizer is told."""
    _end(refund, code, message)
    about = {"amount_minor": refund.amount_minor, "stripe_id": refund.stripe_id or ""}
    letters.bury(
        LetterKind.REFUND, f"refund {refund.pk}", f"{code}: {message}", about, refund.attempts + 1, refund.payment
    )
    entry = refund.payment.entry
    context = {
        "amount": money(refund.amount_minor, refund.payment.currency),
        "tournament": entry.tournament.name,
        "player": entry.player.display_name,
        "problem": message,
        "url": absolute(reverse("admin:payments_refund_change", args=[refund.pk])),
    }
    tell_organizer(entry.tournament.organization, "refund_failed", context)


def _end(refund: Refund, code: str, message: str) -> None:
    refund.state, refund.ended_at, refund.due_at, refund.taken_until = RefundState.FAILED, database_now(), None, None
    refund.failure_code, refund.failure_message = code[:64], message
    refund.save()


def _wait_for_dispute(refund: Refund) -> None:
    """Look again later; the end of the dispute makes it due at once."""
    with transaction.atomic():
        if is_frozen(lock_payment(refund.payment_id)):
            _postpone(refund, ASK_AGAIN)


def _end_taken(refund: Refund) -> None:
    """A bank took, for good, what was to go back: the refund ends, and only what is left goes back."""
    with transaction.atomic(), pghistory.context(service="refund_payment", reason="disputed"):
        locked = _lock_refund(refund.pk)
        payment = locked.payment
        if locked.state != RefundState.DUE or is_frozen(payment) or not is_overdrawn(payment):
            return
        _end(
            locked,
            "disputed",
            _("The cardholder's bank took this money back in a dispute; it can't be refunded again."),
        )
        if left := left_of(payment):
            decide_refund(payment, min(left, locked.amount_minor), reason=locked.reason, by=locked.by)


def _postpone(refund: Refund, wait: timedelta | None = None, *, new_key: bool = False) -> None:
    Refund.objects.filter(pk=refund.pk, state__in=REFUND_OPEN).update(
        attempts=F("attempts") + 1,
        due_at=database_now() + (wait or pause(refund.attempts)),
        taken_until=None,
        **({"idempotency_key": new_idempotency_key()} if new_key else {}),
    )
