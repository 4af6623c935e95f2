"""Which round of drand a draw waits for, and since when it can be had."""

from datetime import datetime

from lottery import beacon
from lottery.models import Draw


def round_published_at(draw: Draw) -> datetime:
    """When drand publishes the round that the manifest names. Raises BeaconAwayError for a chain that is not known here."""
    return beacon.chain_named(draw.chain).round_published_at(draw.round or 0)


def published_in_time(draw: Draw) -> bool:
    """Whether the manifest's hash was public before anybody could know the round."""
    return draw.published_at is not None and draw.published_at < round_published_at(draw)
