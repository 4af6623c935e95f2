"""What tests of comparing with Stripe do again and again."""

from datetime import datetime, timedelta

from payments import services
from payments.models import Discrepancy, Payment, Reconciliation, Refund
from payments.services import reconciling
from tests.builders import now
from tests.payments.till import account_of

HOUR = timedelta(hours=1)
LATER = timedelta(hours=5)  # the simulator's clock may be put forward


def begin(kind: Reconciliation.Kind = Reconciliation.Kind.BY_HAND, **window: datetime) -> Reconciliation:
    span = {"since": now() - HOUR, "until": now() + LATER, **window}
    return reconciling.begin(kind=kind, account="", **span)


def reconcile(kind: Reconciliation.Kind = Reconciliation.Kind.BY_HAND, **window: datetime) -> Reconciliation:
    """One whole comparison of the last hour."""
    run = begin(kind, **window)
    again_at = reconciling.go_on(reconciliation_id=run.pk, pages=1000)
    run.refresh_from_db()
    assert again_at is None
    assert run.ended_at
    return run


def listed() -> list[tuple[str, str]]:
    return [(one.kind, one.object_id) for one in Discrepancy.objects.filter(resolved_at=None).order_by("pk")]


def state(payment: Payment) -> tuple[str, str]:
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    return payment.state, payment.entry.state


def cancelled(payment: Payment) -> Refund:
    """The refund of a seat that was given back, decided and not carried out yet."""
    entry = payment.entry
    services.cancel_and_refund(account=account_of(entry), public_id=entry.public_id)
    return payment.refunds.get()
