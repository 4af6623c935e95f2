"""Celery shells of payments: ids in, one service call. Each may run twice, late, or never: the sweep finds the rows again."""

from typing import TYPE_CHECKING

from celery import shared_task

if TYPE_CHECKING:
    from payments.models import Reconciliation


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

    cancel_confirmed_entries(tournament_id=tournament_id, limit=400)  # then it is a new task's turn


@shared_task(expires=60)
def look_at_card(card_id: int) -> None:
    """Ask Stripe what came of the page that saves a card, or take the card off."""
    from payments.services.saving import advance_card

    advance_card(card_id=card_id)


@shared_task(expires=60)
def charge_card_on_file(card_id: int) -> None:
    from payments.services.charging import charge_card

    charge_card(card_id=card_id)


@shared_task(expires=10)
def charge_due_cards() -> None:
    """Hand each card that is due to be charged to a worker; before, plan those of new winners."""
    from payments.services import planning, sweeping

    planning.plan_charges()
    for card_id in sweeping.take_due_charges():
        charge_card_on_file.delay(card_id)


@shared_task(expires=10)
def sweep_cards() -> None:
    """Find the cards that nobody will charge any more, and those whose page is to be looked at."""
    from payments.services import saving, sweeping

    saving.give_up_cards()
    for card_id in sweeping.take_due_cards():
        look_at_card.delay(card_id)


@shared_task(expires=60)
def look_at_entry(entry_id: int) -> None:
    from payments.services.reviewing import look_at_entry

    look_at_entry(entry_id=entry_id)


@shared_task(expires=240)
def look_for_fraud() -> None:
    """Look at what was paid, disputed or reported lately, and at all who wait for a draw that is sealed soon."""
    from payments.services import reviewing

    reviewing.look_at_recent()
    for tournament_id in reviewing.sealed_soon():
        reviewing.look_at_entries(tournament_id=tournament_id)


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


@shared_task(expires=240)
def reconcile_recent() -> None:
    """Compare the last two hours with Stripe, and go on with what was interrupted."""
    from payments.models import Reconciliation

    _reconcile(Reconciliation.Kind.RECENT)


@shared_task(expires=3600)
def reconcile_nightly() -> None:
    """Compare the last eight days with Stripe."""
    from payments.models import Reconciliation

    _reconcile(Reconciliation.Kind.NIGHTLY)


def _reconcile(kind: "Reconciliation.Kind") -> None:
    from payments.services import reconciling

    for reconciliation_id in reconciling.begin_planned(kind):
        go_on_reconciling.delay(reconciliation_id)


@shared_task(expires=900)
def go_on_reconciling(reconciliation_id: int) -> None:
    """Compare some pages, then make room for what is more urgent."""
    from payments.services import reconciling

    again_at = reconciling.go_on(reconciliation_id=reconciliation_id)
    if again_at:
        go_on_reconciling.apply_async((reconciliation_id,), eta=again_at)


@shared_task(expires=60)
def bury_failed_mails() -> None:
    """Find mails that were tried as often as they may be."""
    from payments.services import letters

    letters.bury_failed_mails()
