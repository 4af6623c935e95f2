"""What Prometheus reads, who may read it, and what it costs."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from post_office.models import STATUS, Email
from pytest_django import DjangoAssertNumQueries, Settings

from payments.rules import LetterKind, State
from payments.services import letters
from reports import services
from tests.builders import make_organization, make_organizer, make_staff, now
from tests.payments.rows import make_payment

pytestmark = pytest.mark.django_db

TOKEN = "a-long-token"


@pytest.fixture
def prometheus(client: Client, settings: Settings) -> Client:
    settings.METRICS_TOKEN = TOKEN
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return client


def read(client: Client) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    lines = re.findall(r"^(vgchub_\S+(?: \S+)*) (\S+)$", answer.content.decode(), re.MULTILINE)
    return {name: float(value) for name, value in lines}


def test_it_counts_what_waits(prometheus: Client) -> None:
    letters.bury(LetterKind.REFUND, "refund 1", "refused")
    make_payment(due_at=now() - timedelta(minutes=6))
    make_payment(State.AUTHORISED, due_at=now() - timedelta(minutes=4))
    mail = {"from_email": "seats@vgchub.example", "to": ["alice@example.com"]}
    for status in (STATUS.failed, STATUS.queued, STATUS.queued, STATUS.sent):
        Email.objects.create(**mail, status=status)
    services.watch_invariants()

    told = read(prometheus)
    assert told['vgchub_dead_letters{kind="REFUND"}'] == 1
    assert told['vgchub_dead_letters{kind="MAIL"}'] == 0
    assert told['vgchub_overdue{what="payments"}'] == 1
    assert told['vgchub_overdue{what="refunds"}'] == 0
    assert told['vgchub_mails{status="queued"}'] == 2
    assert told['vgchub_mails{status="failed"}'] == 1
    assert told["vgchub_reviews"] == told["vgchub_disputes"] == told['vgchub_discrepancies{kind="AMOUNT"}'] == 0
    assert told["vgchub_invariants_broken"] >= 0
    assert abs(told["vgchub_invariants_looked_at_seconds"] - now().timestamp()) < 60


def test_it_asks_the_database_once_in_some_seconds(
    prometheus: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        first = read(prometheus)
    with django_assert_num_queries(0):
        assert read(prometheus) == first
    assert "vgchub_invariants_broken" not in first  # nobody has looked


def test_without_redis_it_is_told_too(prometheus: Client, settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert read(prometheus)["vgchub_reviews"] == 0


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer ", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_it_is_for_who_has_the_token(client: Client, settings: Settings, said: str) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers={"Authorization": said} if said else {})
    assert (answer.status_code, answer.content) == (401, b"")


def test_rank_opens_nothing(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    for account in (make_staff(), make_organizer(make_organization())):
        client.force_login(account)
        assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer ", "Bearer None"])
def test_without_a_token_there_is_no_such_page(client: Client, said: str) -> None:
    assert client.get("/metrics", headers={"Authorization": said}).status_code == 404
