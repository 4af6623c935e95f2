"""Payment and Refund: our own account of the money, which is the truth; and the inbox of Stripe's events."""

import uuid
from datetime import datetime

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from payments.rules import (
    ENDED,
    LIVE,
    OPEN,
    REFUND_OPEN,
    REFUND_TRANSITIONS,
    TRANSITIONS,
    WITH_INTENT,
    RefundState,
    State,
)
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
            models.UniqueConstraint(fields=["entry"], condition=Q(state__in=LIVE), name="payment_one_live_per_entry"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state__in=OPEN), name="payment_due"),
            models.Index(
                fields=["entry"], condition=Q(state=State.CAPTURED, released_at=None), name="payment_of_a_seat"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="state_machine", field="state", transitions=[(str(a), str(b)) for a, b in TRANSITIONS]),
            pgtrigger.ReadOnly(
                name="price", fields=["entry", "stripe_account", "amount_minor", "currency", "created_at"]
            ),
            pgtrigger.Protect(
                name="released_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__released_at__isnull=False, new__released_at__isnull=True),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"


def new_idempotency_key() -> str:
    return f"refund-{uuid.uuid4().hex}"


@pghistory.track(exclude=SCHEDULE)
class Refund(models.Model):
    """Money that goes back. Written with the decision, carried out after commit, and never more than was taken."""

    State = RefundState

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    amount_minor = models.PositiveIntegerField(_("amount, in cents"))
    state = models.CharField(_("state"), max_length=9, choices=[(s, s) for s in RefundState], default=RefundState.DUE)
    reason = models.CharField(_("reason"), max_length=200)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    idempotency_key = models.CharField(max_length=64, unique=True, default=new_idempotency_key, editable=False)
    stripe_id = models.CharField(_("refund at Stripe"), max_length=255, unique=True, null=True, blank=True)
    created_at = models.DateTimeField(_("decided"))
    ended_at = models.DateTimeField(_("done"), null=True, blank=True)
    failure_code = models.CharField(_("problem, code"), max_length=64, blank=True)
    failure_message = models.TextField(_("problem"), blank=True)

    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(RefundState)), name="refund_state_known"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="refund_has_a_reason"),
            models.CheckConstraint(
                condition=~Q(state__in=[RefundState.PENDING, RefundState.SUCCEEDED]) | Q(stripe_id__isnull=False),
                name="refund_under_way_is_known_at_stripe",
            ),
            models.CheckConstraint(
                condition=(Q(state__in=REFUND_OPEN) & Q(ended_at=None, due_at__isnull=False))
                | (~Q(state__in=REFUND_OPEN) & Q(ended_at__isnull=False, due_at=None)),
                name="refund_due_or_ended",
            ),
            models.CheckConstraint(
                condition=Q(failure_code="", failure_message="") | (~Q(failure_code="") & ~Q(failure_message="")),
                name="refund_failure_code_with_its_message",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(state__in=REFUND_OPEN), name="refund_due")]
        triggers = [
            pgtrigger.FSM(
                name="state_machine", field="state", transitions=[(str(a), str(b)) for a, b in REFUND_TRANSITIONS]
            ),
            pgtrigger.ReadOnly(name="decision", fields=["payment", "amount_minor", "reason", "by", "created_at"]),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                # The payment's row is locked, so that two refunds at once can't both find room.
                name="at_most_what_was_paid",
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("state", "amount_minor"),  # type: ignore[no-untyped-call]
                when=pgtrigger.Before,
                declare=[("_paid", "integer"), ("_state", "text"), ("_back", "bigint")],
                func="""
                    SELECT amount_minor, state INTO _paid, _state
                    FROM payments_payment WHERE id = NEW.payment_id FOR NO KEY UPDATE;
                    IF NEW.state IN ('PENDING', 'SUCCEEDED') AND _state <> 'CAPTURED' THEN
                        RAISE EXCEPTION 'only captured money goes back' USING ERRCODE = 'check_violation';
                    END IF;
                    IF NEW.state <> 'FAILED' THEN
                        SELECT coalesce(sum(amount_minor), 0) INTO _back FROM payments_refund
                        WHERE payment_id = NEW.payment_id AND state <> 'FAILED' AND id <> NEW.id;
                        IF _back + NEW.amount_minor > _paid THEN
                            RAISE EXCEPTION 'more would go back than was paid' USING ERRCODE = 'check_violation';
                        END IF;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"


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
    )  # null: of something that is not ours
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
