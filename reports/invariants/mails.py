"""I14: who is owed a mail; and, from `money`, what is due at Stripe."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registrations.models import BULK_KINDS
from reports.invariants.asking import Invariant, exceptions, of_tournament
from reports.invariants.money import calls_overdue, cards_overdue

MAILED_WITHIN_MINUTES = 5
BULK_WITHIN_MINUTES = 180  # a crowd's mails wait while others are due

# The steps of an entry and the notice that each of them owes. Leaving of one's own accord owes none.
OWED = f"""
WITH step AS (
    SELECT e.pgh_obj_id AS entry_id, e.tournament_id, e.public_id, e.state, coalesce(e.offer_number, 0) AS offer_number,
           lag(e.state) OVER (PARTITION BY e.pgh_obj_id ORDER BY e.pgh_id) AS before
    FROM registrations_queueentryevent e
    WHERE {of_tournament("e.tournament_id")}
), owed AS (
    SELECT DISTINCT step.entry_id, step.tournament_id, step.public_id, step.offer_number, kind.kind
    FROM step JOIN (VALUES
        ('WAITING', 'OFFERED', 'OFFERED'), ('WAITING', 'OFFERED', 'ENDING'), ('CONFIRMED', 'OFFERED', 'UNSEATED'),
        (NULL, 'CONFIRMED', 'CONFIRMED'), (NULL, 'PASSED', 'PASSED'), (NULL, 'LAPSED', 'LAPSED'),
        (NULL, 'CANCELLED', 'CANCELLED'), (NULL, 'CLOSED', 'CLOSED'), (NULL, 'REJECTED', 'REJECTED')
    ) kind (before, state, kind) ON step.state = kind.state AND step.before = coalesce(kind.before, step.before)
    WHERE step.state <> step.before
)
SELECT t.slug, owed.public_id, owed.kind, owed.offer_number
FROM owed
JOIN tournaments_tournament t ON t.id = owed.tournament_id
LEFT JOIN registrations_notice n
  ON n.entry_id = owed.entry_id AND n.kind = owed.kind AND n.offer_number = owed.offer_number
WHERE n.id IS NULL
ORDER BY 1, 2, 4
"""  # noqa: S608  only conditions of ours are put in, here and below

# In a pause the warning of an offer's end waits, and resuming moves it with the offer; where that ends meanwhile, it is due then.
OVERDUE = f"""
SELECT t.slug, n.kind, count(*) AS mails, min(n.due_at) AS oldest
FROM registrations_notice n
JOIN registrations_queueentry e ON e.id = n.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE n.mailed_at IS NULL
  AND CASE WHEN n.kind = 'ENDING' THEN greatest(n.due_at, e.confirmed_at, e.ended_at) ELSE n.due_at END < statement_timestamp()
      - make_interval(mins => CASE WHEN n.kind = ANY(%(bulk)s) THEN %(bulk_within)s ELSE %(within)s END)
  AND NOT (n.kind = 'ENDING' AND e.state = 'OFFERED' AND t.paused_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM payments_deadletter l  -- somebody decided that it is not to be sent, and it has not come due anew
                  WHERE l.kind = 'MAIL' AND l.reference = 'notice ' || n.id AND l.state = 'DISMISSED' AND l.decided_at >= n.due_at)
  AND {of_tournament("e.tournament_id")}
GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608

# Everybody in a draw whose mails are made, or should be by now. What a void draw had not mailed yet is not mailed any more.
OWED_BY_DRAWS = f"""
SELECT t.slug, m.kind, count(*) AS mails
FROM lottery_mailing m
JOIN lottery_draw d ON d.id = m.draw_id
JOIN tournaments_tournament t ON t.id = d.tournament_id
JOIN (SELECT draw_id, entry_id, false AS is_left_out FROM lottery_drawentry
      UNION ALL SELECT draw_id, entry_id, true FROM lottery_leftout) e
  ON e.draw_id = m.draw_id AND e.is_left_out = m.to_left_out
LEFT JOIN registrations_notice n ON n.entry_id = e.entry_id AND n.kind = m.kind AND n.offer_number = d.number
WHERE n.id IS NULL AND (d.state <> 'VOID' OR m.kind = 'DRAW_VOID')
  AND (m.done_at IS NOT NULL OR m.due_at < statement_timestamp() - make_interval(mins => %(within)s))
  AND {of_tournament("d.tournament_id")}
GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608

# A refund that Stripe has accepted is told, once.
OWED_BY_REFUNDS = f"""
SELECT t.slug, e.public_id, r.id AS refund
FROM payments_refund r
JOIN payments_payment p ON p.id = r.payment_id
JOIN registrations_queueentry e ON e.id = p.entry_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
LEFT JOIN registrations_notice n ON n.entry_id = e.id AND n.kind = 'REFUNDED' AND n.offer_number = r.id
WHERE r.state IN ('PENDING', 'SUCCEEDED') AND n.id IS NULL AND {of_tournament("e.tournament_id")}
ORDER BY r.id
"""  # noqa: S608


def unsent(tournament_id: int | None) -> list[str]:
    return [
        *exceptions(
            OWED,
            _(
                "%(slug)s: entry %(public_id)s is owed the mail %(kind)s of offer %(offer_number)s, and none is planned."
            ),
            tournament_id,
        ),
        *exceptions(
            OVERDUE,
            _("%(slug)s: %(mails)s mails %(kind)s are due and not sent, the oldest since %(oldest)s."),
            tournament_id,
            within=MAILED_WITHIN_MINUTES,
            bulk=list(BULK_KINDS),
            bulk_within=BULK_WITHIN_MINUTES,
        ),
        *exceptions(
            OWED_BY_DRAWS,
            _("%(slug)s: %(mails)s mails %(kind)s about its draw are owed, and none is planned."),
            tournament_id,
            within=BULK_WITHIN_MINUTES,
        ),
        *exceptions(
            OWED_BY_REFUNDS,
            _("%(slug)s: entry %(public_id)s is owed the mail about refund %(refund)s, and none is planned."),
            tournament_id,
        ),
    ]


def undone(tournament_id: int | None) -> list[str]:
    return [*unsent(tournament_id), *calls_overdue(tournament_id), *cards_overdue(tournament_id)]


INVARIANTS = (Invariant("I14", gettext_lazy("Every mail and Stripe call due was made or is scheduled."), undone),)
