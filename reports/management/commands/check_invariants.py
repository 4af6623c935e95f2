"""manage.py check_invariants: is everything as it must be at every instant?"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reports.invariants import Report, check
from tournaments.models import Tournament

MOST_SHOWN = 20


class Command(BaseCommand):
    help = "Ask the database for every exception to what must be true. Exit 0: there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tournament", metavar="SLUG", help="of one tournament only")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002  the signature is Django's
        reports = check(tournament_id=self._tournament_id(options["tournament"]))
        for report in reports:
            self._print(report)
        sys.exit(1 if any(report.violations for report in reports) else 0)

    def _tournament_id(self, slug: str | None) -> int | None:
        if slug is None:
            return None
        try:
            return Tournament.objects.get(slug=slug).pk
        except Tournament.DoesNotExist:
            raise CommandError(f"There is no tournament {slug}.") from None

    def _print(self, report: Report) -> None:
        found = len(report.violations)
        verdict = self.style.ERROR(f"{found:>6}") if found else self.style.SUCCESS("    ok")
        self.stdout.write(f"{report.invariant.code:<4} {verdict}  {report.invariant.sentence}")
        for sentence in report.violations[:MOST_SHOWN]:
            self.stdout.write(self.style.ERROR(f"             {sentence}"))
        if found > MOST_SHOWN:
            self.stdout.write(f"             … and {found - MOST_SHOWN} more")
