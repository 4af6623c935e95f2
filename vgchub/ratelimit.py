"""Who is asking: the address that limits are counted on, and the limits on sending forms."""

import hashlib
import hmac
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from allauth.account import app_settings
from allauth.core.internal.ratelimit import get_cache_key, parse_rate, parse_rates
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django_ratelimit import UNSAFE
from django_ratelimit.core import get_usage

from vgchub.limits import SECOND, Limit, TriedTooOftenError

View = Callable[..., HttpResponse]

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  a place-holder for limits, nothing listens on it


@dataclass(frozen=True)
class Source:
    """Where a request came from: an address prefix (see `address_prefix`), and what the browser or program calls itself."""

    prefix: str
    device: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "Source":
        return cls(address_prefix(client_address(request)), request.META.get("HTTP_USER_AGENT", ""))

    @property
    def address_hash(self) -> str:
        return _keyed_hash(self.prefix)

    @property
    def device_hash(self) -> str:
        return _keyed_hash(self.device)


def _keyed_hash(text: str) -> str:
    """A hash that tells equal values apart from others, and nothing else, without our key."""
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def client_address(request: HttpRequest) -> str:
    """The client's IP address, seen through exactly `settings.TRUSTED_PROXIES` proxies of ours.

    Each of our proxies appends the address it was called from to X-Forwarded-For, so the client stands that many from the
    right; what is left of it came from the client and may be forged. A header that is shorter did not come through all
    of our proxies, and counts for nothing.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    proxies = settings.TRUSTED_PROXIES
    if proxies and len(forwarded) >= proxies:
        address = _parsed(forwarded[-proxies])
        if address:
            return address
    return _parsed(request.META.get("REMOTE_ADDR", "")) or UNKNOWN_ADDRESS


def address_prefix(address: str) -> str:
    """What one household or machine can't vary: the address itself for IPv4, its /64 network for IPv6."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address


def account_at_address(request: HttpRequest, email: str) -> str:
    """What tries to sign in are counted on: an account and an address together, so that nobody can lock somebody else out."""
    account = hashlib.sha256(email.lower().encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{address_prefix(client_address(request))}:{account}"


def limited(rate: str) -> Callable[[View], View]:
    """For views behind a sign-in: at most `rate` forms, such as "30/m", are taken from one account at one address.

    Looking at the page is not counted. The view raises TriedTooOftenError.
    """

    at_most = parse_rate(rate)
    count, seconds = at_most.amount, int(at_most.duration)

    def decorate(view: View) -> View:
        @wraps(view)
        def limited_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            usage = get_usage(request, fn=view, key=_signed_in_at, rate=(count, seconds), method=UNSAFE, increment=True)
            if usage and usage["should_limit"]:
                limit = Limit("form", request.user.pk, count, seconds)
                raise TriedTooOftenError([(limit, max(1, usage["time_left"]) * SECOND)])
            return view(request, *args, **kwargs)

        return limited_view

    return decorate


def _signed_in_at(_group: str, request: HttpRequest) -> str:
    return f"{request.user.pk}:{address_prefix(client_address(request))}"


def reached_of_allauth(request: HttpRequest) -> list[tuple[Limit, int]]:
    """Those of allauth's limits that are reached at this address or by this account, each with the microseconds until it lets in.

    allauth refuses without saying for which of them it does. What it keeps of each in the cache are the times of what was let
    in, the newest first. Limits of something typed into a form can't be told from here.
    """
    now, reached = time.time(), []
    for action, rates in app_settings.RATE_LIMITS.items():
        for rate in parse_rates(rates):
            if rate.per == "ip" or (rate.per == "user" and request.user.is_authenticated):
                times = cache.get(get_cache_key(request, app="allauth.account", action=action, rate=rate), [])
                if len(times) >= rate.amount and (wait := times[rate.amount - 1] + rate.duration - now) > 0:
                    limit = Limit(action, rate.per, rate.amount, int(rate.duration))
                    reached.append((limit, math.ceil(wait * SECOND)))
    return reached


# An IPv6 address stands in brackets where a port follows (RFC 7239, section 6); some proxies add the client's.
WITH_PORT = re.compile(r"\[(?P<v6>[^]]*)\](:\d+)?|(?P<v4>[^:]*):\d+")


def _parsed(text: str) -> str | None:
    """The address in its one spelling (an IPv4 address mapped into IPv6 is that IPv4 address), or None if it is none."""
    text = text.strip()
    if found := WITH_PORT.fullmatch(text):
        text = found["v6"] or found["v4"] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
