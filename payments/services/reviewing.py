"""Reviews: signals make somebody look at an entry, and only a person decides. Until then nothing happens to it."""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pghistory
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy

from accounts.models import User
from payments.models import Dispute, Payment, Review, StripeEvent
from payments.queries import Sighting, sightings_of
from payments.rules import REVIEW_POINTS, ReviewState
from payments.services.locking import lock_entry
from payments.services.releasing import release_payment
from registrations.models import QueueEntry
from registrations.services import reject_entry
from tournaments.models import Tournament
from tournaments.queries import database_now
from vgchub.errors import RefusedError

logger = logging.getLogger(__name__)

FRAUD_WARNING = "radar.early_fraud_warning.created"
CHUNK = 10_000  # entries whose signals are counted by one statement
BEFORE_SEALING = timedelta(hours=6)  # so long before a draw is sealed its entries are looked at again and again
RECENTLY = timedelta(days=2)  # for so long a look that was lost is made up for

Signals = list[dict[str, Any]]


class ReviewDecidedError(RefusedError):
    code = "review_decided"
    message = gettext_lazy("Somebody has decided this review already.")
    remedy = gettext_lazy("Its page says who, when and why.")


def look_at_entry(*, entry_id: int) -> bool:
    """Count the signals of an entry: after it was paid, and when its payment is reported or disputed. Returns if it has news."""
    return bool(_look_at([entry_id]))


def look_at_entries(*, tournament_id: int) -> int:
    """The same for all who wait for a tournament's draw; returns for how many entries there is something new to look at."""
    waiting = QueueEntry.objects.waiting().filter(tournament=tournament_id)
    return _look_at_all(list(waiting.order_by("pk").values_list("pk", flat=True)))


def look_at_recent() -> int:
    """The same for entries of whose money there was news lately: what a lost wake-up left, and what came to light since."""
    since = database_now() - RECENTLY
    warned = StripeEvent.objects.filter(type=FRAUD_WARNING, received_at__gte=since, payment__isnull=False)
    found = {
        *Payment.objects.filter(authorised_at__gte=since).values_list("entry", flat=True),
        *Dispute.objects.filter(opened_at__gte=since).values_list("payment__entry", flat=True),
        *warned.values_list("payment__entry", flat=True),
    }
    return _look_at_all(sorted(found))


def sealed_soon() -> list[int]:
    """Ids of tournaments whose entries are sealed within hours, or are closed and wait for that.

    Sealing is the lottery's, which knows nothing of payments: so they are looked at before, as the time comes near.
    """
    now = database_now()
    drawn = Tournament.objects.filter(
        published_at__lte=now, cancelled_at=None, entries_sealed_at=None, drawn_at=None
    ).annotate(seals=Coalesce("seals_at", "opens_at"))
    lottery = Q(mode=Tournament.Mode.LOTTERY, closes_at__lte=now)
    soon = Q(mode__in=[Tournament.Mode.LOTTERY, Tournament.Mode.FAIR_START], seals__lte=now + BEFORE_SEALING)
    return list(drawn.filter(lottery | soon, seals__gt=now).order_by(F("seals"), "pk").values_list("pk", flat=True))


def _look_at_all(entry_ids: Sequence[int]) -> int:
    chunks = [entry_ids[start : start + CHUNK] for start in range(0, len(entry_ids), CHUNK)]
    return sum(_look_at(chunk) for chunk in chunks)


def _look_at(entry_ids: Sequence[int]) -> int:
    seen = sightings_of(entry_ids)
    suspect = {pk: sightings for pk, sightings in seen.items() if _score_of(sightings) >= REVIEW_POINTS}
    return sum(_note(pk, sightings) for pk, sightings in suspect.items())


def _score_of(sightings: Iterable[Sighting]) -> int:
    return sum(sighting.points for sighting in sightings)


def _note(entry_id: int, sightings: Sequence[Sighting]) -> bool:
    """Open a review, or add to the open one; returns whether it says anything new. The entry's row is held: one at a time."""
    with transaction.atomic(), pghistory.context(service="look_at_entry"):
        entry = lock_entry(entry_id)
        reviews = list(Review.objects.filter(entry=entry))
        seen = [sighting.as_kept() for sighting in sightings]
        for review in reviews:
            if review.state == ReviewState.OPEN:
                return _add(review, seen)
        looked_at = {signal["code"] for review in reviews for signal in review.signals}
        if not entry.is_live or not {signal["code"] for signal in seen} - looked_at:
            return False
        score = sum(signal["points"] for signal in seen)
        Review.objects.create(entry=entry, score=score, signals=seen, opened_at=database_now())
    logger.info("Entry %s is to be reviewed: %s", entry_id, ", ".join(signal["code"] for signal in seen))
    return True


def _add(review: Review, seen: Signals) -> bool:
    """What was seen once stays seen, also when it is no longer so."""
    known = {signal["code"]: signal for signal in review.signals}
    signals = list({**known, **{signal["code"]: signal for signal in seen}}.values())
    if signals == review.signals:
        return False
    score = sum(signal["points"] for signal in signals)
    return bool(Review.objects.filter(pk=review.pk, state=ReviewState.OPEN).update(signals=signals, score=score))


def approve_review(*, review_id: int, by: User, reason: str) -> None:
    """Nothing is wrong with the entry: it stays as it is. It is looked at anew only for signals of another kind.

    Raises:
        ReviewDecidedError
    """
    with transaction.atomic(), pghistory.context(service="approve_review", by=by.pk, reason=reason):
        _decide(review_id, ReviewState.APPROVED, by=by, reason=reason)


def reject_review(*, review_id: int, by: User, reason: str) -> None:
    """Take the entry out, so that its seat goes to the next in line, and give back all that was paid, in one step.

    Of an entry that ended meanwhile only the decision is noted: its money went its way with it.

    Raises:
        ReviewDecidedError
    """
    with transaction.atomic(), pghistory.context(service="reject_review", by=by.pk, reason=reason):
        entry = _decide(review_id, ReviewState.REJECTED, by=by, reason=reason)
        if not entry.is_live:
            return
        reject_entry(public_id=entry.public_id, by=by, reason=reason)
        payment = Payment.objects.live().locked().filter(entry=entry).first()
        if payment is not None:
            release_payment(payment, reason=reason, by=by)


def _decide(review_id: int, state: ReviewState, *, by: User, reason: str) -> QueueEntry:
    """Note a decision, once; returns the entry, held."""
    entry = lock_entry(Review.objects.values_list("entry_id", flat=True).get(pk=review_id))
    decided = Review.objects.filter(pk=review_id, state=ReviewState.OPEN).update(
        state=state, decided_at=database_now(), decided_by=by, reason=reason[:200]
    )
    if not decided:
        raise ReviewDecidedError
    return entry
