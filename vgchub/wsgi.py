"""What gunicorn serves: pages and the API, on threads."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vgchub.settings")

application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018  loads every view now instead of with the first request

# What is loaded by now stays for good: the collector need not go through it again, and workers share its memory.
gc.collect()
gc.freeze()
