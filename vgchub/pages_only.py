"""Middleware for pages: what answers to programs need no more (sessions, messages, parts of pages) is passed by under /api/."""

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware as DjangoAuthentication
from django.contrib.messages.middleware import MessageMiddleware as DjangoMessages
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessions
from django.http import HttpRequest, HttpResponse
from django_htmx.middleware import HtmxMiddleware as DjangoHtmx

API = "/api/"


class PagesOnly:
    """Mixed into a middleware: does nothing to requests of programs, who show a token with each."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(API):
            answer: HttpResponse = self.get_response(request)
            return answer
        page: HttpResponse = super().__call__(request)  # type: ignore[misc]
        return page


class SessionMiddleware(PagesOnly, DjangoSessions):
    pass


class AuthenticationMiddleware(PagesOnly, DjangoAuthentication):
    pass


class MessageMiddleware(PagesOnly, DjangoMessages):
    pass


class HtmxMiddleware(PagesOnly, DjangoHtmx):
    pass
