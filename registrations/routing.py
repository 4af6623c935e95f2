"""Addresses of the live process."""

from django.urls import path, re_path

from registrations.consumers import line, unknown

websocket_urlpatterns = [
    path("live/", line),  # type: ignore[arg-type]  # Channels takes ASGI applications here
    re_path(r"", unknown),  # type: ignore[arg-type]
]
