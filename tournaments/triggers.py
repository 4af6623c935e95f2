"""What the database itself does when the rules of a tournament change.

It counts the change, and refuses it while a draw needs things as they are: rules from when entries open, seats and times between
sealing and drawing.
"""

from typing import Any

import pgtrigger

# What a draw uses of the tournament itself. The times of closing and sealing can still be moved until entries are sealed.
DRAW_FIELDS = ("mode", "entropy", "prequeue_opens_at", "opens_at", "objection_minutes", "releases_reserved")

ANY = pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete
OPEN = "t.draw_opened_at IS NOT NULL AND statement_timestamp() >= coalesce(t.prequeue_opens_at, t.opens_at)"
SEALED = "t.entries_sealed_at IS NOT NULL AND t.drawn_at IS NULL AND t.cancelled_at IS NULL"


def update_of(*fields: str) -> Any:
    return pgtrigger.UpdateOf(*fields)  # type: ignore[no-untyped-call]


def frozen_with_entries(
    tournament: str = "coalesce(NEW.tournament_id, OLD.tournament_id)", operation: Any = ANY, of: tuple[str, ...] = ()
) -> Any:
    """Refuses `operation` (where it changes one of the fields `of`) once entries of a drawn tournament are open."""
    reason = "the draw of this tournament uses it as it was when entries opened"
    return _refuses("frozen_with_entries", f"t.id = {tournament} AND {OPEN}", reason, operation, of)


# The tournament of a row of Seat.
OF_SEAT = "(SELECT d.tournament_id FROM tournaments_division d WHERE d.id = coalesce(NEW.division_id, OLD.division_id))"


def sealed_until_drawn(tournament: str, operation: Any = ANY, of: tuple[str, ...] = ()) -> Any:
    """Refuses `operation` (where it changes one of the fields `of`) between sealing and drawing."""
    return _refuses("sealed_until_drawn", f"t.id = {tournament} AND {SEALED}", "entries are sealed", operation, of)


def counts_as_a_change() -> Any:
    """A change of this row is one of its tournament, whose `rules_version` counts it."""
    return pgtrigger.Trigger(
        name="counts_as_a_change",
        operation=ANY,
        when=pgtrigger.After,
        func="""
            UPDATE tournaments_tournament SET rules_version = rules_version + 1
            WHERE id IN (NEW.tournament_id, OLD.tournament_id);
            RETURN NULL;
        """,
    )


def _refuses(name: str, condition: str, reason: str, operation: Any, of: tuple[str, ...]) -> Any:
    return pgtrigger.Trigger(
        name=name,
        operation=operation,
        when=pgtrigger.Before,
        condition=pgtrigger.AnyChange(*of) if of else None,
        func=f"""
            IF EXISTS (SELECT FROM tournaments_tournament t WHERE {condition}) THEN
                RAISE EXCEPTION '{reason}' USING ERRCODE = 'check_violation';
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,
    )
