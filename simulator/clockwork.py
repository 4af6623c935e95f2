"""What happens by itself as time passes: sessions expire, authorisations lapse, refunds and disputes end."""

from collections.abc import Callable
from dataclasses import replace

from simulator import checkout, disputes, intents, refunds
from simulator.context import Context
from simulator.settings import AUTHORISATION_LASTS, IDEMPOTENCY_KEY_LASTS
from simulator.store import Json

ENDINGS: dict[str, Callable[[Context, Json], None]] = {"refund": refunds.end, "dispute": disputes.run_out}


def turn(context: Context) -> None:
    """Do what is due, if anything: before every request, and once a second."""
    now, store = context.now(), context.store
    stale = store.authorisations_due(now - AUTHORISATION_LASTS)
    if not (store.sessions_due(now) or stale or store.endings_due(now)):
        return
    of_itself = replace(context, account="", request_id=None, idempotency_key=None)
    with store.transaction():
        checkout.expire_due(of_itself)
        intents.void_stale(of_itself)
        _end_due(of_itself)


def _end_due(context: Context) -> None:
    for found in context.store.endings_due(context.now()):
        context.account = context.store.account_of(found["id"])
        ENDINGS[found["object"]](context, found)


def forget_old_answers(context: Context) -> None:
    oldest = context.now() - IDEMPOTENCY_KEY_LASTS
    context.store.database.execute("DELETE FROM answer WHERE created <= ?", (oldest,))
