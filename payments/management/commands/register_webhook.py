"""manage.py register_webhook: make Stripe (or the simulator) send its events to SITE_URL; change the secrets. Safe to repeat."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payments.gateway import GatewayError
from payments.services.endpoints import finish_rotation, register_endpoints, rotate_endpoints
from vgchub.errors import RefusedError


class Command(BaseCommand):
    help = "Makes Stripe send its events to this site (SITE_URL); changes only what differs, so it can be repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--rotate", action="store_true", help="new secrets; the old ones stay valid beside them")
        how.add_argument("--finish", action="store_true", help="ends that: the old secrets are refused from now on")

    def handle(self, *, rotate: bool, finish: bool, **_options: Any) -> None:
        act = rotate_endpoints if rotate else finish_rotation if finish else register_endpoints
        try:
            registered = act()
        except GatewayError as error:
            raise CommandError(f"Stripe did not take the endpoint: {error}") from error
        except RefusedError as refusal:
            raise CommandError(f"{refusal.message} {refusal.remedy}") from refusal
        for endpoint in registered:
            self.stdout.write(f"{endpoint.change}: {endpoint.url}")
