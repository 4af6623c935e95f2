"""Dead letters: jobs that failed for good, kept until somebody retries or dismisses them (payments/services/retrying.py).

`reference` is the kind of row and its id, such as "refund 12". A letter is the last thing that a transaction locks.
"""

import logging
from typing import Any

import pghistory
from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext_lazy as _
from post_office.models import STATUS, Email

from accounts.models import User
from payments.models import DeadLetter, Payment
from payments.rules import LetterKind, LetterState
from registrations.models import Notice
from registrations.rules import NOTICE_TRIES
from tournaments.queries import database_now
from vgchub.errors import RefusedError
from vgchub.masking import clean, cleaned

logger = logging.getLogger(__name__)

BATCH = 500


class LetterDecidedError(RefusedError):
    code = "letter_decided"
    message = _("Somebody has decided about this already.")
    remedy = _("The history of this dead letter says who, and why.")


def bury(
    kind: LetterKind,
    reference: str,
    cause: str,
    payload: dict[str, Any] | None = None,
    attempts: int = 1,
    payment: Payment | None = None,
) -> None:
    """Keep a job that failed for good, in the caller's transaction. One that lies there open already is told the news.

    Whatever looks like a key, a card or an address is taken out.
    """
    news = {
        "cause": clean(cause).strip() or "unknown",
        "payload": cleaned(payload or {}),
        "attempts": max(1, attempts),
        "failed_at": database_now(),
    }
    open_one = DeadLetter.objects.filter(kind=kind, reference=reference, state=LetterState.OPEN)
    if not open_one.update(**news):
        # Two at once: the second waits for the first, and finds that it said the same.
        DeadLetter.objects.bulk_create(
            [DeadLetter(kind=kind, reference=reference, payment=payment, **news)], ignore_conflicts=True
        )
    logger.error("Dead letter: %s %s failed for good: %s", kind, reference, news["cause"])


def dismiss_letter(*, letter_id: int, by: User, reason: str) -> None:
    """Leave it as it is: it was dealt with in another way, or nothing is to be done.

    Raises:
        LetterDecidedError
    """
    with transaction.atomic(), pghistory.context(service="dismiss_letter", by=by.pk, reason=reason):
        decide(DeadLetter.objects.filter(pk=letter_id), LetterState.DISMISSED, by=by, reason=reason)


def decide(letters: QuerySet[DeadLetter], state: LetterState, *, by: User, reason: str) -> None:
    """Close the open one among `letters`.

    Raises:
        LetterDecidedError
    """
    if not close(letters, state, by=by, reason=reason):
        raise LetterDecidedError


def close(letters: QuerySet[DeadLetter], state: LetterState, *, by: User, reason: str) -> int:
    """Close those of `letters` that are open; returns how many."""
    return letters.filter(state=LetterState.OPEN).update(
        state=state, decided_at=database_now(), decided_by=by, reason=reason[:200]
    )


def bury_failed_mails() -> int:
    """Make a dead letter of each mail that was tried as often as it may be; returns how many. Neither text nor address is kept."""
    return _bury_unsent() + _bury_unmade()


def _bury_unsent() -> int:
    """Those that the mail server refused."""
    decided = Q(state=LetterState.OPEN) | Q(state=LetterState.DISMISSED)
    found = Email.objects.filter(~_has_letter("mail", decided), status=STATUS.failed).prefetch_related("logs")
    failed = list(found.order_by("pk")[:BATCH])
    for mail in failed:
        with transaction.atomic(), pghistory.context(service="bury_failed_mails"):
            bury(LetterKind.MAIL, f"mail {mail.pk}", _cause(mail), _about(mail), (mail.number_of_retries or 0) + 1)
    return len(failed)


def _bury_unmade() -> int:
    """Those that never came so far: without words, or to an address that is none."""
    # Confirmed, the capture fails, paid once more, confirmed: the same notice comes due again, which nobody has dismissed.
    decided = Q(state=LetterState.OPEN) | Q(state=LetterState.DISMISSED, decided_at__gte=OuterRef("due_at"))
    found = Notice.objects.filter(~_has_letter("notice", decided), mailed_at=None, attempts__gte=NOTICE_TRIES)
    failed = list(found.select_related("entry").order_by("pk")[:BATCH])
    for notice in failed:
        about = {"mail": notice.kind, "entry": notice.entry.public_id}
        with transaction.atomic(), pghistory.context(service="bury_failed_mails"):
            bury(LetterKind.MAIL, f"notice {notice.pk}", notice.problem, about, notice.attempts)
    return len(failed)


def _has_letter(kind: str, which: Q) -> Exists:
    """Whether there is such a letter of it. Retrying queues a mail again: one that has failed since is another failure."""
    reference = Concat(Value(f"{kind} "), Cast(OuterRef("pk"), CharField()))
    return Exists(DeadLetter.objects.filter(which, kind=LetterKind.MAIL, reference=reference))


def _cause(mail: Email) -> str:
    logs = sorted(mail.logs.all(), key=lambda log: log.pk)
    return f"{logs[-1].exception_type}: {logs[-1].message}" if logs else "not sent"


def _about(mail: Email) -> dict[str, str]:
    headers = mail.headers or {}
    return {"mail": headers.get("X-VGCHub-Kind", ""), "entry": headers.get("X-VGCHub-Entry", "")}
