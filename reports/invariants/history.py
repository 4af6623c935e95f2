"""I13 and I15: history is complete, whole, and shows no way back from an end."""

from itertools import islice
from typing import cast

from django.db import connection
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pghistory.models import Event
from psycopg.sql import SQL, Composable, Identifier, Literal

from registrations.rules import ENDED
from reports import history
from reports.invariants.asking import Invariant, exceptions, of_tournament
from reports.models import HistoryBlock

SEALED_WITHIN_SECONDS = 60
# The whole chain is `verify_history`'s work; this many blocks are what was written in the last hours.
NEWEST_BLOCKS = 1000
MOST_SENTENCES = 50

# Players may be erased, and drafts of tournaments thrown away: that leaves nothing behind.
MAY_VANISH = frozenset({"accounts_player", "tournaments_tournament"})

# How the rows of a table (and its events, which have the same columns) belong to a tournament.
TOURNAMENT_OF = {
    "registrations_queueentry": "{row}.tournament_id = {tournament}",
    "tournaments_tournament": "{row}.id = {tournament}",
    "tournaments_division": "{row}.tournament_id = {tournament}",
    "tournaments_prioritygroup": "{row}.tournament_id = {tournament}",
    "tournaments_seat": "{row}.division_id IN (SELECT id FROM tournaments_division WHERE tournament_id = {tournament})",
    "accounts_player": "{row}.id IN (SELECT player_id FROM registrations_queueentry WHERE tournament_id = {tournament})",
    "lottery_draw": "{row}.tournament_id = {tournament}",
    "payments_payment": "{row}.entry_id IN (SELECT id FROM registrations_queueentry WHERE tournament_id = {tournament})",
    "payments_refund": "{row}.payment_id IN (SELECT p.id FROM payments_payment p "
    "JOIN registrations_queueentry q ON q.id = p.entry_id WHERE q.tournament_id = {tournament})",
}

UNTOLD = SQL("""
SELECT o.id, e.pgh_id IS NULL
FROM {tracked} o
LEFT JOIN LATERAL (
    SELECT * FROM {events} e WHERE e.pgh_obj_id = o.id ORDER BY e.pgh_id DESC LIMIT 1
) e ON true
WHERE {scope} AND (e.pgh_id IS NULL OR ROW({now}) IS DISTINCT FROM ROW({told}))
ORDER BY o.id LIMIT {most}
""")

VANISHED = SQL("""
SELECT DISTINCT o.pgh_obj_id
FROM {events} o
WHERE {scope} AND NOT EXISTS (SELECT FROM {tracked} t WHERE t.id = o.pgh_obj_id)
  AND NOT EXISTS (SELECT FROM {events} d WHERE d.pgh_obj_id = o.pgh_obj_id AND d.pgh_label = 'delete')
ORDER BY 1 LIMIT {most}
""")

UNSEALED = SQL("""
SELECT count(*), min(pgh_created_at) FROM {events}
WHERE pgh_id > {sealed_to} AND pgh_created_at < statement_timestamp() - make_interval(secs => {within})
HAVING count(*) > 0
""")

LEFT_AN_END = f"""
SELECT t.slug, step.public_id, step.before, step.state, step.pgh_created_at AS at
FROM (
    SELECT e.tournament_id, e.public_id, e.state, e.pgh_created_at,
           lag(e.state) OVER (PARTITION BY e.pgh_obj_id ORDER BY e.pgh_id) AS before
    FROM registrations_queueentryevent e
    WHERE {of_tournament("e.tournament_id")}
) step
JOIN tournaments_tournament t ON t.id = step.tournament_id
WHERE step.before = ANY(%(ended)s) AND step.state <> step.before
"""  # noqa: S608  only a condition of ours is put in


def broken_history(tournament_id: int | None) -> list[str]:
    found = []
    for model in history.event_models():
        found += _untold(model, tournament_id) + _vanished(model, tournament_id)
    return found + _unsealed() + list(islice(history.broken_blocks(newest=NEWEST_BLOCKS), MOST_SENTENCES))


def _untold(model: type[Event], tournament_id: int | None) -> list[str]:
    """Rows that are not as their newest event says."""
    tracked = _tracked_table(model)
    columns = sorted(_columns(model) & _columns(_tracked(model)))
    query = UNTOLD.format(
        tracked=Identifier(tracked),
        events=Identifier(history.table_of(model)),
        scope=_scope(tracked, tournament_id),
        now=SQL(", ").join(Identifier("o", column) for column in columns),
        told=SQL(", ").join(Identifier("e", column) for column in columns),
        most=Literal(MOST_SENTENCES),
    )
    never = _("%(table)s %(id)s has no event at all.")
    otherwise = _("%(table)s %(id)s was changed without an event.")
    return [(never if none else otherwise) % {"table": tracked, "id": pk} for pk, none in _fetch(query)]


def _vanished(model: type[Event], tournament_id: int | None) -> list[str]:
    tracked = _tracked_table(model)
    if tracked in MAY_VANISH:
        return []
    query = VANISHED.format(
        tracked=Identifier(tracked),
        events=Identifier(history.table_of(model)),
        scope=_scope(tracked, tournament_id),
        most=Literal(MOST_SENTENCES),
    )
    return [
        _("%(table)s %(id)s is gone, without an event.") % {"table": tracked, "id": row[0]} for row in _fetch(query)
    ]


def _unsealed() -> list[str]:
    last = HistoryBlock.objects.order_by("number").last()
    found = []
    for table in map(history.table_of, history.event_models()):
        sealed_to = last.sealed_to.get(table, 0) if last else 0
        query = UNSEALED.format(
            events=Identifier(table), sealed_to=Literal(sealed_to), within=Literal(SEALED_WITHIN_SECONDS)
        )
        found += [
            _("%(table)s: %(count)s events are not sealed yet, the oldest of %(oldest)s.")
            % {"table": table, "count": count, "oldest": oldest}
            for count, oldest in _fetch(query)
        ]
    return found


def _tracked_table(model: type[Event]) -> str:
    return _tracked(model)._meta.db_table  # noqa: SLF001


def _tracked(model: type[Event]) -> type[Model]:
    return cast("type[Model]", model.pgh_tracked_model)  # its stub says None, which it is until it is set up


def _columns(model: type[Model]) -> set[str]:
    return {field.column for field in model._meta.concrete_fields if field.column is not None}  # noqa: SLF001


def _scope(tracked: str, tournament_id: int | None) -> Composable:
    if tournament_id is None:
        return SQL("true")
    if tracked not in TOURNAMENT_OF:
        return SQL("false")
    return SQL(TOURNAMENT_OF[tracked]).format(row=SQL("o"), tournament=Literal(tournament_id))


def _fetch(query: Composable) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: list[tuple[object, ...]] = cursor.fetchall()
    return found


def left_an_end(tournament_id: int | None) -> list[str]:
    words = _("%(slug)s: entry %(public_id)s went from %(before)s to %(state)s at %(at)s.")
    return exceptions(LEFT_AN_END, words, tournament_id, ended=[str(state) for state in ENDED])


INVARIANTS = (
    Invariant(
        "I13", gettext_lazy("Every change has its event, and the chain holds up to the last seal."), broken_history
    ),
    Invariant("I15", gettext_lazy("Terminal states were never left."), left_an_end),
)
