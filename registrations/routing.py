"""Addresses of the live process."""

from django.urls import path, re_path

from registrations.consumers import line, unknown

websocket_urlpatterns = [
    path("live/", line),
    re_path(r"", unknown),
]
