"""Our rows beside what Stripe has booked, payment by payment."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from django.db import connection

from payments.rules import CHARGEBACK_OPEN, DISPUTE_TAKES

# Each payment is made of things that move money: its charge (of which every line is that is of nothing else), refunds, disputes.
# What a thing should have moved by our rows, less what Stripe booked for it, is to come if nothing of it is booked yet, or if
# only the way out is booked of what came back (a refund that failed, a chargeback that was won); else nothing explains it.
BALANCES = """
SELECT p.id AS payment_id, p.currency,
       CASE WHEN p.state = 'AUTHORISED' THEN p.amount_minor ELSE 0 END AS authorised_minor,
       CASE WHEN p.state = 'CAPTURED' THEN p.amount_minor ELSE 0 END AS captured_minor,
       back.refunded_minor, back.pending_minor, back.another_way_minor, taken.held_minor, taken.lost_minor,
       lines.fee_minor, lines.booked_minor, moved.to_come_minor, moved.unexplained_minor
FROM payments_payment p
CROSS JOIN LATERAL (
    SELECT coalesce(sum(r.amount_minor) FILTER (WHERE r.state = 'SUCCEEDED'), 0) AS refunded_minor,
           coalesce(sum(r.amount_minor) FILTER (WHERE r.state IN ('DUE', 'PENDING')), 0) AS pending_minor,
           coalesce(sum(r.settled_minor), 0) AS another_way_minor
    FROM payments_refund r WHERE r.payment_id = p.id
) back
CROSS JOIN LATERAL (
    SELECT coalesce(sum(d.amount_minor) FILTER (WHERE d.status = ANY(%(held)s)), 0) AS held_minor,
           coalesce(sum(d.amount_minor) FILTER (WHERE d.status = 'lost'), 0) AS lost_minor
    FROM payments_dispute d WHERE d.payment_id = p.id
) taken
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.fee_minor), 0) AS fee_minor, coalesce(sum(l.amount_minor), 0) AS booked_minor
    FROM payments_ledgerline l WHERE l.payment_id = p.id AND l.currency = p.currency
) lines
CROSS JOIN LATERAL (
    SELECT coalesce(sum(thing.due - booked.minor) FILTER (WHERE booked.lines = thing.first), 0) AS to_come_minor,
           coalesce(sum(thing.due - booked.minor) FILTER (WHERE booked.lines <> thing.first), 0) AS unexplained_minor
    FROM (
        SELECT '' AS source, CASE WHEN p.state = 'CAPTURED' THEN p.amount_minor ELSE 0 END AS due, 0 AS first
        UNION ALL
        SELECT r.stripe_id, CASE WHEN r.state = 'FAILED' THEN 0 ELSE -r.amount_minor END, (r.state = 'FAILED')::int
        FROM payments_refund r WHERE r.payment_id = p.id
        UNION ALL
        SELECT d.stripe_id, CASE WHEN d.status = ANY(%(takes)s) THEN -d.amount_minor ELSE 0 END, (d.status <> ALL(%(takes)s))::int
        FROM payments_dispute d WHERE d.payment_id = p.id
    ) thing
    CROSS JOIN LATERAL (
        SELECT count(*) AS lines, coalesce(sum(l.amount_minor), 0) AS minor
        FROM payments_ledgerline l
        WHERE l.payment_id = p.id AND l.currency = p.currency
          AND CASE WHEN thing.source = ''
                   THEN NOT EXISTS (SELECT FROM payments_refund r WHERE r.stripe_id = l.source)
                    AND NOT EXISTS (SELECT FROM payments_dispute d WHERE d.stripe_id = l.source)
                   ELSE l.source = thing.source END
    ) booked
) moved
"""


@dataclass(frozen=True)
class Balance:
    """The money of one payment, or of several in one currency, in its smallest unit.

    `authorised` is held by a bank and not taken. Of what was captured some went back (`refunded`), is about to (`pending`), was
    given back without Stripe, which still has it (`another_way`), is held by an open chargeback or lost by one. `booked` and
    `fee` are Stripe's. What our rows say and Stripe has not booked (yet, or not in this currency) is `to_come`; what nothing
    explains has to be 0.
    """

    authorised_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    pending_minor: int = 0
    another_way_minor: int = 0
    held_minor: int = 0
    lost_minor: int = 0
    fee_minor: int = 0
    booked_minor: int = 0
    to_come_minor: int = 0
    unexplained_minor: int = 0

    @property
    def disputed_minor(self) -> int:
        return self.held_minor + self.lost_minor

    @property
    def kept_minor(self) -> int:
        """What is left of the captured money once everything on its way has arrived."""
        return self.at_stripe_minor - self.another_way_minor

    @property
    def at_stripe_minor(self) -> int:
        """What is kept, and what was given back without Stripe."""
        return self.captured_minor - self.refunded_minor - self.pending_minor - self.disputed_minor

    @property
    def net_minor(self) -> int:
        return self.kept_minor - self.fee_minor

    @property
    def difference_minor(self) -> int:
        """What our rows say less what Stripe has booked."""
        return self.at_stripe_minor - self.booked_minor


AMOUNTS = tuple(field.name for field in fields(Balance))
DISPUTED: dict[str, Any] = {"held": list(CHARGEBACK_OPEN), "takes": list(DISPUTE_TAKES)}


def unexplained(payment_ids: Collection[int]) -> dict[int, int]:
    """By id of a payment, the money in its books that nothing explains; payments without any are left out."""
    sql = f"SELECT payment_id, unexplained_minor FROM ({BALANCES} WHERE p.id = ANY(%(ids)s)) b WHERE unexplained_minor <> 0"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, {**DISPUTED, "ids": list(payment_ids)})
        return {payment_id: int(minor) for payment_id, minor in cursor.fetchall()}
