"""Doing a job again that had failed for good: by its kind, as the service would that it belongs to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pghistory
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from post_office.models import STATUS, Email

from accounts.models import User
from payments.models import DeadLetter, Payment, Refund, SavedCard, StripeEvent
from payments.rules import CardState, LetterKind, LetterState, State
from payments.services import letters
from payments.services.locking import lock_entry, lock_payment
from payments.services.staff_refunds import retry_refund
from payments.tasks import advance_payment, handle_event
from registrations import rules as entries
from registrations.models import Notice
from registrations.rules import NOTICE_TRIES
from registrations.tasks import send_notices
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.errors import RefusedError
from vgchub.tasks import send_mail


class NothingToRetryError(RefusedError):
    code = "nothing_to_retry"
    remedy = gettext_lazy("Dismiss it, with a word about what became of it.")


def retry_letter(*, letter_id: int, by: User, reason: str) -> None:
    """Make the job due again, at once.

    Raises:
        LetterDecidedError
        NothingToRetryError: it can't be done any more, or nothing is left to do
        NothingToRefundError
    """
    letter = DeadLetter.objects.get(pk=letter_id)
    if letter.state != LetterState.OPEN:
        raise letters.LetterDecidedError
    with transaction.atomic(), pghistory.context(service="retry_letter", by=by.pk, reason=reason):
        _AGAIN[LetterKind(letter.kind)](letter, by, reason)
        if letter.kind != LetterKind.REFUND:  # retry_refund closes its letter, wherever it was asked for
            # Last, as in the lock order. Was somebody faster, all of this is undone.
            letters.decide(DeadLetter.objects.filter(pk=letter.pk), LetterState.RETRIED, by=by, reason=reason)


@dataclass(frozen=True)
class Retried:
    """How many are tried again; and of those that can't be, what was said and of how many."""

    done: int
    refusals: dict[str, int]


def retry_letters(*, kind: LetterKind, by: User, reason: str) -> Retried:
    """Make up to 500 open jobs of a kind due again, each in a transaction of its own: one that is refused stays open."""
    found = DeadLetter.objects.filter(kind=kind, state=LetterState.OPEN).order_by("pk").values_list("pk", flat=True)
    done, refusals = 0, Counter[str]()
    for letter_id in list(found[: letters.BATCH]):
        try:
            retry_letter(letter_id=letter_id, by=by, reason=reason)
        except RefusedError as refusal:
            refusals[str(refusal.message)] += 1
        else:
            done += 1
    return Retried(done, refusals)


def _handle_event_again(letter: DeadLetter, by: User, reason: str) -> None:  # noqa: ARG001  as all of them
    stripe_id = _named(letter)
    again = StripeEvent.objects.filter(stripe_id=stripe_id).exclude(handled_at=None)
    if not again.update(handled_at=None, due_at=database_now(), attempts=0, error=""):
        raise NothingToRetryError(_("This event is being looked at already, or is not there any more."))
    wake_on_commit(handle_event, stripe_id)


def _refund_again(letter: DeadLetter, by: User, reason: str) -> None:
    if not Refund.objects.filter(pk=_number(letter)).exists():
        raise NothingToRetryError(_not_there())
    retry_refund(refund_id=_number(letter), by=by, reason=reason)


def _capture_again(letter: DeadLetter, by: User, reason: str) -> None:  # noqa: ARG001
    if not Payment.objects.filter(pk=_number(letter)).exists():
        raise NothingToRetryError(_not_there())
    payment = lock_payment(_number(letter))
    if payment.state != State.AUTHORISED:
        raise NothingToRetryError(
            _("This payment is over (%(state)s): nothing of it can be taken. Its player was told, and can pay anew.")
            % {"state": payment.state}
        )
    payment.due_at, payment.taken_until, payment.attempts, payment.refusals = database_now(), None, 0, 0
    payment.save(update_fields=["due_at", "taken_until", "attempts", "refusals"])
    wake_on_commit(advance_payment, payment.pk)


def _charge_again(letter: DeadLetter, by: User, reason: str) -> None:  # noqa: ARG001
    card, state = _locked_card(letter)
    if card.state != CardState.SAVED or card.due_at is not None or state != entries.State.OFFERED:
        raise NothingToRetryError(_("The card is gone, or its entry has no offer that could be paid for."))
    card.charge_due_at, card.taken_until = database_now(), None
    card.save(update_fields=["charge_due_at", "taken_until"])


def _detach_again(letter: DeadLetter, by: User, reason: str) -> None:  # noqa: ARG001
    card, _state = _locked_card(letter)
    if card.state != CardState.SAVED:
        raise NothingToRetryError(_("This card was taken off already."))
    card.due_at, card.taken_until, card.attempts = database_now(), None, 0
    card.save(update_fields=["due_at", "taken_until", "attempts"])


def _locked_card(letter: DeadLetter) -> tuple[SavedCard, str]:
    """The card of a letter and its entry's state, both locked."""
    entry_id = SavedCard.objects.filter(pk=_number(letter)).values_list("entry_id", flat=True).first()
    if entry_id is None:
        raise NothingToRetryError(_not_there())
    entry = lock_entry(entry_id)
    return SavedCard.objects.locked().get(pk=_number(letter)), entry.state


def _mail_again(letter: DeadLetter, by: User, reason: str) -> None:  # noqa: ARG001
    if letter.reference.startswith("notice "):
        unmade = Notice.objects.filter(pk=_number(letter), mailed_at=None, attempts__gte=NOTICE_TRIES)
        is_due = unmade.update(attempts=0, due_at=database_now())
        wake_on_commit(send_notices)
    else:
        failed = Email.objects.filter(pk=_number(letter), status=STATUS.failed)
        is_due = failed.update(status=STATUS.queued, scheduled_time=None, number_of_retries=0)
        wake_on_commit(send_mail)
    if not is_due:
        raise NothingToRetryError(_("This mail was sent or queued meanwhile, or is not there any more."))


def _named(letter: DeadLetter) -> str:
    return letter.reference.partition(" ")[2]


def _number(letter: DeadLetter) -> int:
    name = _named(letter)
    return int(name) if name.isdecimal() and len(name) < 19 else 0


def _not_there() -> str:
    return _("What this dead letter is about is not there any more.")


_AGAIN: dict[LetterKind, Callable[[DeadLetter, User, str], None]] = {
    LetterKind.WEBHOOK: _handle_event_again,
    LetterKind.REFUND: _refund_again,
    LetterKind.CAPTURE: _capture_again,
    LetterKind.CHARGE: _charge_again,
    LetterKind.DETACH: _detach_again,
    LetterKind.MAIL: _mail_again,
}
