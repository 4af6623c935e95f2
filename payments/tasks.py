"""Celery shells of payments: ids in, one service call. Each may run twice, late, or never: the sweep finds the rows again."""

from celery import shared_task


@shared_task(expires=60)
def advance_payment(payment_id: int) -> None:
    """Ask Stripe about an open payment and do what its answer asks for."""
    from payments.services.sweeping import advance

    advance(payment_id=payment_id)


@shared_task(expires=60)
def carry_out_refund(refund_id: int) -> None:
    from payments.services.refunding import refund_payment

    refund_payment(refund_id=refund_id)


@shared_task(expires=60)
def handle_event(stripe_id: str) -> None:
    from payments.services.inbox import handle_stripe_event

    handle_stripe_event(stripe_id=stripe_id)


@shared_task(expires=60)
def cancel_confirmed(tournament_id: int) -> None:
    from payments.services.cancelling import cancel_confirmed_entries

    cancel_confirmed_entries(tournament_id=tournament_id)


@shared_task(expires=10)
def sweep() -> None:
    """Find what is due and hand each row to a worker."""
    from payments.services import inbox, releasing, sweeping

    releasing.release_orphans(captured=False)
    sweeping.lapse_abandoned()
    for payment_id in sweeping.take_due_payments():
        advance_payment.delay(payment_id)
    for refund_id in sweeping.take_due_refunds():
        carry_out_refund.delay(refund_id)
    for stripe_id in inbox.due_events():
        handle_event.delay(stripe_id)


@shared_task(expires=60)
def sweep_seats() -> None:
    """What is looked for among many rows: paid seats that staff took away, tournaments whose cancelling was interrupted."""
    from payments.services import cancelling, releasing

    releasing.release_orphans(captured=True)
    for tournament_id in cancelling.half_cancelled():
        cancel_confirmed.delay(tournament_id)


@shared_task(expires=3600)
def forget_deliveries() -> None:
    """Drop what Stripe's deliveries carried, names and addresses among it, once nobody needs it any more."""
    from payments.services.inbox import forget_old_deliveries

    forget_old_deliveries()
