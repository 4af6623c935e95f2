"""A batch of winners' cards, charged by two worker processes of which one is killed in the middle: each once, to the cent."""

import dataclasses
import json
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

from django.db import connections
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

from bench.people import make_waiting
from bench.report import say
from bench.site import BenchSite
from lottery import services
from payments.gateway.calling import client
from payments.models import Payment, SavedCard
from payments.services import plan_charges
from registrations.models import QueueEntry
from registrations.services import offer_seats
from tests.builders import make_tournament
from tournaments.models import Tournament
from vgchub.local.child import kill_group

FEE_MINOR = 2500
PACE = 1_000_000  # offers a minute
GOOD, DECLINES_LATER = "pm_card_visa", "pm_card_chargeCustomerFail"
EVERY = 10  # so many cards to one that is declined when it is charged
KILLED_AFTER = 1 / 3  # of the batch
PATIENCE = 900.0
TENDING = 0.1


def measure(site: BenchSite, options: Namespace) -> dict[str, Any]:
    """Seconds until every card was charged or refused, and what the simulator took beside what our rows say."""
    site.start_stripe()
    batch = Batch(site, _winners(options.winners), options.winners)
    workers = [_worker(site, name) for name in ("worker", "worker-2")]
    site.start_specs(*workers)
    began = time.perf_counter()
    site.start("beat")
    batch.wait_until("a third is charged", lambda: batch.done() >= batch.size * KILLED_AFTER)
    say("One of the two workers is killed")
    kill_group(site.child("worker").pid)
    batch.wait_until("all is done", lambda: batch.done() == batch.size and not Payment.objects.open().exists())
    total = time.perf_counter() - began
    site.stop_last()
    return batch.figures() | {"total_s": round(total, 1)}


def _winners(count: int) -> Tournament:
    """A drawn lottery in which so many players with a card on file were offered a seat, and have let the time to decline pass."""
    say(f"{count} players put a card on file and win")
    tournament = make_tournament(
        mode="LOTTERY",
        seats=count,
        opens_in=-timedelta(days=3),
        entropy=Tournament.Entropy.COMMIT_REVEAL,
        fee_minor=FEE_MINOR,
        saves_cards=True,
        offers_per_minute=PACE,
        offer_batch=50,
    )
    make_waiting(tournament, count)
    entries = list(QueueEntry.objects.filter(tournament=tournament).select_related("player__account").order_by("pk"))
    with ThreadPoolExecutor(8) as pool:
        cards = list(pool.map(_save, entries, range(count)))
    connections.close_all()
    SavedCard.objects.bulk_create(cards)
    _draw(tournament)
    while offer_seats(tournament_id=tournament.pk):
        pass
    while plan_charges():
        pass
    SavedCard.objects.filter(entry__tournament=tournament, charge_due_at__isnull=False).update(charge_due_at=Now())
    return tournament


def _draw(tournament: Tournament) -> None:
    draw = services.open_draw(tournament_id=tournament.pk)
    if draw is None:
        raise RuntimeError("no draw was opened")
    services.seal_draw(draw_id=draw.pk)
    services.run_draw(draw_id=draw.pk)
    services.write_bundle(draw_id=draw.pk)


def _save(entry: QueueEntry, number: int) -> SavedCard:
    """As if it had been saved on Stripe's page."""
    stripe: Any = client().v1
    customer = stripe.customers.create({"email": entry.player.account.email})
    alias = DECLINES_LATER if number % EVERY == 0 else GOOD
    method = stripe.payment_methods.attach(alias, {"customer": customer.id})
    now = timezone.now()
    return SavedCard(
        entry=entry,
        state=SavedCard.State.SAVED,
        agreed_minor=FEE_MINOR,
        currency="eur",
        customer=customer.id,
        payment_method=method.id,
        brand=method.card.brand,
        last4=method.card.last4,
        session_expires_at=now,
        created_at=now,
        saved_at=now,
    )


def _worker(site: BenchSite, name: str) -> Any:
    """One of several: each needs a name of its own."""
    spec = site.site.worker()
    return dataclasses.replace(spec, name=name, argv=(*spec.argv, f"--hostname={name}@%h"))


@dataclasses.dataclass
class Batch:
    """The winners, and what became of them."""

    site: BenchSite
    tournament: Tournament
    size: int

    def done(self) -> int:
        """How many cards were charged, or refused, so far."""
        return self._payments().exclude(state=Payment.State.CREATED).values("entry").distinct().count()

    def wait_until(self, what: str, true: Callable[[], bool]) -> None:
        """Meanwhile what died is started again. Raises TimeoutError."""
        ends = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > ends:
                raise TimeoutError(f"{what}: {self.done()} of {self.size} after {PATIENCE:.0f} s")
            self.site.supervisor.tend()
            time.sleep(TENDING)
        say(f"{self.done()} of {self.size}: {what}")

    def figures(self) -> dict[str, Any]:
        """What became of the winners; the difference is what the simulator took less what our rows say."""
        intents = self._intents()
        charges = Counter(
            one["metadata"]["entry"] for one in intents if one["status"] in ("succeeded", "requires_capture")
        )
        captured, failed = (
            self._payments().filter(state=state) for state in (Payment.State.CAPTURED, Payment.State.FAILED)
        )
        ours = captured.aggregate(sum=Sum("amount_minor"))["sum"] or 0
        return {
            "winners": self.size,
            **became_of(self.size, charges, captured=_entries_of(captured), failed=_entries_of(failed)),
            "ledger_difference_minor": sum(one["amount_received"] for one in intents) - ours,
        }

    def _payments(self) -> Any:
        return Payment.objects.filter(entry__tournament=self.tournament)

    def _intents(self) -> list[dict[str, Any]]:
        address = self.site.site.environment["STRIPE_API_BASE"] + "/_control/state?kind=payment_intent"
        with urlopen(address, timeout=60) as answer:  # noqa: S310  our own simulator
            intents: list[dict[str, Any]] = json.load(answer)["payment_intent"]
        return intents


def _entries_of(payments: Any) -> set[str]:
    return set(payments.values_list("entry__public_id", flat=True))


def became_of(winners: int, charges: Mapping[str, int], *, captured: set[str], failed: set[str]) -> dict[str, int]:
    """Winners by what became of them: `charges` are the simulator's, by entry, the others entries whose payment our rows call so.

    `lost` are those of whom the two do not agree that they were charged, or refused.
    """
    charged = captured & charges.keys()
    declined = failed - captured - charges.keys()
    return {
        "charged": len(charged),
        "declined": len(declined),
        "charged_twice": sum(count > 1 for count in charges.values()),
        "lost": winners - len(charged) - len(declined),
    }
