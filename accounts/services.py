"""Every write to accounts: players and the ids they claim, consents, and the proof of an e-mail address."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pghistory
from allauth.account.models import EmailAddress
from django.core.mail import send_mail
from django.db import IntegrityError, connection, transaction
from django.db.models import F, ProtectedError
from django.template.loader import render_to_string
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import rules
from accounts.models import Consent, EmailCode, Player, User
from accounts.queries import guardian_consented
from vgchub.celery import wake_on_commit
from vgchub.errors import RefusedError
from vgchub.tasks import send_mail as send_mail_now

# A family or a school; many more would be somebody who claims the ids of others.
PLAYERS_PER_ACCOUNT = 20

CODE_LASTS = timedelta(minutes=15)
CODE_COOL_DOWN = timedelta(seconds=60)
CODES_A_DAY = 10

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


class EmailTakenError(RefusedError):
    code = "email_taken"
    message = gettext_lazy("There is an account with this e-mail address already.")
    remedy = gettext_lazy("If it is yours, sign in with it; a code by e-mail does instead of the password.")


class CodeTooSoonError(RefusedError):
    code = "code_too_soon"
    status = 429

    def __init__(self, wait: timedelta) -> None:
        seconds = max(1, round(wait.total_seconds()))
        super().__init__(
            ngettext(
                "You can have another code in %(seconds)s second.",
                "You can have another code in %(seconds)s seconds.",
                seconds,
            )
            % {"seconds": seconds},
            remedy=_("Look into the mailbox's spam folder meanwhile."),
            retry_after=seconds,
        )


class TooManyCodesError(RefusedError):
    code = "too_many_codes"
    status = 429

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            _("That were %(codes)s codes in a day, and no more are sent for now.") % {"codes": CODES_A_DAY},
            remedy=_("Check the address, and try again tomorrow."),
            retry_after=max(1, round(wait.total_seconds())),
        )


class CodeExpiredError(RefusedError):
    code = "code_expired"
    message = gettext_lazy("That code is used up or too old.")
    remedy = gettext_lazy("Have a new one sent.")


class CodeWrongError(RefusedError):
    code = "code_wrong"
    status = 400

    def __init__(self, tries_left: int) -> None:
        super().__init__(
            ngettext(
                "That is not the code we sent. You have %(tries)s more try.",
                "That is not the code we sent. You have %(tries)s more tries.",
                tries_left,
            )
            % {"tries": tries_left}
            if tries_left
            else _("That is not the code we sent, and it was the last try."),
            remedy="" if tries_left else _("Have a new one sent."),
            tries_left=tries_left,
        )


@dataclass(frozen=True)
class PlayerDetails:
    """What an account says about a player; checked by the form or the serializer, and again by the database."""

    display_name: str
    player_id: str
    birth_date: date
    country: str


# --- Players -------------------------------------------------------------------------------------------------


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


# --- The e-mail address --------------------------------------------------------------------------------------


def send_email_code(*, account: User, email: str = "", now: datetime) -> None:
    """Mail a code of six digits that proves the account's own address, or the one that it is to change to.

    The last code stops working.

    Raises:
        CodeTooSoonError, TooManyCodesError
    """
    email = (email or account.email).strip().lower()
    code = f"{secrets.randbelow(1_000_000):06d}"
    with transaction.atomic():
        # The account's row is held, so that two who ask at once get one code.
        User.objects.select_for_update(no_key=True).get(pk=account.pk)
        last = EmailCode.objects.filter(account=account).first()
        counted_from, mailed = _counted(last, now)
        EmailCode.objects.update_or_create(
            account=account,
            defaults={
                "email": email,
                "code_hash": _code_hash(account, email, code),
                "sent_at": now,
                "expires_at": now + CODE_LASTS,
                "tries_left": EmailCode.TRIES,
                "counted_from": counted_from,
                "mailed": mailed + 1,
            },
        )
        _mail("email_code", email, {"code": code, "minutes": int(CODE_LASTS.total_seconds() // 60)})


def _counted(last: EmailCode | None, now: datetime) -> tuple[datetime, int]:
    """Since when codes are counted, and how many there were; refuses one too many."""
    if last is None:
        return now, 0
    if now < last.sent_at + CODE_COOL_DOWN:
        raise CodeTooSoonError(last.sent_at + CODE_COOL_DOWN - now)
    next_day = last.counted_from + timedelta(days=1)
    if now >= next_day:
        return now, 0
    if last.mailed >= CODES_A_DAY:
        raise TooManyCodesError(next_day - now)
    return last.counted_from, last.mailed


def verify_email(*, account: User, code: str, now: datetime) -> None:
    """Prove an address with the code that was mailed to it; it is the account's address from then on.

    Raises:
        CodeWrongError, CodeExpiredError, EmailTakenError
    """
    # Counted, and committed, before the comparison: whoever tries many at once gets no more tries than one after another.
    counted = EmailCode.objects.filter(account=account, tries_left__gt=0, expires_at__gt=now).update(
        tries_left=F("tries_left") - 1
    )
    sent = EmailCode.objects.filter(account=account).first()
    if not counted or sent is None:
        raise CodeExpiredError
    digits = "".join(filter(str.isdigit, code))
    if not constant_time_compare(sent.code_hash, _code_hash(account, sent.email, digits)):
        raise CodeWrongError(sent.tries_left)
    with transaction.atomic():
        if not EmailCode.objects.filter(pk=sent.pk, code_hash=sent.code_hash).update(tries_left=0):
            raise CodeExpiredError
        mark_email_verified(account=account, email=sent.email, now=now)


def mark_email_verified(*, account: User, email: str = "", now: datetime) -> None:
    """The account reads mail at this address: it becomes, or stays, the account's one address. Repeating it is no error.

    Keeps allauth's own row of it in step.

    Raises:
        EmailTakenError: another account has it
    """
    email = (email or account.email).strip().lower()
    try:
        with transaction.atomic():
            before = User.objects.select_for_update(no_key=True).get(pk=account.pk)
            EmailAddress.objects.filter(user=account).exclude(email=email).delete()
            EmailAddress.objects.update_or_create(
                user=account, email=email, defaults={"verified": True, "primary": True}
            )
            if before.email != email or before.email_verified_at is None:
                User.objects.filter(pk=account.pk).update(email=email, email_verified_at=now)
    except IntegrityError:
        raise EmailTakenError from None
    account.refresh_from_db(fields=["email", "email_verified_at"])
    if before.email != email and before.email_verified_at:
        _mail("email_changed", before.email, {"email": email})


def drop_unproven_password(*, account: User) -> bool:
    """Forget the password of an account whose address nobody has proven; whether there was one.

    For the moment in which the owner of the mailbox signs in by code: whoever set up the account with an address that was not
    theirs would otherwise keep a way in. It ends all other sessions of the account.
    """
    if account.email_verified_at or not account.has_usable_password():
        return False
    account.set_unusable_password()
    account.save(update_fields=["password"])
    return True


def _code_hash(account: User, email: str, code: str) -> str:
    return salted_hmac("accounts.EmailCode", f"{account.pk}:{email}:{code}", algorithm="sha256").hexdigest()


def _mail(name: str, to: str, context: dict[str, object]) -> None:
    """Into the mail queue, which is a table: it is sent exactly if this transaction commits."""
    subject = " ".join(render_to_string(f"accounts/mail/{name}_subject.txt", context).split())
    send_mail(subject, render_to_string(f"accounts/mail/{name}.txt", context), None, [to])
    wake_on_commit(send_mail_now)
