"""The proof of an e-mail address: a code that is sent to it, and typed."""

import secrets
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import EmailCode, User
from vgchub.celery import wake_on_commit
from vgchub.errors import RefusedError
from vgchub.tasks import send_mail as send_mail_now

CODE_LASTS = timedelta(minutes=15)
CODE_COOL_DOWN = timedelta(seconds=60)
CODES_A_DAY = 10


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
