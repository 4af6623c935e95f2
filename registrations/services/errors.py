"""What the queue refuses: each says why, and what to do."""

from datetime import datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Player
from vgchub.errors import RefusedError


class PlayerNotFoundError(RefusedError):
    code = "player_not_found"
    status = 404
    message = gettext_lazy("That player is not one of yours.")
    remedy = gettext_lazy("Choose one of the players of your account, or add the player first.")


class TournamentNotFoundError(RefusedError):
    code = "tournament_not_found"
    status = 404
    message = gettext_lazy("There is no tournament at this address any more.")
    remedy = gettext_lazy("Its address may have changed: look for it in the list of tournaments.")


class EntryNotFoundError(RefusedError):
    code = "entry_not_found"
    status = 404
    message = gettext_lazy("There is no such entry.")
    remedy = gettext_lazy("Open it from “My entries”.")


class NotOpenYetError(RefusedError):
    code = "not_open_yet"

    def __init__(self, opens_at: datetime) -> None:
        super().__init__(
            _("Registration is not open yet: it opens on %(time)s UTC.") % {"time": date_format(opens_at, "j F, H:i")},
            remedy=_("Come back then; the page counts down to it."),
            opens_at=opens_at.isoformat(),
        )


class ClosedError(RefusedError):
    code = "registration_closed"
    message = gettext_lazy("Registration for this tournament has closed.")
    remedy = gettext_lazy("Nobody can join any more; those who wait keep their place.")


class FullError(RefusedError):
    code = "waiting_room_full"
    message = gettext_lazy("The line has reached the length that the organizer allows.")
    remedy = gettext_lazy("Try again later: places come free when players leave.")


class OvertakenError(RefusedError):
    code = "overtaken"
    message = gettext_lazy("What decides about joining changed while you joined.")
    remedy = gettext_lazy("Nothing is lost. Try again.")
    repeats, retry_after = True, 1


class NotEligibleError(RefusedError):
    code = "not_eligible"

    def __init__(self, player: Player) -> None:
        super().__init__(
            _("%(player)s was born on %(date)s, which is in none of the tournament's divisions.")
            % {"player": player.display_name, "date": date_format(player.birth_date, "j F Y")},
            remedy=_("If the date is wrong, correct it under “My account” and join again."),
            player=player.pk,
        )


class NotInQueueError(RefusedError):
    code = "not_in_queue"

    def __init__(self, state: str) -> None:
        super().__init__(
            _("This entry can't do that any more."),
            remedy=_("Its page shows what happened and what is possible now."),
            state=state,
        )
