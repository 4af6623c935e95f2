"""Pages of a local site only (LOCAL_MODE): all pieces at a glance, and the mails that were sent."""

from datetime import datetime, timedelta
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe
from post_office.models import Email

MAILS_SHOWN = 200


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """All mails of this site, the newest first; `?to=` narrows them to one address."""
    mails = Email.objects.order_by("-created", "-pk")
    if address := request.GET.get("to", "").strip():
        mails = mails.filter(to__icontains=address)
    return render(request, "local/mailbox.html", {"mails": mails[:MAILS_SHOWN], "address": address})


@require_safe
def mail(request: HttpRequest, pk: int) -> HttpResponse:
    """One mail as text, and as the recipient's program shows its HTML."""
    return render(request, "local/mail.html", {"mail": get_object_or_404(Email, pk=pk)})


@require_safe
@xframe_options_sameorigin
@csp_replace(  # type: ignore[arg-type]  # its annotation knows views without arguments only
    {
        "default-src": [NONE],
        "script-src": [NONE],
        "connect-src": [NONE],
        "form-action": [NONE],
        "style-src": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "frame-ancestors": [SELF],
        "sandbox": ["allow-popups"],
    }
)
def mail_html(request: HttpRequest, pk: int) -> HttpResponse:  # noqa: ARG001  a view's signature
    """The HTML of a mail alone, for a frame that runs nothing."""
    return HttpResponse(get_object_or_404(Email, pk=pk).html_message)


class SampleForm(forms.Form):
    """Every kind of field, one of them wrong."""

    name = forms.CharField(label="Name", help_text="As it will stand on the badge.")
    email = forms.EmailField(label="E-mail address")
    birth_date = forms.DateField(label="Date of birth", widget=forms.DateInput(attrs={"type": "date"}))
    country = forms.ChoiceField(label="Country", choices=[("DE", "Germany"), ("FR", "France")])
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea)
    plays = forms.MultipleChoiceField(
        label="Who plays?", choices=[("1", "Robin"), ("2", "Kim")], widget=forms.CheckboxSelectMultiple
    )
    terms = forms.BooleanField(label="I agree to the terms", help_text="Version 3 of 1 November 2026.")


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """All pieces of the pages together, with numbers that show their edges."""
    messages.success(request, "Your name was saved.")
    messages.error(request, "The card was declined. You have ten more minutes to try another one.")
    return render(request, "local/styleguide.html", _samples(timezone.now()))


def _samples(now: datetime) -> dict[str, Any]:
    form = SampleForm({"name": "Robin", "email": "robin@", "birth_date": "2001-02-03", "country": "DE", "plays": ["1"]})
    seats = {"seats": 500, "confirmed": 0, "offered": 0, "free": 500, "reserved": 0, "waiting": 0, "sold_out_at": None}
    return {
        "form": form,
        "phases": ["DRAFT", "ANNOUNCED", "PREQUEUE", "OPEN", "CLOSED", "OVER", "CANCELLED"],
        "bars": [
            {**seats, "id": 1, "name": "Before the opening"},
            {
                **seats,
                "id": 2,
                "name": "Masters",
                "confirmed": 318,
                "offered": 41,
                "free": 141,
                "reserved": 24,
                "waiting": 9128,
            },
            {**seats, "id": 3, "name": "Seniors", "confirmed": 449, "offered": 51, "free": 0, "waiting": 1204},
            {**seats, "id": 4, "name": "Juniors", "confirmed": 500, "free": 0, "waiting": 611, "sold_out_at": now},
        ],
        "lines": [
            {"waiting": 3420, "position": 213, "likely": 41},
            {"waiting": 3420, "position": 2, "likely": 41},
            {"waiting": 12408, "position": 12408, "likely": 9000},
            {"waiting": 9, "position": 4, "likely": 3},
            {"waiting": 1, "position": 1, "likely": 1},
            {"waiting": 812, "position": None, "likely": 0},
        ],
        "offered_at": now - timedelta(minutes=4),
        "expires_at": now + timedelta(minutes=6, seconds=12),
        "opens_at": now + timedelta(days=2, hours=3),
        "moments": _moments(now),
        "columns": ["Division", "Seats", "Confirmed", "Waiting"],
        "rows": [["Juniors", 64, 60, 12], ["Seniors", 96, 96, 140], ["Masters", 500, 318, 9128]],
    }


def _moments(now: datetime) -> list[dict[str, Any]]:
    return [
        {"at": now - timedelta(minutes=4), "kind": "offered", "text": "Seat 118 was offered to you.", "why": ""},
        {
            "at": now - timedelta(minutes=31),
            "kind": "waiting",
            "text": "You stepped back in.",
            "why": "Your old place, 213, was kept.",
        },
        {"at": now - timedelta(minutes=42), "kind": "passed", "text": "The first offer ran out.", "why": ""},
        {"at": now - timedelta(days=1), "kind": "waiting", "text": "You joined the line.", "why": ""},
    ]
