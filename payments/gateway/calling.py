"""How Stripe is called: the client, its timeouts, and its dozen errors turned into ours."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
import stripe
from django.conf import settings

from payments.gateway.budget import BUDGET, is_urgent, place, wait_for_turn
from payments.gateway.errors import GatewayAwayError, GatewayError, GatewayRefusedError, NotAtStripeError
from vgchub import health
from vgchub.masking import mask_keys

logger = logging.getLogger(__name__)

TIMEOUT = (3.0, 8.0)  # seconds to connect, and to wait for an answer
URGENT_TIMEOUT = (2.0, 6.0)  # while somebody waits at a page, whose thread serves nobody else meanwhile
RETRIES = 1  # at once, by the client; later ones are the sweep's
IN_FLIGHT = "in_flight"


@dataclass(frozen=True)
class Caller:
    """Calls on behalf of one account; empty is the platform's own. Each kind of object adds its calls."""

    account: str = ""

    def _call(self, ask: "Callable[[Any], Any]", key: str = "") -> Any:
        """Ask Stripe; its dozen errors come out as ours."""
        options = {"stripe_account": self.account} if self.account else {}
        if key:
            options["idempotency_key"] = key
        with _translated():
            return ask(options)


class HttpClient(stripe.RequestsClient):
    """Each request, repeated ones too, takes one of the process' places, and waits for its turn in the site's budget.

    A Stripe that says nothing is not asked twice while somebody waits. One that broke a connection off at once is, as Stripe does
    with connections that were idle; and that the same call is under way elsewhere is an answer.
    """

    def __init__(self, *, urgent: bool) -> None:
        super().__init__(timeout=URGENT_TIMEOUT if urgent else TIMEOUT)
        self.urgent = urgent

    def request(  # type: ignore[override]  # as RequestsClient has it
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        with place():
            wait_for_turn(method, url, headers)
            return super().request(method, url, headers, post_data)

    def _should_retry(
        self, response: Any, api_connection_error: Any, num_retries: int, max_network_retries: Any
    ) -> bool:
        was_silent = api_connection_error and isinstance(api_connection_error.__context__, requests.Timeout)
        answered = response and response[1] != 409
        if self.urgent and (was_silent or answered):
            return False
        again: bool = super()._should_retry(response, api_connection_error, num_retries, max_network_retries)
        return again


@cache
def client_for(key: str, base: str, *, urgent: bool = False) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base} if base else None,
        max_network_retries=RETRIES,
        http_client=HttpClient(urgent=urgent),
    )


def client() -> stripe.StripeClient:
    return client_for(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, urgent=is_urgent())


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except stripe.InvalidRequestError as error:
        wrong = NotAtStripeError if error.code == "resource_missing" else GatewayRefusedError
        raise wrong(_message(error), error.code or "invalid_request") from error
    except stripe.CardError as error:
        raise GatewayRefusedError(_message(error), error.code or "card_error") from error
    except stripe.IdempotencyError as error:
        raise GatewayAwayError(_message(error), "idempotency_error", answered=True) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        # Ours to set right; nobody should lose a seat by it meanwhile.
        logger.exception("Stripe does not accept our key")
        raise GatewayAwayError(_message(error), "not_allowed") from error
    except stripe.APIConnectionError as error:
        logger.warning("Stripe gave no answer: %s", mask_keys(repr(error.__context__)))
        raise GatewayAwayError(_message(error), "no_answer") from error
    except stripe.StripeError as error:
        if error.http_status == 409:  # the same call is under way elsewhere: a second tab
            raise GatewayAwayError(_message(error), IN_FLIGHT) from error
        raise GatewayAwayError(_message(error), error.code or "not_now", answered=True) from error


@contextmanager
def measured(service: str) -> Iterator[None]:
    """Count whether Stripe answers. A refusal is an answer; a call that our own budget held back says nothing of Stripe."""
    try:
        yield
    except GatewayAwayError as error:
        if error.code != BUDGET:
            health.record_call(service, ok=error.code == IN_FLIGHT)
        raise
    except GatewayError:
        health.record_call(service, ok=True)
        raise
    health.record_call(service, ok=True)


def _message(error: stripe.StripeError) -> str:
    return mask_keys(error.user_message or str(error) or type(error).__name__)
