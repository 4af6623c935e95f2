"""What the examples of a mode have to play at least once between them: without it they would prove less than they seem to."""

from django.db import connection

from tests.builders import Mode

ALWAYS = {
    "seats were taken away": "SELECT FROM tournaments_seatevent WHERE pgh_label = 'delete'",
    "a pause": "SELECT FROM tournaments_tournamentevent WHERE paused_at IS NOT NULL",
    "the tournament was cancelled": "SELECT FROM tournaments_tournament WHERE cancelled_at IS NOT NULL",
    "an offer was missed": "SELECT FROM registrations_queueentryevent WHERE state IN ('PASSED', 'LAPSED')",
    "somebody stepped back in": "SELECT FROM registrations_queueentry WHERE stepped_back_at IS NOT NULL",
    "a seat was granted": "SELECT FROM registrations_queueentry WHERE granted_by_id IS NOT NULL",
    "offers were extended": "SELECT FROM registrations_queueentryevent WHERE pgh_context->>'service' = 'extend_offers'",
    "a list changed": "SELECT FROM tournaments_prioritymember HAVING count(*) <> 2",
    "somebody was rejected": "SELECT FROM registrations_queueentry WHERE state = 'REJECTED'",
    "somebody gave a seat back": "SELECT FROM registrations_queueentry WHERE state = 'CANCELLED'",
    "a fee was waived": "SELECT FROM registrations_queueentry WHERE waived_by_id IS NOT NULL",
    "money was taken": "SELECT FROM payments_payment WHERE state = 'CAPTURED'",
    "a hold was let go": "SELECT FROM payments_payment WHERE state = 'VOIDED'",
    "money went back": "SELECT FROM payments_refund WHERE state = 'SUCCEEDED'",
    "money of a cancelled tournament went back": """
        SELECT FROM payments_refund r
        JOIN payments_payment p ON p.id = r.payment_id
        JOIN registrations_queueentry e ON e.id = p.entry_id
        JOIN tournaments_tournament t ON t.id = e.tournament_id
        WHERE r.created_at >= t.cancelled_at AND r.state = 'SUCCEEDED'
    """,
    "a refund failed": "SELECT FROM payments_refund WHERE state = 'FAILED'",
    "a cardholder disputed": "SELECT FROM payments_dispute",
    "a review was decided": "SELECT FROM payments_review WHERE state <> 'OPEN'",
    "Stripe was compared": "SELECT FROM payments_reconciliation WHERE kind = 'RECENT' AND ended_at IS NOT NULL",
}
# What the database can't tell of.
OUTSIDE = {"a process died", "Redis forgot everything", "nothing ran for a while", "Stripe was told to fail"}
DRAWN = {"a draw was voided": "SELECT FROM lottery_draw WHERE state = 'VOID'"}
LOTTERY = {
    "a card on file was charged": "SELECT FROM payments_payment WHERE card_id IS NOT NULL AND state = 'CAPTURED'",
}


def must_happen(mode: Mode) -> set[str]:
    drawn = DRAWN if mode != Mode.FIRST_COME else {}
    return {*ALWAYS, *OUTSIDE, *drawn, *(LOTTERY if mode == Mode.LOTTERY else {})}


def facts() -> list[str]:
    """Which of them the database tells of."""
    every = ALWAYS | DRAWN | LOTTERY
    sql = " UNION ALL ".join(f"SELECT %s::text WHERE EXISTS ({told})" for told in every.values())
    with connection.cursor() as cursor:
        cursor.execute(sql, list(every))
        return [row[0] for row in cursor.fetchall()]
