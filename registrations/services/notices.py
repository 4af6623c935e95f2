"""Mails that are due: written as rows with the change that they tell of, rendered and queued once by a worker."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse
from post_office import mail

from registrations.models import Notice, QueueEntry, QueueEntryQuerySet
from registrations.rules import State
from registrations.tasks import send_notices
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit
from vgchub.pages import absolute
from vgchub.words import moment

logger = logging.getLogger(__name__)

BATCH = 100
TRY_AGAIN = timedelta(minutes=10)


def due(entries: Iterable[QueueEntry], kind: Notice.Kind, at: datetime) -> None:
    """Note that each entry's account is due a mail; for the same offer once, and again only if it came true again.

    (Confirmed, the capture fails, paid once more, confirmed: the last that the player hears is how it stands.) The callers found
    by their UPDATE's row count that it has just come true.
    """
    rows = [Notice(entry=entry, kind=kind, offer_number=entry.offer_number or 0, due_at=at) for entry in entries]
    if not rows:
        return
    Notice.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["entry", "kind", "offer_number"],
        update_fields=["due_at", "mailed_at"],
    )
    wake_on_commit(send_notices)


def ending_due_at(expires_at: datetime, offered_at: datetime) -> datetime:
    """When to say that an offer is about to end: after three quarters of its time."""
    return expires_at - (expires_at - offered_at) / 4


def postpone(entries: QueueEntryQuerySet, more: timedelta) -> None:
    """The offers of these entries last longer: so does the wait for the mail about their end."""
    Notice.objects.filter(entry__in=entries, kind=Notice.Kind.ENDING, mailed_at=None).update(due_at=F("due_at") + more)


def send_due_notices() -> int:
    """Render and queue one batch of due mails; returns how many rows were dealt with.

    The warning of an offer's end waits while the tournament is paused: resuming moves both. One that can't be mailed is logged
    and tried again later, so that it holds nobody else's up.
    """
    with transaction.atomic():
        now = database_now()
        batch = list(
            Notice.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(mailed_at=None, due_at__lte=now)
            .exclude(kind=Notice.Kind.ENDING, entry__tournament__paused_at__isnull=False)
            .select_related("entry__tournament", "entry__player__account", "entry__division", "entry__seat")
            .order_by("due_at")[:BATCH]
        )
        done = {notice.pk for notice in batch if _dealt_with(notice, now)}
        Notice.objects.filter(pk__in=done).update(mailed_at=now)
        Notice.objects.filter(pk__in={notice.pk for notice in batch} - done).update(due_at=now + TRY_AGAIN)
    return len(batch)


def _dealt_with(notice: Notice, now: datetime) -> bool:
    """Queue the mail if what it says is still so; False if it can't be queued, such as to an address that is none."""
    try:
        with transaction.atomic():
            if _still_true(notice):
                _queue(notice, now)
    except Exception:
        logger.exception("Notice %s can't be mailed; it is tried again", notice.pk)
        return False
    return True


def _still_true(notice: Notice) -> bool:
    """A mail about an offer that was taken up or is over meanwhile would only confuse."""
    entry = notice.entry
    if notice.kind not in (Notice.Kind.OFFERED, Notice.Kind.ENDING, Notice.Kind.UNSEATED):
        return True
    if notice.kind == Notice.Kind.ENDING and entry.checkout_at is not None:
        return False
    return entry.state == State.OFFERED and entry.offer_number == notice.offer_number


def _queue(notice: Notice, now: datetime) -> None:
    entry = notice.entry
    context = _words(entry, now)
    name = f"registrations/mail/{notice.kind.lower()}"
    subject = " ".join(render_to_string(f"{name}_subject.txt", context).split())
    text = render_to_string(f"{name}.txt", context)
    mail.send(
        entry.player.account.email,
        subject=subject,
        message=text,
        html_message=render_to_string("registrations/mail/mail.html", {"subject": subject, "text": text}),
        headers={"X-VGCHub-Entry": entry.public_id},
        priority="high" if notice.kind == Notice.Kind.OFFERED else "medium",
    )


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
    }
