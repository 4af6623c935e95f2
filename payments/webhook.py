"""Where dj-stripe hands over an event whose signature it has checked (DJSTRIPE_WEBHOOK_EVENT_CALLBACK)."""

from typing import Any, Protocol

from payments.services import receive_event


class SignedEvent(Protocol):
    """What we need of djstripe's WebhookEventTrigger."""

    json_body: dict[str, Any]


def receive(trigger: SignedEvent, *, api_key: str) -> None:  # noqa: ARG001  dj-stripe's signature
    """Note the event and return; dj-stripe holds a transaction here, in which nothing may be asked of Stripe."""
    receive_event(trigger.json_body)
