"""Cards on file: who may put one there, what comes of Stripe's page, and that each is taken off again."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from payments import services
from payments.models import DeadLetter, SavedCard
from payments.services import sweeping
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import EntryNotFoundError, leave_queue, offer_seats
from tests.builders import make_entry, make_organization, make_organizer, make_user, now
from tests.payments.cards import file_card, fresh, is_attached, make_lottery, run_cards, save_on_page
from tests.payments.till import DECLINED, SECURE, Till, account_of, make_paid_tournament
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)


def entrant(**fields: object) -> QueueEntry:
    return make_entry(make_lottery(drawn=False, **fields))


def ask(entry: QueueEntry) -> str:
    return services.ask_for_card(account=account_of(entry), public_id=entry.public_id)


def remove(entry: QueueEntry) -> None:
    services.remove_card(account=account_of(entry), public_id=entry.public_id)


def saved(entry: QueueEntry) -> SavedCard:
    """A card on file, saved on Stripe's page."""
    assert save_on_page(ask(entry)).status_code == 303
    card = entry.cards.live().get()
    services.settle_card(card_id=card.pk)
    return fresh(card)


def signed_in(entry: QueueEntry) -> Client:
    client = Client()
    client.force_login(account_of(entry))
    return client


def at(name: str, entry: QueueEntry) -> str:
    return reverse(name, args=[entry.public_id])


# --- Saving --------------------------------------------------------------------------------------------------


def test_a_card_is_saved_and_nothing_charged(till: Till) -> None:
    entry = entrant()
    card = saved(entry)
    assert (card.state, card.brand, card.last4, card.agreed_minor) == ("SAVED", "visa", "4242", 2500)
    assert card.due_at is None
    assert till.intents() == []
    assert is_attached(till, card.payment_method)


def test_asking_again_gives_the_same_page(till: Till) -> None:
    entry = entrant()
    assert ask(entry) == ask(entry)
    assert entry.cards.count() == 1
    assert len(till.shop.v1.customers.list().data) == 1


def test_the_webhook_alone_is_enough(till: Till) -> None:
    entry = entrant()
    save_on_page(ask(entry))
    till.deliver()
    card = entry.cards.get()
    assert card.state == "SAVED"
    assert {event.card_id for event in card.stripe_events.all()} == {card.pk}


def test_the_sweep_alone_is_enough(till: Till) -> None:
    entry = entrant()
    save_on_page(ask(entry))
    run_cards(1)
    assert entry.cards.get().state == "SAVED"


def test_somebody_elses_event_is_not_ours(till: Till) -> None:
    entry = entrant()
    ask(entry)
    card = entry.cards.get()
    about = {"id": "cs_1", "metadata": {"card": str(card.pk), "entry": "another"}}
    services.receive_event({"id": "evt_1", "type": "checkout.session.completed", "data": {"object": about}})
    assert not card.stripe_events.exists()


def test_a_refused_card_is_not_saved_and_another_may_be(till: Till) -> None:
    entry = entrant()
    url = ask(entry)
    assert save_on_page(url, DECLINED).status_code == 402
    assert save_on_page(url).status_code == 303
    run_cards(1)
    assert entry.cards.get().last4 == "4242"


def test_a_page_that_nobody_used_is_dropped(till: Till) -> None:
    entry = entrant()
    ask(entry)
    till.shop.v1.checkout.sessions.expire(entry.cards.get().checkout_session)
    till.deliver()
    assert entry.cards.get().state == "DROPPED"
    assert saved(entry).state == "SAVED"


def test_a_page_is_closed_when_its_time_is_over(till: Till) -> None:
    entry = entrant()
    ask(entry)
    SavedCard.objects.update(session_expires_at=Now(), due_at=Now())
    run_cards(1)
    card = entry.cards.get()
    assert card.state == "DROPPED"
    assert till.shop.v1.checkout.sessions.retrieve(card.checkout_session).status == "expired"


def test_without_an_answer_the_button_is_pressed_again(till: Till) -> None:
    entry = entrant()
    for path, status in (("/v1/customers", 500), ("/v1/checkout/sessions", 500), ("/v1/checkout/sessions", 503)):
        till.fail(path, status=status)
        with pytest.raises(services.CardAwayError):
            ask(entry)
    assert saved(entry).state == "SAVED"
    assert entry.cards.count() == 1


def test_what_stripe_refuses_is_said_and_can_be_tried_anew(till: Till) -> None:
    entry = entrant()
    till.fail("/v1/checkout/sessions", status=400, code="account_invalid")
    with pytest.raises(services.CardImpossibleError):
        ask(entry)
    assert entry.cards.get().state == "DROPPED"
    assert saved(entry).state == "SAVED"


def test_another_fee_needs_another_page_and_what_the_old_one_saved_is_taken_off(till: Till) -> None:
    entry = entrant()
    old = ask(entry)
    Tournament.objects.filter(pk=entry.tournament_id).update(fee_minor=3000)
    save_on_page(old)
    assert ask(entry) != old
    run_cards(1)
    dropped, asked = entry.cards.order_by("pk")
    assert (dropped.state, asked.state, asked.agreed_minor) == ("DROPPED", "ASKED", 3000)
    assert dropped.due_at is None
    assert [one.customer for one in till.shop.v1.setup_intents.list().data if one.status == "succeeded"] != []
    assert till.shop.v1.payment_methods.list({"customer": dropped.customer}).data == []


def test_a_card_that_came_after_the_offer_is_taken_off_at_once(till: Till) -> None:
    entry = make_entry(make_lottery())
    save_on_page(ask(entry))
    assert offer_seats(tournament_id=entry.tournament_id) == 1
    till.deliver()
    assert services.plan_charges() == 0
    run_cards(1)
    card = entry.cards.get()
    assert card.state == "DETACHED"
    assert not is_attached(till, card.payment_method)


@pytest.mark.parametrize("why", ["first come", "no cards", "free", "offered", "left", "waived"])
def test_a_card_is_wanted_only_where_it_could_be_charged(till: Till, why: str) -> None:
    lottery = make_lottery(drawn=False)
    entry = {
        "first come": lambda: make_entry(make_paid_tournament()),
        "no cards": lambda: make_entry(make_lottery(drawn=False, saves_cards=False)),
        "free": lambda: make_entry(make_lottery(drawn=False, fee_minor=0)),
        "offered": lambda: make_entry(lottery, state=State.OFFERED),
        "left": lambda: make_entry(lottery, state=State.LEFT),
        "waived": lambda: make_entry(lottery, waived_by=make_user(), waiver_reason="helps"),
    }[why]()
    with pytest.raises(services.CardNotWantedError):
        ask(entry)
    assert not SavedCard.objects.exists()


def test_nobody_elses_entry(till: Till) -> None:
    entry, stranger = entrant(), make_user()
    for act in (services.ask_for_card, services.remove_card):
        with pytest.raises(EntryNotFoundError):
            act(account=stranger, public_id=entry.public_id)


# --- Off again -----------------------------------------------------------------------------------------------


def test_a_card_is_taken_off_and_another_put_there(till: Till) -> None:
    entry = entrant()
    first = saved(entry)
    remove(entry)
    remove(entry)
    assert fresh(first).state == "DETACHED"
    assert not is_attached(till, first.payment_method)
    assert saved(entry).pk != first.pk


def test_asking_with_a_card_on_file_replaces_it(till: Till) -> None:
    entry = entrant()
    first, second = saved(entry), saved(entry)
    assert (fresh(first).state, second.state) == ("DETACHED", "SAVED")


def test_a_card_is_never_charged_once_it_was_to_go_though_stripe_is_away(till: Till) -> None:
    entry = entrant()
    card = saved(entry)
    till.fail("/v1/payment_methods/*/detach", times=2)
    remove(entry)
    with pytest.raises(services.CardAwayError):
        ask(entry)
    assert fresh(card).state == "SAVED"
    assert fresh(card).due_at is not None
    run_cards(1)
    assert fresh(card).state == "DETACHED"


def test_what_is_off_already_counts_as_off(till: Till) -> None:
    entry = entrant()
    card = saved(entry)
    till.shop.v1.payment_methods.detach(card.payment_method)
    remove(entry)
    assert fresh(card).state == "DETACHED"


def test_a_card_that_stripe_does_not_take_off_is_a_dead_letter_and_is_tried_again(till: Till) -> None:
    entry = entrant()
    card = saved(entry)
    till.fail("/v1/payment_methods/*/detach", status=400)
    remove(entry)
    assert DeadLetter.objects.get().reference == f"card {card.pk}"
    assert fresh(card).state == "SAVED"
    run_cards(1)
    assert fresh(card).state == "DETACHED"


def test_a_card_goes_with_its_entry(till: Till) -> None:
    entry = entrant()
    card = saved(entry)
    leave_queue(account=account_of(entry), public_id=entry.public_id)
    assert services.give_up_cards() == 1
    assert services.give_up_cards() == 0
    run_cards(1)
    assert fresh(card).state == "DETACHED"


def test_two_sweeps_take_different_cards(till: Till) -> None:
    lottery = make_lottery(drawn=False)
    for _ in range(3):
        file_card(till, make_entry(lottery, state=State.LEFT))
    services.give_up_cards()
    assert len(sweeping.take_due_cards()) == 3
    assert sweeping.take_due_cards() == []


# --- Pages ---------------------------------------------------------------------------------------------------


def test_the_live_page_offers_it_and_stripes_page_leads_back(till: Till) -> None:
    entry = entrant()
    client, queue = signed_in(entry), reverse("queue", args=[entry.tournament.slug])
    assert "Put a card on file" in client.get(queue).content.decode()
    answer = client.post(at("card", entry))
    assert answer.status_code == 303
    waiting = client.get(at("card_return", entry)).content.decode()
    assert 'data-story="waiting"' in waiting
    save_on_page(answer["Location"], SECURE)
    till.shop.authenticate(till.shop.v1.checkout.sessions.list().data[0])
    back = client.get(at("card_return", entry)).content.decode()
    assert 'data-story="saved"' in back
    assert "Visa 3155" in back
    page = client.get(queue).content.decode()
    assert "On file: Visa 3155. Should you win, it is charged €25.00" in " ".join(page.split())
    gone = client.post(at("card_remove", entry), follow=True).content.decode()
    assert "No card is on file any more" in gone
    assert 'data-story="none"' in client.get(at("card_return", entry)).content.decode()


def test_the_live_page_of_a_winner_says_when_the_card_is_charged(till: Till) -> None:
    entry = make_entry(make_lottery())
    card = file_card(till, entry)
    offer_seats(tournament_id=entry.tournament_id)
    services.plan_charges()
    page = " ".join(signed_in(entry).get(reverse("queue", args=[entry.tournament.slug])).content.decode().split())
    assert "your card on file (Visa 4242) is charged €25.00" in page
    assert "Take the card off" in page
    SavedCard.objects.filter(pk=card.pk).update(charge_due_at=None, needs_player_at=now())
    page = " ".join(signed_in(entry).get(reverse("queue", args=[entry.tournament.slug])).content.decode().split())
    assert "is not tried again: please pay yourself" in page


def test_pages_without_cards_say_nothing_of_them(till: Till) -> None:
    entry = make_entry(make_paid_tournament())
    page = signed_in(entry).get(reverse("queue", args=[entry.tournament.slug])).content.decode()
    assert "data-card" not in page
    assert signed_in(entry).post(at("card", entry)).status_code == 409


@pytest.mark.parametrize("name", ["card", "card_remove", "card_return"])
def test_pages_are_for_the_player_alone(till: Till, name: str) -> None:
    entry = entrant()
    stranger = Client()
    verb = stranger.get if name == "card_return" else stranger.post
    assert verb(at(name, entry)).status_code == 302
    stranger.force_login(make_user())
    assert verb(at(name, entry)).status_code == 404
    assert signed_in(entry).get(at("card", entry)).status_code == 405


# --- Admin ---------------------------------------------------------------------------------------------------


def test_the_admin_lists_cards_in_as_many_queries_for_ten_as_for_one() -> None:
    ours = make_organization()
    lottery = make_lottery(drawn=False, organization=ours)
    client = Client()
    client.force_login(make_organizer(ours))
    there = reverse("admin:payments_savedcard_changelist")
    counts = []
    for more in (1, 9):
        for _ in range(more):
            asked = {"agreed_minor": 2500, "currency": "eur", "session_expires_at": now(), "due_at": now()}
            SavedCard.objects.create(entry=make_entry(lottery), created_at=now() - timedelta(hours=1), **asked)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(there).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12
    card = SavedCard.objects.latest("pk")
    assert (
        client.post(reverse("admin:payments_savedcard_change", args=[card.pk]), {"state": "SAVED"}).status_code == 403
    )
