from django.apps import AppConfig
from django.core.checks.registry import registry


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from djstripe import checks  # noqa: PLC0415  its models have to be there first

        # It warns that the callback is no longer recommended, without an id to silence it by. Without a callback dj-stripe
        # asks Stripe inside of the webhook's transaction.
        registry.registered_checks.discard(checks.check_webhook_event_callback_accepts_api_key)
