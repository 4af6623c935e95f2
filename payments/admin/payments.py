"""Payments and refunds, to read, and what staff and organizers decide about them, each with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.enums import ActionVariant

from payments import services
from payments.admin.disputes import in_words
from payments.forms import RefundForm
from payments.models import Dispute, Payment, Refund
from payments.queries import FROZEN, SETTLED, given_back, left_of, settled_another_way, with_stage
from payments.rules import RefundState, State
from payments.views.receipts import method_in_words
from registrations.rules import State as Entry
from tournaments.forms import ReasonForm
from vgchub.admin import AdminRequest, ScopedAdmin, ScopedInline, column, detail_action, site
from vgchub.admin_asking import Question
from vgchub.words import money

COLOURS = {
    "CAPTURED": "success",
    "AUTHORISED": "warning",
    "FAILED": "danger",
    "SUCCEEDED": "success",
    FROZEN: "info",
    SETTLED: "success",
}
STAGES = {FROZEN: _("waits for a dispute"), SETTLED: _("given back another way")}


class RefundStage:
    """A refund's state; of one that is due while a dispute is open, that it waits; of one that failed, whether it is settled."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        return with_stage(super().get_queryset(request))  # type: ignore[misc]

    @column(description=_("State"), ordering="state", label=COLOURS)
    def stage(self, refund: Any) -> tuple[str, str]:
        return refund.stage, str(STAGES.get(refund.stage, refund.state))

    @column(description=_("State"))
    def stage_in_words(self, refund: Any) -> str:
        """Labels are for lists."""
        return str(STAGES.get(refund.stage, refund.state))


class RefundInline(RefundStage, ScopedInline, TabularInline):
    model = Refund
    fields = ("amount", "stage_in_words", "reason", "created_at", "ended_at", "failure_message")
    readonly_fields = ("amount", "stage_in_words")
    hide_title = True

    @column(description=_("Amount"))
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.payment.currency)


class DisputeInline(ScopedInline, TabularInline):
    model = Dispute
    fields = ("amount", "status_in_words", "reason_in_words", "evidence_due_at", "ended_at", "stripe_id")
    readonly_fields = ("amount", "status_in_words", "reason_in_words")
    hide_title = True

    @column(description=_("Amount"))
    def amount(self, dispute: Dispute) -> str:
        return money(dispute.amount_minor, dispute.currency)

    @column(description=_("Status"))
    def status_in_words(self, dispute: Dispute) -> str:
        return in_words(dispute.status)

    @column(description=_("Reason"))
    def reason_in_words(self, dispute: Dispute) -> str:
        return in_words(dispute.reason)


@admin.register(Payment, site=site)
class PaymentAdmin(ScopedAdmin):
    inlines = (RefundInline, DisputeInline)
    scope = "entry__tournament__organization"
    list_display = ("id", "player_name", "tournament", "amount", "coloured_state", "created_at")
    list_filter = ("state", "entry__tournament")
    list_select_related = ("entry__player", "entry__tournament")
    search_fields = ("=entry__public_id", "=intent", "=checkout_session", "=entry__player__player_id")
    search_help_text = _("Entry, Player ID, payment intent or checkout session")
    organizers_may = staff_may = frozenset({"view", "run"})
    actions_detail = ("refund_part", "take_back")
    fieldsets = (
        (None, {"fields": ("coloured_state", "amount", "went_back", "kept", "player_name", "tournament", "entry")}),
        (_("How"), {"fields": ("paid_by", "risk", "failure_message", "failure_code", "release_reason")}),
        (
            _("Times (UTC)"),
            {"fields": ("created_at", "session_expires_at", "authorised_at", "captured_at", "released_at", "ended_at")},
        ),
        (_("At Stripe"), {"fields": ("intent", "charge", "checkout_session", "card", "stripe_account")}),
    )

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, payment: Payment) -> str:
        return payment.state

    @column(description=_("Amount"), ordering="amount_minor")
    def amount(self, payment: Payment) -> str:
        return money(payment.amount_minor, payment.currency)

    @column(description=_("Given back"))
    def went_back(self, payment: Payment) -> str:
        """What goes back, whether it has arrived yet or not, and by which way."""
        another, words = settled_another_way(payment), money(given_back(payment), payment.currency)
        if not another:
            return words
        return say("%(amount)s, and %(another)s another way") % {
            "amount": words,
            "another": money(another, payment.currency),
        }

    @column(description=_("Kept by the refund rule"))
    def kept(self, payment: Payment) -> str:
        return money(payment.kept_minor - settled_another_way(payment), payment.currency)

    @column(description=_("Paid by"))
    def paid_by(self, payment: Payment) -> str:
        return method_in_words(payment) if payment.method else "-"

    @column(description=_("Stripe's risk"))
    def risk(self, payment: Payment) -> str:
        score = "" if payment.risk_score is None else say("%(score)d of 100") % {"score": payment.risk_score}
        return ", ".join(filter(None, [payment.risk_level, score])) or "-"

    @column(description=_("Player"))
    def player_name(self, payment: Payment) -> str:
        return payment.entry.player.display_name

    @column(description=_("Tournament"))
    def tournament(self, payment: Payment) -> str:
        return payment.entry.tournament.name

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        payment = self.get_object(request, object_id)
        if payment is None or payment.released_at is not None or payment.entry.state != Entry.CONFIRMED:
            return []
        offered = {State.CAPTURED: {"refund_part", "take_back"}, State.AUTHORISED: {"take_back"}}.get(
            payment.state, set()
        )
        found = super().get_actions_detail(request, object_id)
        return [one for one in found if one.method.original_function_name in offered]

    @detail_action(description=_("Refund a part"), url_path="refund-part", icon="currency_exchange")
    def refund_part(self, request: AdminRequest, object_id: str) -> HttpResponse:
        """Goodwill: the seat stays."""
        payment = self.own_or_404(request, object_id)

        def perform(form: RefundForm) -> str:
            refund = services.refund_part(
                payment_id=payment.pk,
                amount_minor=form.amount_minor,
                by=request.user,
                reason=form.cleaned_data["reason"],
            )
            return say("%(amount)s goes back to the player, who keeps the seat.") % {
                "amount": money(refund.amount_minor, payment.currency)
            }

        text = _("The seat stays as it is. The money goes back to the way it was paid, and the player is told by mail.")
        question = Question(_("Refund a part?"), text, _("Refund"), RefundForm, _left(payment, seat_stays=True))
        return self.ask(request, payment, question, perform)

    @detail_action(
        description=_("Take the seat back and refund"),
        url_path="take-back",
        icon="event_busy",
        variant=ActionVariant.DANGER,
    )
    def take_back(self, request: AdminRequest, object_id: str) -> HttpResponse:
        payment = self.own_or_404(request, object_id)

        def perform(form: RefundForm) -> str:
            services.take_seat_back(
                payment_id=payment.pk,
                amount_minor=form.amount_minor,
                by=request.user,
                reason=form.cleaned_data["reason"],
            )
            return say("The seat goes to the next in line, and %(amount)s back to the player.") % {
                "amount": money(form.amount_minor, payment.currency)
            }

        text = _("The seat goes to the next in line at once, and the player is told by mail. This can't be taken back.")
        question = Question(
            _("Take the seat back and refund?"),
            text,
            _("Take the seat back"),
            RefundForm,
            _left(payment, seat_stays=False),
            variant="danger",
        )
        return self.ask(request, payment, question, perform)


def _left(payment: Payment, *, seat_stays: bool) -> dict[str, Any]:
    return {"currency": payment.currency, "left_minor": left_of(payment), "seat_stays": seat_stays}


@admin.register(Refund, site=site)
class RefundAdmin(RefundStage, ScopedAdmin):
    scope = "payment__entry__tournament__organization"
    list_display = ("id", "payment", "amount", "stage", "reason", "created_at")
    list_filter = ("state",)
    list_select_related = ("payment",)
    search_fields = ("=stripe_id", "=payment__entry__public_id")
    organizers_may = staff_may = frozenset({"view", "run"})
    actions_detail = ("retry", "another_way")
    fieldsets = (
        (None, {"fields": ("stage_in_words", "amount", "settled", "reason", "by", "payment")}),
        (_("How it went"), {"fields": ("failure_message", "failure_code")}),
        (_("Times (UTC)"), {"fields": ("created_at", "ended_at", "settled_at")}),
        (_("At Stripe"), {"fields": ("stripe_id",)}),
    )

    @column(description=_("Amount"), ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.payment.currency)

    @column(description=_("Given back another way"))
    def settled(self, refund: Refund) -> str:
        return money(refund.settled_minor, refund.payment.currency) if refund.settled_at else "-"

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        refund = self.get_object(request, object_id)
        is_open = refund is not None and refund.state == RefundState.FAILED and refund.settled_at is None
        return list(super().get_actions_detail(request, object_id)) if is_open else []

    @detail_action(description=_("Refund again"), url_path="retry", icon="replay")
    def retry(self, request: AdminRequest, object_id: str) -> HttpResponse:
        """A refund that a bank sent back, or that Stripe refused, is decided anew once its cause is gone."""
        refund = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.retry_refund(refund_id=refund.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("A new refund is on its way; this one stays as it was.")

        text = _("Only what did not go back yet is refunded, to the way the player paid.")
        question = Question(_("Refund again?"), text, _("Refund"), ReasonForm)
        return self.ask(request, refund, question, perform)

    @detail_action(description=_("Given back another way"), url_path="another-way", icon="handshake")
    def another_way(self, request: AdminRequest, object_id: str) -> HttpResponse:
        refund = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            minor = services.settle_another_way(
                refund_id=refund.pk, by=request.user, reason=form.cleaned_data["reason"]
            )
            return say("%(amount)s is settled: nothing of it is owed any more.") % {
                "amount": money(minor, refund.payment.currency)
            }

        text = _(
            "Only once the player has the money, in cash or by bank transfer: Stripe is not asked for it again. "
            "Say how it was given back, for whoever reads this later."
        )
        question = Question(_("Was it given back another way?"), text, _("It was"), ReasonForm)
        return self.ask(request, refund, question, perform)
