"""I8 and I9: who was offered a seat when."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from reports.invariants.asking import Invariant, exceptions, of_tournament
from vgchub import health

# How long after its deadline a hold may still stand: the clock's tick, and a restart of it.
LAPSE_GRACE_SECONDS = 60
# Verifying an address and offering a seat at the same moment may each be first.
VERIFIED_GRACE_SECONDS = 10

# An entry waits (a second time, if it steps back in) from the event `since`, with which its line, group and place became what they
# were, until the event `until`, with which it was offered a seat or went away. Event ids say who was there first: whatever makes
# somebody eligible (joining, stepping back in, regrouping, drawing) holds the tournament's row, and so does offering. Within one
# round of offers, `offer_number` says it.
#
# Offering B the seat s is wrong if A, who was waiting then and could have taken s, stood before B. A could take s if s is open, or
# reserved for A's group; if s is reserved for B's group alone, A loses nothing by it. Seats granted by hand are out of order on
# purpose.
SKIPPED = f"""
WITH event AS (
    SELECT e.pgh_id, e.pgh_obj_id AS entry_id, e.state, e.division_id, e.group_id, e.priority, e.place, e.seat_id,
           e.offer_number, e.offered_at, e.joined_at, e.player_id, e.public_id, e.grant_reason <> '' AS granted,
           lag(ROW(e.division_id, e.group_id, e.priority, e.place)) OVER entry
               IS DISTINCT FROM ROW(e.division_id, e.group_id, e.priority, e.place) AS moved,
           e.state = 'WAITING' AND lag(e.state) OVER entry IS DISTINCT FROM 'WAITING' AS begins
    FROM registrations_queueentryevent e
    WHERE {of_tournament("e.tournament_id")}
    WINDOW entry AS (PARTITION BY e.pgh_obj_id ORDER BY e.pgh_id)
), turn AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY entry_id ORDER BY pgh_id) AS turn FROM event
), step AS MATERIALIZED (
    SELECT *, min(pgh_id) FILTER (WHERE state <> 'WAITING') OVER (PARTITION BY entry_id, turn) AS until FROM turn
), span AS (
    SELECT until, coalesce(max(pgh_id) FILTER (WHERE moved OR begins), until) AS since, max(pgh_id) AS last
    FROM step WHERE until IS NULL OR pgh_id <= until GROUP BY entry_id, turn, until
), waited AS MATERIALIZED (
    SELECT span.since, span.until, s.*,
           -- One number for a place in the line of a division: higher lanes first, then smaller places.
           s.place - s.priority::bigint * 100000000000000 AS line,
           s.state = 'OFFERED' AS offered
    FROM span JOIN (SELECT pgh_id, state, division_id, group_id, priority, place, seat_id, offer_number, offered_at,
                           joined_at, player_id, public_id, granted FROM step) s
      ON s.pgh_id = coalesce(span.until, span.last)
), offer AS MATERIALIZED (
    SELECT w.*, seat.reserved_for_id
    FROM waited w
    JOIN LATERAL (SELECT s.reserved_for_id FROM tournaments_seatevent s
                  WHERE s.pgh_obj_id = w.seat_id
                  -- As it was then: a reserved seat may have been opened since.
                  ORDER BY s.pgh_created_at <= w.offered_at DESC, s.pgh_id DESC LIMIT 1) seat ON true
    WHERE w.offered AND NOT w.granted
), passed_over AS MATERIALIZED (
    -- Cheap first: was anybody who stands further back offered a seat before this one was, or went away?
    SELECT * FROM (
        SELECT w.*,
            max(line) FILTER (WHERE offered AND NOT granted) OVER (
                PARTITION BY division_id ORDER BY offer_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS by_offers,
            max(line) FILTER (WHERE offered AND NOT granted) OVER (
                PARTITION BY division_id ORDER BY coalesce(until, 9223372036854775807)) AS by_events
        FROM waited w
    ) w WHERE CASE WHEN offered THEN by_offers ELSE by_events END > line
), eligible AS (
    SELECT p.*, u.email_verified_at
    FROM passed_over p
    JOIN accounts_player player ON player.id = p.player_id
    JOIN accounts_user u ON u.id = player.account_id
    WHERE u.email_verified_at IS NOT NULL AND player.player_id_state <> 'DISPUTED'
      AND NOT EXISTS (SELECT FROM accounts_playerevent d
                      WHERE d.pgh_obj_id = p.player_id AND d.player_id_state = 'DISPUTED')
)
SELECT t.slug, a.public_id, a.place, a.priority, b.public_id AS other, b.place AS other_place, b.priority AS other_priority,
       b.offer_number
FROM eligible a
JOIN LATERAL (
    SELECT * FROM offer b
    WHERE b.division_id = a.division_id AND b.line > a.line AND b.until > a.since
      AND (b.reserved_for_id IS NULL OR b.reserved_for_id = a.group_id)
      AND CASE WHEN a.offered THEN b.offer_number < a.offer_number ELSE a.until IS NULL OR b.until < a.until END
      AND (a.email_verified_at <= a.joined_at
           OR a.email_verified_at < b.offered_at - make_interval(secs => %(verified_grace)s))
    ORDER BY b.offer_number LIMIT 1
) b ON true
JOIN tournaments_division d ON d.id = a.division_id
JOIN tournaments_tournament t ON t.id = d.tournament_id
ORDER BY t.slug, a.line
"""  # noqa: S608  only conditions of ours are put in, here and below

OFFERED_LATE = f"""
SELECT t.slug, made.public_id, made.offered_at, coalesce(then_valid.offers_end_at, t.offers_end_at) AS offers_end_at
FROM (
    SELECT DISTINCT e.tournament_id, e.public_id, e.offer_number, e.offered_at FROM registrations_queueentryevent e
    WHERE e.offered_at IS NOT NULL AND {of_tournament("e.tournament_id")}
) made
JOIN tournaments_tournament t ON t.id = made.tournament_id
LEFT JOIN LATERAL (
    -- The end of offers as it stood then: it can be moved.
    SELECT v.offers_end_at FROM tournaments_tournamentevent v
    WHERE v.pgh_obj_id = made.tournament_id AND v.pgh_created_at <= made.offered_at ORDER BY v.pgh_id DESC LIMIT 1
) then_valid ON true
WHERE made.offered_at >= coalesce(then_valid.offers_end_at, t.offers_end_at)
ORDER BY 1, made.offer_number
"""  # noqa: S608

HELD_TOO_LONG = f"""
SELECT t.slug, e.public_id, e.hold_until
FROM registrations_queueentry e
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE e.state = 'OFFERED' AND t.paused_at IS NULL AND {of_tournament("e.tournament_id")}
  AND e.hold_until < statement_timestamp() - make_interval(secs => %(grace)s)
ORDER BY 1, e.hold_until
"""  # noqa: S608


def skipped(tournament_id: int | None) -> list[str]:
    words = _(
        "%(slug)s: entry %(public_id)s (lane %(priority)s, place %(place)s) waited and could have taken the seat that "
        "%(other)s (lane %(other_priority)s, place %(other_place)s) was offered with number %(offer_number)s."
    )
    return exceptions(SKIPPED, words, tournament_id, verified_grace=VERIFIED_GRACE_SECONDS)


def offered_out_of_time(tournament_id: int | None) -> list[str]:
    late = exceptions(
        OFFERED_LATE,
        _("%(slug)s: entry %(public_id)s was offered a seat at %(offered_at)s; offers ended at %(offers_end_at)s."),
        tournament_id,
    )
    # Nothing lapses while the payments are unwell.
    if health.offer_pace() == 0:
        return late
    return late + exceptions(
        HELD_TOO_LONG,
        _("%(slug)s: entry %(public_id)s still has its offer, which could be held until %(hold_until)s at most."),
        tournament_id,
        grace=LAPSE_GRACE_SECONDS,
    )


INVARIANTS = (
    Invariant(
        "I8",
        gettext_lazy("Of those who could take the same seat, who stands before the other was offered one first."),
        skipped,
    ),
    Invariant(
        "I9",
        gettext_lazy("No offer was made at or after the last offers' time, and none is held too long."),
        offered_out_of_time,
    ),
)
