"""The books in the admin are for staff: they read, and resolve with a reason what differs. And the command that compares."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from payments.models import Discrepancy, LedgerLine, Reconciliation
from payments.rules import Finding, State
from reports.invariants import violations
from tests.builders import make_entry, make_organizer, make_staff, make_tournament, make_user, now
from tests.payments.rows import make_payment
from tests.payments.till import Till, make_offer

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = ("discrepancy", "reconciliation", "ledgerline")


def make_discrepancy(**fields: Any) -> Discrepancy:
    values: dict[str, Any] = {
        "kind": Finding.NOT_OURS,
        "object_id": f"re_{Discrepancy.objects.count()}",
        "says": "A refund of which no row says so.",
        "first_seen_at": now(),
        "last_seen_at": now(),
    }
    return Discrepancy.objects.create(**{**values, **fields})


def make_run(**fields: Any) -> Reconciliation:
    values: dict[str, Any] = {
        "kind": Reconciliation.Kind.RECENT,
        "since": now() - timedelta(hours=2),
        "until": now(),
        "started_at": now(),
    }
    return Reconciliation.objects.create(**{**values, **fields})


def make_line() -> LedgerLine:
    return LedgerLine.objects.create(
        stripe_id=f"txn_{LedgerLine.objects.count()}",
        category="charge",
        amount_minor=2500,
        fee_minor=103,
        net_minor=2397,
        currency="eur",
        booked_at=now(),
        available_at=now(),
    )


MAKE: dict[str, Callable[[], Any]] = {
    "discrepancy": make_discrepancy,
    "reconciliation": lambda: make_run(ended_at=now()),
    "ledgerline": make_line,
}


def signed_in(account: Any) -> Client:
    client = Client()
    client.force_login(account)
    return client


@pytest.mark.parametrize("model", MODELS)
def test_staff_read_and_nobody_else(model: str) -> None:
    row = MAKE[model]()
    tournament = make_tournament()
    listed = reverse(f"admin:payments_{model}_changelist")
    shown = reverse(f"admin:payments_{model}_change", args=[row.pk])
    staff = signed_in(make_staff())
    for page in (listed, shown):
        assert staff.get(page).status_code == 200
        for account in (make_organizer(tournament.organization), make_user()):
            assert signed_in(account).get(page).status_code in (302, 403)
    assert signed_in(make_organizer(tournament.organization)).get(listed).status_code == 403
    assert staff.post(shown, {"says": "nothing"}).status_code == 403
    assert staff.get(reverse(f"admin:payments_{model}_add")).status_code == 403
    assert staff.post(reverse(f"admin:payments_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(("model", "number"), [("discrepancy", 3), ("reconciliation", 3), ("ledgerline", 5)])
def test_a_list_costs_the_same_statements_however_long_it_is(model: str, number: int) -> None:
    staff = signed_in(make_staff())

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            staff.get(reverse(f"admin:payments_{model}_changelist"))
        return len(captured)

    MAKE[model]()
    one = statements()
    for _ in range(4):
        MAKE[model]()
    assert (one, statements()) == (number, number)


def test_a_discrepancy_is_resolved_with_a_reason_by_staff() -> None:
    found = make_discrepancy()
    dora = make_staff()
    staff = signed_in(dora)
    there = reverse("admin:payments_discrepancy_resolve", args=[found.pk])
    shown = reverse("admin:payments_discrepancy_change", args=[found.pk])
    assert there in staff.get(shown).content.decode()
    assert list(staff.post(there).context["form"].errors) == ["reason"]
    organizer = signed_in(make_organizer(make_tournament().organization))
    assert organizer.post(there, {"reason": "Because."}).status_code == 404
    found.refresh_from_db()
    assert found.resolved_at is None

    staff.post(there, {"reason": "The desk gave it back in cash."})

    found.refresh_from_db()
    assert (found.resolved_by, found.resolution) == (dora, "The desk gave it back in cash.")
    assert there not in staff.get(shown).content.decode()
    assert "resolved already" in str(staff.post(there, {"reason": "Again."}).context["form"].errors)


def test_i12_names_what_has_no_row_until_it_is_resolved() -> None:
    payment = make_payment(State.CAPTURED, entry=make_entry(make_tournament()))
    ours = payment.entry.tournament_id
    found = make_discrepancy(payment=payment)
    make_discrepancy(kind=Finding.STATE)
    assert [sentence for sentence in violations() if sentence.startswith("I12")] == [
        f"I12: Stripe has {found.object_id}, since {found.first_seen_at}: A refund of which no row says so."
    ]
    assert len([one for one in violations(tournament_id=ours) if one.startswith("I12")]) == 1
    assert not [one for one in violations(tournament_id=ours + 1) if one.startswith("I12")]
    Discrepancy.objects.filter(pk=found.pk).update(resolved_at=now(), resolution="It was nothing.")
    assert not [one for one in violations() if one.startswith("I12")]


def test_i12_says_that_comparing_is_stuck() -> None:
    make_run(started_at=now() - timedelta(minutes=50))
    assert not [one for one in violations() if one.startswith("I12")]
    make_run(started_at=now() - timedelta(minutes=70), stripe_account="acct_1")
    (stuck,) = [one for one in violations() if one.startswith("I12")]
    assert "account “acct_1”" in stuck


def run_command(*given: str) -> tuple[str, str]:
    """What was printed, and the line that it ended with if it did not end well."""
    out = StringIO()
    try:
        call_command("reconcile", *given, stdout=out, stderr=StringIO())
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def test_the_command_says_what_it_did(till: Till) -> None:
    till.pay(till.start(make_offer()))
    printed, problem = run_command("--since", f"{now() - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    assert problem == ""
    assert printed.splitlines() == [
        "account                   compared    repaired    left to look at",
        "platform                  2           1           0",
    ]


def test_the_command_ends_badly_when_something_is_left(till: Till) -> None:
    payment = till.captured(make_offer())
    made = till.shop.v1.refunds.create({"payment_intent": payment.intent})
    printed, problem = run_command("--since", f"{now():%Y-%m-%d}")
    assert problem == "1 left to look at: the admin lists them under Money, Discrepancies."
    assert f"NOT_OURS {made.id}: €25.00 of payment {payment.pk} went back" in printed


def test_the_command_ends_with_a_line_when_stripe_is_away_and_goes_on_later(till: Till) -> None:
    till.fail("/v1/refunds", 503, times=1, method="GET")
    printed, problem = run_command("--since", f"{now():%Y-%m-%d}")
    assert printed == ""
    assert problem.startswith("Stripe does not answer (")
    assert "Another process" not in problem
    Reconciliation.objects.update(taken_until=None)
    assert run_command("--since", f"{now():%Y-%m-%d}")[1] == ""
    assert Reconciliation.objects.filter(ended_at=None).count() == 0


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            ("--since", "yesterday"),
            "--since 'yesterday' is no day or time. Write it like 2026-11-01 or 2026-11-01T12:00.",
        ),
        (
            ("--since", "2026-02-30"),
            "--since '2026-02-30' is no day or time. Write it like 2026-11-01 or 2026-11-01T12:00.",
        ),
        (("--since", "2999-01-01"), "--since 2999-01-01 is not in the past."),
        (("--since", "2020-01-02", "--until", "2020-01-01"), "--until has to be later than --since."),
        (("--since", "2020-01-02", "--account", "acct_x"), "No organization is paid on the Stripe account acct_x."),
    ],
)
def test_the_command_refuses_nonsense(till: Till, given: tuple[str, ...], problem: str) -> None:
    assert run_command(*given) == ("", problem)
    assert not Reconciliation.objects.exists()
