"""What goes out on sockets, after commit. Nothing here is ever needed for correctness: a page asks again by itself."""

import json
import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


def account_group(account_id: int) -> str:
    """The Channels group of an account's sockets."""
    return f"account.{account_id}"


def tell_on_commit(account_id: int, kind: str, **data: Any) -> None:
    """Tell the sockets of one account, once the transaction is committed."""
    tell_many_on_commit([(account_id, {"kind": kind, **data})])


def tell_many_on_commit(messages: list[tuple[int, dict[str, Any]]]) -> None:
    """Tell several accounts, each what concerns it alone: (account id, JSON-ready message)."""
    if messages:
        transaction.on_commit(lambda: _tell(messages))


def tournament_channel(tournament_id: int) -> str:
    """The Redis channel whose texts the live processes pass on to all sockets of a tournament."""
    return f"{settings.CHANNEL_PREFIX}:moved:{tournament_id}"


def tell_all_on_commit(tournament_id: int, kind: str, **data: Any) -> None:
    """Tell every socket of a tournament, signed in or not, once the transaction is committed."""
    text = json.dumps({"kind": kind, **data}, separators=(",", ":"))
    transaction.on_commit(lambda: _tell_all(tournament_channel(tournament_id), text))


def _tell_all(channel: str, text: str) -> None:
    try:
        get_redis_connection("default").publish(channel, text)
    except (RedisError, OSError):
        logger.warning("Redis is away; a live message on %s was not sent", channel)


def _tell(messages: list[tuple[int, dict[str, Any]]]) -> None:
    try:
        async_to_sync(_send)(messages)
    except (RedisError, OSError):
        logger.warning("Redis is away; %d live messages were not sent", len(messages))


async def _send(messages: list[tuple[int, dict[str, Any]]]) -> None:
    layer = get_channel_layer()
    for account_id, message in messages:
        await layer.group_send(account_group(account_id), {"type": "account.message", "message": message})
