"""Input checks of the payment pages, and of what staff decide about money."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from payments.rules import LetterKind
from tournaments.forms import ReasonForm
from vgchub.words import card_step, decimals, money


class CancelForm(forms.Form):
    """Giving a seat back; carries the refund that the page showed, so that nobody gets less than they read."""

    expected_minor = forms.IntegerField(min_value=0, required=False)


class RetryLettersForm(ReasonForm):
    """Of which kind all that lies open is tried again, and why."""

    kind = forms.ChoiceField(
        label=_("Job"), choices=[(kind, kind) for kind in LetterKind], widget=UnfoldAdminSelectWidget
    )

    field_order = ("kind", "reason")


class RefundForm(ReasonForm):
    """How much goes back, in the currency's own unit, and why. With `seat_stays` some of what is left has to stay, too."""

    def __init__(self, *args: Any, currency: str, left_minor: int, seat_stays: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency, self.left_minor, self.seat_stays = currency, left_minor, seat_stays
        self.places = decimals(currency)
        unit = Decimal(1).scaleb(-self.places)
        self.fields["amount"] = forms.DecimalField(
            label=_("Amount (%(currency)s)") % {"currency": currency.upper()},
            min_value=unit if seat_stays else Decimal(0),
            max_digits=12,
            decimal_places=self.places,
            initial=None if seat_stays else left_minor * unit,
            widget=UnfoldAdminDecimalFieldWidget,
            help_text=self._left(),
        )
        self.order_fields(["amount", "reason"])

    @property
    def amount_minor(self) -> int:
        return int(self.cleaned_data["amount"].scaleb(self.places))

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        minor = int(amount.scaleb(self.places))
        if minor > self.left_minor or (self.seat_stays and minor == self.left_minor):
            raise ValidationError(self._left())
        if minor % (step := card_step(self.currency)):
            raise ValidationError(say("Cards take steps of %(step)s.") % {"step": money(step, self.currency)})
        return amount

    def _left(self) -> str:
        left = {"left": money(self.left_minor, self.currency)}
        if self.seat_stays:
            return say("%(left)s is left. Some of it has to stay, for the seat stays too.") % left
        return say("%(left)s is left. What you don't refund is kept.") % left
