"""Tournaments, as organizers run them: one page to make one, and actions, with a reason, for what players will notice."""

from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline, TabularInline
from unfold.widgets import UnfoldAdminRadioSelectWidget

from registrations import services as registrations
from tournaments.admin.operations import TournamentOperations
from tournaments.forms import (
    FIRST_COME_WARNING,
    DayInput,
    DivisionForm,
    DivisionFormSet,
    GroupForm,
    GroupFormSet,
    LocalDateTimeInput,
    TimeZoneInput,
    TournamentForm,
    current_season_divisions,
)
from tournaments.models import Division, PriorityGroup, Tournament
from tournaments.rules import Phase
from tournaments.triggers import DRAW_FIELDS
from vgchub.admin import AdminRequest, ScopedAdmin, ScopedInline, column, reach, site

PHASES = {
    Phase.DRAFT: _("draft"),
    Phase.ANNOUNCED: _("announced"),
    Phase.PREQUEUE: _("waiting room open"),
    Phase.OPEN: _("open"),
    Phase.CLOSED: _("closed, offers go on"),
    Phase.OVER: _("over"),
    Phase.CANCELLED: _("cancelled"),
}

# What players were told when they entered: not changed once entries are open.
FROZEN = (*DRAW_FIELDS, "fee_minor", "currency")


# Fields that have no meaning in every mode.
MODES_OF = {
    "first_come_warning": {Tournament.Mode.FIRST_COME},
    "prequeue_opens_at": {Tournament.Mode.FAIR_START},
    "seals_at": {Tournament.Mode.LOTTERY},
    "entropy": set(Tournament.DRAWN_MODES),
    "objection_minutes": {Tournament.Mode.LOTTERY},
    "saves_cards": {Tournament.Mode.LOTTERY},
    "decline_hours": {Tournament.Mode.LOTTERY},
}


def entries_open(request: HttpRequest, tournament: Tournament) -> bool:
    """Whether somebody may have entered by now, an early lane included; asked once a request, for a page asks it often."""
    known = reach(request).known
    key = ("entries_open", tournament.pk)
    if key not in known:
        early = tournament.groups.aggregate(early=models.Max("opens_early_minutes"))["early"] or 0
        phase = tournament.phase(timezone.now(), early_minutes=early)
        known[key] = phase not in (Phase.DRAFT, Phase.ANNOUNCED)
    return known[key]


def _frozen(request: HttpRequest, tournament: Tournament) -> tuple[str, ...]:
    """Fields that can't be changed any more: what was promised, sealed, or is over."""
    frozen = FROZEN if entries_open(request, tournament) else ()
    if tournament.entries_sealed_at or tournament.closed_at:
        frozen = (*frozen, "closes_at", "seals_at")
    return (*frozen, "offers_end_at") if tournament.closed_at else frozen


class TournamentPart(ScopedInline):
    """Divisions and groups: free to change until entries open."""

    may = frozenset({"view", "add", "change", "delete"})

    def _may(self, request: HttpRequest, act: str, parent: Any) -> bool:
        allowed = super()._may(request, act, parent)
        return allowed and (act == "view" or parent is None or not entries_open(request, parent))


class DivisionInline(TournamentPart, TabularInline):
    model = Division
    form = DivisionForm
    formset = DivisionFormSet
    formfield_overrides = {models.DateField: {"widget": DayInput}}
    fields = ("code", "name", "born_from", "born_to", "seat_number")
    max_num = len(Division.Code)
    hide_title = True
    verbose_name_plural = _("Divisions: rows without seats are left out")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Division]:
        rows: QuerySet[Division] = super().get_queryset(request)
        return rows.annotate(seat_count=Count("seats"))

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:  # noqa: ARG002
        return 0 if obj else len(Division.Code)

    @column(description=_("Seats"))
    def seat_number(self, division: Any) -> int | None:
        return getattr(division, "seat_count", None)


class GroupInline(TournamentPart, StackedInline):
    model = PriorityGroup
    form = GroupForm
    formset = GroupFormSet
    show_change_link = True
    verbose_name_plural = _("Priority groups")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriorityGroup]:
        rows: QuerySet[PriorityGroup] = super().get_queryset(request)
        return rows.annotate(reserved_count=Count("seats"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[Any, dict[str, Any]]]:  # noqa: ARG002
        seats = ("reserved_number",) if obj else tuple(f"reserved_{code}" for code in Division.Code.values)
        return [
            (None, {"fields": ("name", "tickets", "priority", "opens_early_minutes", *seats)}),
            (
                _("Who belongs to it, besides those on its list (all that is set must hold)"),
                {
                    "fields": (
                        "min_championship_points",
                        "max_best_placement",
                        "min_seasons_played",
                        "countries",
                        "division_codes",
                    )
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("reserved_number",) if obj else ()

    @column(description=_("Reserved seats"))
    def reserved_number(self, group: Any) -> Any:
        return getattr(group, "reserved_count", _("With “Seats”, once the group is saved."))


@admin.register(Tournament, site=site)
class TournamentAdmin(TournamentOperations, ScopedAdmin):
    scope = "organization"
    organizers_may = staff_may = frozenset({"view", "add", "change", "run"})

    form = TournamentForm
    inlines = (DivisionInline, GroupInline)
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}
    warn_unsaved_form = True
    formfield_overrides = {
        models.DateTimeField: {"form_class": forms.DateTimeField, "widget": LocalDateTimeInput},
    }
    conditional_fields: ClassVar[dict[str, str]] = {
        # Once the mode is only shown there is nothing to follow; get_fieldsets leaves out what it has no use for.
        "first_come_warning": "typeof mode == 'undefined' || mode == 'FIRST_COME'",
        "prequeue_opens_at": "typeof mode == 'undefined' || mode == 'FAIR_START'",
        "seals_at": "typeof mode == 'undefined' || mode == 'LOTTERY'",
        "entropy": "typeof mode == 'undefined' || mode != 'FIRST_COME'",
        "objection_minutes": "typeof mode == 'undefined' || mode == 'LOTTERY'",
        "saves_cards": "typeof mode == 'undefined' || mode == 'LOTTERY'",
        "decline_hours": "typeof mode == 'undefined' || mode == 'LOTTERY'",
    }
    list_display = ("name", "phase", "mode", "opens", "seat_count", "organization")
    list_filter = ("organization", "mode")
    list_select_related = ("organization",)
    search_fields = ("name", "slug", "city")
    ordering = ("-opens_at", "pk")
    fieldsets = (
        (None, {"fields": ("status", "organization", "name", "slug", ("game", "format"), "description")}),
        (_("Where and when"), {"fields": ("venue", ("city", "country"), "time_zone", ("starts_at", "ends_at"))}),
        (
            _("How seats are given out"),
            {
                "fields": (
                    "mode",
                    "first_come_warning",
                    "prequeue_opens_at",
                    ("opens_at", "closes_at"),
                    "seals_at",
                    "offers_end_at",
                    "entropy",
                    "objection_minutes",
                    "releases_reserved",
                )
            },
        ),
        (
            _("Fee and refunds"),
            {
                "fields": (
                    ("fee_minor", "currency"),
                    ("refund_until", "refund_kept_percent"),
                    "saves_cards",
                    "decline_hours",
                )
            },
        ),
        (
            _("Pace of offers, usually left as it is"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("offer_minutes", "rush_minutes"),
                    ("late_offer_hours", "payment_minutes"),
                    ("offers_per_minute", "offer_batch"),
                    ("max_waiting", "emergency_contact"),
                ),
            },
        ),
        (
            _("Limits on joining, usually left as they are"),
            {
                "classes": ("collapse",),
                "fields": (
                    "joins_per_player",
                    ("joins_per_address", "joins_per_address_verified"),
                    "join_ceiling",
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tournament]:
        rows: QuerySet[Tournament] = super().get_queryset(request)
        return rows.annotate(seat_total=Count("divisions__seats"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A cancelled tournament stays as it was."""
        cancelled = isinstance(obj, Tournament) and obj.cancelled_at is not None
        return not cancelled and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        shown = ("status", "first_come_warning")
        if obj is None:
            return shown
        published = ("slug",) if obj.published_at else ()
        return (*shown, "organization", *published, *_frozen(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or (self.has_change_permission(request, obj) and not entries_open(request, obj)):
            return fieldsets
        useless = {name for name, modes in MODES_OF.items() if obj.mode not in modes}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in useless]})
            for title, options in fieldsets
        ]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, tuple[str, ...]]:  # noqa: ARG002
        return {} if obj else self.prepopulated_fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the organizer's last tournament had, where the next one probably has the same."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        latest = self.own_rows(request).order_by("-pk").first()
        if latest is not None:
            alike = ("organization", "country", "time_zone", "currency", "game", "emergency_contact")
            return {**{name: getattr(latest, name) for name in alike}, **initial}
        own = reach(request).organization_ids
        return {"organization": min(own), **initial} if len(own) == 1 else initial

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        if isinstance(inline, DivisionInline) and obj.pk is None:
            kwargs["initial"] = current_season_divisions()
        return kwargs

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "time_zone":
            kwargs["widget"] = TimeZoneInput
        if db_field.name == "mode":
            kwargs["widget"] = UnfoldAdminRadioSelectWidget
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(db_field, models.DateTimeField) and field is not None:
            field.help_text = _("Venue time (%(zone)s).") % {"zone": timezone.get_current_timezone_name()}
        return field

    def changeform_view(self, request: HttpRequest, object_id: Any = None, *args: Any, **kwargs: Any) -> HttpResponse:
        """Times are typed and shown as the clock at the venue says them."""
        with timezone.override(self._zone(request, object_id)):
            response: HttpResponse = super().changeform_view(request, object_id, *args, **kwargs)
            return response.render() if isinstance(response, TemplateResponse) else response

    def _zone(self, request: HttpRequest, object_id: Any) -> ZoneInfo:
        """The one that was sent with the form, else the tournament's own, else what a new one would begin with."""
        found = self.get_object(request, str(object_id)) if object_id else None
        kept = found.time_zone if found else self.get_changeform_initial_data(request).get("time_zone", "UTC")
        sent = request.POST.get("time_zone", "").strip()
        return ZoneInfo(sent if sent in available_timezones() else kept)

    def _create_formsets(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any]]:
        """On one page, reserved seats are checked against the seats typed beside them."""
        formsets, inlines = super()._create_formsets(*args, **kwargs)
        parts = {type(formset).__mro__[1]: formset for formset in formsets}
        if DivisionFormSet in parts and GroupFormSet in parts and parts[GroupFormSet].instance.pk is None:
            parts[GroupFormSet].divisions = parts[DivisionFormSet]
        return formsets, inlines

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.mode == Tournament.Mode.FIRST_COME and "mode" in form.changed_data:
            messages.warning(request, FIRST_COME_WARNING)

    def save_related(self, request: AdminRequest, form: Any, formsets: Any, change: bool) -> None:
        """Seats are made once divisions and groups have their rows."""
        super().save_related(request, form, formsets, change)
        parts = {formset.model: formset for formset in formsets}
        reserved = [(group_form.instance, group_form.reserved()) for group_form in _new_forms(parts.get(PriorityGroup))]
        for division_form in _new_forms(parts.get(Division)):
            self._make_seats(request, division_form, [] if change else reserved)

    def _make_seats(
        self, request: AdminRequest, form: DivisionForm, reserved: list[tuple[PriorityGroup, dict[str, int]]]
    ) -> None:
        division = form.instance
        kinds: dict[int | None, int] = {
            group.pk: numbers[division.code] for group, numbers in reserved if division.code in numbers
        }
        kinds[None] = form.cleaned_data["seat_number"] - sum(kinds.values())
        for group_id, seats in kinds.items():
            registrations.set_seats(
                division_id=division.pk, seats=seats, group_id=group_id, by=request.user, reason="first seats"
            )

    @column(description=_("Status"))
    def status(self, tournament: Tournament) -> Any:
        if tournament.pk is None:
            return _("New: it becomes a draft that only organizers see, until you publish it.")
        phase = PHASES[tournament.phase(timezone.now())]
        paused = _("Offers are paused.") if tournament.paused_at else ""
        rows = [("registrations_queueentry", _("Its entries"))]
        if tournament.is_drawn_mode and tournament.draw_opened_at:
            rows.append(("lottery_draw", _("Its draws")))
        links = [
            (reverse(f"admin:{name}_changelist"), tournament.pk, label)  # both lists are narrowed down alike
            for name, label in rows
        ]
        return format_html(
            "{}. {} {}",
            str(phase).capitalize(),
            paused,
            format_html_join(" ", '<a class="text-link" href="{}?tournament__id__exact={}">{}</a>', links),
        )

    @column(description="")
    def first_come_warning(self, _tournament: Tournament) -> Any:
        return format_html('<strong role="note">⚠ {}</strong>', FIRST_COME_WARNING)

    @column(
        description=_("Phase"),
        label={
            Phase.DRAFT: "",
            Phase.ANNOUNCED: "info",
            Phase.PREQUEUE: "success",
            Phase.OPEN: "success",
            Phase.CLOSED: "warning",
            Phase.OVER: "",
            Phase.CANCELLED: "danger",
        },
    )
    def phase(self, tournament: Tournament) -> tuple[Phase, Any]:
        phase = tournament.phase(timezone.now())
        return phase, PHASES[phase]

    @column(description=_("Opens"), ordering="opens_at")
    def opens(self, tournament: Tournament) -> str:
        local = tournament.opens_at.astimezone(ZoneInfo(tournament.time_zone))
        return f"{date_format(local, 'j M Y, H:i')} {local.tzname()}"

    @column(description=_("Seats"), ordering="seat_total")
    def seat_count(self, tournament: Any) -> int:
        count: int = tournament.seat_total
        return count


def _new_forms(formset: Any) -> list[Any]:
    """The forms whose rows a formset has just made."""
    made = {id(row) for row in formset.new_objects} if formset is not None else set()
    return [form for form in formset.forms if id(form.instance) in made] if made else []
