"""The admin's first page: what is going on, before anything else."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from payments.models import Review
from payments.rules import ReviewState
from registrations.queries import DivisionSeats, seat_summary
from tournaments.admin.tournament import PHASES
from tournaments.models import Tournament
from vgchub.admin import site

SHOWN = 8


@dataclass(frozen=True)
class Going:
    """A tournament that is not over, and how its seats stand."""

    tournament: Tournament
    phase: str
    phase_name: Any
    divisions: list[DivisionSeats]

    @property
    def seats(self) -> int:
        return sum(division.seats for division in self.divisions)

    @property
    def confirmed(self) -> int:
        return sum(division.confirmed for division in self.divisions)

    @property
    def offered(self) -> int:
        return sum(division.offered for division in self.divisions)

    @property
    def free(self) -> int:
        return self.seats - self.confirmed - self.offered

    @property
    def waiting(self) -> int:
        return sum(division.waiting for division in self.divisions)


def context(request: HttpRequest, found: dict[str, Any]) -> dict[str, Any]:
    """unfold's DASHBOARD_CALLBACK: the template context of the first page."""
    tournaments = site.get_model_admin(Tournament).own_rows(request)
    now = timezone.now()
    rows = tournaments.filter(offers_end_at__gt=now, cancelled_at=None).order_by("opens_at", "pk")[:SHOWN]
    return {**found, "going": [_going(tournament) for tournament in rows], "open_reviews": _open_reviews(request)}


def _open_reviews(request: HttpRequest) -> int:
    """How many entries somebody has to look at; none for those who may not."""
    found: int = site.get_model_admin(Review).own_rows(request).filter(state=ReviewState.OPEN).count()
    return found


def _going(tournament: Tournament) -> Going:
    phase = tournament.phase(timezone.now())
    return Going(tournament, phase, PHASES[phase], seat_summary(tournament))
