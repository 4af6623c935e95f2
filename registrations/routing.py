"""Addresses of the live process."""

from django.urls import path, re_path

from registrations.consumers import LineConsumer, UnknownConsumer

websocket_urlpatterns = [
    path("live/", LineConsumer.as_asgi()),
    re_path(r"", UnknownConsumer.as_asgi()),
]
