"""Dead letters: where they come from, how they are worked off, and that they hold no secret."""

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from post_office.models import STATUS, Email, Log

from payments import services
from payments.models import DeadLetter, Payment, Refund, SavedCard, StripeEvent
from payments.rules import EVENT_TRIES, CardState, LetterKind, LetterState, RefundState, State
from payments.services import inbox, letters, refunding, retrying, sweeping
from registrations.models import Notice
from registrations.rules import State as EntryState
from registrations.services.notices import send_due_notices
from tests.builders import make_entry, make_staff, now
from tests.payments.cards import DECLINES_LATER, EVERY_TIME, charge, winner
from tests.payments.rows import make_payment, make_refund
from tests.payments.till import Till, check_money, handle_events, make_offer, run_due, told
from tests.payments.together import together
from vgchub.errors import RefusedError

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "The cause is gone."


def the_letter(kind: LetterKind) -> DeadLetter:
    return DeadLetter.objects.get(kind=kind, state=LetterState.OPEN)


def bury(reference: str = "refund 1", kind: LetterKind = LetterKind.REFUND, **more: Any) -> DeadLetter:
    with transaction.atomic():
        letters.bury(kind, reference, "refused", **more)
    return DeadLetter.objects.get(kind=kind, reference=reference, state=LetterState.OPEN)


def make_event(payment: Payment | None = None, **fields: Any) -> StripeEvent:
    values = {
        "stripe_id": "evt_1",
        "type": "refund.updated",
        "object_id": "re_1",
        "received_at": now(),
        "due_at": now(),
    }
    return StripeEvent.objects.create(payment=payment, **{**values, **fields})


def make_card(state: CardState = CardState.SAVED, entry_state: EntryState = EntryState.OFFERED) -> SavedCard:
    entry = (
        make_offer() if entry_state == EntryState.OFFERED else make_entry(make_offer().tournament, state=entry_state)
    )
    saved = {"payment_method": "pm_1", "customer": "cus_1", "saved_at": now()}
    ended = {"ended_at": now()} if state == CardState.DETACHED else {}
    times = {"session_expires_at": now(), "created_at": now()}
    return SavedCard.objects.create(
        entry=entry, state=state, agreed_minor=2500, currency="eur", **times, **saved, **ended
    )


# --- Writing them ----------------------------------------------------------------------------------------------


def test_there_is_one_open_letter_of_a_job_and_it_tells_the_latest() -> None:
    bury(attempts=1)
    with transaction.atomic():
        letters.bury(LetterKind.REFUND, "refund 1", "gone", {"a": 1}, 7)
    letter = DeadLetter.objects.get()
    assert (letter.cause, letter.payload, letter.attempts) == ("gone", {"a": 1}, 7)
    services.dismiss_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)
    assert bury().pk != letter.pk


def test_two_that_bury_the_same_job_at_once_leave_one_letter() -> None:
    def one() -> None:
        with transaction.atomic():
            letters.bury(LetterKind.REFUND, "refund 1", "refused")

    assert together(*[one] * 6) == [None] * 6
    assert DeadLetter.objects.count() == 1


def test_nothing_secret_gets_into_a_letter() -> None:
    key, card, address = "sk_live_" + "0123456789abcdef" * 2, "4242 4242 4242 4242", "alice@example.com"
    with transaction.atomic():
        letters.bury(LetterKind.MAIL, "mail 1", f"{key} {card} {address}", {"said": [key, card, address]})
    letter = DeadLetter.objects.get()
    for secret in (key, card, address):
        assert secret not in f"{letter.cause} {letter.payload}"


# --- Where they come from --------------------------------------------------------------------------------------


def test_a_refund_that_stripe_refuses_is_a_letter_and_retrying_it_refunds(till: Till) -> None:
    payment = till.captured(make_offer())
    till.fail("/v1/refunds", status=400, code="charge_disputed")
    services.cancel_and_refund(account=payment.entry.player.account, public_id=payment.entry.public_id)
    refund = payment.refunds.get()
    services.refund_payment(refund_id=refund.pk)
    letter = the_letter(LetterKind.REFUND)
    assert (letter.reference, letter.payment) == (f"refund {refund.pk}", payment)
    assert letter.cause.startswith("charge_disputed")

    services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)
    run_due()
    letter.refresh_from_db()
    assert (letter.state, letter.reason) == (LetterState.RETRIED, WHY)
    assert sorted(payment.refunds.values_list("state", flat=True)) == [RefundState.FAILED, RefundState.SUCCEEDED]
    check_money()


def test_a_refund_that_a_bank_sends_back_is_a_letter(till: Till) -> None:
    payment = till.captured(make_offer())
    services.cancel_and_refund(account=payment.entry.player.account, public_id=payment.entry.public_id)
    run_due()
    refund = payment.refunds.get(state=RefundState.SUCCEEDED)
    till.shop.control("refunds", refund=refund.stripe_id, status="failed")
    refunding.check_refund(stripe_id=refund.stripe_id or "")
    assert the_letter(LetterKind.REFUND).payload == {"amount_minor": 2500, "stripe_id": refund.stripe_id}


def test_refunding_again_on_the_refunds_own_page_closes_its_letter() -> None:
    refund = make_refund(make_payment(State.CAPTURED, released_at=now(), release_reason="x"), RefundState.FAILED)
    letter = bury(f"refund {refund.pk}")
    services.retry_refund(refund_id=refund.pk, by=make_staff(), reason=WHY)
    letter.refresh_from_db()
    assert letter.state == LetterState.RETRIED


def test_a_capture_that_is_given_up_is_a_letter_that_says_it_is_over(till: Till) -> None:
    payment = till.authorised(make_offer())
    till.fail("/v1/payment_intents/*/capture", status=402, code="card_declined", times=20)
    run_due()
    payment.refresh_from_db()
    assert payment.state == State.FAILED
    letter = the_letter(LetterKind.CAPTURE)
    assert (letter.attempts, letter.payload["entry"]) == (4, payment.entry.public_id)
    with pytest.raises(retrying.NothingToRetryError, match="FAILED"):
        services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)


def test_a_charge_that_stripe_does_not_take_is_a_letter_and_trying_it_again_charges(till: Till, client: Client) -> None:
    card = winner(till)
    till.fail("/v1/payment_intents", status=400, code="parameter_unknown", method="POST")
    assert charge(card).state == State.FAILED
    letter = the_letter(LetterKind.CHARGE)
    assert (letter.reference, letter.attempts, letter.payment) == (f"card {card.pk}", 1, card.payments.get())
    assert letter.cause.startswith("parameter_unknown: ")
    assert letter.payload == {"amount_minor": 2500, "entry": card.entry.public_id}

    client.force_login(make_staff())
    client.post(reverse("admin:payments_deadletter_retry", args=[letter.pk]), {"reason": WHY})
    letter.refresh_from_db()
    assert letter.state == LetterState.RETRIED
    for card_id in sweeping.take_due_charges():
        services.charge_card(card_id=card_id)
    run_due()
    assert card.payments.latest("pk").state == State.CAPTURED
    check_money()
    assert not DeadLetter.objects.filter(state=LetterState.OPEN).exists()


def test_a_card_that_is_gone_at_stripe_is_a_letter_that_can_be_dismissed(till: Till, client: Client) -> None:
    card = winner(till)
    till.fail("/v1/payment_intents", status=404, code="resource_missing", method="POST")
    charge(card)
    letter = the_letter(LetterKind.CHARGE)
    assert letter.cause.startswith("card_gone: ")

    client.force_login(make_staff())
    client.post(reverse("admin:payments_deadletter_dismiss", args=[letter.pk]), {"reason": WHY})
    letter.refresh_from_db()
    assert letter.state == LetterState.DISMISSED
    assert sweeping.take_due_charges() == []
    assert told(card.entry) >= {"ACTION"}  # its player was asked to pay another way


def test_a_card_that_its_bank_refuses_is_no_dead_letter(till: Till) -> None:
    charge(winner(till, alias=DECLINES_LATER))
    charge(winner(till, alias=EVERY_TIME))
    assert not DeadLetter.objects.exists()


def test_a_charge_whose_card_is_to_be_taken_off_is_not_tried_again() -> None:
    card = make_card()
    SavedCard.objects.filter(pk=card.pk).update(due_at=now())
    letter = bury(f"card {card.pk}", LetterKind.CHARGE)
    with pytest.raises(retrying.NothingToRetryError):
        services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)


def test_an_event_that_leads_nowhere_is_a_letter_and_can_be_looked_at_again(till: Till) -> None:
    payment = till.captured(make_offer())
    refund = make_refund(payment, RefundState.PENDING, stripe_id="re_unknown")
    event = make_event(payment, object_id="re_unknown")
    handle_events()
    event.refresh_from_db()
    assert event.handled_at
    assert event.error
    letter = the_letter(LetterKind.WEBHOOK)
    assert letter.payload == {"type": "refund.updated", "object": "re_unknown", "account": ""}

    Refund.objects.filter(pk=refund.pk).update(stripe_id="re_corrected")
    services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)
    handle_events()
    event.refresh_from_db()
    assert (event.error, event.attempts) == ("", 1)
    assert not DeadLetter.objects.filter(state=LetterState.OPEN).exists()


def test_an_event_that_breaks_is_tried_for_a_day_with_pauses_then_buried(monkeypatch: pytest.MonkeyPatch) -> None:
    event = make_event(make_payment())

    def breaks(_event: StripeEvent) -> None:
        raise ValueError("sk_test_0123456789abcdef is not a number")

    monkeypatch.setattr(inbox, "_look_at", breaks)
    handle_events()
    event.refresh_from_db()
    assert event.handled_at is None
    assert event.due_at > now()
    assert event.error == "[hidden] is not a number"

    StripeEvent.objects.update(attempts=EVENT_TRIES, due_at=Now())
    handle_events()
    assert not DeadLetter.objects.exists()

    StripeEvent.objects.update(received_at=Now() - timedelta(days=1), due_at=Now())
    handle_events()
    event.refresh_from_db()
    assert event.handled_at
    letter = the_letter(LetterKind.WEBHOOK)
    assert (letter.cause, letter.attempts) == ("ValueError: [hidden] is not a number", EVENT_TRIES + 2)


def test_a_stripe_that_is_away_is_no_dead_letter(till: Till) -> None:
    event = make_event(till.start(make_offer()), type="checkout.session.expired")
    till.fail("/v1/checkout/sessions/*", times=50)
    till.fail("/v1/refunds/*", times=50)
    handle_events()
    event.refresh_from_db()
    assert not DeadLetter.objects.exists()


# --- Mails -----------------------------------------------------------------------------------------------------


def failed_mail(**fields: Any) -> Email:
    values = {"from_email": "seats@vgchub.example", "to": ["alice@example.com"], "subject": "Alice's secret"}
    mail = Email.objects.create(**values, message="A code: 123456", **{"status": STATUS.failed, **fields})
    Log.objects.create(
        email=mail, status=STATUS.failed, exception_type="SMTPRecipientsRefused", message="{'alice@example.com': 550}"
    )
    return mail


def test_a_mail_that_failed_for_good_is_a_letter_without_text_or_address() -> None:
    mail = failed_mail(headers={"X-VGCHub-Entry": "a" * 24, "X-VGCHub-Kind": "OFFERED"}, number_of_retries=30)
    failed_mail(status=STATUS.requeued)
    assert letters.bury_failed_mails() == 1
    assert letters.bury_failed_mails() == 0
    letter = the_letter(LetterKind.MAIL)
    assert letter.payload == {"mail": "OFFERED", "entry": "a" * 24}
    assert letter.attempts == 31
    assert "SMTPRecipientsRefused" in letter.cause
    assert not any(word in f"{letter.cause}{letter.payload}" for word in ("alice", "Alice", "123456"))

    services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)
    mail.refresh_from_db()
    assert (mail.status, mail.number_of_retries) == (STATUS.queued, 0)
    Email.objects.update(status=STATUS.failed)
    Email.objects.exclude(pk=mail.pk).delete()
    assert letters.bury_failed_mails() == 1  # another failure, another letter


def test_a_dismissed_mail_is_not_found_again() -> None:
    failed_mail()
    letters.bury_failed_mails()
    services.dismiss_letter(letter_id=the_letter(LetterKind.MAIL).pk, by=make_staff(), reason=WHY)
    assert letters.bury_failed_mails() == 0


def test_the_mails_of_entries_say_of_which_kind_they_are() -> None:
    entry = make_offer()
    Notice.objects.create(entry=entry, kind=Notice.Kind.OFFERED, offer_number=entry.offer_number or 0, due_at=now())
    send_due_notices()
    headers = Email.objects.get().headers
    assert headers == {"X-VGCHub-Entry": entry.public_id, "X-VGCHub-Kind": "OFFERED"}


# --- Deciding --------------------------------------------------------------------------------------------------


def test_a_charge_is_due_again_while_its_offer_lasts() -> None:
    card = make_card()
    services.retry_letter(letter_id=bury(f"card {card.pk}", LetterKind.CHARGE).pk, by=make_staff(), reason=WHY)
    card.refresh_from_db()
    assert card.charge_due_at


def test_a_card_is_taken_off_again() -> None:
    card = make_card(entry_state=EntryState.WAITING)
    services.retry_letter(letter_id=bury(f"card {card.pk}", LetterKind.DETACH).pk, by=make_staff(), reason=WHY)
    card.refresh_from_db()
    assert card.due_at


def test_a_capture_that_is_still_to_be_made_is_due_again() -> None:
    payment = make_payment(State.AUTHORISED, due_at=now() + timedelta(hours=1), refusals=3, attempts=9)
    services.retry_letter(letter_id=bury(f"payment {payment.pk}", LetterKind.CAPTURE).pk, by=make_staff(), reason=WHY)
    payment.refresh_from_db()
    assert payment.due_at
    assert payment.due_at < now() + timedelta(minutes=1)
    assert (payment.refusals, payment.attempts) == (0, 0)


@pytest.mark.parametrize("kind", list(LetterKind))
@pytest.mark.parametrize("reference", ["nothing 0", "gibberish", "card 99999999999999999999", ""])
def test_what_is_not_there_any_more_is_refused_with_words(kind: LetterKind, reference: str) -> None:
    letter = bury(reference, kind)
    with pytest.raises(RefusedError) as refused:
        services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)
    assert str(refused.value)
    letter.refresh_from_db()
    assert letter.state == LetterState.OPEN


def test_what_cannot_be_done_any_more_is_refused_with_words() -> None:
    detached = make_card(CardState.DETACHED)
    for kind, reference in (
        (LetterKind.CHARGE, f"card {detached.pk}"),
        (LetterKind.DETACH, f"card {detached.pk}"),
        (LetterKind.REFUND, f"refund {make_refund(make_payment(State.CAPTURED), RefundState.DUE).pk}"),
        (LetterKind.MAIL, f"mail {failed_mail(status=STATUS.sent).pk}"),
        (LetterKind.WEBHOOK, f"event {make_event().stripe_id}"),
    ):
        with pytest.raises(RefusedError):
            services.retry_letter(letter_id=bury(reference, kind).pk, by=make_staff(), reason=WHY)


def test_a_letter_is_decided_once() -> None:
    letter, staff = bury(), make_staff()
    services.dismiss_letter(letter_id=letter.pk, by=staff, reason=WHY)
    with pytest.raises(letters.LetterDecidedError):
        services.dismiss_letter(letter_id=letter.pk, by=staff, reason=WHY)
    with pytest.raises(letters.LetterDecidedError):
        services.retry_letter(letter_id=letter.pk, by=staff, reason=WHY)


def test_retried_and_dismissed_at_once_is_one_of_them_and_nothing_is_done_twice() -> None:
    for _round in range(5):
        payment = make_payment(State.CAPTURED, released_at=now(), release_reason="x")
        refund, staff = make_refund(payment, RefundState.FAILED), make_staff()
        letter = bury(f"refund {refund.pk}")
        decide: dict[str, Any] = {"letter_id": letter.pk, "by": staff, "reason": WHY}
        together(*[partial(services.retry_letter, **decide)] * 2, partial(services.dismiss_letter, **decide))
        letter.refresh_from_db()
        assert letter.state != LetterState.OPEN
        assert payment.refunds.exclude(pk=refund.pk).count() <= 1


@pytest.mark.parametrize(("compares", "done"), [(True, 1), (False, 3)], ids=["as it is", "control"])
def test_retries_that_all_found_the_letter_open_are_one(
    monkeypatch: pytest.MonkeyPatch, compares: bool, done: int
) -> None:
    all_have_read = threading.Barrier(3)

    def act(*given: Any) -> None:
        all_have_read.wait(10)
        retrying._capture_again(*given)

    def without_comparing(found: Any, state: LetterState, *, by: Any, reason: str) -> None:
        found.update(state=state, decided_at=Now(), decided_by=by, reason=reason)

    monkeypatch.setitem(retrying._AGAIN, LetterKind.CAPTURE, act)
    if not compares:
        monkeypatch.setattr(letters, "decide", without_comparing)
    letter = bury(f"payment {make_payment(State.AUTHORISED).pk}", LetterKind.CAPTURE)
    retry = partial(services.retry_letter, letter_id=letter.pk, by=make_staff(), reason=WHY)
    assert together(*[retry] * 3).count(None) == done
