"""Entries, as organizers and staff look them up; what changes one is an action with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from import_export import fields, resources
from import_export.admin import ExportMixin
from unfold.contrib.import_export.forms import ExportForm
from unfold.enums import ActionVariant

from registrations import services
from registrations.models import Notice, QueueEntry
from registrations.rules import LIVE, State
from tournaments.forms import ReasonForm
from vgchub.admin import AdminRequest, ScopedAdmin, column, detail_action, reach, site
from vgchub.admin_asking import Question
from vgchub.admin_history import happenings

COLOURS = {
    State.WAITING: "info",
    State.OFFERED: "warning",
    State.CONFIRMED: "success",
    State.REJECTED: "danger",
}


WAIVABLE = (State.WAITING, State.OFFERED, State.PASSED)


class EntryResource(resources.ModelResource):
    """What an organizer needs at the door; no address, no account."""

    tournament = fields.Field("tournament__slug", "tournament")
    division = fields.Field("division__name", "division")
    player = fields.Field("player__display_name", "player")
    player_id = fields.Field("player__player_id", "player_id")
    group = fields.Field("group__name", "group")
    seat = fields.Field("seat__number", "seat")

    class Meta:
        model = QueueEntry
        fields = export_order = (
            "public_id",
            "tournament",
            "division",
            "player",
            "player_id",
            "group",
            "state",
            "number",
            "place",
            "seat",
            "joined_at",
            "confirmed_at",
            "ended_at",
        )


@admin.register(QueueEntry, site=site)
class EntryAdmin(ExportMixin, ScopedAdmin):
    scope = "tournament__organization"
    organizers_may = staff_may = frozenset({"view", "run"})
    resource_classes = [EntryResource]
    export_form_class = ExportForm

    list_display = (
        "player_name",
        "player_number",
        "tournament",
        "division",
        "coloured_state",
        "place",
        "joined_at",
        "public_id",
    )
    list_filter = ("tournament", "division__code", "state")
    list_select_related = ("tournament", "division", "player")
    search_fields = ("=public_id", "player__display_name", "=player__player_id")
    search_help_text = _("Name, Player ID or the entry's number")
    ordering = ("-number",)
    actions_detail = ("grant", "waive", "reject")
    change_form_outer_after_template = "admin/_happenings.html"
    fieldsets = (
        (None, {"fields": ("public_id", "coloured_state", "tournament", "division", "player_name", "player_number")}),
        (_("Place and seat"), {"fields": ("group", "priority", "number", "place", "seat_number", "offer_number")}),
        (
            _("Times (UTC)"),
            {
                "fields": (
                    "joined_at",
                    "offered_at",
                    "offer_expires_at",
                    "checkout_at",
                    "hold_until",
                    "stepped_back_at",
                    "confirmed_at",
                    "ended_at",
                )
            },
        ),
        (_("Decisions"), {"fields": ("granted_by", "grant_reason", "waived_by", "waiver_reason")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[QueueEntry]:
        return super().get_queryset(request).select_related("tournament", "division", "player", "group", "seat")

    def get_view_on_site_url(self, obj: QueueEntry | None = None) -> str | None:
        """The page that answers "why did I not get in"; `get_absolute_url` is the player's own."""
        return reverse("entry_staff", args=[obj.public_id]) if obj else None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the entry's timeline: why this player got a seat, or did not."""
        entry = self.get_object(request, object_id)
        found = {**(extra_context or {}), "happenings": happenings(entry) if entry else []}
        answer: HttpResponse = super().change_view(request, object_id, form_url, found)
        return answer

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        entry = self.get_object(request, object_id)
        if entry is None:
            return []
        offered = {
            "grant": entry.state == State.WAITING,
            "waive": entry.state in WAIVABLE and entry.waived_by_id is None and not entry.tournament.is_free,
            "reject": entry.state in LIVE and reach(request).is_staff,
        }
        found: list[Any] = super().get_actions_detail(request, object_id)
        return [one for one in found if offered[one.method.original_function_name]]

    @detail_action(description=_("Grant a seat"), url_path="grant", icon="event_seat")
    def grant(self, request: AdminRequest, object_id: str) -> HttpResponse:
        entry = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.grant_seat(public_id=entry.public_id, by=request.user, reason=form.cleaned_data["reason"])
            return say("A seat is on offer to this player.")

        text = _(
            "A free seat is offered to this player out of order. Everybody can read the reason in the entry's history."
        )
        return self.ask(request, entry, Question(_("Grant a seat?"), text, _("Offer a seat"), ReasonForm), perform)

    @detail_action(description=_("Waive the fee"), url_path="waive", icon="money_off")
    def waive(self, request: AdminRequest, object_id: str) -> HttpResponse:
        entry = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.waive_fee(public_id=entry.public_id, by=request.user, reason=form.cleaned_data["reason"])
            return say("This player takes a seat without paying.")

        text = _("This player takes an offer with one click and pays nothing.")
        return self.ask(request, entry, Question(_("Waive the fee?"), text, _("Waive the fee"), ReasonForm), perform)

    @detail_action(description=_("Take out"), url_path="reject", icon="person_remove", variant=ActionVariant.DANGER)
    def reject(self, request: AdminRequest, object_id: str) -> HttpResponse:
        entry = self.own_or_404(request, object_id)
        if not reach(request).is_staff:
            raise PermissionDenied

        def perform(form: forms.Form) -> str:
            services.reject_entry(public_id=entry.public_id, by=request.user, reason=form.cleaned_data["reason"])
            return say("The entry is taken out; the player is told why.")

        text = _("The place or seat is lost, for good. The player reads the reason.")
        question = Question(_("Take this entry out?"), text, _("Take it out"), ReasonForm, variant="danger")
        return self.ask(request, entry, question, perform)

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, entry: QueueEntry) -> str:
        return entry.state

    @column(description=_("Player"), ordering="player__display_name")
    def player_name(self, entry: QueueEntry) -> str:
        return entry.player.display_name

    @column(description=_("Player ID"), ordering="player__player_id")
    def player_number(self, entry: QueueEntry) -> str:
        return entry.player.player_id

    @column(description=_("Seat"))
    def seat_number(self, entry: QueueEntry) -> int | None:
        return entry.seat.number if entry.seat else None


@admin.register(Notice, site=site)
class NoticeAdmin(ScopedAdmin):
    """Which mails are due or were sent, and when."""

    scope = "entry__tournament__organization"
    list_display = ("kind", "player_name", "tournament", "due_at", "mailed_at")
    list_filter = ("kind", "entry__tournament")
    list_select_related = ("entry__player", "entry__tournament")
    search_fields = ("=entry__public_id", "=entry__player__player_id")
    ordering = ("-due_at",)

    @column(description=_("Player"))
    def player_name(self, notice: Notice) -> str:
        return notice.entry.player.display_name

    @column(description=_("Tournament"))
    def tournament(self, notice: Notice) -> str:
        return notice.entry.tournament.name
