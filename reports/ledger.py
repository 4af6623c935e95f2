"""The ledger of a tournament: what was authorised, taken, given back, disputed and kept, beside what Stripe has booked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, Sum

from payments.models import LedgerLine, Payment
from payments.queries import AMOUNTS, BALANCES, DISPUTED, Balance
from vgchub.words import major

CHUNK = 1000

# How amounts are called in tables, from what was held by a bank to what nothing explains.
COLUMNS = (
    "authorised", "captured", "refunded", "pending", "another_way", "held", "lost", "kept", "fee", "net", "booked", "to_come",
    "unexplained",
)  # fmt: skip

TOTALS = f"""
SELECT b.currency, {", ".join(f"sum(b.{name})" for name in AMOUNTS)}, count(*)
FROM ({BALANCES} JOIN registrations_queueentry e ON e.id = p.entry_id WHERE e.tournament_id = %(tournament)s) b
GROUP BY b.currency ORDER BY b.currency
"""  # noqa: S608  only names and statements of ours are put in, here and below

LINES = f"""
SELECT p.id, e.public_id, pl.display_name, pl.player_id, d.code, p.state, p.currency, p.created_at, p.captured_at,
       coalesce(p.intent, ''), coalesce(p.charge, ''), {", ".join(f"b.{name}" for name in AMOUNTS)}
FROM ({BALANCES} WHERE p.id = ANY(%(ids)s)) b
JOIN payments_payment p ON p.id = b.payment_id
JOIN registrations_queueentry e ON e.id = p.entry_id
JOIN accounts_player pl ON pl.id = e.player_id
JOIN tournaments_division d ON d.id = e.division_id
ORDER BY p.id
"""  # noqa: S608


@dataclass(frozen=True)
class Total:
    """All payments of a tournament in one currency, the failed ones among them."""

    currency: str
    balance: Balance
    payments: int


@dataclass(frozen=True)
class Elsewhere:
    """What Stripe booked of them in another currency than they were paid in; it can't be compared by sums."""

    currency: str
    booked_minor: int
    fee_minor: int


@dataclass(frozen=True)
class Line:
    """One payment."""

    payment_id: int
    public_id: str
    player: str
    player_id: str
    division: str
    state: str
    currency: str
    created_at: datetime
    captured_at: datetime | None
    intent: str
    charge: str
    balance: Balance


def totals(tournament_id: int) -> list[Total]:
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, {**DISPUTED, "tournament": tournament_id})
        return [Total(row[0], _balance(row[1:-1]), row[-1]) for row in cursor.fetchall()]


def elsewhere(tournament_id: int) -> list[Elsewhere]:
    lines = LedgerLine.objects.filter(payment__entry__tournament=tournament_id).exclude(currency=F("payment__currency"))
    sums = lines.values_list("currency").annotate(Sum("amount_minor"), Sum("fee_minor")).order_by("currency")
    return [Elsewhere(*row) for row in sums]


def lines(tournament_id: int) -> Iterator[Line]:
    """All payments of a tournament, the oldest first; a thousand at a time are in memory."""
    last = 0
    while chunk := page(tournament_id, after=last, limit=CHUNK):
        last = chunk[-1].payment_id
        yield from chunk


def page(tournament_id: int, *, after: int, limit: int) -> list[Line]:
    """Up to `limit` payments whose id is larger than `after`."""
    found = Payment.objects.filter(entry__tournament=tournament_id, pk__gt=after).order_by("pk")
    ids = list(found.values_list("pk", flat=True)[:limit])
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(LINES, {**DISPUTED, "ids": ids})
        return [_line(*row) for row in cursor.fetchall()]


def table_of_totals(tournament_id: int) -> Iterator[tuple[Any, ...]]:
    """For a spreadsheet: a head, and a row for each currency."""
    yield ("currency", "payments", *_heads())
    for total in totals(tournament_id):
        yield (total.currency.upper(), total.payments, *_cells(total.balance, total.currency))


def table_of_lines(tournament_id: int) -> Iterator[tuple[Any, ...]]:
    """For a spreadsheet: a head, and a row for each payment; amounts both ways, times as ISO 8601."""
    yield (
        "payment", "entry", "player", "player_id", "division", "state", "created_at", "captured_at", "intent", "charge",
        "currency", *_heads(),
    )  # fmt: skip
    for line in lines(tournament_id):
        yield (
            line.payment_id,
            line.public_id,
            line.player,
            line.player_id,
            line.division,
            line.state,
            line.created_at.isoformat(timespec="seconds"),
            line.captured_at.isoformat(timespec="seconds") if line.captured_at else "",
            line.intent,
            line.charge,
            line.currency.upper(),
            *_cells(line.balance, line.currency),
        )


def _heads() -> tuple[str, ...]:
    return (*COLUMNS, *(f"{name}_minor" for name in COLUMNS))


def _cells(balance: Balance, currency: str) -> tuple[Any, ...]:
    minor = [getattr(balance, f"{name}_minor") for name in COLUMNS]
    return (*(major(amount, currency) for amount in minor), *minor)


def _line(*row: Any) -> Line:
    values: list[Any] = [*row[: -len(AMOUNTS)], _balance(row[-len(AMOUNTS) :])]
    return Line(*values)


def _balance(amounts: tuple[Any, ...]) -> Balance:
    return Balance(*(int(amount) for amount in amounts))
