"""History, sealed as beat has it done, but at once."""

import time

from reports import services
from reports.invariants import violations
from reports.models import HistoryBlock

PATIENCE_SECONDS = 60


def seal_all_history() -> list[HistoryBlock]:
    """Until no event is left that isn't sealed; returns the blocks that this made.

    That waits for all transactions that are open on the server, since their ids are one count: those of other tests' databases too.
    """
    blocks, until = [], time.monotonic() + PATIENCE_SECONDS
    while not _all_sealed():
        assert time.monotonic() < until, "somebody keeps a transaction open"
        if block := services.seal_history():
            blocks.append(block)
        else:
            time.sleep(0.05)
    return blocks


def violations_once_sealed() -> list[str]:
    """However long the test took, no event is old and not sealed."""
    seal_all_history()
    return violations()


def note_all_history() -> None:
    """Until a block has noted all events, and nobody is open any more who could add one: the next block seals them."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not _ready_to_seal():
        assert time.monotonic() < until, "somebody keeps a transaction open"
        services.seal_history()
        time.sleep(0.05)


def _ready_to_seal() -> bool:
    last, marks = HistoryBlock.objects.order_by("number").last(), services._visible_ids()
    return last is not None and last.marks == marks and services._worth_a_block(last, marks, last.open_below)


def _all_sealed() -> bool:
    visible = services._visible_ids()
    last = HistoryBlock.objects.order_by("number").last()
    return last.sealed_to == visible if last else not visible
