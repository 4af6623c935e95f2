"""A comparison, page by page: killed at any moment it goes on at the page that it was at, and two at once share no page."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from payments.gateway import Gateway, GatewayAwayError, Listing
from payments.gateway.books import PAGE
from payments.models import Discrepancy, Payment, Reconciliation
from payments.rules import pause
from payments.services.reconciling import own
from payments.services.reconciling.lines import doubtful, write_lines
from payments.services.reconciling.looking import Looker
from tournaments.models import Organization
from tournaments.queries import database_now

logger = logging.getLogger(__name__)

TAKEN = timedelta(minutes=4)  # for how long a run is left to the worker that took it, from its last page on
AT_ONCE = 20  # pages; then the worker is free for what is more urgent

# What is gone through, in this order: money is compared once what it was paid with has been.
OWN = {
    "payments": own.settle_payments,
    "refund rows": own.settle_refunds,
    "dispute rows": own.settle_disputes,
    "listed": own.settle_listed,
}
LISTS = (*Listing, *OWN)

SPANS = {
    Reconciliation.Kind.RECENT: timedelta(hours=2),
    Reconciliation.Kind.NIGHTLY: timedelta(days=8),
}
SETTLED = timedelta(minutes=1)  # what is younger is still being worked on

Tell = Callable[[Reconciliation], None]


def accounts() -> list[str]:
    """Stripe accounts on which there may be something of ours, the platform's own ("") first."""
    if not settings.STRIPE_SECRET_KEY:
        return []
    named = set(Organization.objects.exclude(stripe_account="").values_list("stripe_account", flat=True))
    named |= set(Payment.objects.exclude(stripe_account="").values_list("stripe_account", flat=True).distinct())
    return ["", *sorted(named)]


def begin_planned(kind: Reconciliation.Kind) -> list[int]:
    """Begin what is planned for each account, or find the one at work; returns the ids of all that are not ended.

    Those that were begun another way and then forgotten are among them.
    """
    until = database_now() - SETTLED
    for account in accounts():
        begin(kind=kind, account=account, since=until - SPANS[kind], until=until)
    return list(Reconciliation.objects.filter(ended_at=None).order_by("pk").values_list("pk", flat=True))


def begin(*, kind: Reconciliation.Kind, account: str, since: datetime, until: datetime) -> Reconciliation:
    """A comparison of what was made in [since, until); if one of this kind and account is at work, that one."""
    row = Reconciliation(kind=kind, stripe_account=account, since=since, until=until, started_at=database_now())
    while True:
        Reconciliation.objects.bulk_create([row], ignore_conflicts=True)
        at_work = Reconciliation.objects.filter(kind=kind, stripe_account=account, ended_at=None).first()
        if at_work is not None:
            return at_work


def go_on(*, reconciliation_id: int, pages: int = AT_ONCE, tell: Tell | None = None) -> datetime | None:
    """Compare some pages; returns when to call again, or None when the comparison is over or another worker has it.

    Without an answer of Stripe's (it is away, or wants fewer calls) the page is begun anew after a pause.
    """
    hold = _Hold.of(reconciliation_id)
    if hold is None:
        return None
    try:
        for _page in range(pages):
            run = Reconciliation.objects.get(pk=reconciliation_id)
            if not _one_page(run, hold):
                return None
            if tell:
                tell(Reconciliation.objects.get(pk=reconciliation_id))
    except GatewayAwayError as error:
        logger.warning("Reconciliation %s pauses: %s", reconciliation_id, error)
        return hold.pause(error)
    return hold.let_go()


def _one_page(run: Reconciliation, hold: "_Hold") -> bool:
    """Whether there is more to do, and this worker still the one to do it."""
    name = run.cursor.get("list", LISTS[0])
    after = run.cursor.get("after", "")
    seen, repaired, last = _own_page(run, name, after) if name in OWN else _stripes_page(run, Listing(name), after)
    if last:
        return hold.keep(cursor={"list": name, "after": last}, seen=F("seen") + seen, repaired=F("repaired") + repaired)
    following = LISTS.index(name) + 1
    if following < len(LISTS):
        cursor = {"list": LISTS[following]}
        return hold.keep(cursor=cursor, seen=F("seen") + seen, repaired=F("repaired") + repaired)
    open_ones = Discrepancy.objects.filter(stripe_account=run.stripe_account, resolved_at=None).count()
    hold.keep(ended_at=database_now(), found=open_ones, error="", cursor={}, seen=F("seen") + seen)
    return False


def _stripes_page(run: Reconciliation, listing: Listing, after: str) -> tuple[int, int, str]:
    """(objects, repaired, the last one's id if more follow)."""
    page = Gateway(run.stripe_account).page(listing, since=run.since, until=run.until, after=after)
    looker = Looker(run.stripe_account)
    if listing == Listing.TRANSACTIONS:
        payments = write_lines(run.stripe_account, page.items)
        found = doubtful(page.items, payments)
        repaired = sum(looker.settle_by_id(kind, object_id) for kind, object_id in found)
    else:
        repaired = looker.settle(page.items)
    return len(page.items), repaired, page.items[-1].id if page.more else ""


def _own_page(run: Reconciliation, name: str, after: str) -> tuple[int, int, str]:
    repaired, ids = OWN[name](run, int(after or 0))
    return 0, repaired, str(ids[-1]) if len(ids) == PAGE else ""


class _Hold:
    """One worker's hold on a run, known by its time: after it ran out, whoever takes the run next takes it all."""

    def __init__(self, run_id: int, until: datetime) -> None:
        self.run_id, self.until = run_id, until

    @classmethod
    def of(cls, run_id: int) -> "_Hold | None":
        now = database_now()
        free = Reconciliation.objects.filter(pk=run_id, ended_at=None).exclude(taken_until__gt=now)
        until = now + TAKEN
        return cls(run_id, until) if free.update(taken_until=until) else None

    def keep(self, **changes: object) -> bool:
        """Write what was done, unless somebody else has the run by now; returns whether it is still ours."""
        until = database_now() + TAKEN
        mine = Reconciliation.objects.filter(pk=self.run_id, ended_at=None, taken_until=self.until)
        if not mine.update(taken_until=until, **changes):
            return False
        self.until = until
        return True

    def pause(self, error: GatewayAwayError) -> datetime:
        """Leave the run alone for a while, longer each time that nothing came of it."""
        run = Reconciliation.objects.get(pk=self.run_id)
        tries = int(run.cursor.get("tries", 0))
        again_at = database_now() + pause(tries)
        mine = Reconciliation.objects.filter(pk=self.run_id, ended_at=None, taken_until=self.until)
        mine.update(taken_until=again_at, error=str(error), cursor={**run.cursor, "tries": tries + 1})
        return again_at

    def let_go(self) -> datetime:
        Reconciliation.objects.filter(pk=self.run_id, taken_until=self.until).update(taken_until=None)
        return database_now()
