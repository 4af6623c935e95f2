"""What happened to a row, who did it and why, as its events tell (django-pghistory)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, Q
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

SHOWN = 200
NOT_SHOWN = {"id", "address_hash", "device_hash"}


@dataclass(frozen=True)
class Happening:
    """One change. `changes`: (name of the field, before, after); empty for the first event of a row."""

    at: datetime
    what: str
    who: str
    why: str
    changes: list[tuple[str, str, str]]


def happenings(row: Model) -> list[Happening]:
    """Newest first, at most the last SHOWN."""
    events = list(row.events.order_by("-pgh_id")[: SHOWN + 1])  # type: ignore[attr-defined]
    names = _names_of(event.pgh_context or {} for event in events)
    told = [_happening(event, before, names) for event, before in pairwise([*events, None]) if event is not None]
    return told[:SHOWN]


def _happening(event: Any, before: Any, names: dict[int, str]) -> Happening:
    context = event.pgh_context or {}
    service = str(context.get("service", "")).replace("_", " ")
    kinds = {"insert": _("made"), "update": _("changed"), "delete": _("deleted")}
    return Happening(
        at=event.pgh_created_at,
        what=service or kinds.get(event.pgh_label, event.pgh_label),
        who=names.get(_actor(context), _("the site")) if _actor(context) else _("the site"),
        why=str(context.get("reason") or ""),
        changes=list(_changes(before, event)) if before is not None else [],
    )


def _actor(context: dict[str, Any]) -> int:
    return int(context.get("by") or context.get("user") or 0)


def _names_of(contexts: Iterable[dict[str, Any]]) -> dict[int, str]:
    """Staff and organizers by address; a player's address is nobody's business here."""
    accounts = get_user_model().objects.filter(pk__in={_actor(context) for context in contexts})
    known = dict(accounts.filter(Q(is_staff=True) | Q(memberships__isnull=False)).values_list("pk", "email"))
    return {pk: known.get(pk, _("the player")) for pk in accounts.values_list("pk", flat=True)}


def _changes(before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    for field in after._meta.concrete_fields:  # noqa: SLF001
        if field.name.startswith("pgh_") or field.name in NOT_SHOWN:
            continue
        if getattr(before, field.attname) != getattr(after, field.attname):
            yield str(field.verbose_name), _text(before, field), _text(after, field)


def _text(event: Any, field: Any) -> str:
    value = getattr(event, field.attname)
    if value in (None, ""):
        return _("empty")
    if field.is_relation:
        try:
            return str(getattr(event, field.name))
        except ObjectDoesNotExist:
            return f"#{value}"
    return str(localize(localtime(value) if isinstance(value, datetime) else value))
