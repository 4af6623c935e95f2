"""Mails that are due: written as rows with the change that they tell of, rendered and queued once by a worker."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from post_office.models import PRIORITY, STATUS, Email
from post_office.utils import parse_emails

from registrations.models import BULK_KINDS, Notice, QueueEntry, QueueEntryQuerySet
from registrations.rules import NOTICE_TRIES, State
from registrations.tasks import send_notices
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.masking import clean
from vgchub.pages import absolute
from vgchub.postgresql.locks import Work, only_one
from vgchub.words import moment, money

logger = logging.getLogger(__name__)

BATCH = 100
TRY_AGAIN = timedelta(minutes=10)
OF_OFFERS = (Notice.Kind.OFFERED, Notice.Kind.ENDING, Notice.Kind.UNSEATED, Notice.Kind.WON, Notice.Kind.ACTION)
OF_DRAWS = (Notice.Kind.SEALED, Notice.Kind.LEFT_OUT, Notice.Kind.DRAWN, Notice.Kind.DRAW_VOID)


def due(
    entries: Iterable[QueueEntry],
    kind: Notice.Kind,
    at: datetime,
    *,
    number: int | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Note that each entry's account is due a mail; for the same offer once, and again only if it came true again.

    (Confirmed, the capture fails, paid once more, confirmed: the last that the player hears is how it stands.) The callers found
    by their UPDATE's row count that it has just come true. `number` stands for the offer's where a mail is about something else,
    and `facts` are words of its template; an amount_minor with its currency becomes "amount".
    """
    rows = [
        Notice(
            entry=entry,
            kind=kind,
            offer_number=(entry.offer_number or 0) if number is None else number,
            due_at=at,
            facts=facts or {},
        )
        for entry in entries
    ]
    if not rows:
        return
    Notice.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["entry", "kind", "offer_number"],
        update_fields=["due_at", "mailed_at", "facts", "attempts"],
    )
    wake_on_commit(send_notices)


OFFERS = """
INSERT INTO registrations_notice (entry_id, kind, offer_number, due_at)
SELECT e.id, kind, e.offer_number, due_at
FROM registrations_queueentry e, (VALUES ('OFFERED', %(told)s), ('ENDING', %(ending)s)) AS mail (kind, due_at)
WHERE e.id = ANY(%(entries)s)
"""


def offers_due(entry_ids: list[int], *, offered_at: datetime, expires_at: datetime, told_at: datetime) -> None:
    """Note the two mails of each new offer, that it is there and that it is about to end: one statement for all of them."""
    ending = ending_due_at(expires_at, offered_at)
    with connection.cursor() as cursor:
        cursor.execute(OFFERS, {"entries": entry_ids, "told": told_at, "ending": ending})
    wake_on_commit(send_notices)


def ending_due_at(expires_at: datetime, offered_at: datetime) -> datetime:
    """When to say that an offer is about to end: after three quarters of its time."""
    return expires_at - (expires_at - offered_at) / 4


def postpone(entries: QueueEntryQuerySet, more: timedelta) -> None:
    """The offers of these entries last longer: so does the wait for the mail about their end, unless it was given up."""
    waiting = Notice.objects.filter(mailed_at=None, attempts__lt=NOTICE_TRIES)
    waiting.filter(entry__in=entries, kind=Notice.Kind.ENDING).update(due_at=F("due_at") + more)


def send_due_notices() -> int:
    """Render and queue one batch of due mails; returns how many rows were dealt with.

    What goes to a whole crowd comes once nothing else is due, and one worker at a time does it: the others stay free for what
    comes due meanwhile. One that can't be mailed is logged and tried again later, so that it holds nobody else's up; after
    NOTICE_TRIES it stays due, and payments makes a dead letter of it.
    """
    with transaction.atomic():
        now = database_now()
        due = Notice.objects.filter(mailed_at=None, due_at__lte=now, attempts__lt=NOTICE_TRIES)
        batch = _batch(_urgent(due)) or (_batch(_to_crowds(due)) if only_one(Work.MAIL_CROWDS) else [])
        emails, failed = _rendered(batch, now)
        Email.objects.bulk_create(emails)
        Notice.objects.bulk_update(failed, ["attempts", "problem", "due_at"])
        Notice.objects.filter(pk__in={notice.pk for notice in batch} - {notice.pk for notice in failed}).update(
            mailed_at=now
        )
    return len(batch)


def _urgent(due: QuerySet[Notice]) -> QuerySet[Notice]:
    """The warning of an offer's end waits while the tournament is paused, since resuming moves both; not where that is over."""
    paused = Q(kind=Notice.Kind.ENDING, entry__state=State.OFFERED, entry__tournament__paused_at__isnull=False)
    return due.exclude(Q(kind__in=BULK_KINDS) | paused)


def _to_crowds(due: QuerySet[Notice]) -> QuerySet[Notice]:
    """With what draws say of their entries, which the words of some mails need."""
    return due.filter(kind__in=BULK_KINDS).prefetch_related("entry__draw_entries__draw", "entry__left_out_of__draw")


def _batch(due: QuerySet[Notice]) -> list[Notice]:
    return list(
        due.select_for_update(skip_locked=True, of=("self",))
        .select_related("entry__tournament", "entry__player__account", "entry__division", "entry__seat")
        .order_by("due_at", "pk")[:BATCH]
    )


def _rendered(batch: list[Notice], now: datetime) -> tuple[list[Email], list[Notice]]:
    """The mails that say what is still so, and the notices that can't be mailed, such as to an address that is none."""
    emails, failed = [], []
    for notice in batch:
        try:
            if _still_true(notice):
                emails.append(_email(notice, now))
        except Exception as error:
            logger.exception("Notice %s can't be mailed", notice.pk)
            failed.append(_tried(notice, error, now))
    return emails, failed


def _tried(notice: Notice, error: Exception, now: datetime) -> Notice:
    notice.attempts, notice.problem = notice.attempts + 1, clean(f"{type(error).__name__}: {error}")
    if notice.attempts < NOTICE_TRIES:
        notice.due_at = now + TRY_AGAIN
    return notice


def _still_true(notice: Notice) -> bool:
    """A mail about an offer that was taken up or is over meanwhile would only confuse, and so would one about a draw."""
    entry = notice.entry
    if notice.kind == Notice.Kind.SEALED:
        return entry.is_live
    if notice.kind in OF_DRAWS:
        return entry.state == State.WAITING
    if notice.kind not in OF_OFFERS:
        return True
    if notice.kind == Notice.Kind.ENDING and entry.checkout_at is not None:
        return False
    return entry.state == State.OFFERED and entry.offer_number == notice.offer_number


def _email(notice: Notice, now: datetime) -> Email:
    """Made here and not by post_office's own `send`, which takes what is already rendered for one more template.

    Raises ValidationError.
    """
    entry = notice.entry
    context = _words(entry, now) | {
        "entry": entry,
        "draw_number": notice.offer_number,
        "now": now,
        "facts": _said(notice),
    }
    name = f"registrations/mail/{notice.kind.lower()}"
    subject = " ".join(render_to_string(f"{name}_subject.txt", context).split())
    text = render_to_string(f"{name}.txt", context)
    email = Email(
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=parse_emails(entry.player.account.email),
        subject=subject,
        message=text,
        html_message=render_to_string("registrations/mail/mail.html", {"subject": subject, "text": text}),
        headers={"X-VGCHub-Entry": entry.public_id, "X-VGCHub-Kind": notice.kind},
        status=STATUS.queued,
        priority=_priority(notice),
    )
    email.clean_fields()
    return email


def _said(notice: Notice) -> dict[str, object]:
    """The facts of a mail, with the amount as a person reads it."""
    facts: dict[str, object] = dict(notice.facts)
    if "amount_minor" in notice.facts:
        facts["amount"] = money(notice.facts["amount_minor"], notice.facts["currency"])
    return facts


def _priority(notice: Notice) -> int:
    """The mail queue sends the urgent first, too."""
    low, medium, high = int(PRIORITY.low), int(PRIORITY.medium), int(PRIORITY.high)
    if notice.kind in (Notice.Kind.OFFERED, Notice.Kind.WON, Notice.Kind.ACTION):
        return high
    return low if notice.kind in BULK_KINDS else medium


def _words(entry: QueueEntry, now: datetime) -> dict[str, object]:
    """What mails may say of an entry: plain words, so that translators can move them about."""
    tournament, expires_at = entry.tournament, entry.offer_expires_at
    return {
        "tournament": tournament.name,
        "tournament_cancelled": tournament.cancelled_at is not None,
        "player": entry.player.display_name,
        "division": entry.division.name,
        "seat": entry.seat.number if entry.seat else "",
        "until": moment(expires_at, ZoneInfo(tournament.time_zone), now=now) if expires_at else "",
        "live_url": absolute(reverse("queue", args=[tournament.slug])),
        "entry_url": absolute(entry.get_absolute_url()),
        "receipt_url": "" if entry.is_free else absolute(reverse("receipt", args=[entry.public_id])),
    }
