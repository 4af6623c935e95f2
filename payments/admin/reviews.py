"""Reviews, which staff work off, and how much each signal counts. Signals reach over organizations, so that both are for staff."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.enums import ActionVariant

from payments import services
from payments.models import Payment, Review, SignalRule
from payments.rules import SIGNALS, ReviewState, Signal, SignalDefaults
from tournaments.forms import ReasonForm
from vgchub.admin import AdminRequest, ScopedAdmin, column, detail_action, site
from vgchub.admin_asking import Question
from vgchub.words import money

COLOURS = {"OPEN": "warning", "APPROVED": "success", "REJECTED": "danger"}

EXPLAINED = {
    Signal.RISK: _(
        "Stripe's own risk score of the charge, from 0 to 100, is at least this number; a level alone counts as 65 or 75."
    ),
    Signal.CARD: _(
        "One card pays, or is kept, for entries of at least so many accounts, in whatever tournament. All players of one "
        "account are a household and count once."
    ),
    Signal.ADDRESS: _("At least so many accounts entered the tournament from one internet address. A school has many."),
    Signal.DEVICE: _(
        "At least so many accounts entered the tournament from one internet address with the same kind of browser."
    ),
    Signal.LOOKALIKE: _(
        "At least so many other accounts in the tournament have an e-mail address that differs only in dots, digits, "
        "capital letters and what follows a plus."
    ),
    Signal.VELOCITY: _("Cards were refused at least so many times for one account."),
    Signal.WARNING: _("The card's bank reported the charge as fraud so many times."),
    Signal.DISPUTE: _("The cardholder disputes the charge, so many times."),
}


def in_words(rule: SignalDefaults | SignalRule) -> str:
    """from 3, at any time: 100 points"""
    facts = {"limit": rule.limit, "minutes": rule.within_minutes, "points": rule.points}
    if rule.within_minutes:
        return say("from %(limit)d within %(minutes)d minutes: %(points)d points") % facts
    return say("from %(limit)d at any time: %(points)d points") % facts


@admin.register(Review, site=site)
class ReviewAdmin(ScopedAdmin):
    staff_may = frozenset({"view", "run"})
    list_display = ("player_name", "tournament", "coloured_state", "score", "seen", "opened_at")
    list_filter = (("state", ChoicesDropdownFilter), "entry__tournament")
    list_select_related = ("entry__player", "entry__tournament")
    # What is open first, and of that what looks worst.
    ordering = (F("decided_at").desc(nulls_first=True), "-score", "opened_at")
    search_fields = ("=entry__public_id", "entry__player__display_name", "=entry__player__player_id")
    search_help_text = _("Name, Player ID or the entry's number")
    actions_detail = ("approve", "reject")
    fieldsets = (
        (None, {"fields": ("coloured_state", "score", "seen", "opened_at")}),
        (_("Whose it is"), {"fields": ("entry_link", "player_link", "tournament", "payments")}),
        (_("Decision"), {"fields": ("decided_at", "decided_by", "reason")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return super().get_queryset(request).select_related("entry__player", "entry__tournament", "decided_by")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        review = self.get_object(request, object_id)
        is_open = review is not None and review.state == ReviewState.OPEN
        return list(super().get_actions_detail(request, object_id)) if is_open else []

    @detail_action(description=_("Nothing is wrong"), url_path="approve", icon="check")
    def approve(self, request: AdminRequest, object_id: str) -> HttpResponse:
        review = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.approve_review(review_id=review.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("The entry stays as it is.")

        text = _(
            "The entry stays as it is, and is put here again only for signals of another kind. The reason is for your "
            "colleagues; the player does not read it."
        )
        return self.ask(request, review, Question(_("Is nothing wrong?"), text, _("Approve"), ReasonForm), perform)

    @detail_action(description=_("Take out"), url_path="reject", icon="person_remove", variant=ActionVariant.DANGER)
    def reject(self, request: AdminRequest, object_id: str) -> HttpResponse:
        review = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.reject_review(review_id=review.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("The entry is taken out, its seat goes to the next in line, and what was paid goes back.")

        text = _(
            "The place or seat is lost, for good, and goes to the next in line. All that was paid and did not go back yet "
            "is refunded. The player reads the reason; don't say in it how the signals work."
        )
        question = Question(_("Take this entry out?"), text, _("Take it out"), ReasonForm, variant="danger")
        return self.ask(request, review, question, perform)

    @column(description=_("State"), label=COLOURS)
    def coloured_state(self, review: Review) -> str:
        return review.state

    @column(description=_("Player"))
    def player_name(self, review: Review) -> str:
        return review.entry.player.display_name

    @column(description=_("Tournament"))
    def tournament(self, review: Review) -> str:
        return review.entry.tournament.name

    @column(description=_("What was seen"))
    def seen(self, review: Review) -> SafeString:
        lines = format_html_join("", "<div>{} ({})</div>", ((one["says"], one["points"]) for one in review.signals))
        return format_html('<div class="cell-lines">{}</div>', lines)

    @column(description=_("Entry"))
    def entry_link(self, review: Review) -> SafeString:
        entry = review.entry
        return _link("registrations_queueentry", entry.pk, f"{entry.public_id}: {entry.state_in_words}")

    @column(description=_("Player"))
    def player_link(self, review: Review) -> SafeString:
        player = review.entry.player
        return _link("accounts_player", player.pk, f"{player.display_name}, {player.player_id}")

    @column(description=_("Payments"))
    def payments(self, review: Review) -> SafeString | str:
        paid = Payment.objects.filter(entry=review.entry_id)
        return format_html_join("", "<div>{}</div>", ((_payment(payment),) for payment in paid)) or "-"


def _payment(payment: Payment) -> SafeString:
    card = f"{payment.card_brand} {payment.card_last4}".strip()
    words = ", ".join(filter(None, [money(payment.amount_minor, payment.currency), payment.state, card]))
    return _link("payments_payment", payment.pk, words)


def _link(model: str, pk: int, words: str) -> SafeString:
    return format_html('<a class="underline" href="{}">{}</a>', reverse(f"admin:{model}_change", args=[pk]), words)


@admin.register(SignalRule, site=site)
class SignalRuleAdmin(ScopedAdmin):
    """Only what differs from the defaults has a row."""

    staff_may = frozenset({"view", "add", "change"})
    list_display = ("code", "is_on", "counts", "by_default")
    list_before_template = "admin/signal_defaults.html"
    fieldsets = ((None, {"fields": ("code", "is_on", "limit", "within_minutes", "points", "by_default")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: SignalRule | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """A row stays the row of its signal."""
        return ("code", "by_default") if obj else ("by_default",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        defaults = [{"code": code, "means": EXPLAINED[code], "counts": in_words(SIGNALS[code])} for code in Signal]
        answer: HttpResponse = super().changelist_view(request, {**(extra_context or {}), "defaults": defaults})
        return answer

    @column(description=_("Raised"))
    def counts(self, rule: SignalRule) -> str:
        return in_words(rule) if rule.is_on else say("never")

    @column(description=_("By default"))
    def by_default(self, rule: SignalRule) -> SafeString | str:
        """Of a signal; on the page of a new row, of all."""
        codes = [Signal(rule.code)] if rule.code else list(Signal)
        lines = ((code, in_words(SIGNALS[code]), EXPLAINED[code]) for code in codes)
        return format_html_join("", "<div><strong>{}</strong>, {}. {}</div>", lines)
