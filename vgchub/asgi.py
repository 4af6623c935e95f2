"""The live process: WebSockets only. Pages are served by wsgi.py (measured two to three times faster there)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vgchub.settings")

import django

django.setup()

from channels.routing import ProtocolTypeRouter, URLRouter

from registrations.routing import websocket_urlpatterns

application = ProtocolTypeRouter({"websocket": URLRouter(websocket_urlpatterns)})
