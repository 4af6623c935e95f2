"""The money of a tournament, on a page and as a spreadsheet."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from payments.models import Payment
from payments.queries import Balance
from reports import ledger
from tournaments.models import Tournament
from vgchub.admin import ScopedAdmin, detail_action
from vgchub.tables import csv_answer, xlsx_answer
from vgchub.words import money

PAYMENTS = 100  # on a page

# The terms of the page, in the order of a calculation.
TERMS = {
    "captured": _("Captured"),
    "refunded": _("Refunded"),
    "pending": _("Refunds on their way"),
    "another_way": _("Given back another way"),
    "held": _("Disputed, held by banks"),
    "lost": _("Disputed, lost"),
    "kept": _("Kept"),
    "fee": _("Stripe's fees"),
    "net": _("Net"),
    "authorised": _("Authorised now, not taken yet"),
    "booked": _("Booked by Stripe"),
    "to_come": _("Not booked yet, or in another currency"),
    "unexplained": _("Difference that nothing explains"),
}
IN_LIST = ("captured", "refunded", "pending", "another_way", "disputed", "kept", "fee", "net", "difference")


def amounts(balance: Balance, currency: str, names: tuple[str, ...]) -> list[str]:
    return [money(getattr(balance, f"{name}_minor"), currency) for name in names]


def has_money(tournament: Tournament) -> bool:
    return tournament.fee_minor > 0 or Payment.objects.filter(entry__tournament=tournament).exists()


class LedgerOperation(ScopedAdmin):
    """The ledger, at the top of a tournament's page."""

    @detail_action(description=_("Ledger"), url_path="ledger", icon="account_balance")
    def ledger(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """A page; `?as=csv` and `?as=xlsx` are the same with every payment."""
        tournament = self.own_or_404(request, object_id)
        name = f"ledger-{tournament.slug}"
        if request.GET.get("as") == "csv":
            return csv_answer(ledger.table_of_lines(tournament.pk), name)
        if request.GET.get("as") == "xlsx":
            sheets = {"Payments": ledger.table_of_lines, "Totals": ledger.table_of_totals}
            return xlsx_answer({title: table(tournament.pk) for title, table in sheets.items()}, name)
        return TemplateResponse(request, "admin/ledger.html", self._ledger(request, tournament))

    def _ledger(self, request: HttpRequest, tournament: Tournament) -> dict[str, Any]:
        after = request.GET.get("after", "")
        found = ledger.page(
            tournament.pk, after=int(after) if after.isdecimal() and len(after) < 19 else 0, limit=PAYMENTS + 1
        )
        totals = ledger.totals(tournament.pk)
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": tournament,
            "title": _("Ledger"),
            "totals": [
                (
                    total,
                    list(zip(TERMS, TERMS.values(), amounts(total.balance, total.currency, tuple(TERMS)), strict=True)),
                )
                for total in totals
            ],
            "elsewhere": [
                (one.currency.upper(), money(one.booked_minor, one.currency), money(one.fee_minor, one.currency))
                for one in ledger.elsewhere(tournament.pk)
            ],
            "payments": [(line, amounts(line.balance, line.currency, IN_LIST)) for line in found[:PAYMENTS]],
            "next": found[PAYMENTS - 1].payment_id if len(found) > PAYMENTS else None,
        }
