"""What can be entered: organizations, tournaments, their divisions, seats and priority groups."""

from tournaments.models.division import Division
from tournaments.models.group import PriorityGroup, PriorityMember
from tournaments.models.organization import Membership, Organization
from tournaments.models.seat import Seat
from tournaments.models.tournament import (
    Tournament,
    TournamentQuerySet,
    _known_time_zone,  # noqa: F401  migrations name it
    default_entropy,
)

__all__ = [
    "Division",
    "Membership",
    "Organization",
    "PriorityGroup",
    "PriorityMember",
    "Seat",
    "Tournament",
    "TournamentQuerySet",
    "default_entropy",
]
