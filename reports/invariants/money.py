"""I4 to I7: money and the seats that it is for; I12: what is at Stripe; and the calls to Stripe that are due."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from reports.invariants.asking import Invariant, exceptions, of_tournament

SETTLED_WITHIN_MINUTES = 15
COMPARED_WITHIN_MINUTES = 60

# What cardholders' banks hold or kept of a payment, whether one still decides, and when the last one decided.
DISPUTED = """
LEFT JOIN LATERAL (
    SELECT coalesce(sum(d.amount_minor) FILTER (WHERE d.status IN ('needs_response', 'under_review', 'lost')), 0) AS minor,
           coalesce(bool_or(d.ended_at IS NULL), false) AS is_open, max(d.ended_at) AS ended_at
    FROM payments_dispute d WHERE d.payment_id = p.id
) disputed ON true
"""

# A bank may take what the rule would have kept; but nobody gives back more than the rule says. A refund that is decided anew, since
# the one before failed, has its time from then on.
KEPT_WITHOUT_SEAT = f"""
SELECT t.slug, e.public_id, e.state, p.id AS payment, p.currency,
       p.amount_minor - p.kept_minor - coalesce(back.minor, 0) - disputed.minor AS minor
FROM payments_payment p
JOIN registrations_queueentry e ON e.id = p.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
LEFT JOIN LATERAL (
    SELECT sum(amount_minor) FILTER (WHERE r.state IN ('PENDING', 'SUCCEEDED')) AS minor,
           max(created_at) FILTER (WHERE r.state = 'DUE') AS decided_at
    FROM payments_refund r WHERE r.payment_id = p.id
) back ON true
{DISPUTED}
WHERE p.state = 'CAPTURED' AND e.state <> 'CONFIRMED' AND NOT disputed.is_open
  AND (p.amount_minor - p.kept_minor - coalesce(back.minor, 0) - disputed.minor > 0
       OR p.kept_minor + coalesce(back.minor, 0) > p.amount_minor)
  AND greatest(coalesce(p.released_at, e.ended_at, p.captured_at), disputed.ended_at, back.decided_at)
      < statement_timestamp() - make_interval(mins => %(within)s)
  AND {of_tournament("e.tournament_id")}
ORDER BY p.id
"""  # noqa: S608  only conditions of ours are put in, here and below

BACK_TOO_MUCH = f"""
SELECT t.slug, e.public_id, p.id AS payment, p.state, p.amount_minor, back.gone AS minor, disputed.minor AS disputed
FROM payments_payment p
JOIN registrations_queueentry e ON e.id = p.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0) AS decided,
           coalesce(sum(amount_minor) FILTER (WHERE state IN ('PENDING', 'SUCCEEDED')), 0) AS gone
    FROM payments_refund r WHERE r.payment_id = p.id AND r.state <> 'FAILED'
) back ON true
{DISPUTED}
WHERE (back.decided > p.amount_minor OR back.gone + disputed.minor > p.amount_minor
       OR (back.gone > 0 AND p.state <> 'CAPTURED')) AND {of_tournament("e.tournament_id")}
ORDER BY p.id
"""  # noqa: S608

SEAT_WITHOUT_MONEY = f"""
SELECT t.slug, e.public_id, coalesce(p.state, 'not begun') AS state
FROM registrations_queueentry e
JOIN tournaments_tournament t ON t.id = e.tournament_id
LEFT JOIN LATERAL (
    SELECT * FROM payments_payment p WHERE p.entry_id = e.id AND p.state IN ('CREATED', 'AUTHORISED', 'CAPTURED')
    ORDER BY p.id DESC LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    -- The fee as it stood then: a free tournament may have become a paid one since.
    SELECT v.fee_minor FROM tournaments_tournamentevent v
    WHERE v.pgh_obj_id = t.id AND v.pgh_created_at <= e.confirmed_at ORDER BY v.pgh_id DESC LIMIT 1
) then_valid ON true
WHERE e.state = 'CONFIRMED' AND coalesce(then_valid.fee_minor, t.fee_minor) > 0 AND e.waived_by_id IS NULL
  AND {of_tournament("e.tournament_id")}
  AND (p.state IS NULL OR p.state = 'CREATED' OR p.released_at IS NOT NULL
       OR (p.state = 'AUTHORISED' AND p.authorised_at < statement_timestamp() - make_interval(mins => %(within)s))
       OR (SELECT sum(r.amount_minor) FROM payments_refund r WHERE r.payment_id = p.id AND r.state <> 'FAILED')
          >= p.amount_minor)
ORDER BY e.id
"""  # noqa: S608

PAID_TWICE = f"""
SELECT t.slug, e.public_id, count(*) AS payments
FROM payments_payment p
JOIN registrations_queueentry e ON e.id = p.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE p.state IN ('CREATED', 'AUTHORISED', 'CAPTURED') AND {of_tournament("e.tournament_id")}
GROUP BY t.slug, e.id, e.public_id HAVING count(*) > 1
ORDER BY e.id
"""  # noqa: S608

CALLS_OVERDUE = f"""
WITH due AS (
    SELECT 'payments' AS what, p.id AS payment_id, p.due_at FROM payments_payment p
    WHERE p.state IN ('CREATED', 'AUTHORISED')
    UNION ALL
    SELECT 'refunds', r.payment_id, r.due_at FROM payments_refund r WHERE r.state IN ('DUE', 'PENDING')
    UNION ALL
    SELECT 'events', s.payment_id, s.due_at FROM payments_stripeevent s WHERE s.handled_at IS NULL AND s.payment_id IS NOT NULL
)
SELECT t.slug, due.what, count(*) AS calls, min(due.due_at) AS oldest
FROM due
JOIN payments_payment p ON p.id = due.payment_id
JOIN registrations_queueentry e ON e.id = p.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE due.due_at < statement_timestamp() - make_interval(mins => %(within)s) AND {of_tournament("e.tournament_id")}
GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608

# A card `c` waits to be charged while its player pays another way, and while its tournament is paused.
CARD_IS_OVERDUE = """
(c.due_at < statement_timestamp() - make_interval(mins => %(within)s)
 OR (c.charge_due_at < statement_timestamp() - make_interval(mins => %(within)s) AND t.paused_at IS NULL
     AND NOT EXISTS (SELECT FROM payments_payment p
                     WHERE p.entry_id = e.id AND p.state IN ('CREATED', 'AUTHORISED', 'CAPTURED'))))
"""

CARDS_OVERDUE = f"""
SELECT t.slug, count(*) AS cards, min(least(c.due_at, c.charge_due_at)) AS oldest
FROM payments_savedcard c
JOIN registrations_queueentry e ON e.id = c.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE {CARD_IS_OVERDUE} AND {of_tournament("e.tournament_id")}
GROUP BY 1 ORDER BY 1
"""  # noqa: S608

WITHOUT_ROW = f"""
SELECT d.object_id, d.says, d.first_seen_at
FROM payments_discrepancy d
LEFT JOIN payments_payment p ON p.id = d.payment_id
LEFT JOIN registrations_queueentry e ON e.id = p.entry_id
WHERE d.kind = 'NOT_OURS' AND d.resolved_at IS NULL AND {of_tournament("e.tournament_id")}
ORDER BY d.id
"""  # noqa: S608

NOT_COMPARED = """
SELECT stripe_account, started_at FROM payments_reconciliation
WHERE kind = 'RECENT' AND ended_at IS NULL AND started_at < statement_timestamp() - make_interval(mins => %(within)s)
  AND %(tournament)s::bigint IS NULL
ORDER BY id
"""


def kept_without_seat(tournament_id: int | None) -> list[str]:
    words = _(
        "%(slug)s: entry %(public_id)s is %(state)s, and %(minor)s (%(currency)s) of payment %(payment)s neither went back "
        "nor is kept by the rule."
    )
    return exceptions(KEPT_WITHOUT_SEAT, words, tournament_id, within=SETTLED_WITHIN_MINUTES)


def back_too_much(tournament_id: int | None) -> list[str]:
    words = _(
        "%(slug)s: of payment %(payment)s (%(state)s, %(amount_minor)s) of entry %(public_id)s, %(minor)s goes back, "
        "and banks took %(disputed)s."
    )
    return exceptions(BACK_TOO_MUCH, words, tournament_id)


def seat_without_money(tournament_id: int | None) -> list[str]:
    words = _("%(slug)s: entry %(public_id)s is confirmed, and its payment is %(state)s or given back.")
    return exceptions(SEAT_WITHOUT_MONEY, words, tournament_id, within=SETTLED_WITHIN_MINUTES)


def paid_twice(tournament_id: int | None) -> list[str]:
    return exceptions(PAID_TWICE, _("%(slug)s: entry %(public_id)s has %(payments)s live payments."), tournament_id)


def calls_overdue(tournament_id: int | None) -> list[str]:
    """The half of I14 that concerns Stripe."""
    words = _("%(slug)s: %(calls)s %(what)s are due at Stripe and nobody looked, the oldest since %(oldest)s.")
    return exceptions(CALLS_OVERDUE, words, tournament_id, within=SETTLED_WITHIN_MINUTES)


def cards_overdue(tournament_id: int | None) -> list[str]:
    """The same of cards on file, which are to be charged or taken off."""
    words = _("%(slug)s: %(cards)s cards on file are due at Stripe and nobody looked, the oldest since %(oldest)s.")
    return exceptions(CARDS_OVERDUE, words, tournament_id, within=SETTLED_WITHIN_MINUTES)


def without_row(tournament_id: int | None) -> list[str]:
    """What comparing with Stripe found, and that comparing is not stuck: else there would be nothing to find."""
    words = _("Stripe has %(object_id)s, since %(first_seen_at)s: %(says)s")
    stuck = _("Comparing account “%(stripe_account)s” with Stripe began at %(started_at)s and has not ended.")
    found = exceptions(WITHOUT_ROW, words, tournament_id)
    return found + exceptions(NOT_COMPARED, stuck, tournament_id, within=COMPARED_WITHIN_MINUTES)


INVARIANTS = (
    Invariant(
        "I4",
        gettext_lazy(
            "Captured money has one confirmed entry, or is refunded, disputed, or due for it since less than 15 minutes."
        ),
        kept_without_seat,
    ),
    Invariant("I5", gettext_lazy("No more is refunded and disputed than was captured."), back_too_much),
    Invariant(
        "I6",
        gettext_lazy(
            "A confirmed entry of a paid tournament is captured, authorised since less than 15 minutes, or waived."
        ),
        seat_without_money,
    ),
    Invariant("I7", gettext_lazy("One live payment per entry."), paid_twice),
    Invariant("I12", gettext_lazy("Every object at Stripe with our metadata has its row."), without_row),
)
