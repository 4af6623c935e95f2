"""The draw's writes: open, seal, draw, declare void. All hold the tournament's row."""

from lottery.services.errors import (
    AlreadyOfferedError,
    DrawNotFoundError,
    NeedsAnotherPersonError,
    NotDueError,
    NothingProposedError,
    NotOfStaffError,
    NotSealedError,
)
from lottery.services.opening import due_to_open, open_draw, publish_tournament
from lottery.services.rounds import published_in_time, round_published_at
from lottery.services.running import due_to_bundle, due_to_draw, run_draw, write_bundle
from lottery.services.sealing import begin_sealing, due_to_seal, seal_draw
from lottery.services.voiding import propose_void, void_draw, withdraw_proposal

__all__ = [
    "AlreadyOfferedError", "DrawNotFoundError", "NeedsAnotherPersonError", "NotDueError", "NotOfStaffError",
    "NotSealedError", "NothingProposedError", "begin_sealing", "due_to_bundle", "due_to_draw", "due_to_open",
    "due_to_seal", "open_draw", "propose_void", "publish_tournament", "published_in_time", "round_published_at", "run_draw",
    "seal_draw", "void_draw", "withdraw_proposal", "write_bundle",
]  # fmt: skip
