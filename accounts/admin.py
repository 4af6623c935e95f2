"""Accounts and players, for staff alone; organizers meet players in their tournaments' entries."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import Consent, Player, User
from vgchub.admin import ScopedAdmin, column, site
from vgchub.forms import ChangedFieldsForm


@admin.register(User, site=site)
class UserAdmin(ScopedAdmin):
    """Passwords are reset by their owners; who is staff is decided by superusers alone."""

    staff_may = frozenset({"view", "change"})
    form = ChangedFieldsForm
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


@admin.register(Player, site=site)
class PlayerAdmin(ScopedAdmin):
    """Results are typed by staff; a Player ID is settled by an action that says whose it is, and why."""

    staff_may = frozenset({"view", "change", "run"})
    form = ChangedFieldsForm
    fields = (
        "display_name",
        "account",
        ("player_id", "coloured_state"),
        ("birth_date", "country"),
        ("championship_points", "best_placement", "seasons_played"),
        "created_at",
    )
    readonly_fields = ("account", "player_id", "coloured_state", "birth_date", "country", "created_at", "display_name")
    list_display = ("display_name", "player_id", "coloured_state", "country", "account")
    list_filter = ("player_id_state",)
    list_select_related = ("account",)
    search_fields = ("display_name", "=player_id", "account__email")

    @column(
        description=_("Player ID is"),
        ordering="player_id_state",
        label={"VERIFIED": "success", "DISPUTED": "danger", "CLAIMED": "info"},
    )
    def coloured_state(self, player: Player) -> tuple[str, str]:
        return player.player_id_state, player.get_player_id_state_display()


@admin.register(Consent, site=site)
class ConsentAdmin(ScopedAdmin):
    list_display = ("account", "player", "kind", "text_version", "given_at")
    list_filter = ("kind",)
    list_select_related = ("account", "player")
    search_fields = ("account__email", "player__display_name")
