"""The hosted pages: the card form, 3-D Secure, and what is shown when a session has ended.

A program can pay too, by a POST of `number`, `expiry`, `cvc`, `email` to the session's address: 303 to the
success URL means paid, 303 to `.../authenticate` asks for `result=complete` or `fail`, 402 is a decline, 400 a
wrong entry.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from simulator import cards, clockwork, pages, paying
from simulator.context import Context
from simulator.params import decode
from simulator.store import Json
from simulator.work import Workshop

# What programs learn from the status is in the page for people, whose browsers would call it an error of the site.
IN_BROWSER = dict.fromkeys((400, 402, 409, 410), 200)

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
            session = workshop.store.find(request.path_params["id"], kind="checkout.session")
            if session is None:
                return _page("Not found", pages.message("There is no such payment page.", "Check the link."), 404)
            context.account = workshop.store.account_of(session["id"])
            response = step(context, session, form) if session["status"] == "open" else _ended(request, session)
        workshop.courier.ring()
        if in_browser:
            response.status_code = IN_BROWSER.get(response.status_code, response.status_code)
        return response

    return view


async def _form(request: Request) -> Form:
    """Query and body together, each value as text."""
    body = (await request.body()).decode(errors="replace")
    values = decode(request.url.query) | decode(body)
    return {name: value for name, value in values.items() if isinstance(value, str)}


def show_form(context: Context, session: Json, form: Form) -> Response:
    """The form, with the test card of `?card=` filled in, under the reason of the last decline."""
    card = cards.BY_NUMBER.get(form.get("card", ""))
    filled = pages.example_of(card) if card else {}
    problem = None if card else paying.last_problem(context, session)
    details = session["customer_details"] or {}
    email = session["_email"] or details.get("email") or ""
    body = pages.pay(session, form={"email": email, **filled}, declined=problem["message"] if problem else "")
    return _page("Pay", body)


def press_pay(context: Context, session: Json, form: Form) -> Response:
    details = session["customer_details"] or {}
    email = form.get("email") or details.get("email") or ""
    entered = {name: form.get(name, "") for name in ("number", "expiry", "cvc", "name")}
    try:
        card = cards.read_card(**entered, email=email, now=context.now())
    except cards.CardError as problem:
        page = pages.pay(session, form={"email": email, **entered}, problem=problem)
        return _page("Pay", page, 400, {"Simulator-Error": problem.code})
    return _next(context, session, paying.attempt(context, session, card, email=email), entered)


def show_authentication(context: Context, session: Json, _form: Form) -> Response:
    intent = context.store.find(session["_payment_intent"] or "")
    if intent is None or intent["status"] != "requires_action":
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
    return _page("Authenticate", pages.authenticate(session, last4=intent["_card_number"][-4:]))


def finish_authentication(context: Context, session: Json, form: Form) -> Response:
    if session["_payment_intent"] is None:
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
    passed = form.get("result") == "complete"
    return _next(context, session, paying.finish_authentication(context, session, passed=passed), {})


def _next(context: Context, session: Json, outcome: str, entered: Form) -> Response:
    """Where the customer goes after an attempt."""
    if outcome == "requires_action":
        return RedirectResponse(f"/c/pay/{session['id']}/authenticate", 303)
    if outcome != "requires_payment_method":
        return RedirectResponse(_success_url(session), 303)
    problem = paying.last_problem(context, session) or {}
    form = {"email": session["_email"], **entered, "cvc": ""}
    headers = {"Simulator-Error": problem.get("decline_code") or problem.get("code", "")}
    return _page("Pay", pages.pay(session, form=form, declined=problem.get("message", "")), 402, headers)


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _ended(request: Request, session: Json) -> Response:
    if session["status"] == "complete":
        text = "This payment is complete. Nothing more is taken."
        page = pages.message("Already paid", text, url=_success_url(session), link="Continue")
        return _page("Already paid", page, 200 if request.method == "GET" else 409)
    text = "The time to pay ran out, or the seller closed this page. Nothing was taken."
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
