"""Cards on file, to read: what is done with them follows from their entries."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from payments.models import SavedCard
from vgchub.admin import ScopedAdmin, column, site
from vgchub.words import money

COLOURS = {"SAVED": "success", "ASKED": "warning"}


@admin.register(SavedCard, site=site)
class SavedCardAdmin(ScopedAdmin):
    scope = "entry__tournament__organization"
    list_display = (
        "id",
        "player_name",
        "tournament",
        "card",
        "agreed",
        "coloured_state",
        "charge_due_at",
        "charges",
        "needs_player_at",
    )
    list_filter = ("state", "entry__tournament")
    list_select_related = ("entry__player", "entry__tournament")
    search_fields = ("=entry__public_id", "=entry__player__player_id", "=customer", "=payment_method")
    search_help_text = _("Entry, Player ID, customer or payment method at Stripe")
    fieldsets = (
        (None, {"fields": ("coloured_state", "card", "agreed", "player_name", "tournament", "entry")}),
        (_("Charging"), {"fields": ("charge_due_at", "charges", "needs_player_at", "failure_message", "failure_code")}),
        (_("Times (UTC)"), {"fields": ("created_at", "session_expires_at", "saved_at", "ended_at")}),
        (_("At Stripe"), {"fields": ("payment_method", "customer", "checkout_session", "stripe_account")}),
    )

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, card: SavedCard) -> str:
        return card.state

    @column(description=_("Card"), ordering="last4")
    def card(self, card: SavedCard) -> str:
        return f"{card.brand} {card.last4}".strip() or "-"

    @column(description=_("Agreed"), ordering="agreed_minor")
    def agreed(self, card: SavedCard) -> str:
        return money(card.agreed_minor, card.currency)

    @column(description=_("Player"))
    def player_name(self, card: SavedCard) -> str:
        return card.entry.player.display_name

    @column(description=_("Tournament"))
    def tournament(self, card: SavedCard) -> str:
        return card.entry.tournament.name
