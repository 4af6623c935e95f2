"""What goes out on sockets, after commit. Nothing here is ever needed for correctness: a page asks again by itself."""

import json
import logging
from typing import Any

from django.conf import settings
from django.db import transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# So many accounts are told by one text: a live process that gets it goes on with its sockets soon.
TOLD_BY_ONE_TEXT = 1000


def tell_many_on_commit(messages: list[tuple[int, dict[str, Any]]]) -> None:
    """Tell the sockets of accounts, each what concerns it alone, once it is committed: (account id, JSON-ready message)."""
    if messages:
        transaction.on_commit(lambda: _publish(accounts_channel(), personal_texts(messages)))


def personal_texts(messages: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """What `accounts_channel` carries: `[[account id, the text for its sockets], ...]`, some at a time."""
    encoded = [(account_id, compact(message)) for account_id, message in messages]
    return [compact(encoded[n : n + TOLD_BY_ONE_TEXT]) for n in range(0, len(encoded), TOLD_BY_ONE_TEXT)]


def tell_all_on_commit(tournament_id: int, kind: str, **data: Any) -> None:
    """Tell every socket of a tournament, signed in or not, once the transaction is committed."""
    text = compact({"kind": kind, **data})
    transaction.on_commit(lambda: _publish(tournament_channel(tournament_id), [text]))


def accounts_channel() -> str:
    """The Redis channel of what concerns one account alone; each live process picks out its own sockets'."""
    return f"{settings.CHANNEL_PREFIX}:accounts"


def tournament_channel(tournament_id: int) -> str:
    """The Redis channel whose texts the live processes pass on to all sockets of a tournament."""
    return f"{settings.CHANNEL_PREFIX}:moved:{tournament_id}"


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def _publish(channel: str, texts: list[str]) -> None:
    """All in one round trip."""
    try:
        pipe = get_redis_connection("default").pipeline(transaction=False)
        for text in texts:
            pipe.publish(channel, text)
        pipe.execute()
    except (RedisError, OSError):
        logger.warning("Redis is away; %d live messages on %s were not sent", len(texts), channel)
