"""The sockets of the live page and of a tournament's page."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from registrations import passes
from registrations.hub import hub
from vgchub.live import account_group

POLICY_VIOLATION = 4403
GOING_AWAY = 4404


class LineConsumer(AsyncWebsocketConsumer):
    """Sends the line as it moves, and what concerns the pass's own account. It listens to nothing."""

    tournament_id: int | None = None

    async def connect(self) -> None:
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        socket_pass = passes.read(query.get("pass", [""])[0])
        if socket_pass is None or not own_origin(self.scope["headers"]):
            await self.close(POLICY_VIOLATION)
            return
        await self.accept()
        if socket_pass.account_id is not None:
            await self.channel_layer.group_add(account_group(socket_pass.account_id), self.channel_name)
            self.groups = [account_group(socket_pass.account_id)]
        self.tournament_id = socket_pass.tournament_id
        await hub.join(socket_pass.tournament_id, self.send_text, socket_pass.blocks)

    async def disconnect(self, code: int) -> None:  # noqa: ARG002  Channels' signature
        if self.tournament_id is not None:
            hub.leave(self.tournament_id, self.send_text)

    async def send_text(self, text: str) -> None:
        await self.send(text_data=text)

    async def account_message(self, event: dict[str, Any]) -> None:
        """A message for this account alone (`vgchub.live.tell_on_commit`)."""
        await self.send(text_data=json.dumps(event["message"]))


class UnknownConsumer(AsyncWebsocketConsumer):
    """Any other address: closed with a word instead of a traceback."""

    async def connect(self) -> None:
        await self.close(GOING_AWAY)


def own_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the page that opens the socket is one of ours. A client that is no browser sends no Origin, and no cookies."""
    origin = dict(headers).get(b"origin")
    if origin is None:
        return True
    asking = urlsplit(origin.decode("latin-1"))
    return any(
        (asking.scheme, asking.netloc) == (ours.scheme, ours.netloc)
        for ours in map(urlsplit, [settings.SITE_URL, *settings.CSRF_TRUSTED_ORIGINS])
    )
