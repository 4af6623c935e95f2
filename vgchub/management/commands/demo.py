"""`manage.py demo`: accounts and tournaments to try the site with."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from tournaments.queries import database_now
from vgchub.management.demo import make_demo


class Command(BaseCommand):
    help = "Makes demo data, or renews what is over. Prints who can sign in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print it for programs")
        parser.add_argument(
            "--draws-in", type=float, default=180, metavar="SECONDS", help="until a new small lottery is drawn (180)"
        )

    def handle(self, **options: Any) -> None:
        with transaction.atomic():
            demo = make_demo(database_now(), draws_in=timedelta(seconds=options["draws_in"]))
        if options["json"]:
            tournaments = {"crowd_tournament": demo.crowd_tournament, "lottery": demo.lottery}
            self.stdout.write(json.dumps({**demo.logins, **tournaments}))
            return
        for email, password in demo.logins.items():
            self.stdout.write(f"{email}  {password}")
