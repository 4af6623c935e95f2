"""Public pages and answers, the same for everybody who is not signed in: made once a second, packed once, answered from memory.

A view says with `@shared` that what it answers to somebody without a session depends on nothing but the address. Nobody's session,
message or cookie is ever part of what is shared: requests that bring one, and answers that set one, pass by.
"""

import gzip
import json
import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseNotModified
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, get_language_from_request

from vgchub.shelf import shelf

# Browsers ask each time, and are mostly told that nothing has changed (by one of us, or by a CDN, which asks once a second).
EVERYBODYS = "public, max-age=0, s-maxage=1, stale-while-revalidate=5"
ONES_OWN = "private, no-cache"

# Cookies that make an answer personal.
PERSONAL = (settings.SESSION_COOKIE_NAME, "messages")
VARY = ("Accept-Encoding", "Cookie", "HX-Request")
# These are of the answer as it was made, not as it is sent.
MADE_ANEW = ("Content-Length", "Cache-Control", "ETag")

# What differs between two copies that say the same: the time of making, and a socket's pass, which holds for a day.
OF_THE_MOMENT = re.compile(rb' data-(?:now|pass)="[^"]*"')

View = TypeVar("View", bound=Callable[..., object])


def shared(view: View) -> View:
    """Mark a view whose answers to people without a session depend on the address alone."""
    view.is_shared = True  # type: ignore[attr-defined]
    return view


class SharedPagesMiddleware:
    """Stands before sessions, languages and all the rest, which a shared answer needs no more."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _may_share(request):
            return self._shared(request)
        response = self.get_response(request)
        if request.resolver_match and getattr(request.resolver_match.func, "is_shared", False):
            response.headers.setdefault("Cache-Control", ONES_OWN)
            patch_vary_headers(response, VARY)
        return response

    def _shared(self, request: HttpRequest) -> HttpResponse:
        own: HttpResponse | None = None

        def make() -> bytes:
            nonlocal own
            own = self.get_response(request)
            if own.status_code >= 500:
                raise _UnwellError
            return _packed(own) if _is_shareable(own) else b""

        language = get_language_from_request(request)
        part = "part" if request.headers.get("HX-Request") else "page"
        try:
            packed = shelf.take(f"{part}:{language}:{request.path}", make)
        except _UnwellError:
            packed = b""
        if packed:
            return _answer(request, packed)
        return own or self.get_response(request)


class _UnwellError(Exception):
    """The answer is a fault of ours; an old page is better."""


def shared_part(name: str, template: str, context: Callable[[], dict[str, Any]]) -> SafeString:
    """A part of a page that is the same for everybody, also for those who are signed in; `name` tells it from all others."""

    def make() -> bytes:
        return render_to_string(template, context()).encode()

    return mark_safe(shelf.take(f"{name}:{get_language()}", make).decode())  # noqa: S308  templates have escaped it


def _may_share(request: HttpRequest) -> bool:
    if request.method not in ("GET", "HEAD") or request.META.get("QUERY_STRING"):
        return False
    if any(cookie in request.COOKIES for cookie in PERSONAL):
        return False
    try:
        return getattr(resolve(request.path_info).func, "is_shared", False)
    except Resolver404:
        return False


def _is_shareable(response: HttpResponse) -> bool:
    """A page that is there, sets no cookie, and has no nonce, which is for one answer only."""
    return (
        response.status_code == 200
        and not response.streaming
        and not response.cookies
        and "'nonce-" not in response.get("Content-Security-Policy", "")
    )


def _packed(response: HttpResponse) -> bytes:
    """A line of JSON with the ETag and the headers, then the body as gzip."""
    patch_vary_headers(response, VARY)
    headers = {name: value for name, value in response.items() if name not in MADE_ANEW}
    # Weak: copies that differ in OF_THE_MOMENT say the same.
    etag = f'W/"{sha256(OF_THE_MOMENT.sub(b"", response.content)).hexdigest()[:32]}"'
    return json.dumps([etag, headers]).encode() + b"\n" + gzip.compress(response.content, mtime=0)


def _answer(request: HttpRequest, packed: bytes) -> HttpResponse:
    head, _, body = packed.partition(b"\n")
    etag, headers = json.loads(head)
    response: HttpResponse
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        response = HttpResponseNotModified(headers={"Vary": headers["Vary"]})
    else:
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            body = gzip.decompress(body)
        response = HttpResponse(body if request.method == "GET" else b"", headers=headers)
        response["Content-Length"] = len(body)
    response["ETag"] = etag
    response["Cache-Control"] = EVERYBODYS
    # A copy that was kept tells the time at which it was made; clock.js goes by this one, of the answer itself.
    response["Server-Timing"] = f"clock;dur={time.time() * 1000:.0f}"
    return response
