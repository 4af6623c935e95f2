"""Review: a person looks at an entry that signals point at; and how much each signal counts."""

from typing import Any

import pghistory
import pgtrigger
from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from payments.rules import REVIEW_TRANSITIONS, ReviewState, Signal
from registrations.models import QueueEntry


@pghistory.track()
class SignalRule(models.Model):
    """From when on a signal is raised (`limit`), within which time it counts, and its points. One row for each signal."""

    code = models.CharField(_("signal"), max_length=9, unique=True, choices=[(s, s) for s in Signal])
    is_on = models.BooleanField(_("counts"), default=True)
    limit = models.PositiveIntegerField(_("raised from"), validators=[MinValueValidator(1)])
    within_minutes = models.PositiveIntegerField(_("within minutes"), default=0, help_text=_("0: at any time."))
    points = models.PositiveSmallIntegerField(_("points"), help_text=_("From 100 points in all, somebody has to look."))

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=Q(code__in=list(Signal)), name="signalrule_code_known"),
            models.CheckConstraint(condition=Q(limit__gte=1), name="signalrule_limit_positive"),
        ]

    def __str__(self) -> str:
        return str(self.code)


@pghistory.track()
class Review(models.Model):
    """What was seen of an entry, and what somebody decided. Until then nothing happens to it.

    `signals` is a list of {"code": Signal, "points": int, "says": what was seen, in words}.
    """

    State = ReviewState

    entry = models.ForeignKey(QueueEntry, models.PROTECT, related_name="reviews")
    state = models.CharField(_("state"), max_length=8, choices=[(s, s) for s in ReviewState], default=ReviewState.OPEN)
    score = models.PositiveIntegerField(_("points"))
    signals: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(_("what was seen"))
    opened_at = models.DateTimeField(_("opened"))
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    reason = models.CharField(_("why"), max_length=200, blank=True)

    class Meta:
        ordering = ["-score", "opened_at", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(ReviewState)), name="review_state_known"),
            models.CheckConstraint(
                condition=Q(state=ReviewState.OPEN, decided_at=None, decided_by=None, reason="")
                | (~Q(state=ReviewState.OPEN) & Q(decided_at__isnull=False, decided_by__isnull=False) & ~Q(reason="")),
                name="review_decided_by_somebody_with_a_reason",
            ),
            models.UniqueConstraint(
                fields=["entry"], condition=Q(state=ReviewState.OPEN), name="review_one_open_per_entry"
            ),
        ]
        triggers = [
            pgtrigger.FSM(
                name="state_machine", field="state", transitions=[(str(a), str(b)) for a, b in REVIEW_TRANSITIONS]
            ),
            pgtrigger.ReadOnly(name="identity", fields=["entry", "opened_at"]),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.pk} ({self.state.lower()})"
