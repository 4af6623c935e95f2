"""Dispute: a cardholder's bank asks, or takes the money back."""

import pghistory
import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from payments.models.payment import Payment
from payments.rules import DISPUTE_ENDED, DISPUTE_OPEN, DISPUTE_STATUSES, DISPUTE_TAKES


class DisputeQuerySet(models.QuerySet["Dispute"]):
    def open(self) -> "DisputeQuerySet":
        return self.filter(status__in=DISPUTE_OPEN)

    def taking(self) -> "DisputeQuerySet":
        """Those that hold the money now, or kept it."""
        return self.filter(status__in=DISPUTE_TAKES)


@pghistory.track()
class Dispute(models.Model):
    """What Stripe says of a dispute of one of our charges, as it was when somebody asked last.

    While one is open nothing of its payment is refunded; what a chargeback has taken can't be given back a second time.
    """

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes")
    stripe_id = models.CharField(_("dispute at Stripe"), max_length=255, unique=True)
    amount_minor = models.PositiveIntegerField(_("amount, in cents"))
    currency = models.CharField(_("currency"), max_length=3)
    reason = models.CharField(_("reason"), max_length=64)
    status = models.CharField(_("status"), max_length=32, choices=[(s, s) for s in DISPUTE_STATUSES])
    evidence_due_at = models.DateTimeField(_("answer until"), null=True, blank=True)
    opened_at = models.DateTimeField(_("opened"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    objects = DisputeQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=DISPUTE_STATUSES), name="dispute_status_known"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="dispute_amount_positive"),
            models.CheckConstraint(
                condition=(Q(status__in=DISPUTE_ENDED) & Q(ended_at__isnull=False))
                | (~Q(status__in=DISPUTE_ENDED) & Q(ended_at=None)),
                name="dispute_ended_at_exactly_when_ended",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="identity", fields=["payment", "stripe_id", "opened_at"]),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.stripe_id} {self.status}"
