"""The yardstick: a Django site with one view and no middleware, which does one INSERT."""

import json
import os

from django.conf import settings

from vgchub import settings as site

INSERT = """
INSERT INTO bench_row (public_id, tournament_id, division_id, player_id, priority, number, place, state, joined_at,
                       grant_reason, waiver_reason, address_hash, device_hash)
VALUES (%s, 1, 1, %s, 0, %s, %s, 'WAITING', statement_timestamp(), '', '', '', '')
"""

settings.configure(
    SECRET_KEY=site.SECRET_KEY,
    ALLOWED_HOSTS=site.ALLOWED_HOSTS,
    DATABASES=site.DATABASES,
    ROOT_URLCONF="bench.bare_site",
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    LOGGING_CONFIG=None,
)

from django.core.wsgi import get_wsgi_application  # noqa: E402  with the settings from above
from django.db import connection  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


def insert(request: HttpRequest) -> JsonResponse:
    """Write the row, and say its id."""
    (player,) = json.loads(request.body)["players"]
    public_id = os.urandom(12).hex()
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [public_id, player, player, player])
    return JsonResponse({"public_id": public_id})


urlpatterns = [path("join/", insert)]
application = get_wsgi_application()
