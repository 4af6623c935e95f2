"""The mail queue: each mail is sent once, however many processes send, and one whose process died is sent by another."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connections
from django.utils import timezone
from post_office.mail import get_queued, send
from post_office.models import STATUS, Email
from pytest_django import Settings

from vgchub import tasks
from vgchub.tasks import CLAIMED, send_mail

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 20


class Slow(BaseEmailBackend):
    """A mail server that takes mails in, and answers once it is told to."""

    taken: list[str]
    is_asked, may_answer = Event(), Event()

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        self.taken += [message.to[0] for message in messages]
        self.is_asked.set()
        self.may_answer.wait(PATIENCE)
        return len(messages)


@pytest.fixture
def slow(settings: Settings) -> Iterator[type[Slow]]:
    Slow.taken = []
    Slow.is_asked.clear()
    Slow.may_answer.clear()
    settings.POST_OFFICE = settings.POST_OFFICE | {"BACKENDS": {"default": f"{__name__}.Slow"}}
    yield Slow
    Slow.may_answer.set()


def queue(*to: str) -> None:
    for address in to:
        send(address, "seats@vgchub.example", subject="Your seat", message="It is yours.")


def send_beside_one_that_sends(slow: type[Slow]) -> list[str]:
    """What the mail server has got when two send at once, the second while the first waits for its answer."""

    def send_alone() -> None:
        try:
            send_mail()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(send_alone)
        assert slow.is_asked.wait(PATIENCE)
        slow.is_asked.clear()
        second = threads.submit(send_alone)
        while not (second.done() or slow.is_asked.wait(0.01)):
            pass
        slow.may_answer.set()
        first.result()
        second.result()
    return slow.taken


def test_two_who_send_at_once_send_each_mail_once(slow: type[Slow]) -> None:
    queue("alice@example.com")
    assert send_beside_one_that_sends(slow) == ["alice@example.com"]
    assert Email.objects.get().status == STATUS.sent


def test_without_claims_a_mail_is_sent_twice(slow: type[Slow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_claim", lambda: list(get_queued()))
    queue("alice@example.com")
    assert send_beside_one_that_sends(slow) == ["alice@example.com"] * 2


def test_what_comes_while_another_sends_does_not_wait_for_it(slow: type[Slow]) -> None:
    queue("alice@example.com")
    tasks._claim()
    queue("bob@example.com")
    slow.may_answer.set()
    send_mail()
    assert slow.taken == ["bob@example.com"]


def test_a_mail_whose_process_died_is_sent_when_its_claim_is_over(slow: type[Slow]) -> None:
    queue("alice@example.com")
    slow.may_answer.set()
    tasks._claim()
    send_mail()
    assert slow.taken == []
    assert Email.objects.get().status == STATUS.queued
    Email.objects.update(scheduled_time=timezone.now() - CLAIMED)
    send_mail()
    assert slow.taken == ["alice@example.com"]
