"""Input checks of the payment pages."""

from django import forms


class CancelForm(forms.Form):
    """Giving a seat back; carries the refund that the page showed, so that nobody gets less than they read."""

    expected_minor = forms.IntegerField(min_value=0, required=False)
