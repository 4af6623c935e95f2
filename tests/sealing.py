"""History, sealed as beat has it done, but at once."""

import time

from reports import services
from reports.models import HistoryBlock

PATIENCE_SECONDS = 60


def seal_all_history() -> None:
    """Until no event is left that isn't sealed.

    That waits for all transactions that are open on the server, since their ids are one count: those of other tests' databases too.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not _all_sealed() and time.monotonic() < until:
        if services.seal_history() is None:
            time.sleep(0.05)


def _all_sealed() -> bool:
    visible = services._visible_ids()
    last = HistoryBlock.objects.order_by("number").last()
    return last.sealed_to == visible if last else not visible
