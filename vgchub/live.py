"""What goes out on sockets, after commit. Nothing here is ever needed for correctness: a page asks again by itself."""

import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
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


def _tell(messages: list[tuple[int, dict[str, Any]]]) -> None:
    try:
        async_to_sync(_send)(messages)
    except (RedisError, OSError):
        logger.warning("Redis is away; %d live messages were not sent", len(messages))


async def _send(messages: list[tuple[int, dict[str, Any]]]) -> None:
    layer = get_channel_layer()
    for account_id, message in messages:
        await layer.group_send(account_group(account_id), {"type": "account.message", "message": message})
