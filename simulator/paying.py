"""What happens when a customer presses Pay on a session's page, until the session is complete."""

from simulator import attempts, customers, intents, methods
from simulator.cards import EnteredCard
from simulator.context import Context
from simulator.store import Json


def attempt(context: Context, session: Json, card: EnteredCard, *, email: str) -> str:
    """Try the card; answers the intent's state after it."""
    intent = _intent_of(context, session)
    session["_email"] = email
    context.save(session)
    method = methods.add(context, card, email=email)
    return _go_on(context, session, intent, attempts.attempt(context, intent, method))


def finish_authentication(context: Context, session: Json, *, passed: bool) -> str:
    """The customer came back from the bank's page; answers like `attempt`."""
    intent = _intent_of(context, session)
    return _go_on(context, session, intent, attempts.finish_authentication(context, intent, passed=passed))


def intent_of(context: Context, session: Json) -> Json | None:
    """The intent of the attempts so far."""
    return context.store.find(session["_payment_intent"] or "")


def last_problem(context: Context, session: Json) -> Json | None:
    """The error of the latest attempt, as the intent keeps it, or None."""
    intent = intent_of(context, session)
    error: Json | None = intent and intent["last_payment_error"]
    return error


def _intent_of(context: Context, session: Json) -> Json:
    intent = intent_of(context, session)
    if intent is None:
        intent = intents.add_for_session(context, session)
        session["_payment_intent"] = intent["id"]
        context.save(session)
    return intent


def _go_on(context: Context, session: Json, intent: Json, outcome: str) -> str:
    if outcome in {"requires_capture", "succeeded"}:
        _complete(context, session, intent)
    return outcome


def _complete(context: Context, session: Json, intent: Json) -> None:
    billing = context.get("charge", intent["latest_charge"])["billing_details"]
    if session["customer_creation"] == "always" and session["customer"] is None:
        customer = customers.add(context, email=billing["email"], name=billing["name"])
        session["customer"] = intent["customer"] = customer["id"]
        context.save(intent)
        attempts.keep_method(context, intent)
    session |= {
        "status": "complete",
        "payment_intent": intent["id"],
        "payment_status": "paid" if intent["status"] == "succeeded" else "unpaid",
        "url": None,
        "customer_details": customers.details(email=billing["email"], name=billing["name"]),
    }
    context.save(session)
    context.emit("checkout.session.completed", session)
