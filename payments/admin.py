"""Payments and refunds, to read: what moves money is a service that its reasons lead to."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from payments import services
from payments.models import Payment, Refund
from payments.rules import RefundState
from tournaments.forms import ReasonForm
from vgchub.admin import AdminRequest, ScopedAdmin, ScopedInline, column, detail_action, site
from vgchub.admin_asking import Question
from vgchub.words import money

COLOURS = {"CAPTURED": "success", "AUTHORISED": "warning", "FAILED": "danger", "SUCCEEDED": "success"}


class RefundInline(ScopedInline, TabularInline):
    model = Refund
    fields = ("amount_minor", "state", "reason", "created_at", "ended_at", "failure_message")
    hide_title = True


@admin.register(Payment, site=site)
class PaymentAdmin(ScopedAdmin):
    inlines = (RefundInline,)
    scope = "entry__tournament__organization"
    list_display = ("id", "player_name", "tournament", "amount", "coloured_state", "created_at")
    list_filter = ("state", "entry__tournament")
    list_select_related = ("entry__player", "entry__tournament")
    search_fields = ("=entry__public_id", "=intent", "=checkout_session", "=entry__player__player_id")
    search_help_text = _("Entry, Player ID, payment intent or checkout session")
    exclude = ("checkout_url",)

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, payment: Payment) -> str:
        return payment.state

    @column(description=_("Amount"), ordering="amount_minor")
    def amount(self, payment: Payment) -> str:
        return money(payment.amount_minor, payment.currency)

    @column(description=_("Player"))
    def player_name(self, payment: Payment) -> str:
        return payment.entry.player.display_name

    @column(description=_("Tournament"))
    def tournament(self, payment: Payment) -> str:
        return payment.entry.tournament.name


@admin.register(Refund, site=site)
class RefundAdmin(ScopedAdmin):
    scope = "payment__entry__tournament__organization"
    list_display = ("id", "payment", "amount", "coloured_state", "reason", "created_at")
    list_filter = ("state",)
    list_select_related = ("payment",)
    search_fields = ("=stripe_id", "=payment__entry__public_id")
    organizers_may = staff_may = frozenset({"view", "run"})
    actions_detail = ("retry",)

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, refund: Refund) -> str:
        return refund.state

    @column(description=_("Amount"), ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.payment.currency)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        refund = self.get_object(request, object_id)
        failed = refund is not None and refund.state == RefundState.FAILED
        return list(super().get_actions_detail(request, object_id)) if failed else []

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
