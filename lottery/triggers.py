"""What the database itself refuses: changes of what was published."""

from functools import reduce
from operator import or_

import pgtrigger


def changed(*fields: str) -> pgtrigger.Q:
    """Any of them is not what it was."""
    return reduce(or_, (pgtrigger.Q(**{f"old__{field}__df": pgtrigger.F(f"new__{field}")}) for field in fields))


def fixed(name: str, since: str, *fields: str) -> pgtrigger.Protect:
    """These fields never change once `since` is set."""
    return pgtrigger.Protect(
        name=name,
        operation=pgtrigger.Update,
        condition=pgtrigger.Q(**{f"old__{since}__isnull": False}) & changed(*fields),
    )


def only_into(name: str, table: str, column: str, done: str, reason: str) -> pgtrigger.Trigger:
    """Refuses rows that belong (by `column`) to a row of `table` that is `done`.

    One look for all rows of a statement: a million looks would take longer than the draw.
    """
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        operation=pgtrigger.Insert,
        when=pgtrigger.After,
        referencing=pgtrigger.Referencing(new="added"),  # type: ignore[no-untyped-call]
        func=f"""
            IF EXISTS (SELECT FROM {table} whole WHERE whole.id IN (SELECT DISTINCT {column} FROM added) AND {done}) THEN
                RAISE EXCEPTION '{reason}' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        """,  # noqa: S608  only names of ours are put in
    )
