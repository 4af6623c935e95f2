"""The receipt: of money that was taken, for its own player; and amounts in currencies without cents, or with three digits."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from accounts.models import User
from payments.models import Dispute, Payment, Refund
from payments.rules import RefundState, State, included_tax
from payments.views.receipts import method_in_words, receipt_of
from registrations import rules
from registrations.models import QueueEntry
from tests.admin.browsing import untouched
from tests.builders import make_entry, make_organization, make_staff, make_user, now
from tests.payments.rows import make_payment, make_refund
from tests.payments.till import Till, account_of, check_against_stripe, make_offer, make_paid_tournament, run_due

pytestmark = pytest.mark.django_db

MINUS = "\N{MINUS SIGN}"
CONFIRMED, CANCELLED = rules.State.CONFIRMED, rules.State.CANCELLED


def signed_in(account: User) -> Client:
    client = Client()
    client.force_login(account)
    return client


def paid(state: rules.State = CONFIRMED, **fields: Any) -> Payment:
    organization = make_organization(
        legal_name="Hub Events GmbH",
        postal_address="Hauptstrasse 1\n44135 Dortmund",
        tax_number="DE123456789",
        tax_name="VAT",
        tax_percent=Decimal("19.00"),
    )
    entry = make_entry(make_paid_tournament(organization=organization), state=state)
    card = {"method": "card", "card_brand": "visa", "card_last4": "4242"}
    released = {"released_at": now(), "release_reason": "given back"} if state == CANCELLED else {}
    return make_payment(State.CAPTURED, entry=entry, **{**card, **released, **fields})


def page_of(entry: QueueEntry) -> str:
    answer = signed_in(account_of(entry)).get(reverse("receipt", args=[entry.public_id]))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.mark.parametrize(
    ("amount", "percent", "tax"),
    [
        (2500, "19", 399),
        (2500, "0", 0),
        (2500, "7.5", 174),
        (3000, "10", 273),
        (107, "7", 7),
        (3, "100", 2),
        (0, "19", 0),
        (2**31 - 1, "19", 342875540),
    ],
)
def test_included_tax_is_whole_and_half_is_rounded_up(amount: int, percent: str, tax: int) -> None:
    assert included_tax(amount, Decimal(percent)) == tax


def test_a_receipt_says_what_was_paid_to_whom_by_what() -> None:
    payment = paid()
    page = page_of(payment.entry)
    for words in (
        f"VGC-{payment.pk:08d}",
        "Hub Events GmbH",
        "44135 Dortmund",
        "Tax number DE123456789",
        payment.entry.player.display_name,
        payment.entry.tournament.name,
        "Masters",
        "Visa ending 4242",
        "€25.00",
        "Includes 19% VAT: €3.99",
    ):
        assert words in page
    assert "What remains" not in page


def test_a_refund_and_what_is_left() -> None:
    payment = paid(CANCELLED, kept_minor=500)
    make_refund(payment, RefundState.FAILED, amount_minor=2000)
    make_refund(payment, RefundState.SUCCEEDED, amount_minor=1500)
    make_refund(payment, RefundState.PENDING, amount_minor=500)
    page = page_of(payment.entry)
    for words in (f"{MINUS}€15.00", f"{MINUS}€5.00", "Refund on its way", "What remains", "Of what is left: €0.80."):
        assert words in page
    assert f"{MINUS}€20.00" not in page


def test_what_was_given_back_another_way_does_not_remain() -> None:
    payment = paid(CANCELLED, kept_minor=500 + 1200)
    failed = make_refund(payment, RefundState.FAILED, amount_minor=2000)
    make_refund(payment, RefundState.SUCCEEDED, amount_minor=800)
    assert "What remains</th> <td>€17.00</td>" in page_of(payment.entry)
    Refund.objects.filter(pk=failed.pk).update(settled_minor=1200, settled_at=now())
    page = page_of(payment.entry)
    assert re.search(f"Given back another way, .{{1,200}}</th> <td>{MINUS}€12.00</td>", page)
    assert "What remains</th> <td>€5.00</td>" in page
    assert "Of what is left: €0.80." in page


def test_what_a_bank_took_back_is_said() -> None:
    payment = paid()
    facts = {"currency": "eur", "reason": "fraudulent", "opened_at": now()}
    Dispute.objects.create(payment=payment, stripe_id="du_1", amount_minor=2500, status="needs_response", **facts)
    assert "Taken back by the card" in page_of(payment.entry)
    found = receipt_of(payment.entry)
    assert found is not None
    assert found.left_minor == 0


@pytest.mark.parametrize("state", [State.CREATED, State.AUTHORISED, State.FAILED, State.VOIDED])
def test_without_captured_money_there_is_none_and_it_is_said(state: State) -> None:
    payment = make_payment(state)
    entry = payment.entry
    answer = signed_in(account_of(entry)).get(reverse("receipt", args=[entry.public_id]))
    assert answer.status_code == 302
    assert answer["Location"] == reverse("entry", args=[entry.public_id])
    assert "no receipt" in str([str(message) for message in get_messages(answer.wsgi_request)])


def test_a_receipt_is_for_its_own_player_alone() -> None:
    payment = paid()
    there = reverse("receipt", args=[payment.entry.public_id])
    assert signed_in(make_user()).get(there).status_code == 404
    assert signed_in(make_staff()).get(there).status_code == 404
    nobody = Client().get(there)
    assert nobody.status_code == 302
    assert "/login/" in nobody["Location"]


def test_pages_link_to_it_where_something_was_paid() -> None:
    payment = paid()
    entry, there = payment.entry, reverse("receipt", args=[payment.entry.public_id])
    client = signed_in(account_of(entry))
    assert there in client.get(entry.get_absolute_url()).content.decode()
    assert there in client.get(reverse("queue", args=[entry.tournament.slug])).content.decode()

    waived = make_entry(
        make_paid_tournament(), state=CONFIRMED, waived_by=make_staff(), waiver_reason="A helper.", player=entry.player
    )
    for page in (waived.get_absolute_url(), reverse("queue", args=[waived.tournament.slug])):
        assert "/receipt/" not in client.get(page).content.decode()


def test_after_a_cancellation_the_entrys_page_still_links_to_it() -> None:
    payment = paid(CANCELLED)
    page = signed_in(account_of(payment.entry)).get(payment.entry.get_absolute_url()).content.decode()
    assert reverse("receipt", args=[payment.entry.public_id]) in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "card", "card_brand": "amex", "card_last4": "0005"}, "American Express ending 0005"),
        ({"method": "card", "card_brand": "new_brand", "card_last4": "1234"}, "New Brand ending 1234"),
        ({"method": "card", "card_brand": "", "card_last4": "1234"}, "Card ending 1234"),
        ({"method": "paypal"}, "PayPal"),
        ({"method": "amazon_pay"}, "Amazon pay"),
        ({}, "Card"),
    ],
)
def test_a_method_in_words(fields: dict[str, str], words: str) -> None:
    assert method_in_words(Payment(**{"method": "", "card_brand": "", "card_last4": "", **fields})) == words


def test_a_fee_that_no_card_can_pay_is_refused() -> None:
    tournament = make_paid_tournament(published=False, opens_in=timedelta(days=7))
    staff, there = signed_in(make_staff()), reverse("admin:tournaments_tournament_change", args=[tournament.pk])
    shown = untouched(staff.get(there).content.decode())

    refused = staff.post(there, {**shown, "currency": "kwd", "fee_minor": "12345"})
    assert "Cards can" in str(refused.context["adminform"].form.errors["fee_minor"])
    assert staff.post(there, {**shown, "currency": "kwd", "fee_minor": "12340"}).status_code == 302
    tournament.refresh_from_db()
    assert (tournament.currency, tournament.fee_minor) == ("kwd", 12340)


# --- Currencies without cents, and with three digits ------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("currency", "fee", "words", "tax"), [("jpy", 3000, "¥3,000", "¥479"), ("kwd", 12340, "KWD 12.340", "KWD 1.970")]
)
def test_a_tournament_in_another_kind_of_currency(till: Till, currency: str, fee: int, words: str, tax: str) -> None:
    organization = make_organization(tax_name="Tax", tax_percent=19)
    entry = make_offer(make_paid_tournament(fee_minor=fee, currency=currency, organization=organization))
    client = signed_in(account_of(entry))
    assert words in client.get(reverse("queue", args=[entry.tournament.slug])).content.decode()

    payment = till.captured(entry)

    intent = till.intent(payment)
    assert (intent.amount, intent.amount_received, intent.currency) == (fee, fee, currency)
    page = page_of(entry)
    assert words in page
    assert f"Includes 19% Tax: {tax}" in page
    assert words in client.get(reverse("payment_return", args=[entry.public_id])).content.decode()
    cancel = reverse("cancel", args=[entry.public_id])
    assert words in client.get(cancel).content.decode()
    client.post(cancel, {"expected_minor": fee})
    run_due()
    check_against_stripe(till)
    staff = signed_in(make_staff())
    assert words in staff.get(reverse("admin:payments_payment_changelist")).content.decode()
    assert words in staff.get(reverse("admin:payments_refund_changelist")).content.decode()
    assert f"{MINUS}{words}" in page_of(entry)
