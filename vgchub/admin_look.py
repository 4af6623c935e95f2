"""How the admin looks, and how its sidebar groups things as people think of them (django-unfold's settings)."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

# Group: (title, icon from Material Symbols, admin:<name>_changelist)
NAVIGATION: list[tuple[Any, list[tuple[Any, str, str]]]] = [
    (
        _("Tournaments"),
        [
            (_("Tournaments"), "trophy", "tournaments_tournament"),
            (_("Priority groups"), "group_work", "tournaments_prioritygroup"),
            (_("Lists of members"), "format_list_numbered", "tournaments_prioritymember"),
        ],
    ),
    (
        _("Entries"),
        [
            (_("Entries"), "confirmation_number", "registrations_queueentry"),
            (_("Draws"), "casino", "lottery_draw"),
            (_("Mails to players"), "mail", "registrations_notice"),
        ],
    ),
    (_("Players"), [(_("Players"), "sports_esports", "accounts_player")]),
    (
        _("Money"),
        [
            (_("Payments"), "payments", "payments_payment"),
            (_("Refunds"), "currency_exchange", "payments_refund"),
            (_("Cards on file"), "credit_card", "payments_savedcard"),
            (_("Disputes"), "gavel", "payments_dispute"),
            (_("Discrepancies"), "difference", "payments_discrepancy"),
            (_("Comparisons with Stripe"), "compare_arrows", "payments_reconciliation"),
            (_("Booked by Stripe"), "account_balance", "payments_ledgerline"),
            (_("Reviews"), "policy", "payments_review"),
            (_("Signals"), "tune", "payments_signalrule"),
            (_("Dead letters"), "mark_email_unread", "payments_deadletter"),
        ],
    ),
    (
        _("Accounts"),
        [
            (_("Organizations"), "corporate_fare", "tournaments_organization"),
            (_("Accounts"), "manage_accounts", "accounts_user"),
            (_("Consents"), "verified_user", "accounts_consent"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, with what its reader may see."""
    from vgchub.admin import site  # noqa: PLC0415  settings are read before there are models

    seen = {
        f"{model._meta.app_label}_{model._meta.model_name}"  # noqa: SLF001
        for model, model_admin in site._registry.items()  # noqa: SLF001
        if model_admin.has_module_permission(request)
    }
    groups = [
        {
            "title": title,
            "items": [
                {"title": name, "icon": icon, "link": reverse(f"admin:{model}_changelist")}
                for name, icon, model in items
                if model in seen
            ],
        }
        for title, items in NAVIGATION
    ]
    return [group for group in groups if group["items"]]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("VGC Hub"),
    "SITE_HEADER": _("VGC Hub"),
    "SITE_SUBHEADER": _("for organizers"),
    "SITE_SYMBOL": "trophy",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("icons/mark.svg")}],
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "tournaments.admin.start.context",
    "BORDER_RADIUS": "8px",
    "COLORS": {
        # The accent of the site's own pages (static/css/tokens.css), and what lies around it; 500 is read on dark.
        "primary": {
            "50": "#eef4ff",
            "100": "#dbe7fe",
            "200": "#bfd4fd",
            "300": "#93b6fb",
            "400": "#86aff9",
            "500": "#5f93f5",
            "600": "#1459c7",
            "700": "#0f479f",
            "800": "#123c81",
            "900": "#14356a",
            "950": "#0f2145",
        },
    },
    "STYLES": [lambda _request: static("css/admin.css")],
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": navigation},
}
