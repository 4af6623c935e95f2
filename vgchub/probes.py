"""Whether this process lives, and whether it can work: for whatever starts processes and sends them requests."""

import logging

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from vgchub.responses import DATABASE_AWAY

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  a view's signature
    """It answers, whatever is away: starting it anew would help nobody."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  a view's signature
    """503 without the database. Without Redis it works, degraded: limits are counted in each process, pages ask the database."""
    database, redis = _database_answers(), _redis_answers()
    status = "away" if not database else "ok" if redis else "degraded"
    parts = {
        "database": "ok" if database else "away",
        "redis": "ok" if redis else "away",
        "limits": "shared" if redis else "of each process",
    }
    return JsonResponse({"status": status, **parts}, status=200 if database else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_AWAY as error:
        logger.error("Not ready, the database is away: %s", error)  # noqa: TRY400  where it was noticed says nothing
        return False
    return True


def _redis_answers() -> bool:
    try:
        get_redis_connection("default").ping()
    except RedisError:
        return False
    return True
