"""manage.py draw ACTION: what can be done with draws from a terminal. Each action is a module of lottery.management."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from lottery.management import simulating


class Command(BaseCommand):
    help = "Draws: try rules before a tournament has them."
    requires_system_checks = ()  # rules can be tried where no database answers

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        simulating.add_arguments(actions.add_parser("simulate", help=simulating.HELP, description=simulating.HELP))

    def handle(self, *_args: Any, **options: Any) -> None:
        match options["action"]:
            case "simulate":
                simulating.run(self.stdout, options)
