"""Draws, as organizers and staff watch over them. What was published is read only; each action asks, then calls one service."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from lottery import services
from lottery.awaiting import awaited, came_too_late, first_offer, seals_by_hand
from lottery.drawing import Division
from lottery.exporting import csv_pieces
from lottery.models import Draw, DrawFile, LeftOut
from lottery.queries import divisions_of
from payments.services import look_at_entries
from registrations.models import QueueEntry
from tournaments import models as tournaments
from tournaments.forms import ReasonForm
from tournaments.queries import database_now
from vgchub import words
from vgchub.admin import AdminRequest, ScopedAdmin, column, detail_action, reach, site
from vgchub.admin_asking import Question

COLOURS = {
    Draw.State.OPEN: "info",
    Draw.State.SEALED: "warning",
    Draw.State.DRAWN: "success",
    Draw.State.VOID: "danger",
}
DivisionCode = tournaments.Division.Code
VOIDABLE = (Draw.State.SEALED, Draw.State.DRAWN)

SEAL_TEXT = _(
    "From then on nobody can enter this draw or correct an entry in it, and which round or secret decides is fixed. "
    "The list of entries and its fingerprint are published in a moment. This can't be taken back."
)
PROPOSE_TEXT = _(
    "Nothing changes until another member of staff confirms it. A draw that is void stays public, with the reason, and a new one "
    "follows, whose entries are sealed by hand."
)
CONFIRM_TEXT = _(
    "%(who)s proposed it: “%(reason)s” What was sealed and drawn then counts for nothing, and everybody waits for a new draw. "
    "Everybody can read the reason. This can't be taken back."
)


class VoidForm(ReasonForm):
    """Asks why, for everybody to read."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=ReasonForm.base_fields["reason"].widget,
        help_text=_("Everybody reads it on the draw's page, for good. Name no player."),
    )


@admin.register(Draw, site=site)
class DrawAdmin(ScopedAdmin):
    """`secret` is in no field, column or export: who knew it before the draw could choose who gets in."""

    secrets = frozenset({"secret"})
    scope = "tournament__organization"
    organizers_may = staff_may = frozenset({"view", "run"})
    list_display = ("tournament", "number", "kind", "coloured_state", "entrants", "sealed_at", "drawn_at", "public_id")
    list_filter = ("tournament", "kind", "state")
    list_select_related = ("tournament",)
    search_fields = ("=public_id", "tournament__name")
    search_help_text = _("The tournament's name or the draw's id")
    actions_detail = ("seal", "export", "propose_void", "confirm_void", "withdraw_proposal")
    fieldsets = (
        (None, {"fields": ("state", "waits_for", "tournament", "number", "kind", "files", "public_id")}),
        (_("Who takes part"), {"fields": ("entrants", "regrouped", "seats", "left_out")}),
        (
            _("Declaring it void"),
            {"fields": ("void_reason", "proposed", "confirmed", "voided_at", "supersedes", "followed_by")},
        ),
        (_("Times (UTC)"), {"fields": ("opened_at", "sealed_at", "published_at", "drawn_at")}),
        (
            _("Chance"),
            {
                "fields": (
                    "entropy",
                    "commitment",
                    "chain",
                    "round",
                    "manifest_sha256",
                    "randomness",
                    "signature",
                    "seed",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        people = ("void_proposed_by", "void_confirmed_by")
        return super().get_queryset(request).select_related("tournament", "supersedes", *people)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only what there is by now, or will be."""
        return [
            (title, {"fields": [name for name in options["fields"] if name not in EMPTY_AS_LONG or getattr(obj, name)]})
            for title, options in super().get_fieldsets(request, obj)
            if title != self.fieldsets[2][0] or _concerns_voiding(obj)
        ]

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        draw = self.get_object(request, object_id)
        if draw is None:
            return []
        staff = reach(request).is_staff
        proposed = draw.state in VOIDABLE and draw.void_proposed_by_id is not None
        offered = {
            "seal": seals_by_hand(draw, database_now()),
            "export": staff and draw.sealed_at is not None,
            "propose_void": staff and draw.state in VOIDABLE and not proposed and not _offers_began(draw),
            "confirm_void": staff and proposed and draw.void_proposed_by_id != request.user.pk,
            "withdraw_proposal": staff and proposed,
        }
        found: list[Any] = super().get_actions_detail(request, object_id)
        return [one for one in found if offered[one.method.original_function_name]]

    @detail_action(description=_("Seal the entries now"), url_path="seal", icon="lock", variant=ActionVariant.PRIMARY)
    def seal(self, request: AdminRequest, object_id: str) -> HttpResponse:
        draw = self.own_or_404(request, object_id)

        def perform(_form: forms.Form) -> str:
            # Looked at regularly only shortly before the planned time. Sealing is the lottery's, which knows nothing of payments.
            look_at_entries(tournament_id=draw.tournament_id)
            services.begin_sealing(draw_id=draw.pk, by=request.user)
            return say("The entries are sealed. Their list is published in a moment.")

        return self.ask(request, draw, Question(_("Seal the entries now?"), SEAL_TEXT, _("Seal them")), perform)

    @detail_action(description=_("Export"), url_path="export", icon="download")
    def export(self, request: AdminRequest, object_id: str) -> StreamingHttpResponse:
        """Who took part and what came out, as CSV; sent while it is read."""
        draw = self._of_staff(request, object_id)
        return StreamingHttpResponse(
            csv_pieces(draw),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="draw-{draw.public_id}.csv"'},
        )

    @detail_action(
        description=_("Propose to declare void"), url_path="propose-void", icon="gavel", variant=ActionVariant.DANGER
    )
    def propose_void(self, request: AdminRequest, object_id: str) -> HttpResponse:
        draw = self._of_staff(request, object_id)

        def perform(form: forms.Form) -> str:
            services.propose_void(draw_id=draw.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("Proposed. Another member of staff has to confirm it before the first seat is offered.")

        text = f"{PROPOSE_TEXT} {first_offer(draw, database_now())}"
        question = Question(_("Propose to declare this draw void?"), text, _("Propose it"), VoidForm, variant="danger")
        return self.ask(request, draw, question, perform)

    @detail_action(
        description=_("Confirm: declare void"), url_path="confirm-void", icon="gavel", variant=ActionVariant.DANGER
    )
    def confirm_void(self, request: AdminRequest, object_id: str) -> HttpResponse:
        draw = self._of_staff(request, object_id)

        def perform(_form: forms.Form) -> str:
            services.void_draw(draw_id=draw.pk, by=request.user)
            return say("The draw is void, and a new one is open. Seal its entries once what went wrong is put right.")

        told = CONFIRM_TEXT % {"who": draw.void_proposed_by or say("Nobody"), "reason": draw.void_reason}
        text = f"{told} {first_offer(draw, database_now())}"
        question = Question(_("Declare this draw void?"), text, _("Declare it void"), variant="danger")
        return self.ask(request, draw, question, perform)

    @detail_action(description=_("Withdraw the proposal"), url_path="withdraw-proposal", icon="undo")
    def withdraw_proposal(self, request: AdminRequest, object_id: str) -> HttpResponse:
        draw = self._of_staff(request, object_id)

        def perform(_form: forms.Form) -> str:
            services.withdraw_proposal(draw_id=draw.pk, by=request.user)
            return say("The proposal is withdrawn; the draw stands.")

        text = f"{say('The draw stands, as if nobody had asked.')} {first_offer(draw, database_now())}"
        question = Question(_("Withdraw the proposal?"), text, _("Withdraw it"))
        return self.ask(request, draw, question, perform)

    def _of_staff(self, request: AdminRequest, object_id: str) -> Draw:
        draw: Draw = self.own_or_404(request, object_id)
        if not reach(request).is_staff:
            raise PermissionDenied
        return draw

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, draw: Draw) -> tuple[str, str]:
        return draw.state, draw.get_state_display()

    @column(description=_("What is awaited"))
    def waits_for(self, draw: Draw) -> Any:
        text = awaited(draw, database_now())
        if draw.state == Draw.State.SEALED and came_too_late(draw):
            return format_html('<strong role="note">⚠ {}</strong>', text)
        return text

    @column(description=_("Published"))
    def files(self, draw: Draw) -> SafeString:
        page = draw.get_absolute_url()
        ready = set(draw.files.values_list("name", flat=True))
        links = [(page, say("the draw's page"))]
        links += [(f"{page}{name}.json", str(label)) for name, label in DrawFile.Name.choices if name in ready]
        return format_html_join(", ", '<a class="text-link" href="{}">{}</a>', links)

    @column(description=_("Seats and waitlist"))
    def seats(self, draw: Draw) -> Any:
        """Per division, as sealed."""
        entered = draw.entries.order_by().values_list("division", "group").annotate(Count("pk"))
        counts = {(division, group): number for division, group, number in entered}
        return _lines(_division(division, counts) for division in divisions_of(draw))

    @column(description=_("Left out"))
    def left_out(self, draw: Draw) -> Any:
        counted = draw.left_out.order_by().values_list("reason").annotate(Count("pk"))
        return _lines(f"{words.number(number)}: {LeftOut.Reason(reason).label}" for reason, number in counted)

    @column(description=_("Proposed by"))
    def proposed(self, draw: Draw) -> str:
        at = draw.void_proposed_at
        return f"{draw.void_proposed_by}, {at:%Y-%m-%d %H:%M} UTC" if at and draw.void_proposed_by else "-"

    @column(description=_("Confirmed by"))
    def confirmed(self, draw: Draw) -> str:
        return str(draw.void_confirmed_by or "-")

    @column(description=_("Followed by"))
    def followed_by(self, draw: Draw) -> Any:
        after = Draw.objects.filter(supersedes=draw).first()
        if after is None:
            return "-"
        there = reverse("admin:lottery_draw_change", args=[after.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', there, after)


# Shown once there is something in them.
EMPTY_AS_LONG = ("commitment", "chain", "round", "manifest_sha256", "randomness", "signature", "seed")


def _concerns_voiding(draw: Draw | None) -> bool:
    return draw is not None and bool(draw.void_proposed_by_id or draw.voided_at or draw.supersedes_id)


def _offers_began(draw: Draw) -> bool:
    return QueueEntry.objects.filter(tournament=draw.tournament_id, offered_at__isnull=False).exists()


def _division(division: Division, counts: Mapping[tuple[str, str], int]) -> str:
    """`counts`: (division, group) -> entries. How many are left without a seat does not depend on the order."""
    entries = sum(number for (code, _group), number in counts.items() if code == division.code)
    reserves = {reserve.group: reserve.seats for reserve in division.reserved}
    by_group = sum(min(seats, counts.get((division.code, group), 0)) for group, seats in reserves.items())
    facts = {
        "division": DivisionCode(division.code).label,
        "entries": words.number(entries),
        "seats": words.number(division.seats),
        "reserved": words.number(sum(reserves.values())),
        "waitlist": words.number(max(0, entries - by_group - division.unreserved)),
    }
    text = say(
        "%(division)s: %(entries)s entries for %(seats)s seats (%(reserved)s reserved), %(waitlist)s on the waitlist"
    )
    return text % facts


def _lines(texts: Iterable[str]) -> Any:
    return format_html_join("", "<div>{}</div>", ((text,) for text in texts)) or "-"
