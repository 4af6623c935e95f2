"""Addresses of the live process."""

websocket_urlpatterns: list[object] = []
