"""Finding what is due from the rows alone. Tasks are wake-ups; this is what makes losing one harmless."""

from django.db import connection

from payments.models import Payment
from payments.rules import State
from payments.services.capturing import capture_payment, void_payment
from payments.services.settling import settle_payment
from registrations.models import QueueEntry
from registrations.services import lapse_offer
from tournaments.queries import database_now

TAKEN_SECONDS = 60  # for how long a row that a worker took is left to it
BATCH = 200

TAKE = """
UPDATE {table} SET taken_until = statement_timestamp() + make_interval(secs => %(seconds)s)
WHERE id IN (
    SELECT id FROM {table}
    WHERE state = ANY(%(states)s) AND due_at <= statement_timestamp()
      AND (taken_until IS NULL OR taken_until <= statement_timestamp())
    ORDER BY due_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def take_due_payments() -> list[int]:
    """Ids of payments at which somebody has to look now; no second sweep gets the same ones for a minute."""
    return _take("payments_payment", ["CREATED", "AUTHORISED"])


def take_due_refunds() -> list[int]:
    return _take("payments_refund", ["DUE", "PENDING"])


def _take(table: str, states: list[str]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(TAKE.format(table=table), {"states": states, "seconds": TAKEN_SECONDS, "limit": BATCH})
        return [row[0] for row in cursor.fetchall()]


def advance(*, payment_id: int) -> None:
    """Do the next thing that a payment needs, whatever that is."""
    state, released = Payment.objects.values_list("state", "released_at").get(pk=payment_id)
    if state == State.CREATED:
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
    return sum(lapse_offer(entry_id=pk) for pk in due.order_by("pk").values_list("pk", flat=True)[:BATCH])
