"""Refusals and faults as answers: a page for people, `{code, message, data}` for programs."""

import logging
import sys
from collections.abc import Callable
from datetime import timedelta

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.defaults import page_not_found
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from vgchub.errors import RefusedError
from vgchub.limits import TriedTooOftenError
from vgchub.ratelimit import reached_of_allauth

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5
CSRF_FIELD = "csrfmiddlewaretoken"


DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)


class RefusalMiddleware:
    """Answers refusals, and the database being away, for views that are no API views."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, RefusedError):
            return refused(request, exception)
        if isinstance(exception, DATABASE_AWAY):
            return database_away(request)
        return None


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404: a page for people; under /api/ an answer for programs."""
    if not request.path.startswith("/api/"):
        return page_not_found(request, exception)
    return JsonResponse(
        {"code": "not_found", "message": _("There is nothing at this address."), "data": {}}, status=404
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: what a middleware raised arrives here; the database being away is not our fault to confess."""
    if isinstance(sys.exc_info()[1], DATABASE_AWAY):
        return database_away(request)
    return render(None, "500.html", status=500)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """handler429: a limit of allauth was reached."""
    return refused(request, TriedTooOftenError(reached_of_allauth(request)))


def refused(request: HttpRequest, error: RefusedError) -> HttpResponse:
    """The page that says what it is, why, and what to do; or does it by itself."""
    if error.repeats and request.method == "POST":
        fields = [(name, value) for name, values in request.POST.lists() for value in values if name != CSRF_FIELD]
        retry_at = timezone.now() + timedelta(seconds=error.data["retry_after"])
        template, context = "again.html", {"error": error, "fields": fields, "retry_at": retry_at}
    else:
        template, context = "refused.html", {"error": error}
    response = render(request, template, context, status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    return response


def database_away(request: HttpRequest) -> HttpResponse:
    """A page without a single query, which tries again by itself where it may; or an answer of the API."""
    logger.exception("The database did not answer %s", request.path)
    if request.path.startswith("/api/"):
        message = _("The site is busy for a moment. Every place in line is safe; ask again in a few seconds.")
        answer: HttpResponse = JsonResponse({"code": "busy", "message": message, "data": {}}, status=503)
    else:
        # The person may have been sending a form: only what was asked for with GET may ask again by itself.
        refresh = RETRY_SECONDS if request.method == "GET" else None
        answer = render(None, "busy.html", {"refresh": refresh}, status=503)
    answer["Retry-After"] = str(RETRY_SECONDS)
    return answer


def api_exception_handler(error: Exception, context: dict[str, object]) -> Response | None:
    """DRF's hook: every error of the API is `{code, message, data}`."""
    if isinstance(error, RefusedError):
        return Response(
            {"code": error.code, "message": f"{error.message} {error.remedy}".strip(), "data": error.data},
            status=error.status,
            headers=error.headers,
        )
    response_or_none = exception_handler(error, context)
    if response_or_none is not None:
        response_or_none.data = _envelope(error, response_or_none)
    return response_or_none


def _envelope(error: Exception, response: Response) -> dict[str, object]:
    if isinstance(error, exceptions.ValidationError):
        # What is wrong with a body as a whole, as with `null`, comes as a list.
        data = response.data if isinstance(response.data, dict) else {api_settings.NON_FIELD_ERRORS_KEY: response.data}
        return {"code": "invalid", "message": _("Some fields need a correction."), "data": data}
    detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    code = getattr(detail, "code", None) or {404: "not_found"}.get(response.status_code, "error")
    return {"code": str(code), "message": str(detail), "data": {}}
