"""Public pages of tournaments."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from tournaments.models import Tournament


def home(request: HttpRequest) -> HttpResponse:
    """What the site is, and what can be entered."""
    tournaments = Tournament.objects.published(timezone.now())
    return render(request, "tournaments/home.html", {"tournaments": tournaments})
