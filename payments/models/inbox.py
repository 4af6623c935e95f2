"""The inbox of Stripe's events, and the jobs that failed for good."""

from datetime import datetime
from typing import Any

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from payments.models.card import SavedCard
from payments.models.payment import Payment
from payments.rules import LetterKind, LetterState


class StripeEventQuerySet(models.QuerySet["StripeEvent"]):
    def due(self, now: datetime) -> "StripeEventQuerySet":
        return self.filter(handled_at=None, due_at__lte=now)


class StripeEvent(models.Model):
    """An event that Stripe sent, once. It is a hint to ask Stripe about an object, never trusted for a state."""

    stripe_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=80)
    stripe_account = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=255)
    payment = models.ForeignKey(
        Payment, models.PROTECT, null=True, blank=True, related_name="stripe_events"
    )  # null: of something that is not ours, or of a card on file
    card = models.ForeignKey(SavedCard, models.PROTECT, null=True, blank=True, related_name="stripe_events")
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    objects = StripeEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("Stripe event")
        indexes = [models.Index(fields=["due_at"], condition=Q(handled_at=None), name="stripeevent_due")]

    def __str__(self) -> str:
        return f"{self.type} {self.stripe_id}"


@pghistory.track()
class DeadLetter(models.Model):
    """A job that failed for good: what it was, why it failed and how often it was tried; somebody retries or dismisses it.

    `reference` names the row or object it is about, such as "refund 12"; `payload` holds what helps to understand it, never a
    secret or a card.
    """

    Kind = LetterKind
    State = LetterState

    kind = models.CharField(_("job"), max_length=7, choices=[(k, k) for k in LetterKind])
    reference = models.CharField(_("about"), max_length=255)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="dead_letters")
    cause = models.TextField(_("cause"))
    payload: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(_("details"), default=dict)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    state = models.CharField(_("state"), max_length=9, choices=[(s, s) for s in LetterState], default=LetterState.OPEN)
    failed_at = models.DateTimeField(_("failed"))
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    reason = models.CharField(_("why"), max_length=200, blank=True)

    class Meta:
        ordering = ["-failed_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=list(LetterKind)), name="deadletter_kind_known"),
            models.CheckConstraint(condition=Q(state__in=list(LetterState)), name="deadletter_state_known"),
            models.CheckConstraint(condition=~Q(cause=""), name="deadletter_has_a_cause"),
            models.CheckConstraint(
                condition=Q(state=LetterState.OPEN, decided_at=None, decided_by=None, reason="")
                | (~Q(state=LetterState.OPEN) & Q(decided_at__isnull=False, decided_by__isnull=False) & ~Q(reason="")),
                name="deadletter_decided_by_somebody_with_a_reason",
            ),
            models.UniqueConstraint(
                fields=["kind", "reference"], condition=Q(state=LetterState.OPEN), name="deadletter_open_once"
            ),
        ]
        triggers = [
            pgtrigger.FSM(
                name="state_machine",
                field="state",
                transitions=[("OPEN", "RETRIED"), ("OPEN", "DISMISSED")],
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
