"""How often one may join (design: limits). Generous to people behind one address, not to machines."""

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from accounts.models import Player
from tournaments.queries import EntryRules
from vgchub.limits import Limit, TooManyRequestsError, Turns, take

# However much a tournament lets in a minute, accounts that are not verified don't send it at once. No organizer can raise this:
# such accounts cost nothing to make, so it guards the whole site, and a code by e-mail takes a person out of it. It is felt
# only where more than 20 a minute are let in from one address; the admin says so beside that field.
BURST, BURST_SECONDS = 20, 10


class ManyFromHereError(TooManyRequestsError):
    """Of accounts whose e-mail address is not verified."""

    code = "many_from_your_network"
    message = _("Many new accounts join from your network at this moment.")
    remedy = _("Try again in a moment. Once your e-mail address is verified you are let in at once.")


def take_join(entry_rules: EntryRules, players: Sequence[Player], prefix: str) -> None:
    """Count one join of an account's `players`, from the address `prefix`: one round trip to Redis, no query.

    How much is let in the tournament's remembered rules say. The account, already read with its players, has to say
    whether its e-mail address is verified.

    Raises:
        TooManyRequestsError, ManyFromHereError: nothing was counted
        NotYourTurnError: more come than the tournament's ceiling lets through; the account's turn is kept
    """
    allowed, account = entry_rules.limits, players[0].account
    limits = [Limit("player", player.pk, allowed.player, 60) for player in players]
    if account.email_verified_at is None:
        limits.append(Limit("address", prefix, allowed.address, 60))
        limits.append(Limit("burst", prefix, BURST, BURST_SECONDS))
    else:
        # A venue or a school shares one address; this only stops a flood.
        limits.append(Limit("flood", prefix, allowed.address_verified, 60))
    turns = Turns("turns", account.pk, allowed.ceiling, 60) if allowed.ceiling else None
    try:
        take(f"join:{entry_rules.tournament.pk}", limits, turns)
    except TooManyRequestsError as error:
        if {"address", "burst"} & error.reached:
            raise ManyFromHereError(error.waits) from None
        raise
