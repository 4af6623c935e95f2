"""manage.py verify_history: is all that was sealed still as it was?"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Sum

from reports.history import broken_blocks
from reports.models import HistoryBlock


class Command(BaseCommand):
    help = "Recompute every block of the history and follow the chain. Exit 0: all of it is as it was sealed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--newest", type=int, metavar="N", help="check the last N blocks only")
        parser.add_argument("--head", metavar="DIGEST", help="a digest noted earlier, which the chain has to contain")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002  the signature is Django's
        problems = list(broken_blocks(newest=options["newest"]))
        head = options["head"]
        if head and not HistoryBlock.objects.filter(digest=head).exists():
            problems.append(f"No block has the digest {head}: the chain was cut or written anew since.")
        for problem in problems:
            self.stdout.write(self.style.ERROR(problem))
        last = HistoryBlock.objects.order_by("number").last()
        events = HistoryBlock.objects.aggregate(events=Sum("events"))["events"] or 0
        self.stdout.write(
            f"{last.number} blocks, {events} events, last sealed {last.sealed_at:%Y-%m-%d %H:%M:%S} UTC, digest {last.digest}"
            if last
            else "Nothing is sealed yet."
        )
        sys.exit(1 if problems else 0)
