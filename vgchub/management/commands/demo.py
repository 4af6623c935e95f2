"""`manage.py demo`: accounts and tournaments to try the site with."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from tournaments.queries import database_now
from vgchub.management.demo import make_demo


class Command(BaseCommand):
    help = "Makes demo data, or renews what is over. Prints who can sign in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print it for programs")

    def handle(self, **options: Any) -> None:
        with transaction.atomic():
            demo = make_demo(database_now())
        if options["json"]:
            self.stdout.write(json.dumps({**demo.logins, "crowd_tournament": demo.crowd_tournament}))
            return
        for email, password in demo.logins.items():
            self.stdout.write(f"{email}  {password}")
