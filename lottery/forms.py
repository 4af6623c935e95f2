"""Rules that an organizer tries before a draw: who may come, and what would their chances be? Nothing of it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Count
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldBooleanSwitchWidget

from lottery.odds import Odds, odds_in_time
from tournaments.forms.fields import count_field
from tournaments.models import Division, PriorityGroup, Tournament

Kind = tuple[Division, PriorityGroup | None]

PLAYERS_A_SEAT = 10  # expected, until somebody types another number
MOST_TICKETS = 64


@dataclass(frozen=True)
class Line:
    """Who competes in a division, and the two fields that say how many they are and for how many seats of their own."""

    name: Any
    players: forms.BoundField
    seats: forms.BoundField


class TrialForm(forms.Form):
    """`seats`: (division, group or None) -> how many there are now. Without `typed`, what is there and what is to be expected."""

    releases_reserved = forms.BooleanField(
        label=_("Open reserved seats that nobody can take"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    def __init__(self, typed: Any, *, tournament: Tournament, seats: Mapping[Kind, int]) -> None:
        players = expected_players(tournament, seats)
        groups = {group.pk: group for _division, group in seats if group is not None}
        usual: dict[str, Any] = {"releases_reserved": tournament.releases_reserved}
        usual |= {f"tickets_{pk}": group.tickets for pk, group in groups.items()}
        for kind, number in seats.items():
            usual |= {_name("players", kind): players[kind], _name("seats", kind): number}
        super().__init__(typed or usual)
        self._kinds, self._groups = list(seats), groups
        for group in groups.values():
            self.fields[f"tickets_{group.pk}"] = _tickets_field(group)
        for kind in self._kinds:
            self.fields[_name("players", kind)] = count_field(_("%(who)s: players") % {"who": _who(kind)})
            self.fields[_name("seats", kind)] = count_field(_("%(who)s: seats") % {"who": _who(kind)})

    def tickets(self) -> list[forms.BoundField]:
        return [self[f"tickets_{pk}"] for pk in self._groups]

    def divisions(self) -> list[tuple[Division, list[Line]]]:
        """The fields, as the page lays them out."""
        return [(division, [self._line(kind) for kind in self._of(division)]) for division in self._divisions()]

    def odds(self) -> list[tuple[Division, Odds]]:
        """Everybody's chances; call it on a valid form."""
        return [(division, self._odds(division)) for division in self._divisions() if self._entrants(division)]

    def _odds(self, division: Division) -> Odds:
        entrants, release = self._entrants(division), bool(self.cleaned_data["releases_reserved"])
        reserves = {
            kind[1].name: seats for kind in self._of(division) if kind[1] and (seats := self._typed("seats", kind))
        }
        open_seats = self._typed("seats", (division, None))
        return odds_in_time(open_seats, reserves, entrants, releases_reserved=release)

    def _entrants(self, division: Division) -> dict[tuple[str | None, int], int]:
        """(group, tickets) -> how many; those without a group have one ticket."""
        return {
            (group.name, self.cleaned_data[f"tickets_{group.pk}"]) if group else (None, 1): number
            for division, group in self._of(division)
            if (number := self._typed("players", (division, group)))
        }

    def _typed(self, what: str, kind: Kind) -> int:
        return self.cleaned_data[_name(what, kind)] or 0

    def _line(self, kind: Kind) -> Line:
        name = kind[1].name if kind[1] else _("Everybody else; seats open to all")
        return Line(name, self[_name("players", kind)], self[_name("seats", kind)])

    def _divisions(self) -> list[Division]:
        return list(dict.fromkeys(division for division, _group in self._kinds))

    def _of(self, division: Division) -> list[Kind]:
        """Groups first, as seats are given out; then everybody else."""
        return sorted((kind for kind in self._kinds if kind[0] == division), key=lambda kind: kind[1] is None)


def expected_players(tournament: Tournament, seats: Mapping[Kind, int]) -> dict[Kind, int]:
    """A guess to begin with: ten for a seat, and of a group who is on its list, spread as the seats are, or else two for a seat."""
    listed = dict(tournament.groups.annotate(listed=Count("members")).values_list("pk", "listed"))
    sizes: dict[Division, int] = {}
    for (division, _group), number in seats.items():
        sizes[division] = sizes.get(division, 0) + number
    total = sum(sizes.values()) or 1
    found: dict[Kind, int] = {
        (division, group): round(listed[group.pk] * sizes[division] / total) if listed[group.pk] else 2 * number
        for (division, group), number in seats.items()
        if group is not None
    }
    for division, size in sizes.items():
        grouped = sum(number for (other, _group), number in found.items() if other == division)
        found[division, None] = max(0, PLAYERS_A_SEAT * size - grouped)
    return found


def _tickets_field(group: PriorityGroup) -> forms.IntegerField:
    field = count_field(_("%(group)s: tickets each") % {"group": group.name})
    return forms.IntegerField(label=field.label, min_value=1, max_value=MOST_TICKETS, widget=field.widget)


def _name(what: str, kind: Kind) -> str:
    division, group = kind
    return f"{what}_{division.code}_{group.pk if group else 'all'}"


def _who(kind: Kind) -> str:
    division, group = kind
    return (
        f"{division.name}, {group.name}"
        if group
        else str(_("%(division)s, everybody else")) % {"division": division.name}
    )
