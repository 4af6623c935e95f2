"""What organizers type: tournaments with their divisions and groups, and what actions ask for."""

from tournaments.forms.actions import (
    CancelForm,
    ExtendForm,
    MembersForm,
    MessageForm,
    ReasonForm,
    RemoveMembersForm,
    SeatsForm,
)
from tournaments.forms.parts import (
    DivisionForm,
    DivisionFormSet,
    GroupForm,
    GroupFormSet,
    current_season_divisions,
    season_divisions,
)
from tournaments.forms.tournament import FIRST_COME_WARNING, DayInput, LocalDateTimeInput, TimeZoneInput, TournamentForm

__all__ = [
    "FIRST_COME_WARNING",
    "CancelForm",
    "DayInput",
    "DivisionForm",
    "DivisionFormSet",
    "ExtendForm",
    "GroupForm",
    "GroupFormSet",
    "LocalDateTimeInput",
    "MembersForm",
    "MessageForm",
    "ReasonForm",
    "RemoveMembersForm",
    "SeatsForm",
    "TimeZoneInput",
    "TournamentForm",
    "current_season_divisions",
    "season_divisions",
]
