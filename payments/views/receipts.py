"""The receipt of a paid seat: what was paid to whom, by what, with which tax, and what went back since. A page to print."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from payments.models import Dispute, Payment
from payments.rules import RefundState, State, included_tax
from registrations.models import QueueEntry
from registrations.services import own_entry
from tournaments.models import Organization

BRANDS = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "eftpos",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}
METHODS = {"paypal": "PayPal", "sepa_debit": "SEPA", "ideal": "iDEAL", "link": "Link", "klarna": "Klarna"}


@dataclass(frozen=True)
class Back:
    """Money that went back, or is on its way."""

    at: datetime
    says: str
    amount_minor: int


@dataclass(frozen=True)
class Receipt:
    """What the page shows of a captured payment."""

    payment: Payment
    organization: Organization
    back: list[Back]

    @property
    def number(self) -> str:
        return f"VGC-{self.payment.pk:08d}"

    @property
    def method(self) -> str:
        return method_in_words(self.payment)

    @property
    def left_minor(self) -> int:
        return self.payment.amount_minor - sum(back.amount_minor for back in self.back)

    @property
    def tax(self) -> str:
        """19% VAT; empty where no tax is included."""
        percent = self.organization.tax_percent
        if not percent:
            return ""
        return f"{number_format(f'{percent.normalize():f}')}% {self.organization.tax_name}"

    @property
    def tax_minor(self) -> int:
        return included_tax(self.payment.amount_minor, self.organization.tax_percent)

    @property
    def tax_left_minor(self) -> int:
        return included_tax(self.left_minor, self.organization.tax_percent)


@require_safe
@login_required
@never_cache
def receipt(request: HttpRequest, public_id: str) -> HttpResponse:
    """The receipt of an own entry; before the money was taken there is none, and it is said why."""
    entry = own_entry(request.user, public_id)  # type: ignore[arg-type]
    found = receipt_of(entry)
    if found is None:
        messages.info(request, _("There is no receipt: nothing was charged for this entry, or not yet."))
        return redirect(entry)
    context = {"entry": entry, "tournament": entry.tournament, "payment": found.payment, "receipt": found}
    return render(request, "payments/receipt.html", context)


def has_receipt(entry: QueueEntry) -> bool:
    return _captured(entry).exists()


def receipt_of(entry: QueueEntry) -> Receipt | None:
    """Of the payment that was taken for an entry; there is one at most."""
    payment = _captured(entry).first()
    if payment is None:
        return None
    return Receipt(payment, entry.tournament.organization, sorted(_went_back(payment), key=lambda back: back.at))


def _captured(entry: QueueEntry) -> QuerySet[Payment]:
    return Payment.objects.filter(entry=entry, state=State.CAPTURED)


def _went_back(payment: Payment) -> list[Back]:
    says: dict[str, str] = {RefundState.SUCCEEDED: _("Refunded")}
    refunds = payment.refunds.exclude(state=RefundState.FAILED)
    settled = payment.refunds.filter(settled_at__isnull=False)
    taken = Dispute.objects.taking().filter(payment=payment)
    return [
        *(Back(one.created_at, says.get(one.state, _("Refund on its way")), one.amount_minor) for one in refunds),
        *(Back(one.settled_at, _("Given back another way"), one.settled_minor) for one in settled if one.settled_at),
        *(Back(one.opened_at, _("Taken back by the card's bank"), one.amount_minor) for one in taken),
    ]


def method_in_words(payment: Payment) -> str:
    """Visa ending 4242; PayPal."""
    if payment.card_last4:
        brand = BRANDS.get(payment.card_brand, payment.card_brand.replace("_", " ").title()) or _("Card")
        return _("%(brand)s ending %(digits)s") % {"brand": brand, "digits": payment.card_last4}
    method = payment.method
    return METHODS.get(method, method.replace("_", " ").capitalize()) or _("Card")
