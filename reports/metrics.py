"""What /metrics tells, in Prometheus' text format: what waits for somebody, and what waits for too long."""

from collections.abc import Iterator
from typing import Any

from django.core.cache import cache
from django.db import connection
from post_office.models import STATUS
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from payments.rules import DISPUTE_OPEN, Finding, LetterKind
from reports.invariants.money import CARD_IS_OVERDUE
from reports.services import last_look

KEPT_SECONDS = 5  # however many ask, the database is asked so often
OVERDUE_MINUTES = 5
MAIL = {STATUS.queued: "queued", STATUS.requeued: "to be tried again", STATUS.failed: "failed"}

# One statement for all: (gauge, label, number).
COUNTS = f"""
SELECT 'dead_letters', kind, count(*) FROM payments_deadletter WHERE state = 'OPEN' GROUP BY kind
UNION ALL SELECT 'reviews', '', count(*) FROM payments_review WHERE state = 'OPEN'
UNION ALL SELECT 'disputes', '', count(*) FROM payments_dispute WHERE status = ANY(%(disputes)s)
UNION ALL SELECT 'discrepancies', kind, count(*) FROM payments_discrepancy WHERE resolved_at IS NULL GROUP BY kind
UNION ALL SELECT 'overdue', 'payments', count(*) FROM payments_payment
          WHERE state IN ('CREATED', 'AUTHORISED') AND due_at < statement_timestamp() - make_interval(mins => %(within)s)
UNION ALL SELECT 'overdue', 'refunds', count(*) FROM payments_refund
          WHERE state IN ('DUE', 'PENDING') AND due_at < statement_timestamp() - make_interval(mins => %(within)s)
UNION ALL SELECT 'overdue', 'events', count(*) FROM payments_stripeevent
          WHERE handled_at IS NULL AND due_at < statement_timestamp() - make_interval(mins => %(within)s)
UNION ALL SELECT 'overdue', 'cards', count(*) FROM payments_savedcard c
          JOIN registrations_queueentry e ON e.id = c.entry_id JOIN tournaments_tournament t ON t.id = e.tournament_id
          WHERE {CARD_IS_OVERDUE}
UNION ALL SELECT 'mails', status::text, count(*) FROM post_office_email WHERE status = ANY(%(mails)s) GROUP BY status
"""  # noqa: S608  a condition of ours

# Name: (what it is, its label, the values that are told also when there is nothing to tell).
GAUGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "dead_letters": ("Jobs that failed for good and that nobody has decided about", "kind", tuple(LetterKind)),
    "reviews": ("Entries that somebody should look at", "", ("",)),
    "disputes": ("Disputes that are not decided", "", ("",)),
    "discrepancies": ("Differences between Stripe and our rows", "kind", tuple(Finding)),
    "overdue": ("Rows that were due more than five minutes ago", "what", ("payments", "refunds", "events", "cards")),
    "mails": ("Mails that are not sent", "status", tuple(MAIL.values())),
}


class Gauges(Collector):
    """All of them, from the database and the last look at the invariants."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts: Any = cache.get_or_set("metrics", _counts, KEPT_SECONDS)
        for name, (what, label, values) in GAUGES.items():
            gauge = GaugeMetricFamily(f"vgchub_{name}", what, labels=[label] if label else [])
            for value in values:
                gauge.add_metric([str(value)] if label else [], counts.get((name, str(value)), 0))
            yield gauge
        look = last_look()
        if look is not None:
            yield GaugeMetricFamily("vgchub_invariants_broken", "Exceptions at the last look", value=look.broken)
            at = look.at.timestamp()
            yield GaugeMetricFamily("vgchub_invariants_looked_at_seconds", "When that was (Unix time)", value=at)


def as_text() -> bytes:
    registry = CollectorRegistry()
    registry.register(Gauges())
    return generate_latest(registry)


def _counts() -> dict[tuple[str, str], int]:
    asked: dict[str, Any] = {"disputes": list(DISPUTE_OPEN), "within": OVERDUE_MINUTES, "mails": list(MAIL)}
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, asked)
        rows = cursor.fetchall()
    return {(name, MAIL[int(label)] if name == "mails" else label): count for name, label, count in rows}
