"""The hosted pages: the form that pays with a card or saves one, 3-D Secure, and what is shown when a session has ended.

A program can pay too, by a POST of `number`, `expiry`, `cvc`, `email` to the session's address: 303 to the
success URL means paid, 303 to `.../authenticate` asks for `result=complete` or `fail`, 402 is a decline, 400 a
wrong entry.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from simulator import attempts, cards, clockwork, entry, pages, paying, saving
from simulator.context import Context
from simulator.params import decode
from simulator.store import Json
from simulator.work import Workshop

# What programs learn from the status is in the page for people, whose browsers would call it an error of the site.
IN_BROWSER = dict.fromkeys((400, 402, 409, 410), 200)

FLOWS = {"payment": paying, "setup": saving}

Form = dict[str, str]
Step = Callable[[Context, Json, Form], Response]


def routes(workshop: Workshop) -> list[Route]:
    return [
        Route("/", _home_view(workshop), methods=["GET"]),
        Route("/c/pay/{id}", _view(workshop, show_form), methods=["GET"]),
        Route("/c/pay/{id}", _view(workshop, press_pay), methods=["POST"]),
        Route("/c/pay/{id}/authenticate", _view(workshop, show_authentication), methods=["GET"]),
        Route("/c/pay/{id}/authenticate", _view(workshop, finish_authentication), methods=["POST"]),
    ]


def _view(workshop: Workshop, step: Step) -> Callable[[Request], Awaitable[Response]]:
    """A step on an open session; ended and unknown ones have their own pages."""

    async def view(request: Request) -> Response:
        context = workshop.context()
        form = await _form(request)
        in_browser = "text/html" in request.headers.get("accept", "")
        clockwork.turn(context)
        with workshop.store.transaction():
            session = workshop.store.find(request.path_params["id"])
            if session is None or session["object"] not in {"checkout.session", "payment_intent"}:
                return _page("Not found", pages.message("There is no such payment page.", "Check the link."), 404)
            context.account = workshop.store.account_of(session["id"])
            response = _answer(context, session, step, request, form)
        workshop.courier.ring()
        if in_browser:
            response.status_code = IN_BROWSER.get(response.status_code, response.status_code)
        return response

    return view


def _answer(context: Context, session: Json, step: Step, request: Request, form: Form) -> Response:
    if session["object"] == "payment_intent":
        return _authenticate_alone(context, session, form)
    return step(context, session, form) if session["status"] == "open" else _ended(request, session)


async def _form(request: Request) -> Form:
    """Query and body together, each value as text."""
    body = (await request.body()).decode(errors="replace")
    values = decode(request.url.query) | decode(body)
    return {name: value for name, value in values.items() if isinstance(value, str)}


def show_form(context: Context, session: Json, form: Form) -> Response:
    """The form, with the test card of `?card=` filled in, under the reason of the last decline."""
    card = cards.BY_NUMBER.get(form.get("card", ""))
    filled = pages.example_of(card) if card else {}
    problem = None if card else FLOWS[session["mode"]].last_problem(context, session)
    details = session["customer_details"] or {}
    email = session["_email"] or details.get("email") or ""
    body = pages.pay(session, form={"email": email, **filled}, declined=problem["message"] if problem else "")
    return _page(pages.title_of(session), body)


def press_pay(context: Context, session: Json, form: Form) -> Response:
    details = session["customer_details"] or {}
    email = form.get("email") or details.get("email") or ""
    entered = {name: form.get(name, "") for name in ("number", "expiry", "cvc", "name")}
    try:
        card = entry.read_card(**entered, email=email, now=context.now())
    except entry.CardError as problem:
        page = pages.pay(session, form={"email": email, **entered}, problem=problem)
        return _page(pages.title_of(session), page, 400, {"Simulator-Error": problem.code})
    outcome = FLOWS[session["mode"]].attempt(context, session, card, email=email)
    return _next(context, session, outcome, entered)


def show_authentication(context: Context, session: Json, _form: Form) -> Response:
    intent = FLOWS[session["mode"]].intent_of(context, session)
    if intent is None or intent["status"] != "requires_action":
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
    return _page("Authenticate", pages.authenticate(session, last4=_last4(context, intent)))


def _last4(context: Context, intent: Json) -> str:
    return str(context.get("payment_method", intent["payment_method"])["card"]["last4"])


def finish_authentication(context: Context, session: Json, form: Form) -> Response:
    flow = FLOWS[session["mode"]]
    if flow.intent_of(context, session) is None:
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
    passed = form.get("result") == "complete"
    return _next(context, session, flow.finish_authentication(context, session, passed=passed), {})


def _authenticate_alone(context: Context, intent: Json, form: Form) -> Response:
    """3-D Secure for an intent that was confirmed by the API with the customer present: no session is around it."""
    result = form.get("result")
    if result and intent["status"] == "requires_action":
        attempts.finish_authentication(context, intent, passed=result == "complete")
    if intent["status"] == "requires_action":
        return _page("Authenticate", pages.authenticate(intent, last4=_last4(context, intent)))
    if intent.get("_return_url"):
        return RedirectResponse(intent["_return_url"], 303)
    words = "declined" if intent["status"] == "requires_payment_method" else "done"
    return _page("Authenticated", pages.message(f"This payment is {words}.", "You can close this page now."))


def _next(context: Context, session: Json, outcome: str, entered: Form) -> Response:
    """Where the customer goes after an attempt."""
    if outcome == "requires_action":
        return RedirectResponse(f"/c/pay/{session['id']}/authenticate", 303)
    if outcome != "requires_payment_method":
        return RedirectResponse(_success_url(session), 303)
    problem = FLOWS[session["mode"]].last_problem(context, session) or {}
    form = {"email": session["_email"], **entered, "cvc": ""}
    headers = {"Simulator-Error": problem.get("decline_code") or problem.get("code", "")}
    page = pages.pay(session, form=form, declined=problem.get("message", ""))
    return _page(pages.title_of(session), page, 402, headers)


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _ended(request: Request, session: Json) -> Response:
    saves = session["mode"] == "setup"
    if session["status"] == "complete":
        heading = "Card saved" if saves else "Already paid"
        text = (
            "Your card is saved. Nothing was charged." if saves else "This payment is complete. Nothing more is taken."
        )
        page = pages.message(heading, text, url=_success_url(session), link="Continue")
        return _page(heading, page, 200 if request.method == "GET" else 409)
    text = "The time ran out, or the seller closed this page. Nothing was taken."
    page = pages.message("This page has expired", text, url=session["cancel_url"], link="Go back")
    return _page("Expired", page, 410)


def _home_view(workshop: Workshop) -> Callable[[Request], Awaitable[Response]]:
    async def view(_request: Request) -> Response:
        store = workshop.store
        body = pages.home(store.select("checkout.session", {}, limit=20), store.select("event", {}, limit=20))
        return _page("Stripe simulator", body)

    return view


def _page(title: str, body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    html, policy = pages.layout(title, body)
    return HTMLResponse(html, status, policy | (headers or {}))
