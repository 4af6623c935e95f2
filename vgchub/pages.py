"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:  # noqa: ARG001  a context processor's signature
    """Template context: where the sockets answer, and whether this is a local site."""
    return {"live_url": settings.LIVE_URL, "local_mode": settings.LOCAL_MODE}


def absolute(path: str) -> str:
    """A full address for mails and Stripe: the site's own host, never the request's."""
    return f"{settings.SITE_URL}{path}"
