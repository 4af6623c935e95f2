"""manage.py reconcile: compare Stripe with our rows now, both ways, and say what came of it."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime

from payments.models import Discrepancy, Reconciliation
from payments.services import reconciling
from tournaments.queries import database_now

WIDTHS = (24, 10, 10, 14)
ALL_PAGES = 1_000_000_000


class Command(BaseCommand):
    help = (
        "Compares what was made at Stripe since a time with our rows, repairs what is clear and lists the rest. "
        "It can be interrupted and repeated; it ends with 1 if something is left to look at or Stripe does not answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", required=True, help="a day or a time (UTC): 2026-11-01, 2026-11-01T12:00")
        parser.add_argument("--until", default="", help="the same; now if left out")
        parser.add_argument("--account", default=None, help='a Stripe account, "" for the platform\'s own; default all')

    def handle(self, **options: Any) -> None:
        now = database_now()
        since = _time(options["since"], "--since")
        until = _time(options["until"], "--until") if options["until"] else now
        if since >= now:
            raise CommandError(f"--since {options['since']} is not in the past.")
        if until <= since:
            raise CommandError("--until has to be later than --since.")
        runs = [self._compare(account, since, until) for account in _accounts(options["account"])]
        self._table(runs)
        if left := sum(run.found for run in runs):
            raise CommandError(f"{left} left to look at: the admin lists them under Money, Discrepancies.")

    def _compare(self, account: str, since: datetime, until: datetime) -> Reconciliation:
        """An interrupted one of this account is brought to its end first."""
        kind = Reconciliation.Kind.BY_HAND
        while True:
            run = reconciling.begin(kind=kind, account=account, since=since, until=until)
            is_asked_for = (run.since, run.until) == (since, until)
            if not is_asked_for:
                self.stderr.write(f"Going on with the one that was interrupted: {run.since} to {run.until}.")
            reconciling.go_on(reconciliation_id=run.pk, pages=ALL_PAGES, tell=self._tell)
            run.refresh_from_db()
            if run.ended_at is None:
                raise CommandError(_why_not_ended(run))
            if is_asked_for:
                return run

    def _tell(self, run: Reconciliation) -> None:
        stage = run.cursor.get("list", "end")
        self.stderr.write(f"{run.stripe_account or 'platform'}: {stage}, {run.seen} compared, {run.repaired} repaired")

    def _table(self, runs: list[Reconciliation]) -> None:
        rows = [("account", "compared", "repaired", "left to look at")]
        rows += [(run.stripe_account or "platform", str(run.seen), str(run.repaired), str(run.found)) for run in runs]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, WIDTHS, strict=True)).rstrip())
        for found in Discrepancy.objects.filter(
            stripe_account__in=[run.stripe_account for run in runs], resolved_at=None
        )[:20]:
            self.stdout.write(f"  {found.kind} {found.object_id}: {found.says}")


def _time(text: str, option: str) -> datetime:
    try:
        found = parse_datetime(text)
        day = parse_date(text) if found is None else None
    except ValueError:  # of the right shape, but no such day
        found = day = None
    if day:
        found = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if found is None:
        raise CommandError(f"{option} {text!r} is no day or time. Write it like 2026-11-01 or 2026-11-01T12:00.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _accounts(named: str | None) -> list[str]:
    known = reconciling.accounts()
    if not known:
        raise CommandError("STRIPE_SECRET_KEY is not set: there is nothing to compare with.")
    if named is None:
        return known
    if named not in known:
        raise CommandError(f"No organization is paid on the Stripe account {named}.")
    return [named]


def _why_not_ended(run: Reconciliation) -> str:
    if run.error:
        return f"Stripe does not answer ({run.error}); a worker goes on with it, or repeat the command."
    return "Another process is at this comparison; wait for it, or repeat the command in a few minutes."
