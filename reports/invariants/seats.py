"""I1 to I3: seats and who holds them."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from reports.invariants.asking import Invariant, exceptions, of_tournament

OVERSOLD = f"""
WITH held AS (
    SELECT e.division_id, s.reserved_for_id, count(*) AS held
    FROM registrations_queueentry e LEFT JOIN tournaments_seat s ON s.id = e.seat_id
    WHERE e.state IN ('OFFERED', 'CONFIRMED') AND {of_tournament("e.tournament_id")}
    GROUP BY GROUPING SETS ((e.division_id), (e.division_id, s.reserved_for_id))
), capacity AS (
    SELECT division_id, reserved_for_id, count(*) AS seats FROM tournaments_seat
    GROUP BY GROUPING SETS ((division_id), (division_id, reserved_for_id))
)
SELECT DISTINCT t.slug, d.code AS division, g.name AS reserve, held.held, coalesce(capacity.seats, 0) AS seats
FROM held
JOIN tournaments_division d ON d.id = held.division_id
JOIN tournaments_tournament t ON t.id = d.tournament_id
LEFT JOIN tournaments_prioritygroup g ON g.id = held.reserved_for_id
LEFT JOIN LATERAL (
    SELECT max(seats) AS seats FROM capacity c
    WHERE c.division_id = held.division_id AND c.reserved_for_id IS NOT DISTINCT FROM held.reserved_for_id
) capacity ON true
WHERE held.held > coalesce(capacity.seats, 0)
ORDER BY 1, 2
"""  # noqa: S608  only conditions of ours are put in, here and below

WRONG_RESERVE = f"""
SELECT t.slug, e.public_id, g.name AS reserve, s.number
FROM registrations_queueentry e
JOIN tournaments_seat s ON s.id = e.seat_id
JOIN tournaments_prioritygroup g ON g.id = s.reserved_for_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE s.reserved_for_id IS DISTINCT FROM e.group_id AND {of_tournament("e.tournament_id")}
"""  # noqa: S608

LIVE_TWICE = f"""
SELECT t.slug, p.display_name AS player, p.id AS player_id, count(*) AS entries
FROM registrations_queueentry e
JOIN accounts_player p ON p.id = e.player_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE e.state IN ('WAITING', 'OFFERED', 'PASSED', 'CONFIRMED') AND {of_tournament("e.tournament_id")}
GROUP BY t.slug, p.id, p.display_name HAVING count(*) > 1
"""  # noqa: S608

SHARED_SEAT = f"""
SELECT t.slug, d.code AS division, s.number, count(*) AS entries
FROM registrations_queueentry e
JOIN tournaments_seat s ON s.id = e.seat_id
JOIN tournaments_division d ON d.id = s.division_id
JOIN tournaments_tournament t ON t.id = d.tournament_id
WHERE {of_tournament("e.tournament_id")}
GROUP BY t.slug, d.code, s.id, s.number HAVING count(*) > 1
"""  # noqa: S608

OTHER_DIVISION = f"""
SELECT t.slug, e.public_id, own.code AS own, other.code AS other, s.number
FROM registrations_queueentry e
JOIN tournaments_seat s ON s.id = e.seat_id
JOIN tournaments_division own ON own.id = e.division_id
JOIN tournaments_division other ON other.id = s.division_id
JOIN tournaments_tournament t ON t.id = e.tournament_id
WHERE s.division_id <> e.division_id AND {of_tournament("e.tournament_id")}
"""  # noqa: S608

SEAT_AND_STATE = f"""
SELECT t.slug, e.public_id, e.state, coalesce('seat ' || s.number, 'no seat') AS seat
FROM registrations_queueentry e
JOIN tournaments_tournament t ON t.id = e.tournament_id
LEFT JOIN tournaments_seat s ON s.id = e.seat_id
WHERE (e.state IN ('OFFERED', 'CONFIRMED')) <> (s.id IS NOT NULL) AND {of_tournament("e.tournament_id")}
"""  # noqa: S608


def oversold(tournament_id: int | None) -> list[str]:
    return [
        *exceptions(
            OVERSOLD,
            _(
                "%(slug)s, %(division)s, reserve %(reserve)s: %(held)s entries hold a seat, and there are %(seats)s seats."
            ),
            tournament_id,
        ),
        *exceptions(
            WRONG_RESERVE,
            _("%(slug)s: entry %(public_id)s holds seat %(number)s, which is reserved for %(reserve)s."),
            tournament_id,
        ),
    ]


def live_twice(tournament_id: int | None) -> list[str]:
    words = _("%(slug)s: %(player)s (player %(player_id)s) has %(entries)s live entries.")
    return exceptions(LIVE_TWICE, words, tournament_id)


def seat_misheld(tournament_id: int | None) -> list[str]:
    return [
        *exceptions(
            SHARED_SEAT, _("%(slug)s, %(division)s: seat %(number)s is held by %(entries)s entries."), tournament_id
        ),
        *exceptions(
            OTHER_DIVISION,
            _("%(slug)s: entry %(public_id)s of %(own)s holds seat %(number)s of %(other)s."),
            tournament_id,
        ),
        *exceptions(SEAT_AND_STATE, _("%(slug)s: entry %(public_id)s is %(state)s with %(seat)s."), tournament_id),
    ]


INVARIANTS = (
    Invariant(
        "I1", gettext_lazy("No more offered and confirmed entries than seats, per division and reserve."), oversold
    ),
    Invariant("I2", gettext_lazy("One live entry per tournament and player."), live_twice),
    Invariant("I3", gettext_lazy("A seat has at most one live entry, of its own division."), seat_misheld),
)
