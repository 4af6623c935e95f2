"""Servers that the environment names in place of the embedded ones: do they answer?"""

from collections.abc import Mapping

import psycopg
import redis

from vgchub.local.problems import LocalProblemError

PATIENCE = 5  # seconds for an answer


def refuse_silent(urls: Mapping[str, str]) -> None:
    """Raises LocalProblemError where DATABASE_URL or REDIS_URL names a server that does not answer."""
    if url := urls.get("DATABASE_URL"):
        try:
            psycopg.connect(url, connect_timeout=PATIENCE).close()
        except psycopg.Error as error:
            raise LocalProblemError(_words("DATABASE_URL", error)) from error
    if url := urls.get("REDIS_URL"):
        try:
            with redis.Redis.from_url(url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE) as client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            raise LocalProblemError(_words("REDIS_URL", error)) from error


def _words(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"{name} names a server that does not answer ({reason}): start it, or unset {name} to use the embedded one."
