"""What happens when a customer presses Save on the page of a session in setup mode; the twin of `paying.py`."""

from simulator import customers, methods, setups
from simulator.cards import EnteredCard
from simulator.context import Context
from simulator.store import Json


def attempt(context: Context, session: Json, card: EnteredCard, *, email: str) -> str:
    """Check the card; answers the setup's state after it."""
    session["_email"] = email
    context.save(session)
    setup = context.get("setup_intent", session["setup_intent"])
    method = methods.add(context, card, email=email)
    if session["customer_creation"] == "always" and setup["customer"] is None:
        setup["customer"] = customers.add(context, email=email, name=card.name or None)["id"]
    return _go_on(context, session, setup, setups.attempt(context, setup, method))


def finish_authentication(context: Context, session: Json, *, passed: bool) -> str:
    setup = context.get("setup_intent", session["setup_intent"])
    return _go_on(context, session, setup, setups.finish_authentication(context, setup, passed=passed))


def intent_of(context: Context, session: Json) -> Json | None:
    return context.store.find(session["setup_intent"])


def last_problem(context: Context, session: Json) -> Json | None:
    """The error of the latest attempt, or None."""
    error: Json | None = context.get("setup_intent", session["setup_intent"])["last_setup_error"]
    return error


def _go_on(context: Context, session: Json, setup: Json, outcome: str) -> str:
    if outcome == "succeeded":
        billing = context.get("payment_method", setup["payment_method"])["billing_details"]
        session |= {"status": "complete", "url": None, "customer": setup["customer"]}
        session["customer_details"] = customers.details(email=billing["email"], name=billing["name"])
        context.save(session)
        context.emit("checkout.session.completed", session)
    return outcome
