"""Cards on file for tests: saved on Stripe's page or right at the simulator, won with, and charged as if the time had come."""

from datetime import timedelta
from typing import Any

import requests
from django.db.models.functions import Now

from payments import services
from payments.models import Payment, SavedCard
from payments.rules import CardState
from payments.services import sweeping
from registrations.models import QueueEntry
from registrations.services import offer_seats
from tests.builders import make_entry, now
from tests.payments.till import GOOD, Till, account_of, fill_in_card, make_paid_tournament, run_due
from tournaments.models import Tournament

# Cards that can be saved: how each behaves when it is charged while its holder is away.
DECLINES_LATER, EVERY_TIME = "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"


def make_lottery(*, drawn: bool = True, **fields: Any) -> Tournament:
    """A lottery that takes cards and costs 25 euros; drawn already, so that seats are offered, unless said otherwise."""
    times: dict[str, Any] = {"opens_in": timedelta(days=-3)} if drawn else {"opens_in": timedelta(hours=-1)}
    if drawn:
        times["drawn_at"] = now() - timedelta(minutes=5)
    return make_paid_tournament(**{"mode": "LOTTERY", "saves_cards": True, **times, **fields})


def file_card(till: Till, entry: QueueEntry, alias: str = "pm_card_visa", **fields: Any) -> SavedCard:
    """A card on file as the services would have left it, saved right at the simulator."""
    customer = till.shop.v1.customers.create({"email": account_of(entry).email}).id
    method = till.shop.v1.payment_methods.attach(alias, {"customer": customer})
    values: dict[str, Any] = {
        "state": CardState.SAVED,
        "agreed_minor": entry.tournament.fee_minor,
        "currency": entry.tournament.currency,
        "customer": customer,
        "session_expires_at": now(),
        "payment_method": method.id,
        "brand": method.card.brand,
        "last4": method.card.last4,
        "fingerprint": method.card.fingerprint,
        "created_at": now(),
        "saved_at": now(),
    }
    return SavedCard.objects.create(entry=entry, **{**values, **fields})


def winner(till: Till, tournament: Tournament | None = None, alias: str = "pm_card_visa") -> SavedCard:
    """A card whose entry was offered a seat a moment ago; its charge is planned."""
    tournament = tournament or make_lottery()
    card = file_card(till, make_entry(tournament), alias)
    assert offer_seats(tournament_id=tournament.pk) == 1
    assert services.plan_charges() == 1
    return fresh(card)


def winners(till: Till, count: int, alias: str = "pm_card_visa") -> list[SavedCard]:
    """So many of one lottery, their charges due."""
    tournament = make_lottery(seats=count, offer_batch=50)
    cards = [file_card(till, make_entry(tournament), alias) for _ in range(count)]
    assert offer_seats(tournament_id=tournament.pk) == count
    assert services.plan_charges() == count
    return [time_has_come(card) for card in cards]


def time_has_come(card: SavedCard) -> SavedCard:
    """As if the hours to decline, or the pause after a refusal, were over."""
    planned = SavedCard.objects.filter(pk=card.pk, charge_due_at__isnull=False)
    planned.update(charge_due_at=Now() - timedelta(seconds=1), taken_until=None)
    return fresh(card)


def charge(card: SavedCard) -> Payment:
    """Let the time come and the batch charge it; returns the payment as it then stands."""
    time_has_come(card)
    for card_id in sweeping.take_due_charges():
        services.charge_card(card_id=card_id)
    found: Payment = card.payments.latest("pk")
    return found


def fresh(card: SavedCard) -> SavedCard:
    return SavedCard.objects.select_related("entry__tournament").get(pk=card.pk)


def calls_are_over() -> None:
    """As if whoever made a call had long had its answer, or died."""
    Payment.objects.open().filter(card__isnull=False).update(session_expires_at=Now())


def run_cards(rounds: int = 3) -> None:
    """What worker and beat do with cards and with payments, until nothing is due; pauses are skipped, but not a card's own."""
    for _ in range(rounds):
        services.plan_charges()
        for card_id in sweeping.take_due_charges():
            services.charge_card(card_id=card_id)
        calls_are_over()
        run_due(2)
        services.give_up_cards()
        SavedCard.objects.filter(due_at__isnull=False).update(due_at=Now(), taken_until=None)
        for card_id in sweeping.take_due_cards():
            services.advance_card(card_id=card_id)


def save_on_page(url: str, number: str = GOOD) -> requests.Response:
    """Send the form of Stripe's page that saves a card."""
    return fill_in_card(url, number)


def is_attached(till: Till, method: str | None) -> bool:
    return till.shop.v1.payment_methods.retrieve(method).customer is not None
