"""What sets a difference right: the services that would have done so in time. Each asks Stripe by itself and may run twice."""

import logging

import pghistory
from django.db import transaction
from django.urls import reverse

from payments.gateway import Gateway, GatewayRefusedError
from payments.models import Payment
from payments.rules import State
from payments.services.capturing import let_go_of_stray
from payments.services.declining import record_decline
from payments.services.refunding import adopt_refund_of_stripe, record_refund_of_stripe
from payments.services.sweeping import advance
from vgchub.pages import absolute

logger = logging.getLogger(__name__)


def look_at(*, payment_id: int) -> None:
    """Do for a payment what is next: a lost webhook is as good as told then."""
    advance(payment_id=payment_id)


def hear_of_decline(*, payment_id: int, intent_id: str) -> None:
    """Tell the player, who then has more time: the event of a refused card was lost."""
    account = Payment.objects.values_list("stripe_account", flat=True).get(pk=payment_id)
    record_decline(payment_id=payment_id, intent=Gateway(account).retrieve_intent(intent_id))


def adopt_session(*, payment_id: int, session_id: str) -> None:
    """Keep a checkout page that was made, and whose maker was killed before it could; then look how it stands."""
    payment = Payment.objects.select_related("entry").get(pk=payment_id)
    session = Gateway(payment.stripe_account).retrieve_session(session_id)
    # A page that is complete has no address any more: who would open it is asked to wait for its outcome.
    address = session.url or absolute(reverse("payment_return", args=[payment.entry.public_id]))
    with transaction.atomic(), pghistory.context(service="reconcile"):
        unknown = Payment.objects.filter(pk=payment_id, state=State.CREATED, checkout_session=None, card=None)
        unknown.update(checkout_session=session.id, checkout_url=address)
    advance(payment_id=payment_id)


def close_session(*, payment_id: int, session_id: str) -> None:
    """Close a page on which nobody may pay any more; if somebody has just paid, let that go."""
    account = Payment.objects.values_list("stripe_account", flat=True).get(pk=payment_id)
    try:
        Gateway(account).expire_session(session_id, key=f"payment-{payment_id}-unwanted-{session_id}")
    except GatewayRefusedError:
        let_go_of_stray(payment_id=payment_id, session_id=session_id)


def let_go(*, payment_id: int, intent_id: str) -> None:
    """Void a hold that belongs to no payment any more; refused, it stands in the next comparison."""
    account = Payment.objects.values_list("stripe_account", flat=True).get(pk=payment_id)
    logger.error("Payment %s has nothing to do with %s any more; its authorisation is let go", payment_id, intent_id)
    Gateway(account).cancel_intent(intent_id, key=f"payment-{payment_id}-stray-{intent_id}")


def adopt_foreign_refund(*, payment_id: int, stripe_id: str, amount_minor: int) -> None:
    """Keep a refund that somebody made at Stripe's dashboard, if it fits the payment; else it stays listed."""
    adopt_refund_of_stripe(payment_id=payment_id, stripe_id=stripe_id, amount_minor=amount_minor)


def adopt_refund(*, refund_id: int, stripe_id: str) -> None:
    """Record what became of a refund: an event of it was lost, or its maker was killed before it heard the answer."""
    record_refund_of_stripe(refund_id=refund_id, stripe_id=stripe_id)
