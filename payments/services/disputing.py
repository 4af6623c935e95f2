"""Disputes: what Stripe says of one is kept, refunds wait while it is open, and those who have to answer are told."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pghistory
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext_lazy

from payments.gateway import Gateway, GatewayAwayError, StripeDispute
from payments.models import Dispute, Payment
from payments.queries import is_frozen, is_overdrawn
from payments.rules import DISPUTE_ENDED, DISPUTE_OPEN, RefundState
from payments.services.locking import lock_payment
from payments.services.staff_mails import tell_organizer_and_staff
from payments.tasks import carry_out_refund, look_at_entry
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.errors import RefusedError
from vgchub.pages import absolute
from vgchub.words import moment, money

TRIES = 5
CHARGED_BACK = "charge_disputed"  # Stripe's refusal of a refund
Known = tuple[str, int, str, datetime | None]


class DisputedError(RefusedError):
    code = "disputed"
    message = gettext_lazy(
        "The cardholder's bank disputes this payment: until that is decided, nothing of it can be refunded."
    )
    remedy = gettext_lazy("The payment's page lists the dispute. Answer it at Stripe, or wait for its end.")


def forbid_disputed(payment: Payment) -> None:
    """Refuse to decide a refund of a locked payment while a dispute of it is open.

    Raises:
        DisputedError
    """
    if is_frozen(payment):
        raise DisputedError


def record_dispute(*, stripe_id: str, stripe_account: str = "") -> None:
    """Ask Stripe how a dispute stands and keep its answer; one of a charge that is not ours is left alone.

    What was written since we asked is newer than the answer, so that Stripe is asked again.

    Raises:
        GatewayAwayError, NotAtStripeError
    """
    gateway = Gateway(stripe_account)
    for _try in range(TRIES):
        known = _known(Dispute.objects.filter(stripe_id=stripe_id).first())
        if _keep(gateway.retrieve_dispute(stripe_id), known, stripe_account):
            return
    raise GatewayAwayError("The dispute changes while it is read.", "changing")


def learn_of_disputes(payment: Payment) -> bool:
    """Stripe says that a payment is disputed, and no event told us. Returns whether that holds a refund up, or took its money.

    Raises:
        GatewayAwayError, NotAtStripeError
    """
    for found in Gateway(payment.stripe_account).disputes_of(payment.intent or ""):
        record_dispute(stripe_id=found.id, stripe_account=payment.stripe_account)
    return is_frozen(payment) or is_overdrawn(payment)


def _known(dispute: Dispute | None) -> Known | None:
    if dispute is None:
        return None
    return dispute.status, dispute.amount_minor, dispute.reason, dispute.evidence_due_at


def _keep(found: StripeDispute, known: Known | None, stripe_account: str) -> bool:
    """Compare and set: False when our row is no longer as it was when Stripe was asked."""
    if not found.intent:  # no charge of ours is without one
        return True
    payments = Payment.objects.filter(intent=found.intent, stripe_account=stripe_account)
    payment_id = payments.values_list("pk", flat=True).first()
    if payment_id is None:
        return True
    with transaction.atomic(), pghistory.context(service="record_dispute", reason=found.status):
        payment = lock_payment(payment_id)
        dispute = Dispute.objects.select_for_update().filter(stripe_id=found.id).first()
        if _known(dispute) != known:
            return False
        if (found.status, found.amount_minor, found.reason, found.evidence_due_at) != known:
            _write(payment, dispute, found)
    return True


def _write(payment: Payment, dispute: Dispute | None, found: StripeDispute) -> None:
    is_new = dispute is None
    dispute = dispute or Dispute(payment=payment, stripe_id=found.id, opened_at=found.opened_at)
    dispute.status, dispute.reason = found.status, found.reason[:64]
    dispute.amount_minor, dispute.currency = found.amount_minor, found.currency
    dispute.evidence_due_at = found.evidence_due_at
    dispute.ended_at = (dispute.ended_at or database_now()) if found.status in DISPUTE_ENDED else None
    dispute.save()
    if is_new:
        _tell(dispute)
    wake_on_commit(look_at_entry, payment.entry_id)
    if not is_frozen(payment):
        _let_refunds_go(payment)


def _let_refunds_go(payment: Payment) -> None:
    """What waited for the end of a dispute is looked at now: it goes on, or was taken by the bank."""
    waiting = payment.refunds.filter(state=RefundState.DUE)
    waiting.update(due_at=database_now(), taken_until=None)
    for refund_id in waiting.values_list("pk", flat=True):
        wake_on_commit(carry_out_refund, refund_id)


def _tell(dispute: Dispute) -> None:
    """Once for each dispute, in the transaction that found it."""
    entry = dispute.payment.entry
    tournament, due = entry.tournament, dispute.evidence_due_at
    context = {
        "amount": money(dispute.amount_minor, dispute.currency),
        "tournament": tournament.name,
        "player": entry.player.display_name,
        "reason": dispute.reason.replace("_", " "),
        "status": dispute.status.replace("_", " "),
        "is_open": dispute.status in DISPUTE_OPEN,
        "until": moment(due, ZoneInfo(tournament.time_zone), now=database_now()) if due else "",
        "url": absolute(reverse("admin:payments_payment_change", args=[dispute.payment_id])),
    }
    tell_organizer_and_staff(tournament.organization, "dispute", context)
