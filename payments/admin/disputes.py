"""Disputes, to read: they are answered at Stripe, and what comes of them is Stripe's to say."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from payments.models import Dispute
from vgchub.admin import ScopedAdmin, column, site
from vgchub.words import money

DISPUTE_COLOURS = {
    "needs_response": "danger",
    "warning_needs_response": "warning",
    "under_review": "warning",
    "warning_under_review": "warning",
    "won": "success",
    "warning_closed": "success",
    "prevented": "success",
    "lost": "danger",
}


def in_words(code: str) -> str:
    """Stripe's own word for a status or a reason, as its dashboard writes it: needs response."""
    return code.replace("_", " ")


@admin.register(Dispute, site=site)
class DisputeAdmin(ScopedAdmin):
    scope = "payment__entry__tournament__organization"
    list_display = (
        "player_name",
        "payment",
        "amount",
        "coloured_status",
        "reason_in_words",
        "evidence_due_at",
        "stripe_id",
    )
    list_filter = ("status", "payment__entry__tournament")
    list_select_related = ("payment__entry__player",)
    search_fields = ("=stripe_id", "=payment__intent", "=payment__entry__public_id")
    search_help_text = _("Dispute, payment intent or entry")
    fieldsets = (
        (None, {"fields": ("status_in_words", "amount", "reason_in_words", "player_name", "payment")}),
        (_("Times (UTC)"), {"fields": ("opened_at", "evidence_due_at", "ended_at")}),
        (_("At Stripe"), {"fields": ("stripe_id",)}),
    )

    @column(description=_("Status"), ordering="status", label=DISPUTE_COLOURS)
    def coloured_status(self, dispute: Dispute) -> tuple[str, str]:
        return dispute.status, in_words(dispute.status)

    @column(description=_("Status"))
    def status_in_words(self, dispute: Dispute) -> str:
        """Labels are for lists."""
        return in_words(dispute.status)

    @column(description=_("Reason"), ordering="reason")
    def reason_in_words(self, dispute: Dispute) -> str:
        return in_words(dispute.reason)

    @column(description=_("Amount"), ordering="amount_minor")
    def amount(self, dispute: Dispute) -> str:
        return money(dispute.amount_minor, dispute.currency)

    @column(description=_("Player"))
    def player_name(self, dispute: Dispute) -> str:
        return dispute.payment.entry.player.display_name
