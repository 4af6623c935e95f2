"""`/v1/`: authentication, parameters, idempotency; the table of addresses is in `endpoints.py`."""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import errors
from simulator.context import PLATFORM, Context
from simulator.endpoints import ENDPOINTS
from simulator.errors import ApiError
from simulator.faults import UnansweredError
from simulator.idempotency import Answer
from simulator.params import decode
from simulator.settings import API_VERSION
from simulator.store import new_id
from simulator.wire import Silence
from simulator.work import Call, Endpoint, Workshop

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
        try:
            call = await _read(context, request, endpoint)
            workshop.rates.check(context.account, call.path)
            answer, replayed = await workshop.answer(call)
        except UnansweredError as silence:
            return Silence(silence.how)
        except ApiError as error:
            refusal = Answer(status=error.status, body=error.body(), request_id=str(context.request_id))
            response = _response(context, refusal, replayed=False)
            response.headers.update(error.headers)
            return response
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
