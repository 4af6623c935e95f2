"""`manage.py clock`: the process that opens, offers, lapses and publishes."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from registrations.clock import Clock


class Command(BaseCommand):
    help = "Offers seats, ends offers and publishes the line until it is stopped. Two may run; one stands by."

    def handle(self, **options: Any) -> None:  # noqa: ARG002  Django's signature
        clock = Clock()

        def stop(*_args: object) -> None:
            clock.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write("The clock is running.")
        clock.run()
