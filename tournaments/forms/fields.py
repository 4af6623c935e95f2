"""Fields that several forms of tournaments have."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget

MOST_SEATS = 100_000


def count_field(label: Any) -> forms.IntegerField:
    widget = UnfoldAdminIntegerFieldWidget({"aria-label": label})
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=MOST_SEATS, widget=widget)
