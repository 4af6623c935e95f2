"""The pages of paying, as a browser without JavaScript sees them."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from registrations.models import QueueEntry
from registrations.rules import State
from tests.builders import make_tournament, now
from tests.payments.till import DECLINED, Till, account_of, make_offer, make_paid_tournament, run_due

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(entry: QueueEntry) -> Client:
    client = Client()
    client.force_login(account_of(entry))
    return client


def at(name: str, entry: QueueEntry) -> str:
    return reverse(name, args=[entry.public_id])


def test_take_up_sends_the_player_to_stripes_page(till: Till) -> None:
    entry = make_offer()
    response = signed_in(entry).post(at("take_up", entry))
    assert response.status_code == 303
    assert response["Location"] == entry.payments.get().checkout_url


def test_take_up_of_a_free_seat_says_you_are_in(till: Till) -> None:
    entry = make_offer(make_tournament())
    response = signed_in(entry).post(at("take_up", entry), follow=True)
    assert "You&#x27;re in. Masters, seat 1." in response.content.decode().replace("'", "&#x27;")


def test_take_up_while_stripe_is_away_says_so_and_can_be_repeated(till: Till) -> None:
    entry = make_offer()
    client = signed_in(entry)
    till.fail("/v1/checkout/sessions", times=2)
    response = client.post(at("take_up", entry))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    page = response.content.decode()
    assert "Your seat is held. Try again in a few seconds." in page
    assert "Next try in" in page
    assert f'action="{at("take_up", entry)}"' in page
    till.heal()
    assert client.post(at("take_up", entry)).status_code == 303
    assert entry.payments.count() == 1


def test_the_return_page_asks_stripe_itself_and_says_you_are_in(till: Till) -> None:
    entry = make_offer()
    till.pay(till.start(entry))
    page = signed_in(entry).get(at("payment_return", entry)).content.decode()
    assert 'data-story="confirmed"' in page
    assert "€25.00 was paid" in page


def test_the_return_page_waits_while_stripe_does_not_answer(till: Till) -> None:
    entry = make_offer()
    till.pay(till.start(entry))
    till.fail("/v1/checkout/sessions/*")
    client = signed_in(entry)
    page = client.get(at("payment_return", entry)).content.decode()
    assert "We are still waiting for Stripe." in page
    assert '<meta http-equiv="refresh"' in page
    assert 'data-story="confirmed"' in client.get(at("payment_return", entry)).content.decode()


def test_a_declined_player_reads_why_on_coming_back(till: Till) -> None:
    entry = make_offer()
    till.pay(till.start(entry), DECLINED)
    till.deliver()
    client = signed_in(entry)
    assert "Your card was declined." in client.get(at("payment_return", entry)).content.decode()
    response = client.get(at("checkout_left", entry))
    assert "Your card was declined." in " ".join(str(said) for said in get_messages(response.wsgi_request))
    assert response["Location"] == reverse("queue", args=[entry.tournament.slug])


def test_the_cancel_page_says_what_is_refunded_and_does_it(till: Till) -> None:
    entry = make_offer(make_paid_tournament(refund_kept_percent=10))
    till.captured(entry)
    client = signed_in(entry)
    page = client.get(at("cancel", entry)).content.decode()
    assert "You get €22.50 back" in page
    assert "€2.50 (10%) is kept" in page
    response = client.post(at("cancel", entry), {"expected_minor": "2250"})
    given_back = f"{entry.player.display_name}'s seat is given back."
    assert [str(said) for said in get_messages(response.wsgi_request)] == [
        f"{given_back} You get €22.50 back, the way you paid; a mail says when it is sent."
    ]
    entry.refresh_from_db()
    assert entry.state == State.CANCELLED
    run_due()
    assert entry.payments.get().refunds.get().state == "SUCCEEDED"


def test_a_refund_deadline_that_passed_meanwhile_is_said_before_anything_is_lost(till: Till) -> None:
    entry = make_offer(make_paid_tournament(refund_until=now() - timedelta(minutes=1)))
    till.captured(entry)
    client = signed_in(entry)
    assert "Nothing is refunded: refunds ended on" in client.get(at("cancel", entry)).content.decode()
    response = client.post(at("cancel", entry), {"expected_minor": "2500"})
    assert response.status_code == 409
    entry.refresh_from_db()
    assert entry.state == State.CONFIRMED


@pytest.mark.parametrize("name", ["take_up", "payment_return", "checkout_left", "cancel"])
def test_the_pages_are_their_players_alone(till: Till, name: str) -> None:
    entry, stranger = make_offer(), make_offer()
    method = "post" if name == "take_up" else "get"
    assert getattr(signed_in(stranger), method)(at(name, entry)).status_code == 404
    assert getattr(Client(), method)(at(name, entry)).status_code == 302
