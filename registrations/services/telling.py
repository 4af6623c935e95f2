"""Word to the open pages of an account that one of its entries changed. They ask for themselves how it stands."""

from collections.abc import Iterable

from registrations.models import QueueEntry
from vgchub import live


def tell_changed(*entries: QueueEntry) -> None:
    """Tell the accounts of these entries, which come with their players, once the transaction is committed."""
    tell_accounts((entry.player.account_id, entry.public_id) for entry in entries)


def tell_accounts(changed: Iterable[tuple[int, str]]) -> None:
    """The same by (account id, public id of its entry), for whoever reads no models."""
    live.tell_many_on_commit(
        [(account_id, {"kind": "entry.changed", "entry": public_id}) for account_id, public_id in changed]
    )
