"""The books, how they were compared with Stripe, and what somebody has to look at. For staff: all of it is the whole site's."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from payments.models import Discrepancy, LedgerLine, Reconciliation
from payments.services import reconciling
from tournaments.forms import ReasonForm
from vgchub.admin import AdminRequest, ScopedAdmin, column, detail_action, site
from vgchub.admin_asking import Question
from vgchub.words import money


@admin.register(Reconciliation, site=site)
class ReconciliationAdmin(ScopedAdmin):
    list_display = ("started_at", "kind", "account", "coloured_state", "seen", "repaired", "found")
    list_filter = ("kind",)
    fieldsets = (
        (None, {"fields": ("state_in_words", "kind", "account", "since", "until")}),
        (_("What came of it"), {"fields": ("seen", "repaired", "found", "error")}),
        (_("Times (UTC)"), {"fields": ("started_at", "ended_at")}),
    )

    @column(description=_("Stripe account"), ordering="stripe_account")
    def account(self, run: Reconciliation) -> Any:
        return run.stripe_account or _("the site's own")

    @column(description=_("State"), label={"ended": "success", "at work": "info", "waits": "warning"})
    def coloured_state(self, run: Reconciliation) -> tuple[str, Any]:
        if run.ended_at:
            return "ended", _("ended")
        return ("waits", _("waits for Stripe")) if run.error else ("at work", _("at work"))

    @column(description=_("State"))
    def state_in_words(self, run: Reconciliation) -> Any:
        """Labels are for lists."""
        return self.coloured_state(run)[1]


@admin.register(Discrepancy, site=site)
class DiscrepancyAdmin(ScopedAdmin):
    staff_may = frozenset({"view", "run"})
    list_display = ("first_seen_at", "kind", "object_id", "payment", "says", "coloured_state")
    list_filter = ("kind", ("resolved_at", admin.EmptyFieldListFilter))
    list_select_related = ("payment",)
    search_fields = ("=object_id", "=payment__entry__public_id", "=payment__intent")
    search_help_text = _("Stripe's object, entry or payment intent")
    fieldsets = (
        (None, {"fields": ("state_in_words", "says", "kind", "payment", "first_seen_at", "last_seen_at")}),
        (_("Decision"), {"fields": ("resolved_at", "resolved_by", "resolution")}),
        (_("At Stripe"), {"fields": ("object_id", "stripe_account")}),
    )
    actions_detail = ("resolve",)

    @column(description=_("State"), ordering="resolved_at", label={"open": "danger", "resolved": "success"})
    def coloured_state(self, found: Discrepancy) -> tuple[str, Any]:
        return ("resolved", _("resolved")) if found.resolved_at else ("open", _("open"))

    @column(description=_("State"))
    def state_in_words(self, found: Discrepancy) -> Any:
        """Labels are for lists."""
        return self.coloured_state(found)[1]

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        found = self.get_object(request, object_id)
        is_open = found is not None and found.resolved_at is None
        return list(super().get_actions_detail(request, object_id)) if is_open else []

    @detail_action(description=_("Resolve"), url_path="resolve", icon="task_alt", variant=ActionVariant.PRIMARY)
    def resolve(self, request: AdminRequest, object_id: str) -> HttpResponse:
        found = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            reason = form.cleaned_data["reason"]
            reconciling.resolve_discrepancy(discrepancy_id=found.pk, by=request.user, reason=reason)
            return say("Resolved. The same difference is not listed again.")

        text = _("Say what it was and what you did. It moves no money and changes nothing at Stripe. %(says)s")
        question = Question(_("Resolve this?"), text % {"says": found.says}, _("Resolve"), ReasonForm)
        return self.ask(request, found, question, perform)


@admin.register(LedgerLine, site=site)
class LedgerLineAdmin(ScopedAdmin):
    list_display = ("booked_at", "category", "amount", "fee", "net", "payment", "stripe_id")
    list_filter = ("category", "currency")
    list_select_related = ("payment",)
    search_fields = ("=stripe_id", "=source", "=payment__entry__public_id")
    search_help_text = _("Balance transaction, charge, refund, dispute or entry")
    fieldsets = (
        (None, {"fields": ("amount", "fee", "net", "category", "payment", "booked_at", "available_at")}),
        (_("At Stripe"), {"fields": ("stripe_id", "source", "stripe_account")}),
    )

    @column(description=_("Amount"), ordering="amount_minor")
    def amount(self, line: LedgerLine) -> str:
        return money(line.amount_minor, line.currency)

    @column(description=_("Fee"), ordering="fee_minor")
    def fee(self, line: LedgerLine) -> str:
        return money(line.fee_minor, line.currency)

    @column(description=_("Net"), ordering="net_minor")
    def net(self, line: LedgerLine) -> str:
        return money(line.net_minor, line.currency)
