"""A socket's pass: signed by the web process, read by the live process without a query."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core import signing

from registrations.line import block_of
from registrations.models import QueueEntry
from registrations.publisher import block_field
from registrations.rules import State

SALT = "vgchub.live"
MAX_AGE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Pass:
    """Who connects, and which blocks of the line that account's entries stand in."""

    tournament_id: int
    account_id: int | None
    blocks: tuple[str, ...]


def issue(tournament_id: int, account_id: int | None, entries: Iterable[QueueEntry]) -> str:
    """A text for the socket's address; without an account it lets anybody see the public counters."""
    blocks = [
        block_field(entry.division_id, entry.priority, block_of(entry.place))
        for entry in entries
        if entry.state == State.WAITING and entry.place is not None
    ]
    return signing.dumps([tournament_id, account_id, blocks], salt=SALT, compress=True)


def read(text: str) -> Pass | None:
    """The pass, or None if it is not ours or too old."""
    try:
        tournament_id, account_id, blocks = signing.loads(text, salt=SALT, max_age=MAX_AGE_SECONDS)
    except (signing.BadSignature, ValueError):
        return None
    return Pass(tournament_id, account_id, tuple(blocks))
