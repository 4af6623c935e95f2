"""A socket's pass: signed by the web process, read by the live process without a query."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core import signing

from registrations.models import QueueEntry
from registrations.publisher import field_of

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
    blocks = [field for entry in entries if (field := field_of(entry))]
    return signing.dumps([tournament_id, account_id, blocks], salt=SALT, compress=True)


def read(text: str) -> Pass | None:
    """The pass, or None if it is not ours or too old."""
    try:
        tournament_id, account_id, blocks = signing.loads(text, salt=SALT, max_age=MAX_AGE_SECONDS)
    except (signing.BadSignature, ValueError):
        return None
    return Pass(tournament_id, account_id, tuple(blocks))
