"""The tournaments' part of the admin; Django finds it by this name."""

from tournaments.admin.organization import OrganizationAdmin, PriorityGroupAdmin, PriorityMemberAdmin
from tournaments.admin.tournament import TournamentAdmin

__all__ = ["OrganizationAdmin", "PriorityGroupAdmin", "PriorityMemberAdmin", "TournamentAdmin"]
