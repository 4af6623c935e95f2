"""Players, the ids that they claim, and what accounts agreed to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pghistory
from django.db import connection, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext_lazy

from accounts import rules
from accounts.models import Consent, Player, User
from accounts.queries import guardian_consented
from vgchub.errors import RefusedError

# A family or a school; many more would be somebody who claims the ids of others.
PLAYERS_PER_ACCOUNT = 20

IdState = Player.IdState


class PlayerAlreadyAddedError(RefusedError):
    code = "player_already_added"
    message = gettext_lazy("A player with this Player ID is in your account already.")
    remedy = gettext_lazy("Choose that player, or check the number.")


class TooManyPlayersError(RefusedError):
    code = "too_many_players"
    message = gettext_lazy("Your account has as many players as an account can hold.")
    remedy = gettext_lazy("Remove a player that you no longer need, or make a second account.")


class GuardianConsentNeededError(RefusedError):
    code = "guardian_consent_needed"
    message = gettext_lazy("A player of this age needs the consent of a parent or guardian.")
    remedy = gettext_lazy("If that is you, say so in the form.")


class PlayerGoneError(RefusedError):
    code = "player_gone"
    status = 404
    message = gettext_lazy("This player was removed meanwhile, perhaps in another tab.")
    remedy = gettext_lazy("Add the player again if that was a mistake.")


class PlayerInQueueError(RefusedError):
    code = "player_in_queue"
    message = gettext_lazy(
        "The date of birth and the Player ID can't change while this player waits for a seat or holds one."
    )
    remedy = gettext_lazy("Leave the queue first, or ask the organizer to correct it.")


class PlayerHasEntriesError(RefusedError):
    code = "player_has_entries"
    message = gettext_lazy("This player has entered a tournament, and its records have to stay complete.")
    remedy = gettext_lazy("You can still correct the name and the country.")


class ReasonMissingError(RefusedError):
    code = "reason_missing"
    status = 400
    message = gettext_lazy("A decision about a Player ID needs a reason.")
    remedy = gettext_lazy("Write in a sentence what you saw; the people concerned may ask.")


@dataclass(frozen=True)
class PlayerDetails:
    """What an account says about a player; checked by the form or the serializer, and again by the database."""

    display_name: str
    player_id: str
    birth_date: date
    country: str


def create_player(*, account: User, details: PlayerDetails, guardian_consents: bool, today: date) -> Player:
    """Add a player, who claims the Player ID. An id that others claim too is flagged on all of them, and blocks nobody.

    Raises:
        GuardianConsentNeededError, PlayerAlreadyAddedError, TooManyPlayersError
    """
    with transaction.atomic(), pghistory.context(service="create_player"):
        User.objects.select_for_update(no_key=True).get(pk=account.pk)
        _hold_ids(details.player_id)
        players = Player.objects.of(account)
        if players.filter(player_id=details.player_id).exists():
            raise PlayerAlreadyAddedError
        if players.count() >= PLAYERS_PER_ACCOUNT:
            raise TooManyPlayersError
        player = Player.objects.create(account=account, **vars(details))
        _see_to_consent(player, guardian_consents, today)
        _settle_claims(details.player_id)
        player.refresh_from_db()
    return player


def update_player(
    *,
    player: Player,
    details: PlayerDetails,
    guardian_consents: bool,
    today: date,
    in_queue: Callable[[Player], bool],
) -> Player:
    """Correct a player. `in_queue` tells, once the row is held, whether a live entry depends on the birth date and the id.

    A new Player ID is a claim like any other, whatever the old one's state was.

    Raises:
        PlayerGoneError, PlayerInQueueError, GuardianConsentNeededError, PlayerAlreadyAddedError
    """
    with transaction.atomic(), pghistory.context(service="update_player"):
        _hold_ids(player.player_id, details.player_id)
        held = Player.objects.select_for_update().filter(pk=player.pk).first()
        if held is None:
            raise PlayerGoneError
        old_id = held.player_id
        matters = (held.birth_date, old_id) != (details.birth_date, details.player_id)
        if matters and in_queue(held):
            raise PlayerInQueueError
        if Player.objects.filter(account=held.account_id, player_id=details.player_id).exclude(pk=held.pk).exists():
            raise PlayerAlreadyAddedError
        _correct(held, details)
        _see_to_consent(held, guardian_consents, today)
        for player_id in {old_id, details.player_id}:
            _settle_claims(player_id)
        held.refresh_from_db()
    return held


def _correct(player: Player, details: PlayerDetails) -> None:
    if details.player_id != player.player_id:
        player.player_id_state = IdState.CLAIMED
    for name, value in vars(details).items():
        setattr(player, name, value)
    player.save(update_fields=[*vars(details), "player_id_state"])


def remove_player(*, player: Player) -> None:
    """Remove a player who has never entered a tournament. Removing again is no error.

    Raises:
        PlayerHasEntriesError
    """
    with transaction.atomic(), pghistory.context(service="remove_player"):
        _hold_ids(player.player_id)
        held = Player.objects.select_for_update().filter(pk=player.pk).first()
        if held is None:
            return
        try:
            held.delete()
        except ProtectedError:
            raise PlayerHasEntriesError from None
        _settle_claims(held.player_id)


def resolve_dispute(*, player_id: str, owner: Player | None, by: User, reason: str) -> None:
    """Staff decide whose a Player ID is; None takes an earlier decision back. Who decided and why stays in the history.

    The owner is verified; everyone else who claims the id stays disputed, or is a plain claim where nobody else is left.

    Raises:
        ReasonMissingError
    """
    if not reason.strip():
        raise ReasonMissingError
    with transaction.atomic(), pghistory.context(service="resolve_dispute", by=by.pk, reason=reason.strip()):
        _hold_ids(player_id)
        claims = Player.objects.filter(player_id=player_id)
        claims.filter(player_id_state=IdState.VERIFIED).exclude(pk=owner.pk if owner else 0).update(
            player_id_state=IdState.DISPUTED
        )
        if owner:
            claims.filter(pk=owner.pk).update(player_id_state=IdState.VERIFIED)
        _settle_claims(player_id)


def _hold_ids(*player_ids: str) -> None:
    """Wait for everyone else who claims one of these ids, until the transaction ends.

    Two who claim the same id at once would not see each other's row, and neither would be flagged. Sorted, so that two
    who swap ids don't wait for each other.
    """
    with connection.cursor() as cursor:
        for player_id in sorted(set(player_ids)):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"player_id:{player_id}"])


def _settle_claims(player_id: str) -> None:
    """An id claimed by several accounts is disputed on each; the verified owner stays verified. Holds the id."""
    claims = Player.objects.filter(player_id=player_id)
    state = IdState.DISPUTED if claims.count() > 1 else IdState.CLAIMED
    claims.exclude(player_id_state__in=[IdState.VERIFIED, state]).update(player_id_state=state)


# --- Consents ------------------------------------------------------------------------------------------------


def record_consent(*, account: User, player: Player | None = None) -> Consent:
    """Keep that an account agreed, to today's text: to the terms, or as the guardian of `player`."""
    if player is None:
        return Consent.objects.create(account=account, kind=Consent.Kind.TERMS, text_version=rules.TERMS_VERSION)
    return Consent.objects.create(
        account=account, player=player, kind=Consent.Kind.GUARDIAN, text_version=rules.GUARDIAN_TEXT_VERSION
    )


def _see_to_consent(player: Player, guardian_consents: bool, today: date) -> None:
    """A guardian's consent is given once per player and text; whoever needs none gives none."""
    if not rules.needs_guardian(player.birth_date, player.country, today):
        return
    if guardian_consented(player):
        return
    if not guardian_consents:
        raise GuardianConsentNeededError
    record_consent(account=player.account, player=player)
