"""Giving a seat up: from then on the money goes back, whatever stage it is at."""

import pghistory
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from payments.models import Payment, Refund
from payments.queries import left_of
from payments.rules import LIVE, OPEN, State
from payments.services.locking import lock_payment
from payments.services.one_by_one import one_by_one
from payments.tasks import advance_payment, carry_out_refund
from registrations.rules import SEATED
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit


def release_payment(payment: Payment, *, reason: str, kept_minor: int = 0, by: User | None = None) -> None:
    """Mark a locked payment as one whose money goes back, but for `kept_minor`. Doing it again changes nothing.

    An open checkout is closed, an authorisation voided (or captured first, when something is kept), captured money refunded.
    """
    if payment.released_at is not None or payment.state not in LIVE:
        return
    now = database_now()
    payment.released_at, payment.release_reason, payment.kept_minor = now, reason[:200], kept_minor
    if payment.state in OPEN:
        payment.due_at, payment.attempts = now, 0
        wake_on_commit(advance_payment, payment.pk)
    payment.save(update_fields=["released_at", "release_reason", "kept_minor", "due_at", "attempts"])
    give_back(payment, by=by)


def give_back(payment: Payment, *, by: User | None = None) -> None:
    """Decide the refund of what is left of a locked, captured and released payment."""
    if payment.state == State.CAPTURED and payment.released_at is not None and (left := left_of(payment)):
        decide_refund(payment, left, reason=payment.release_reason, by=by)


def decide_refund(payment: Payment, amount_minor: int, *, reason: str, by: User | None) -> Refund:
    """Write down that a part of a locked payment goes back, and wake who carries it out."""
    now = database_now()
    refund = Refund.objects.create(
        payment=payment, amount_minor=amount_minor, reason=reason[:200], by=by, created_at=now, due_at=now
    )
    wake_on_commit(carry_out_refund, refund.pk)
    return refund


def release_orphans(*, captured: bool) -> int:
    """Release payments whose entry lost its seat by a way that knows nothing of money: left, closed, rejected, passed.

    `captured` looks at paid seats, of which there are many, instead of at open payments. Returns how many were released.
    """
    states = [State.CAPTURED] if captured else list(OPEN)
    orphans = Payment.objects.filter(state__in=states, released_at=None).exclude(entry__state__in=SEATED)
    ids = list(orphans.order_by("pk").values_list("pk", flat=True)[:500])
    return one_by_one(ids, _release_orphan)


def _release_orphan(payment_id: int) -> bool:
    with transaction.atomic(), pghistory.context(service="release_orphans"):
        payment = lock_payment(payment_id)
        if payment.entry.state in SEATED:
            return False
        release_payment(payment, reason=_("The seat was given up (%(state)s).") % {"state": payment.entry.state})
    return True
