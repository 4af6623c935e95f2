"""manage.py register_webhook: make Stripe (or the simulator) send its events to SITE_URL. Safe to repeat."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payments.gateway import GatewayError
from payments.services.endpoints import register_endpoints


class Command(BaseCommand):
    help = "Makes Stripe send its events to this site (SITE_URL); changes only what differs, so it can be repeated."

    def handle(self, **_options: Any) -> None:
        try:
            registered = register_endpoints()
        except GatewayError as error:
            raise CommandError(f"Stripe did not take the endpoint: {error}") from error
        for endpoint in registered:
            self.stdout.write(f"{endpoint.change}: {endpoint.url}")
