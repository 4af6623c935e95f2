"""What Stripe booked, line by line, and how comparing it with our rows went."""

from typing import Any

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from payments.models.payment import Payment
from payments.rules import Finding


class LedgerLine(models.Model):
    """One balance transaction of Stripe's: money that moved, its fee, and what is left. Written once, never changed."""

    stripe_id = models.CharField(_("balance transaction"), max_length=255, unique=True)
    stripe_account = models.CharField(_("Stripe account"), max_length=64, blank=True)
    payment = models.ForeignKey(
        Payment, models.PROTECT, null=True, blank=True, related_name="ledger_lines"
    )  # null: not of a payment of ours
    category = models.CharField(_("category"), max_length=64)  # Stripe's reporting_category
    source = models.CharField(_("of"), max_length=255, blank=True)
    amount_minor = models.BigIntegerField(_("amount, in cents"))
    fee_minor = models.BigIntegerField(_("fee, in cents"))
    net_minor = models.BigIntegerField(_("net, in cents"))
    currency = models.CharField(_("currency"), max_length=3)
    booked_at = models.DateTimeField(_("booked"))
    available_at = models.DateTimeField(_("available"))

    class Meta:
        ordering = ["booked_at", "stripe_id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(net_minor=F("amount_minor") - F("fee_minor")), name="ledgerline_net_is_amount_less_fee"
            )
        ]
        indexes = [models.Index(fields=["stripe_account", "booked_at"], name="ledgerline_booked")]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="never_changed",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.* IS DISTINCT FROM NEW.*"),
            ),
        ]

    def __str__(self) -> str:
        return self.stripe_id


class Reconciliation(models.Model):
    """One comparison of an account's objects between two times, both ways. Killed in the middle, it goes on at `cursor`."""

    class Kind(models.TextChoices):
        RECENT = "RECENT", _("the last two hours")
        NIGHTLY = "NIGHTLY", _("the last eight days")
        BY_HAND = "BY_HAND", _("by hand")

    stripe_account = models.CharField(_("Stripe account"), max_length=64, blank=True)
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    since = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("until"))
    # Where it stands: the list at work, and the last id of it that was compared.
    cursor: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    seen = models.PositiveIntegerField(_("objects compared"), default=0)
    repaired = models.PositiveIntegerField(_("repaired"), default=0)
    found = models.PositiveIntegerField(_("left to look at"), default=0)
    started_at = models.DateTimeField(_("started"))
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    error = models.TextField(_("problem"), blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(since__lt=F("until")), name="reconciliation_of_some_time"),
            models.UniqueConstraint(
                fields=["stripe_account", "kind"], condition=Q(ended_at=None), name="reconciliation_one_at_work"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.since:%Y-%m-%d %H:%M}"


@pghistory.track(exclude=["last_seen_at"])
class Discrepancy(models.Model):
    """A difference that no rule could repair: somebody has to look. It closes by itself once it is no longer found."""

    kind = models.CharField(_("kind"), max_length=13, choices=[(f, f) for f in Finding])
    stripe_account = models.CharField(_("Stripe account"), max_length=64, blank=True)
    object_id = models.CharField(_("object"), max_length=255)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, blank=True, related_name="discrepancies")
    says = models.TextField(_("what differs"))
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )  # null: it was gone when somebody compared again
    resolution = models.CharField(_("how"), max_length=200, blank=True)

    class Meta:
        verbose_name_plural = _("discrepancies")
        ordering = ["-first_seen_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=list(Finding)), name="discrepancy_kind_known"),
            models.CheckConstraint(
                condition=Q(resolved_at=None, resolution="", resolved_by=None)
                | (Q(resolved_at__isnull=False) & ~Q(resolution="")),
                name="discrepancy_resolved_with_a_word",
            ),
            models.UniqueConstraint(
                fields=["kind", "object_id"], condition=Q(resolved_at=None), name="discrepancy_open_once"
            ),
        ]
        triggers = [pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"
