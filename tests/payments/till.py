"""What payment tests do again and again: offer a seat, pay it as a browser would, do what is due, and check the sums."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import requests
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now

from accounts.models import User
from payments import services
from payments.models import DeadLetter, Dispute, Payment, Refund, StripeEvent
from payments.rules import LetterKind
from payments.services import cancelling, inbox, releasing, sweeping
from registrations.models import Notice, QueueEntry
from registrations.rules import State
from tests.builders import make_entry, make_tournament
from tests.simulator.shop import DECLINED, GOOD, POOR, SECURE, Shop
from tournaments.models import Tournament

__all__ = ["DECLINED", "GOOD", "POOR", "SECURE", "Till", "account_of", "make_offer", "make_paid_tournament", "run_due"]

FEE = 2500


def make_paid_tournament(**fields: Any) -> Tournament:
    return make_tournament(**{"fee_minor": FEE, "currency": "eur", **fields})


def make_offer(tournament: Tournament | None = None, **fields: Any) -> QueueEntry:
    """An entry with an open offer in a tournament that costs 25 euros."""
    return make_entry(tournament or make_paid_tournament(), state=State.OFFERED, **fields)


def account_of(entry: QueueEntry) -> User:
    return entry.player.account


def fill_in_card(url: str, number: str = GOOD) -> requests.Response:
    """Send the form of Stripe's page that takes a payment, or that saves a card."""
    form = {"number": number, "expiry": "12 / 40", "cvc": "123", "email": "alice@example.com"}
    return requests.post(url, form, allow_redirects=False, timeout=20)


@dataclass
class Till:
    """The simulator, seen from the site's tests."""

    shop: Shop

    def start(self, entry: QueueEntry) -> Payment:
        """Press the button; returns the payment with its open checkout page."""
        services.start_payment(account=account_of(entry), public_id=entry.public_id)
        return entry.payments.live().get()

    def pay(self, payment: Payment, number: str = GOOD) -> requests.Response:
        """Send the card form of the checkout page."""
        return fill_in_card(payment.checkout_url, number)

    def at_the_bank(self, payment: Payment) -> None:
        """The card's bank shows its own page, which `the_bank_answers`."""
        assert self.pay(payment, SECURE).headers["location"].endswith("/authenticate")

    def the_bank_answers(self, payment: Payment, result: str = "complete") -> requests.Response:
        url = f"{payment.checkout_url}/authenticate"
        return requests.post(url, {"result": result}, allow_redirects=False, timeout=20)

    def authorised(self, entry: QueueEntry) -> Payment:
        """A payment whose card was authorised and whose seat is confirmed; not captured yet."""
        payment = self.start(entry)
        assert self.pay(payment).status_code == 303
        services.settle_payment(payment_id=payment.pk)
        payment.refresh_from_db()
        return payment

    def captured(self, entry: QueueEntry) -> Payment:
        payment = self.authorised(entry)
        services.capture_payment(payment_id=payment.pk)
        payment.refresh_from_db()
        assert payment.state == Payment.State.CAPTURED
        return payment

    def fail(self, path: str, status: int = 503, **more: Any) -> None:
        """Make the simulator answer the next call (`times`: more of them) with an error."""
        self.shop.control("faults", path=path, status=status, **more)

    def heal(self) -> None:
        self.shop.control("faults", verb="DELETE")

    def session(self, payment: Payment) -> Any:
        return self.shop.v1.checkout.sessions.retrieve(payment.checkout_session)

    def intents(self) -> list[Any]:
        return list(self.shop.v1.payment_intents.list({"limit": 100}).data)

    def intent(self, payment: Payment) -> Any:
        """The payment's intent; found by its metadata before we know its id."""
        if payment.intent:
            return self.shop.v1.payment_intents.retrieve(payment.intent)
        (found,) = [one for one in self.intents() if one.metadata["payment"] == str(payment.pk)]
        return found

    def charge(self, payment: Payment) -> Any:
        return self.shop.v1.charges.retrieve(self.intent(payment).latest_charge)

    def deliver(self, *types: str) -> None:
        """Hand all events of these types (by default those we ask for) to the inbox, as the webhook would, and handle them."""
        for event in self.events(*types):
            services.receive_event(event)
        handle_events()

    def events(self, *types: str) -> list[dict[str, Any]]:
        """The latest hundred events of these types (by default those we ask for), the oldest first."""
        found = self.shop.v1.events.list({"limit": 100, "types": list(types or inbox.EVENTS)}).data
        return [event.to_dict() for event in reversed(found)]


def handle_events() -> None:
    for stripe_id in inbox.due_events():
        services.handle_stripe_event(stripe_id=stripe_id)


def run_due(rounds: int = 6) -> None:
    """What worker and beat do, until nothing is due: pauses are skipped, as if enough time had passed."""
    for _ in range(rounds):
        releasing.release_orphans(captured=False)
        releasing.release_orphans(captured=True)
        sweeping.lapse_abandoned()
        for tournament_id in cancelling.half_cancelled():
            services.cancel_confirmed_entries(tournament_id=tournament_id)
        skip_pauses()
        for payment_id in sweeping.take_due_payments():
            sweeping.advance(payment_id=payment_id)
        for refund_id in sweeping.take_due_refunds():
            services.refund_payment(refund_id=refund_id)
        handle_events()


def skip_pauses() -> None:
    """As if the pause after a failure were over."""
    Payment.objects.open().update(due_at=Now(), taken_until=None)
    Refund.objects.filter(due_at__isnull=False).update(due_at=Now(), taken_until=None)
    StripeEvent.objects.filter(handled_at=None).update(due_at=Now())


def let_offer_run_out(entry: QueueEntry) -> None:
    """As if the offer's time were over, but not the longest hold."""
    QueueEntry.objects.filter(pk=entry.pk).update(offer_expires_at=Now() - timedelta(seconds=1))
    entry.refresh_from_db()


def let_hold_run_out(entry: QueueEntry) -> None:
    """As if even the longest hold were over."""
    past = Now() - timedelta(seconds=1)
    QueueEntry.objects.filter(pk=entry.pk).update(offer_expires_at=past, hold_until=past)
    entry.refresh_from_db()


def states(payment: Payment) -> tuple[str, str]:
    """How the payment and its entry stand now."""
    payment.refresh_from_db()
    payment.entry.refresh_from_db()
    return payment.state, payment.entry.state


def told(entry: QueueEntry) -> set[str]:
    """The kinds of mail that are due or were sent."""
    return set(Notice.objects.filter(entry=entry).values_list("kind", flat=True))


def owed_by_hand() -> set[int]:
    """Ids of payments of which a refund failed: an open dead letter asks staff to look."""
    letters = DeadLetter.objects.filter(kind=LetterKind.REFUND, state=DeadLetter.State.OPEN)
    return set(letters.values_list("payment", flat=True))


def check_money() -> None:
    """I4 to I7 when nothing is left to do: all of it in the rows, none of it by the services' own words."""
    by_hand = owed_by_hand()
    for payment in Payment.objects.filter(state=Payment.State.CAPTURED).select_related("entry"):
        _check_captured(payment, owed_by_hand=payment.pk in by_hand)
    paid = QueueEntry.objects.filter(state=State.CONFIRMED, tournament__fee_minor__gt=0, waived_by=None)
    unpaid = paid.exclude(payments__state__in=["AUTHORISED", "CAPTURED"])
    assert not unpaid.exists(), f"I6: confirmed without money: {list(unpaid)}"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entry_id FROM payments_payment WHERE state IN ('CREATED', 'AUTHORISED', 'CAPTURED') "
            "GROUP BY entry_id HAVING count(*) > 1"
        )
        assert not cursor.fetchall(), "I7: more than one live payment for an entry"


def _check_captured(payment: Payment, *, owed_by_hand: bool) -> None:
    decided = payment.refunds.exclude(state=Refund.State.FAILED).aggregate(sum=Sum("amount_minor"))["sum"] or 0
    gone = payment.refunds.filter(state__in=["PENDING", "SUCCEEDED"]).aggregate(sum=Sum("amount_minor"))["sum"] or 0
    taken = payment.disputes.taking().aggregate(sum=Sum("amount_minor"))["sum"] or 0
    frozen = payment.disputes.open().exists()
    assert decided <= payment.amount_minor, f"I5: {payment} gives back {decided}"
    assert gone + taken <= payment.amount_minor, f"I5: {payment} gave back {gone}, and banks took {taken}"
    if payment.entry.state == State.CONFIRMED:
        assert decided < payment.amount_minor, f"I6: the seat of {payment} is kept and all of it went back"
        return
    assert decided + payment.kept_minor <= payment.amount_minor, f"I4: {payment} gives back {decided}, beyond the rule"
    left = payment.amount_minor - payment.kept_minor - decided - (0 if frozen else taken)
    assert left <= 0 or owed_by_hand, f"I4: {payment} has no seat, and {left} stays"


def check_against_stripe(till: Till) -> None:
    """What Stripe took is what our rows say, to the cent."""
    for intent in till.intents():
        payment = Payment.objects.get(pk=intent.metadata["payment"])
        is_its_own = payment.state == Payment.State.CAPTURED and payment.intent == intent.id
        captured = payment.amount_minor if is_its_own else 0
        assert intent.amount_received == captured, f"{payment}: Stripe took {intent.amount_received}"
        if captured:
            back = payment.refunds.filter(state="SUCCEEDED").aggregate(sum=Sum("amount_minor"))["sum"] or 0
            assert till.charge(payment).amount_refunded == back
    for dispute in till.shop.v1.disputes.list({"limit": 100}).data:
        ours = Dispute.objects.get(stripe_id=dispute.id)
        assert (ours.status, ours.amount_minor) == (dispute.status, dispute.amount), f"{ours} is not {dispute.status}"
