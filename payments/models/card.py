"""SavedCard: a card on file for a lottery, which is charged when its entry wins."""

import pghistory
import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from payments.rules import CARD_LIVE, CARD_TRANSITIONS, CardState
from registrations.models import QueueEntry


class SavedCardQuerySet(models.QuerySet["SavedCard"]):
    def live(self) -> "SavedCardQuerySet":
        return self.filter(state__in=CARD_LIVE)

    def locked(self) -> "SavedCardQuerySet":
        """FOR UPDATE; after its entry, before the payment."""
        return self.select_for_update(of=("self",))


@pghistory.track(exclude=["due_at", "taken_until", "attempts", "charge_due_at"])
class SavedCard(models.Model):
    """The card of one entry, kept at Stripe; here stands only what a receipt would show of it.

    `due_at` is when the sweep looks at it next (at the page that saves it, or at its removal), `charge_due_at` when the batch
    charges it next. `needs_player_at` says since when only the player can go on: the bank wants to see them, or refused for good.
    """

    State = CardState

    entry = models.ForeignKey(QueueEntry, models.PROTECT, related_name="cards")
    stripe_account = models.CharField(_("Stripe account"), max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=[(s, s) for s in CardState], default=CardState.ASKED)

    # What the player agreed to be charged. Is it more by then, they are asked to pay themselves.
    agreed_minor = models.PositiveIntegerField(_("agreed amount, in cents"))
    currency = models.CharField(_("currency"), max_length=3)

    customer = models.CharField(_("customer at Stripe"), max_length=255, blank=True)
    session_number = models.PositiveSmallIntegerField(default=1)  # part of the idempotency key
    session_expires_at = models.DateTimeField(_("saving page closes"))
    checkout_session = models.CharField(_("saving session"), max_length=255, unique=True, null=True, blank=True)
    checkout_url = models.TextField(blank=True, editable=False)
    payment_method = models.CharField(_("payment method"), max_length=255, unique=True, null=True, blank=True)
    brand = models.CharField(_("brand"), max_length=32, blank=True)
    last4 = models.CharField(_("last four digits"), max_length=4, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, editable=False)

    created_at = models.DateTimeField(_("asked for"))
    saved_at = models.DateTimeField(_("saved"), null=True, blank=True)
    ended_at = models.DateTimeField(_("removed"), null=True, blank=True)

    charge_due_at = models.DateTimeField(_("charged next"), null=True, blank=True)
    charges = models.PositiveSmallIntegerField(_("charges tried"), default=0)
    needs_player_at = models.DateTimeField(_("waits for the player"), null=True, blank=True)
    failure_code = models.CharField(_("last problem, code"), max_length=64, blank=True)
    failure_message = models.TextField(_("last problem"), blank=True)

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)

    objects = SavedCardQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(CardState)), name="savedcard_state_known"),
            models.CheckConstraint(
                condition=Q(checkout_session=None, checkout_url="")
                | (Q(checkout_session__isnull=False) & ~Q(checkout_session="") & ~Q(checkout_url="")),
                name="savedcard_session_with_its_address",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state__in=[CardState.SAVED, CardState.DETACHED])
                    & Q(payment_method__isnull=False, saved_at__isnull=False)
                    & ~Q(customer="")
                )
                | (Q(state__in=[CardState.ASKED, CardState.DROPPED]) & Q(payment_method=None, saved_at=None)),
                name="savedcard_known_exactly_when_it_was_saved",
            ),
            models.CheckConstraint(
                condition=(Q(state__in=CARD_LIVE) & Q(ended_at=None))
                | (~Q(state__in=CARD_LIVE) & Q(ended_at__isnull=False)),
                name="savedcard_ended_at_exactly_when_ended",
            ),
            models.CheckConstraint(
                condition=Q(charge_due_at=None) | Q(state=CardState.SAVED), name="savedcard_charged_only_while_saved"
            ),
            models.CheckConstraint(
                condition=~Q(state=CardState.ASKED) | Q(due_at__isnull=False), name="savedcard_due_while_asked"
            ),
            models.CheckConstraint(
                condition=Q(failure_code="", failure_message="") | (~Q(failure_code="") & ~Q(failure_message="")),
                name="savedcard_failure_code_with_its_message",
            ),
            models.UniqueConstraint(
                fields=["entry"], condition=Q(state__in=CARD_LIVE), name="savedcard_one_live_per_entry"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="savedcard_due"),
            models.Index(fields=["charge_due_at"], condition=Q(charge_due_at__isnull=False), name="savedcard_charges"),
            models.Index(fields=["fingerprint"], condition=~Q(fingerprint=""), name="savedcard_fingerprint"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="state_machine", field="state", transitions=[(str(a), str(b)) for a, b in CARD_TRANSITIONS]
            ),
            pgtrigger.ReadOnly(
                name="identity", fields=["entry", "stripe_account", "agreed_minor", "currency", "created_at"]
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.brand} {self.last4}".strip() or f"{self.pk} {self.state}"
