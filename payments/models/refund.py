"""Refund: money that goes back."""

import uuid

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from payments.models.payment import SCHEDULE, Payment
from payments.rules import REFUND_OPEN, REFUND_TRANSITIONS, RefundState


def new_idempotency_key() -> str:
    return f"refund-{uuid.uuid4().hex}"


@pghistory.track(exclude=SCHEDULE)
class Refund(models.Model):
    """Money that goes back. Written with the decision, carried out after commit, and never more than was taken.

    `settled_minor` of one that FAILED reached its player without Stripe, by hand, at `settled_at`.
    """

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
    settled_minor = models.PositiveIntegerField(_("given back another way, in cents"), default=0, db_default=0)
    settled_at = models.DateTimeField(_("given back another way"), null=True, blank=True)

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
            models.CheckConstraint(
                condition=Q(settled_at=None, settled_minor=0)
                | Q(
                    state=RefundState.FAILED,
                    settled_at__isnull=False,
                    settled_minor__gt=0,
                    settled_minor__lte=F("amount_minor"),
                ),
                name="refund_settled_only_after_it_failed",
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
                declare=[("_paid", "integer"), ("_state", "text"), ("_back", "bigint"), ("_disputed", "bigint")],
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
                    IF NEW.state IN ('PENDING', 'SUCCEEDED') THEN
                        SELECT coalesce(sum(amount_minor), 0) INTO _back FROM payments_refund
                        WHERE payment_id = NEW.payment_id AND state IN ('PENDING', 'SUCCEEDED') AND id <> NEW.id;
                        SELECT coalesce(sum(amount_minor), 0) INTO _disputed FROM payments_dispute
                        WHERE payment_id = NEW.payment_id AND status IN ('needs_response', 'under_review', 'lost');
                        IF _back + NEW.amount_minor + _disputed > _paid THEN
                            RAISE EXCEPTION 'a chargeback took it already' USING ERRCODE = 'check_violation';
                        END IF;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} ({self.state.lower()})"
