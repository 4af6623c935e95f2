"""Finding what is due from the rows alone. Tasks are wake-ups; this is what makes losing one harmless."""

from django.db import connection

from payments.models import Payment
from payments.rules import State
from payments.services.capturing import capture_payment, void_payment
from payments.services.charging import settle_charge
from payments.services.one_by_one import one_by_one
from payments.services.settling import settle_payment
from registrations.models import QueueEntry
from registrations.services import lapse_offer
from tournaments.queries import database_now

TAKEN_SECONDS = 60  # for how long a row that a worker took is left to it
BATCH = 200
CALLS = 45  # what asks Stripe each time: there is a sweep every 3 s, and sweeps may make 15 calls a second

# The due rows are found once and then joined: PostgreSQL may run a subquery again for each row of the table, and each run
# that skips what the one before it locked comes with rows of its own, beyond the limit.
TAKE = """
WITH due AS MATERIALIZED (
    SELECT id FROM {table}
    WHERE state = ANY(%(states)s) AND due_at <= statement_timestamp()
      AND (taken_until IS NULL OR taken_until <= statement_timestamp())
    ORDER BY due_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE {table} t SET taken_until = statement_timestamp() + make_interval(secs => %(seconds)s)
FROM due WHERE t.id = due.id
RETURNING t.id
"""

# Nothing is charged in a pause, which gives every offer its time back.
TAKE_CHARGES = """
WITH due AS MATERIALIZED (
    SELECT c.id FROM payments_savedcard c
    JOIN registrations_queueentry e ON e.id = c.entry_id
    JOIN tournaments_tournament t ON t.id = e.tournament_id
    WHERE c.charge_due_at <= statement_timestamp() AND (c.taken_until IS NULL OR c.taken_until <= statement_timestamp())
      AND t.paused_at IS NULL
    ORDER BY c.charge_due_at LIMIT %(limit)s
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE payments_savedcard c SET taken_until = statement_timestamp() + make_interval(secs => %(seconds)s)
FROM due WHERE c.id = due.id
RETURNING c.id
"""


def take_due_payments() -> list[int]:
    """Ids of payments at which somebody has to look now; no second sweep gets the same ones for a minute."""
    return _take("payments_payment", ["CREATED", "AUTHORISED"], BATCH)


def take_due_refunds() -> list[int]:
    return _take("payments_refund", ["DUE", "PENDING"], CALLS)


def take_due_charges() -> list[int]:
    """Ids of cards on file to charge now; no second sweep gets the same ones for a minute."""
    return _taken(TAKE_CHARGES, CALLS)


def take_due_cards() -> list[int]:
    """Ids of cards whose page is to be looked at, or that are to be taken off."""
    return _take("payments_savedcard", ["ASKED", "SAVED", "DROPPED"], CALLS)


def _take(table: str, states: list[str], limit: int) -> list[int]:
    return _taken(TAKE.format(table=table), limit, states=states)


def _taken(statement: str, limit: int, **given: list[str]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"seconds": TAKEN_SECONDS, "limit": limit, **given})
        return [row[0] for row in cursor.fetchall()]


def advance(*, payment_id: int) -> None:
    """Do the next thing that a payment needs, whatever that is."""
    state, released, card = Payment.objects.values_list("state", "released_at", "card").get(pk=payment_id)
    if state == State.CREATED and card:
        settle_charge(payment_id=payment_id)
    elif state == State.CREATED:
        settle_payment(payment_id=payment_id)
    elif state == State.AUTHORISED and released:
        void_payment(payment_id=payment_id)
        capture_payment(payment_id=payment_id)  # does nothing unless something is kept
    elif state == State.AUTHORISED:
        capture_payment(payment_id=payment_id)


def lapse_abandoned() -> int:
    """Lapse offers whose checkout came to nothing and that ran out since; returns how many."""
    due = (
        QueueEntry.objects.offers_due(database_now())
        .filter(checkout_at__isnull=False)
        .exclude(payments__in=Payment.objects.open())
    )
    return one_by_one(due.order_by("pk").values_list("pk", flat=True)[:BATCH], _lapse)


def _lapse(entry_id: int) -> bool:
    return lapse_offer(entry_id=entry_id)
