"""What happens by itself as time passes: sessions expire, authorisations lapse, kept answers are dropped."""

from dataclasses import replace

from simulator import checkout, intents
from simulator.context import Context
from simulator.settings import AUTHORISATION_LASTS, IDEMPOTENCY_KEY_LASTS


def turn(context: Context) -> None:
    """Do what is due, if anything: before every request, and once a second."""
    now, store = context.now(), context.store
    if not store.sessions_due(now) and not store.authorisations_due(now - AUTHORISATION_LASTS):
        return
    of_itself = replace(context, account="", request_id=None, idempotency_key=None)
    with store.transaction():
        checkout.expire_due(of_itself)
        intents.void_stale(of_itself)


def forget_old_answers(context: Context) -> None:
    oldest = context.now() - IDEMPOTENCY_KEY_LASTS
    context.store.database.execute("DELETE FROM answer WHERE created <= ?", (oldest,))
