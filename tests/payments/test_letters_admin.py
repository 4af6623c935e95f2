"""Dead letters in the admin: staff alone work them off, with a reason."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from payments.models import DeadLetter, StripeEvent
from payments.rules import LetterKind, LetterState
from payments.services import letters
from tests.builders import make_organization, make_organizer, make_staff, make_user, now

pytestmark = pytest.mark.django_db

LIST = "admin:payments_deadletter_changelist"
WHY = "The cause is gone."


@pytest.fixture
def dora(client: Client) -> Client:
    client.force_login(make_staff())
    return client


def bury(number: int = 1) -> DeadLetter:
    stripe_id = f"evt_{number}"
    StripeEvent.objects.create(
        stripe_id=stripe_id, type="x", object_id="y", received_at=now(), due_at=now(), handled_at=now()
    )
    letters.bury(LetterKind.WEBHOOK, f"event {stripe_id}", f"cause {number}", {"type": "x"})
    return DeadLetter.objects.get(reference=f"event {stripe_id}")


def address(page: str, letter: DeadLetter) -> str:
    return reverse(f"admin:payments_deadletter_{page}", args=[letter.pk])


def test_a_letter_is_retried_with_a_reason(dora: Client) -> None:
    letter = bury()
    page = dora.get(address("change", letter)).content.decode()
    assert address("retry", letter) in page
    assert address("dismiss", letter) in page
    assert list(dora.post(address("retry", letter)).context["form"].errors) == ["reason"]

    answer = dora.post(address("retry", letter), {"reason": WHY}, follow=True)
    assert "It is tried again now." in answer.content.decode()
    letter.refresh_from_db()
    assert (letter.state, letter.reason) == (LetterState.RETRIED, WHY)
    assert StripeEvent.objects.get().handled_at is None
    assert address("retry", letter) not in answer.content.decode()


def test_a_letter_is_dismissed_and_a_second_page_is_told_so(dora: Client) -> None:
    letter = bury()
    dora.post(address("dismiss", letter), {"reason": WHY, "once": "a"})
    dora.post(address("dismiss", letter), {"reason": WHY, "once": "a"})
    letter.refresh_from_db()
    assert letter.state == LetterState.DISMISSED
    again = dora.post(address("retry", letter), {"reason": WHY, "once": "b"})
    assert "Somebody has decided about this already." in str(again.context["form"].errors)
    assert StripeEvent.objects.get().handled_at


def test_all_of_a_kind_are_retried_and_what_is_refused_is_counted(dora: Client) -> None:
    """One that is looked at already holds up none of the others."""
    good, busy, other = [bury(number) for number in range(3)], bury(3), bury(4)
    StripeEvent.objects.filter(stripe_id="evt_3").update(handled_at=None)
    DeadLetter.objects.filter(pk=other.pk).update(kind=LetterKind.MAIL)
    there = reverse("admin:payments_deadletter_retry_many")
    assert there in dora.get(reverse(LIST)).content.decode()
    assert list(dora.post(there, {"kind": "WEBHOOK"}).context["form"].errors) == ["reason"]

    answer = dora.post(there, {"kind": "WEBHOOK", "reason": WHY}, follow=True)
    said = [str(message) for message in answer.context["messages"]]
    assert said[0] == "3 are tried again now."
    assert said[1].startswith("1 can't be, and stays open: This event is being looked at already")
    retried = DeadLetter.objects.filter(state=LetterState.RETRIED, reason=WHY)
    assert {letter.pk for letter in retried} == {letter.pk for letter in good}
    assert set(DeadLetter.objects.filter(state=LetterState.OPEN)) == {busy, other}


def test_organizers_retry_no_letters(client: Client) -> None:
    client.force_login(make_organizer(make_organization()))
    bury()
    answer = client.post(reverse("admin:payments_deadletter_retry_many"), {"kind": "WEBHOOK", "reason": WHY})
    assert answer.status_code == 404
    assert DeadLetter.objects.get().state == LetterState.OPEN


def test_what_cannot_be_retried_is_said_on_the_page(dora: Client) -> None:
    letter = bury()
    StripeEvent.objects.update(handled_at=None)
    answer = dora.post(address("retry", letter), {"reason": WHY})
    assert "looked at already" in str(answer.context["form"].errors)


def test_open_ones_come_first_and_filters_narrow_the_list_down(dora: Client) -> None:
    old, new = bury(1), bury(2)
    letters.dismiss_letter(letter_id=new.pk, by=make_staff(), reason=WHY)
    assert list(dora.get(reverse(LIST)).context["cl"].queryset) == [old, new]
    assert list(dora.get(reverse(LIST), {"state": "DISMISSED"}).context["cl"].queryset) == [new]
    assert list(dora.get(reverse(LIST), {"kind": "MAIL"}).context["cl"].queryset) == []
    assert list(dora.get(reverse(LIST), {"q": "cause 1"}).context["cl"].queryset) == [old]


@pytest.mark.parametrize("rows", [1, 12])
def test_the_number_of_queries_of_the_list_does_not_grow(
    dora: Client, django_assert_num_queries: DjangoAssertNumQueries, rows: int
) -> None:
    for number in range(rows):
        bury(number)
    dora.get(reverse(LIST))
    with django_assert_num_queries(3):
        dora.get(reverse(LIST))


@pytest.mark.parametrize("page", ["change", "retry", "dismiss", "history", "delete"])
def test_nobody_else_sees_or_decides(client: Client, page: str) -> None:
    letter = bury()
    accounts: list[Any] = [make_organizer(make_organization()), make_user()]
    for account in accounts:
        client.force_login(account)
        for answer in (
            client.get(address(page, letter)),
            client.post(address(page, letter), {"reason": WHY, "post": "yes"}),
        ):
            assert answer.status_code in (302, 403, 404)
            assert "cause 1" not in answer.content.decode()
    letter.refresh_from_db()
    assert letter.state == LetterState.OPEN


def test_staff_change_and_delete_nothing(dora: Client) -> None:
    letter = bury()
    assert dora.post(address("change", letter), {"state": "DISMISSED"}).status_code == 403
    assert dora.post(address("delete", letter), {"post": "yes"}).status_code == 403
