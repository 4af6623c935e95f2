"""The ledger of a tournament: its sums are Stripe's to the cent, and what is not booked yet is said to be."""

import csv
from datetime import timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from openpyxl import load_workbook

from payments import services
from payments.models import Discrepancy, Dispute, LedgerLine, Payment, Reconciliation
from payments.queries import unexplained
from payments.rules import RefundState, State
from payments.services import reconciling
from registrations import rules as entries
from reports import ledger
from tests.builders import (
    make_entry,
    make_organization,
    make_organizer,
    make_player,
    make_staff,
    make_tournament,
    make_user,
    now,
)
from tests.payments.conftest import simulator_port, till  # noqa: F401  fixtures
from tests.payments.rows import make_payment, make_refund
from tests.payments.till import Till, account_of, make_offer, make_paid_tournament, run_due
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db(transaction=True)


def reconcile() -> None:
    span = {"since": now() - timedelta(hours=1), "until": now() + timedelta(days=90)}
    run = reconciling.begin(kind=Reconciliation.Kind.BY_HAND, account="", **span)
    reconciling.go_on(reconciliation_id=run.pk, pages=1000)
    run.refresh_from_db()
    assert run.ended_at


def cancelled(payment: Payment) -> None:
    services.cancel_and_refund(account=account_of(payment.entry), public_id=payment.entry.public_id)
    run_due()


def disputed(till: Till, payment: Payment, status: str) -> None:  # noqa: F811
    """A chargeback and its end, recorded as a service would."""
    till.shop.control("disputes", payment_intent=payment.intent)
    made = next(one for one in till.shop.v1.disputes.list().data if one.payment_intent == payment.intent)
    if status != "needs_response":
        till.shop.control("disputes", dispute=made.id, status=status)
    Dispute.objects.create(
        payment=payment,
        stripe_id=made.id,
        amount_minor=made.amount,
        currency=made.currency,
        reason=made.reason,
        status=status,
        opened_at=now(),
        ended_at=None if status == "needs_response" else now(),
    )


def test_the_sums_are_stripes_to_the_cent(till: Till) -> None:  # noqa: F811
    tournament = make_paid_tournament(seats=9, refund_kept_percent=10, fee_minor=2599)
    keeps, gives, fails, won, lost, held = (till.captured(make_offer(tournament)) for _ in range(6))
    till.authorised(make_offer(tournament))
    till.captured(make_offer())  # of another tournament
    cancelled(gives)
    cancelled(fails)
    till.shop.control("refunds", refund=fails.refunds.get().stripe_id, status="failed")
    for payment, status in ((won, "won"), (lost, "lost"), (held, "needs_response")):
        disputed(till, payment, status)

    reconcile()

    assert list(Discrepancy.objects.all()) == []
    (total,) = ledger.totals(tournament.pk)
    balance = total.balance
    mine = {payment.charge for payment in Payment.objects.filter(entry__tournament=tournament)}
    booked = [one for one in _transactions(till) if _charge(one.source) in mine]
    assert len(booked) == 7 + 3 + 4
    assert balance.booked_minor == sum(one.amount for one in booked)
    assert balance.fee_minor == sum(one.fee for one in booked) == 7 * 105 + 2 * 1500
    assert balance.net_minor == sum(one.net for one in booked)
    assert (balance.captured_minor, balance.authorised_minor) == (7 * 2599, 0)  # run_due captures
    assert (balance.refunded_minor, balance.pending_minor) == (2340, 0)
    assert (balance.held_minor, balance.lost_minor) == (2599, 2599)
    assert (balance.to_come_minor, balance.unexplained_minor) == (0, 0)
    lines = list(ledger.lines(tournament.pk))
    assert sum(line.balance.net_minor for line in lines) == balance.net_minor
    assert {line.payment_id: line.balance.kept_minor for line in lines}[keeps.pk] == 2599


def _transactions(till: Till) -> list[Any]:  # noqa: F811
    found = till.shop.v1.balance_transactions.list({"limit": 100, "expand": ["data.source"]})
    return list(found.data)


def _charge(source: Any) -> str:
    return str(source.id if source.object == "charge" else source.charge)


def test_what_is_not_booked_yet_is_to_come_and_what_nothing_explains_stands_out() -> None:
    payment = make_payment(State.CAPTURED, entry=make_entry(make_paid_tournament(), state=entries.State.CONFIRMED))
    tournament = payment.entry.tournament

    def found() -> tuple[int, int, int]:
        (total,) = ledger.totals(tournament.pk)
        return total.balance.to_come_minor, total.balance.unexplained_minor, total.balance.difference_minor

    assert found() == (2500, 0, 2500)
    line(payment, 2500, fee_minor=103)
    assert found() == (0, 0, 0)
    refund = make_refund(payment, RefundState.PENDING)
    assert found() == (-2500, 0, -2500)
    line(payment, -2500, source=refund.stripe_id)
    assert found() == (0, 0, 0)
    line(payment, -700, source="re_of_the_dashboard")
    assert found() == (0, 700, 700)
    assert unexplained([payment.pk]) == {payment.pk: 700}


def test_a_refund_that_failed_is_to_come_until_its_way_back_is_booked() -> None:
    payment = make_payment(State.CAPTURED, entry=make_entry(make_paid_tournament(), state=entries.State.CONFIRMED))
    line(payment, 2500)
    refund = make_refund(payment, RefundState.FAILED, stripe_id="re_1")
    line(payment, -2500, source=refund.stripe_id)
    (total,) = ledger.totals(payment.entry.tournament_id)
    assert (total.balance.to_come_minor, total.balance.unexplained_minor) == (2500, 0)
    line(payment, 2500, source=refund.stripe_id)
    (total,) = ledger.totals(payment.entry.tournament_id)
    assert (total.balance.difference_minor, total.balance.booked_minor) == (0, 2500)


def test_currencies_stay_apart_and_have_their_own_units() -> None:
    tournament = make_paid_tournament()
    euro = make_payment(State.CAPTURED, entry=make_entry(tournament, state=entries.State.CONFIRMED))
    yen = make_payment(
        State.CAPTURED, entry=make_entry(tournament, state=entries.State.CONFIRMED), currency="jpy", amount_minor=3000
    )
    line(euro, 2500)
    line(yen, 1800, currency="eur", fee_minor=80)

    assert [(total.currency, total.balance.captured_minor) for total in ledger.totals(tournament.pk)] == [
        ("eur", 2500), ("jpy", 3000)
    ]  # fmt: skip
    assert ledger.elsewhere(tournament.pk) == [ledger.Elsewhere("eur", 1800, 80)]
    head, *rows = ledger.table_of_totals(tournament.pk)
    captured = head.index("captured")
    assert [(row[0], str(row[captured])) for row in rows] == [("EUR", "25.00"), ("JPY", "3000")]


def line(payment: Payment, amount_minor: int, *, fee_minor: int = 0, **fields: Any) -> LedgerLine:
    values = {"category": "charge", "source": payment.charge or "ch_1", "currency": payment.currency, **fields}
    return LedgerLine.objects.create(
        stripe_id=f"txn_{LedgerLine.objects.count()}",
        payment=payment,
        amount_minor=amount_minor,
        fee_minor=fee_minor,
        net_minor=amount_minor - fee_minor,
        booked_at=now(),
        available_at=now(),
        **values,
    )


@pytest.fixture
def paid() -> Tournament:
    """Three captured payments of 25 euros, one by a player with a name of malice."""
    tournament = make_tournament(organization=make_organization("Ours"), fee_minor=2500, currency="eur", seats=9)
    for name in ("Alice", "=HYPERLINK(1)", "Bob"):
        player = make_player(display_name=name)
        payment = make_payment(State.CAPTURED, entry=make_entry(tournament, player, state=entries.State.CONFIRMED))
        line(payment, 2500, fee_minor=103)
    return tournament


def address(tournament: Tournament) -> str:
    return reverse("admin:tournaments_tournament_ledger", args=[tournament.pk])


@pytest.fixture
def alice(paid: Tournament, client: Client) -> Client:
    client.force_login(make_organizer(paid.organization))
    return client


def test_the_csv_parses_back_and_holds_no_formula(alice: Client, paid: Tournament) -> None:
    answer = alice.get(address(paid), {"as": "csv"})

    assert answer["Content-Disposition"] == f'attachment; filename="ledger-{paid.slug}.csv"'
    rows = list(csv.DictReader(StringIO(answer.getvalue().decode())))
    assert [row["player"] for row in rows] == ["Alice", "'=HYPERLINK(1)", "Bob"]
    (total,) = ledger.totals(paid.pk)
    for name in ledger.COLUMNS:
        assert sum(int(row[f"{name}_minor"]) for row in rows) == getattr(total.balance, f"{name}_minor")
        assert sum(Decimal(row[name]) for row in rows) * 100 == getattr(total.balance, f"{name}_minor")


def test_the_xlsx_parses_back_and_holds_no_formula(alice: Client, paid: Tournament) -> None:
    answer = alice.get(address(paid), {"as": "xlsx"})

    book = load_workbook(BytesIO(answer.getvalue()))
    head, *rows = book["Payments"].iter_rows(values_only=True)
    assert [row[head.index("player")] for row in rows] == ["Alice", "'=HYPERLINK(1)", "Bob"]
    assert all(cell.data_type != "f" for row in book["Payments"].iter_rows() for cell in row)
    assert [row[head.index("net")] for row in rows] == [23.97] * 3
    heads, totals = book["Totals"].iter_rows(values_only=True)
    assert (totals[heads.index("net_minor")], totals[heads.index("payments")]) == (3 * 2397, 3)


def test_the_page_shows_the_sums_and_each_payment(alice: Client, paid: Tournament) -> None:
    page = alice.get(address(paid)).content.decode()

    assert "EUR, 3 payments" in page
    for amount in ("€75.00", "€3.09", "€71.91", "€23.97"):
        assert amount in page
    assert "=HYPERLINK(1)" in page
    change = alice.get(reverse("admin:tournaments_tournament_change", args=[paid.pk])).content.decode()
    assert address(paid) in change


def test_a_difference_stands_out(alice: Client, paid: Tournament) -> None:
    line(Payment.objects.filter(entry__tournament=paid)[0], -700, source="re_of_the_dashboard")
    page = alice.get(address(paid)).content.decode()
    assert "ledger-wrong" in page
    assert "€7.00" in page


def test_many_payments_are_shown_page_by_page(alice: Client, paid: Tournament, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tournaments.admin.ledger.PAYMENTS", 2)
    first = alice.get(address(paid))
    assert [found.player for found, _amounts in first.context["payments"]] == ["Alice", "=HYPERLINK(1)"]
    second = alice.get(address(paid), {"after": first.context["next"]})
    assert [found.player for found, _amounts in second.context["payments"]] == ["Bob"]
    assert second.context["next"] is None
    assert alice.get(address(paid), {"after": "x" * 30}).status_code == 200


def test_chunks_leave_nothing_out(paid: Tournament, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(ledger.table_of_lines(paid.pk))
    monkeypatch.setattr(ledger, "CHUNK", 1)
    assert list(ledger.table_of_lines(paid.pk)) == whole
    assert len(whole) == 4


@pytest.mark.parametrize("form", ["", "csv", "xlsx"])
def test_who_may_not_sees_no_ledger(paid: Tournament, form: str) -> None:
    for account, status in (
        (make_organizer(make_organization("Theirs")), 404),
        (make_user(), 403),
        (make_staff(), 200),
    ):
        client = Client()
        client.force_login(account)
        assert client.get(address(paid), {"as": form}).status_code == status
    assert Client().get(address(paid), {"as": form}).status_code == 302


def test_a_free_tournament_has_no_ledger(client: Client) -> None:
    free = make_tournament()
    client.force_login(make_organizer(free.organization))
    change = client.get(reverse("admin:tournaments_tournament_change", args=[free.pk])).content.decode()
    assert address(free) not in change


def test_the_statements_do_not_grow_with_the_payments(alice: Client, paid: Tournament) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            alice.get(address(paid))
        return len(captured)

    few = statements()
    for _ in range(4):
        make_payment(State.CAPTURED, entry=make_entry(paid, state=entries.State.CONFIRMED))
    assert statements() == few
