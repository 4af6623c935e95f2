"""`/v1/`: authentication, parameters, idempotency, and which function answers which address."""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import checkout, customers, errors, events, intents, paying, refunds, webhooks
from simulator.context import PLATFORM, Context
from simulator.errors import ApiError
from simulator.idempotency import Answer
from simulator.params import decode
from simulator.settings import API_VERSION
from simulator.store import new_id
from simulator.work import Call, Endpoint, Workshop

ENDPOINTS: list[tuple[str, str, Endpoint]] = [
    ("GET", "/v1/account", customers.own_account),
    ("GET", "/v1/accounts/{id}", customers.account),
    ("GET", "/v1/balance_transactions", refunds.list_balance_transactions),
    ("GET", "/v1/balance_transactions/{id}", refunds.balance_transaction),
    ("GET", "/v1/charges", refunds.list_charges),
    ("GET", "/v1/charges/{id}", refunds.retrieve_charge),
    ("POST", "/v1/checkout/sessions", checkout.create),
    ("GET", "/v1/checkout/sessions", checkout.list_all),
    ("GET", "/v1/checkout/sessions/{id}", checkout.retrieve),
    ("GET", "/v1/checkout/sessions/{id}/line_items", checkout.line_items),
    ("POST", "/v1/checkout/sessions/{id}/expire", checkout.expire),
    ("POST", "/v1/customers", customers.create),
    ("GET", "/v1/customers", customers.list_all),
    ("GET", "/v1/customers/{id}", customers.retrieve),
    ("POST", "/v1/customers/{id}", customers.update),
    ("DELETE", "/v1/customers/{id}", customers.delete),
    ("GET", "/v1/events", events.list_all),
    ("GET", "/v1/events/{id}", events.retrieve),
    ("GET", "/v1/payment_intents", intents.list_all),
    ("GET", "/v1/payment_intents/{id}", intents.retrieve),
    ("POST", "/v1/payment_intents/{id}", intents.update),
    ("POST", "/v1/payment_intents/{id}/capture", intents.capture),
    ("POST", "/v1/payment_intents/{id}/cancel", intents.cancel),
    ("GET", "/v1/payment_methods/{id}", paying.retrieve_method),
    ("POST", "/v1/refunds", refunds.create),
    ("GET", "/v1/refunds", refunds.list_all),
    ("GET", "/v1/refunds/{id}", refunds.retrieve),
    ("POST", "/v1/webhook_endpoints", webhooks.create),
    ("GET", "/v1/webhook_endpoints", webhooks.list_all),
    ("GET", "/v1/webhook_endpoints/{id}", webhooks.retrieve),
    ("POST", "/v1/webhook_endpoints/{id}", webhooks.update),
    ("DELETE", "/v1/webhook_endpoints/{id}", webhooks.delete),
]

SECRET_KEY = re.compile(r"[sr]k_test_\w{24,}")
NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, "
    "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)


def routes(workshop: Workshop) -> list[Route]:
    known = [Route(path, _view(workshop, endpoint), methods=[verb]) for verb, path, endpoint in ENDPOINTS]
    return [*known, Route("/v1/{rest:path}", _view(workshop, None), methods=["GET", "POST", "DELETE"])]


def _view(workshop: Workshop, endpoint: Endpoint | None) -> Callable[[Request], Awaitable[Response]]:
    async def view(request: Request) -> Response:
        context = workshop.context(request_id=new_id("req_", 14))
        replayed = False
        try:
            call = await _read(context, request, endpoint)
            answer, replayed = await workshop.answer(call)
        except ApiError as error:
            answer = Answer(status=error.status, body=error.body(), request_id=str(context.request_id))
        return _response(context, answer, replayed=replayed)

    return view


async def _read(context: Context, request: Request, endpoint: Endpoint | None) -> Call:
    """The request in our terms, or the refusal of one that is nobody's or goes nowhere."""
    _authenticate(request)
    if endpoint is None:
        raise errors.unknown_url(request.method, request.url.path)
    account = request.headers.get("stripe-account", "")
    context.account = "" if account == PLATFORM else account
    posted = request.method == "POST"
    if posted:
        context.idempotency_key = _idempotency_key(request)
    return Call(
        context=context,
        endpoint=endpoint,
        method=request.method,
        path=request.url.path,
        ids=list(request.path_params.values()),
        values=decode((await request.body()).decode(errors="replace") if posted else request.url.query),
    )


async def broken(_request: Request, _error: Exception) -> Response:
    """A mistake of ours, said as Stripe says one of theirs; the log has the traceback."""
    body = {"error": {"type": "api_error", "message": "The simulator made a mistake. Its log says which."}}
    return Response(json.dumps(body), 500, {"Request-Id": new_id("req_", 14)}, "application/json")


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key") or None
    if key and len(key) > 255:
        raise errors.invalid("Idempotency keys are at most 255 characters long.")
    return key


def _authenticate(request: Request) -> None:
    """Any secret test key will do: keys open everything and scope nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        token = _user_of(token)
    if not token:
        raise errors.unauthorised(NO_KEY)
    if not SECRET_KEY.fullmatch(token):
        hidden = token[:8] + "*" * 16 + token[-4:]
        raise errors.unauthorised(f"Invalid API Key provided: {hidden}")


def _user_of(token: str) -> str:
    try:
        return base64.b64decode(token).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _response(context: Context, answer: Answer, *, replayed: bool) -> Response:
    headers = {
        "Request-Id": str(context.request_id),
        "Stripe-Version": API_VERSION,
        "Cache-Control": "no-store",
    }
    if context.idempotency_key:
        headers |= {"Idempotency-Key": context.idempotency_key, "Original-Request": answer.request_id}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if context.account:
        headers["Stripe-Account"] = context.account
    if answer.status in {409, 429, 500}:
        headers["Stripe-Should-Retry"] = "true" if answer.status == 409 else "false"
    return Response(json.dumps(answer.body), answer.status, headers, "application/json")
