"""Accounts and players, for staff alone; organizers meet players in their tournaments' entries."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import services
from accounts.models import Consent, Player, User
from registrations import services as registrations
from vgchub.admin import AdminRequest, ScopedAdmin, column, detail_action, site
from vgchub.admin_asking import Question


@admin.register(User, site=site)
class UserAdmin(ScopedAdmin):
    """Passwords are reset by their owners; who is staff is decided by superusers alone."""

    staff_may = frozenset({"view", "change"})
    secrets = frozenset({"password"})
    fields = ("email", "email_verified_at", "is_active", "is_staff", "is_superuser", "joined_at", "last_login")
    list_display = ("email", "is_active", "is_staff", "joined_at")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email",)
    ordering = ("-joined_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        shown = ("email", "email_verified_at", "joined_at", "last_login")
        ranks = ("is_staff", "is_superuser")
        if request.user.is_superuser:
            return shown
        # Nor may staff lock out those who made them staff.
        return (*shown, *ranks, "is_active") if obj is not None and obj.is_staff else (*shown, *ranks)


class OwnerForm(forms.Form):
    """Whose a disputed Player ID is. `claims`: everybody who claims it."""

    owner = forms.ModelChoiceField(
        label=_("It belongs to"),
        queryset=Player.objects.none(),
        required=False,
        empty_label=_("nobody of them: open again"),
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("What convinced you; kept in the history."),
    )

    def __init__(self, *args: Any, claims: QuerySet[Player], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self.fields["owner"]
        owner.queryset = claims  # type: ignore[attr-defined]
        owner.label_from_instance = lambda player: f"{player.display_name}, {player.account.email}"  # type: ignore[attr-defined]


@admin.register(Player, site=site)
class PlayerAdmin(ScopedAdmin):
    """Results are typed by staff; a Player ID is settled by an action that says whose it is, and why."""

    staff_may = frozenset({"view", "change", "run"})
    actions_detail = ("settle",)
    fields = (
        "display_name",
        "account",
        ("player_id", "coloured_state"),
        "other_claims",
        ("birth_date", "country"),
        ("championship_points", "best_placement", "seasons_played"),
        "created_at",
    )
    readonly_fields = (
        "display_name",
        "account",
        "player_id",
        "coloured_state",
        "other_claims",
        "birth_date",
        "country",
        "created_at",
    )
    list_display = ("display_name", "player_id", "coloured_state", "country", "account")
    list_filter = ("player_id_state",)
    list_select_related = ("account",)
    search_fields = ("display_name", "=player_id", "account__email")

    def save_model(self, request: HttpRequest, obj: Player, form: Any, change: bool) -> None:
        """New results may put who waits into another group."""
        super().save_model(request, obj, form, change)
        if not form.fields_to_save:
            return
        waiting = sorted(set(obj.entries.waiting().values_list("tournament_id", flat=True)))
        moved = sum(registrations.regroup_entries(tournament_id=tournament_id) for tournament_id in waiting)
        told = ngettext("%(number)d entry regrouped.", "%(number)d entries regrouped.", moved)
        messages.info(request, told % {"number": moved})

    @detail_action(description=_("Settle the Player ID"), url_path="settle", icon="gavel")
    def settle(self, request: AdminRequest, object_id: str) -> HttpResponse:
        player = self.own_or_404(request, object_id)
        claims = Player.objects.filter(player_id=player.player_id).select_related("account")

        def perform(form: forms.Form) -> str:
            services.resolve_dispute(
                player_id=player.player_id,
                owner=form.cleaned_data["owner"],
                by=request.user,
                reason=form.cleaned_data["reason"],
            )
            return say("Settled. Entries of the owner can be offered seats again.")

        text = _("Until it is settled, nobody who claims this Player ID is offered a seat or drawn.")
        question = Question(
            _("Whose is Player ID %(number)s?") % {"number": player.player_id},
            text,
            _("Settle"),
            OwnerForm,
            {"claims": claims},
        )
        return self.ask(request, player, question, perform)

    @column(
        description=_("Player ID is"),
        ordering="player_id_state",
        label={"VERIFIED": "success", "DISPUTED": "danger", "CLAIMED": "info"},
    )
    def coloured_state(self, player: Player) -> tuple[str, str]:
        return player.player_id_state, player.get_player_id_state_display()

    @column(description=_("Claimed as well by"))
    def other_claims(self, player: Player) -> Any:
        others = Player.objects.filter(player_id=player.player_id).exclude(pk=player.pk).select_related("account")
        rows = ((other.display_name, other.account.email) for other in others)
        return format_html_join(", ", "{} ({})", rows) or _("nobody else")


@admin.register(Consent, site=site)
class ConsentAdmin(ScopedAdmin):
    list_display = ("account", "player", "kind", "text_version", "given_at")
    list_filter = ("kind",)
    list_select_related = ("account", "player")
    search_fields = ("account__email", "player__display_name")
