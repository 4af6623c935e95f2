"""Payment: one attempt to pay for one held seat."""

import pghistory
import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from payments.models.card import SavedCard
from payments.rules import ENDED, LIVE, OPEN, TRANSITIONS, WITH_INTENT, State
from registrations.models import QueueEntry

# When to look again is bookkeeping, not history.
SCHEDULE = ["due_at", "taken_until", "attempts"]


class PaymentQuerySet(models.QuerySet["Payment"]):
    def live(self) -> "PaymentQuerySet":
        return self.filter(state__in=LIVE)

    def open(self) -> "PaymentQuerySet":
        """Those for which something is still to be done with Stripe."""
        return self.filter(state__in=OPEN)

    def locked(self) -> "PaymentQuerySet":
        """FOR UPDATE; the last in the lock order: tournament, entries, seats, payment."""
        return self.select_for_update(of=("self",))


@pghistory.track(exclude=SCHEDULE)
class Payment(models.Model):
    """One attempt to pay for one held seat: one checkout session, at most one intent, one price fixed at its start.

    `due_at` is when the sweep looks at it next; every open payment has one, so that none is forgotten.
    `released_at` says that the seat was given up: whatever was or will be paid goes back, but for `kept_minor`.
    """

    State = State

    entry = models.ForeignKey(QueueEntry, models.PROTECT, related_name="payments")
    stripe_account = models.CharField(_("Stripe account"), max_length=64, blank=True)
    amount_minor = models.PositiveIntegerField(_("amount, in cents"))
    currency = models.CharField(_("currency"), max_length=3)
    state = models.CharField(_("state"), max_length=10, choices=[(s, s) for s in State], default=State.CREATED)

    session_number = models.PositiveSmallIntegerField(default=1)  # part of the idempotency key
    session_expires_at = models.DateTimeField(_("checkout page closes"))
    checkout_session = models.CharField(_("checkout session"), max_length=255, unique=True, null=True, blank=True)
    checkout_url = models.TextField(blank=True, editable=False)
    intent = models.CharField(_("payment intent"), max_length=255, unique=True, null=True, blank=True)
    card = models.ForeignKey(
        SavedCard, models.PROTECT, null=True, blank=True, related_name="payments"
    )  # charged while its player is away, instead of a checkout

    # What Stripe says of the charge, once there is one.
    charge = models.CharField(_("charge"), max_length=255, unique=True, null=True, blank=True)
    method = models.CharField(_("paid by"), max_length=32, blank=True, db_default="")  # card, paypal, ...
    card_brand = models.CharField(_("card's brand"), max_length=32, blank=True, db_default="")
    card_last4 = models.CharField(_("card's last four digits"), max_length=4, blank=True, db_default="")
    card_fingerprint = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    risk_level = models.CharField(_("Stripe's risk level"), max_length=16, blank=True, db_default="")
    risk_score = models.PositiveSmallIntegerField(_("Stripe's risk score"), null=True, blank=True)

    created_at = models.DateTimeField(_("created"))
    authorised_at = models.DateTimeField(_("authorised"), null=True, blank=True)
    captured_at = models.DateTimeField(_("captured"), null=True, blank=True)
    released_at = models.DateTimeField(_("seat given up"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    kept_minor = models.PositiveIntegerField(_("kept by the refund rule, in cents"), default=0)
    release_reason = models.CharField(_("why it was given up"), max_length=200, blank=True)
    failure_code = models.CharField(_("last problem, code"), max_length=64, blank=True)
    failure_message = models.TextField(_("last problem"), blank=True)

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)  # by a worker, which may die
    attempts = models.PositiveIntegerField(default=0, editable=False)
    refusals = models.PositiveSmallIntegerField(_("refused captures"), default=0, editable=False)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(State)), name="payment_state_known"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=Q(kept_minor=0) | (Q(released_at__isnull=False) & Q(kept_minor__lte=F("amount_minor"))),
                name="payment_keeps_at_most_all_of_a_released_one",
            ),
            models.CheckConstraint(
                condition=Q(checkout_session=None, checkout_url="")
                | (Q(checkout_session__isnull=False) & ~Q(checkout_session="") & ~Q(checkout_url="")),
                name="payment_session_with_its_address",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=WITH_INTENT) | Q(intent__isnull=False, authorised_at__isnull=False),
                name="payment_authorised_has_intent_and_time",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.CREATED) | Q(authorised_at=None), name="payment_created_is_not_authorised"
            ),
            models.CheckConstraint(
                condition=(Q(state=State.CAPTURED) & Q(captured_at__isnull=False))
                | (~Q(state=State.CAPTURED) & Q(captured_at=None)),
                name="payment_captured_at_exactly_when_captured",
            ),
            models.CheckConstraint(
                condition=(Q(state__in=ENDED) & Q(ended_at__isnull=False)) | (~Q(state__in=ENDED) & Q(ended_at=None)),
                name="payment_ended_at_exactly_when_ended",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.VOIDED) | Q(released_at__isnull=False), name="payment_voided_was_released"
            ),
            models.CheckConstraint(
                condition=Q(released_at=None, release_reason="")
                | (Q(released_at__isnull=False) & ~Q(release_reason="")),
                name="payment_released_with_a_reason",
            ),
            models.CheckConstraint(
                condition=(Q(state__in=OPEN) & Q(due_at__isnull=False)) | (~Q(state__in=OPEN) & Q(due_at=None)),
                name="payment_due_exactly_while_open",
            ),
            models.CheckConstraint(
                condition=Q(failure_code="", failure_message="") | (~Q(failure_code="") & ~Q(failure_message="")),
                name="payment_failure_code_with_its_message",
            ),
            models.CheckConstraint(
                condition=Q(card=None) | Q(checkout_session=None), name="payment_by_checkout_or_by_card_on_file"
            ),
            models.UniqueConstraint(fields=["entry"], condition=Q(state__in=LIVE), name="payment_one_live_per_entry"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state__in=OPEN), name="payment_due"),
            models.Index(
                fields=["entry"], condition=Q(state=State.CAPTURED, released_at=None), name="payment_of_a_seat"
            ),
            models.Index(fields=["card_fingerprint"], condition=~Q(card_fingerprint=""), name="payment_fingerprint"),
        ]
        triggers = [
            pgtrigger.FSM(name="state_machine", field="state", transitions=[(str(a), str(b)) for a, b in TRANSITIONS]),
            pgtrigger.ReadOnly(
                name="price", fields=["entry", "stripe_account", "amount_minor", "currency", "card", "created_at"]
            ),
            pgtrigger.Protect(
                name="released_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__released_at__isnull=False, new__released_at__isnull=True),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.pk} ({self.state.lower()})"
