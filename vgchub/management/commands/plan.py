"""`manage.py plan`: what a tournament takes, in pods, connections and bytes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from vgchub import planning


class Command(BaseCommand):
    help = "Says what a tournament takes in its busiest seconds, from what was measured (docs/performance.md)."
    requires_system_checks = ()  # it needs no database, and none of the settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--players", type=int, required=True, help="how many come")
        parser.add_argument("--seats", type=int, required=True, help="for how many seats")
        parser.add_argument("--minutes", type=float, required=True, help="within how many minutes most of them come")

    def handle(self, *, players: int, seats: int, minutes: float, **_options: Any) -> None:
        try:
            found = planning.plan(players, seats, minutes)
        except planning.NoPlanError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{players:,} players for {seats:,} seats within {minutes:,g} minutes, at the peak:\n\n")
        rows = list(planning.table(found))
        width = max(len(name) for name, _amount in rows)
        for name, amount in rows:
            self.stdout.write(f"  {name:<{width}}  {amount}")
        for sentence in planning.advice(found):
            self.stdout.write(f"\n{sentence}")
