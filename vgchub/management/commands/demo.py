"""`manage.py demo`: accounts and tournaments to try the site with."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from tournaments.queries import database_now
from vgchub.management.demo import make_demo, make_lottery


class Command(BaseCommand):
    help = "Makes demo data, or renews what is over. Prints who can sign in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print it for programs")
        parser.add_argument(
            "--lottery",
            type=float,
            metavar="SECONDS",
            help="make only one more, empty lottery, drawn in so many seconds",
        )

    def handle(self, **options: Any) -> None:
        if options["lottery"] is not None:
            with transaction.atomic():
                lottery = make_lottery(database_now(), timedelta(seconds=options["lottery"]))
            self.stdout.write(lottery.slug)
            return
        with transaction.atomic():
            demo = make_demo(database_now())
        if options["json"]:
            tournaments = {"crowd_tournament": demo.crowd_tournament, "lottery": demo.lottery}
            self.stdout.write(json.dumps({**demo.logins, **tournaments}))
            return
        for email, password in demo.logins.items():
            self.stdout.write(f"{email}  {password}")
