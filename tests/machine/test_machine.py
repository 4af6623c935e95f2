"""Whatever happens, in whatever order, in each mode: what must be true is true after every step."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from payments.gateway import Gateway, GatewayRefusedError, Intent, StripeRefund, calling
from payments.services import capturing, refunding, releasing, sweeping
from payments.services.reconciling import lines, looking, own
from payments.services.reconciling import running as comparing
from registrations import rules
from registrations.models import Notice
from registrations.rules import State
from registrations.services import notices, running
from tests.machine.machine import FairStart, FirstCome, Happenings, Lottery
from tests.machine.played import must_happen
from tests.machine.site import FEE, Site, whole_site
from tests.machine.story import tell, tell_of_money
from tests.payments.till import Till

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FREE, PAID = 4, 6  # examples
AT_NIGHT = 10  # times as many, and other ones every night
STEPS = 30
# What already the simplest example plays, in which the first to be offered a seat pays, and then all is cancelled.
BY_CHANCE = {"money was taken", "somebody gave a seat back", "the tournament was cancelled"}


@pytest.fixture
def site(till: Till) -> Iterator[Site]:
    with whole_site(till, os.environ["DATABASE_URL"]) as site:
        yield site


def set_up(happenings: type[Happenings], site: Site, *, fee: int = 0) -> None:
    happenings.site, happenings.fee, happenings.played = site, fee, Counter()


def play(happenings: type[Happenings], site: Site, *, fee: int, examples: int, **more: Any) -> None:
    """So many tournaments of this mode, the same ones in every run but at night.

    What fails at night ends with a line `@reproduce_failure(...)`: above the class it plays the same once more.
    """
    happenings.site, happenings.fee = site, fee
    at_night = settings.get_current_profile_name() == "nightly"
    how = {
        "max_examples": examples * (AT_NIGHT if at_night else 1),
        "stateful_step_count": STEPS,
        "derandomize": not at_night,
        "deadline": None,
        "suppress_health_check": list(HealthCheck),
        **more,
    }
    run_state_machine_as_test(happenings, settings=settings(**how))


@pytest.mark.parametrize("happenings", [FirstCome, FairStart, Lottery])
def test_everything_happens(happenings: type[Happenings], site: Site) -> None:
    """Once at least, and in an order in which all of it can: chance alone might leave it out."""
    set_up(happenings, site, fee=FEE)
    tell(happenings)
    assert not must_happen(happenings.mode) ^ happenings.played.keys()


@pytest.mark.parametrize("happenings", [FirstCome, FairStart, Lottery])
def test_whatever_happens_everything_holds(happenings: type[Happenings], site: Site) -> None:
    set_up(happenings, site)
    play(happenings, site, fee=0, examples=FREE)
    play(happenings, site, fee=FEE, examples=PAID)
    missing = BY_CHANCE - happenings.played.keys()
    assert not missing, f"never played, so that little is proven of it: {missing}"


# --- Negative controls: a fault that is planted is found by as many examples -----------------------------------------


def offer_to_the_last_first(patch: pytest.MonkeyPatch) -> None:
    right = rules.match_seats

    def wrong(line: Any, seats: Any, limit: int) -> list[tuple[int, int]]:
        backwards = [rules.InLine(e.id, (-e.order[0], -e.order[1]), e.group_id) for e in line]
        return right(backwards, seats, limit)

    patch.setattr(rules, "match_seats", wrong)


def forget_who_missed_an_offer(patch: pytest.MonkeyPatch) -> None:
    """At the end of registration only those who wait are closed."""
    right = running._close
    patch.setattr(running, "_close", lambda pk, _states, now: right(pk, [State.WAITING], now))


def forget_the_mail(patch: pytest.MonkeyPatch) -> None:
    right = notices.due

    def wrong(entries: Any, kind: Notice.Kind, at: Any) -> None:
        if kind != Notice.Kind.PASSED:
            right(entries, kind, at)

    patch.setattr(notices, "due", wrong)


@pytest.mark.parametrize(
    ("plant", "happenings", "found_by"),
    [
        (offer_to_the_last_first, FirstCome, "I8"),
        (forget_who_missed_an_offer, Lottery, "I9|PASSED"),
        (forget_the_mail, FirstCome, "I14"),
    ],
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    happenings: type[Happenings],
    found_by: str,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=found_by):
        play(happenings, site, fee=0, examples=4, phases=[Phase.generate], database=None)


def give_nothing_back(patch: pytest.MonkeyPatch) -> None:
    for module in (releasing, capturing):
        patch.setattr(module, "give_back", lambda _payment, **_more: None)


def never_capture(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeping, "capture_payment", lambda **_which: None)


def _charge_more(patch: pytest.MonkeyPatch, metadata: Callable[[Intent], dict[str, str]]) -> None:
    """With each capture something else is charged, under such a mark."""
    right = Gateway.capture_intent

    def wrong(self: Gateway, intent_id: str, *, key: str) -> Intent:
        intent = right(self, intent_id, key=key)
        charge: Any = {
            "amount": intent.amount_minor,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "off_session": True,
            "metadata": metadata(intent),
        }
        calling.client().v1.payment_intents.create(charge)
        return intent

    patch.setattr(Gateway, "capture_intent", wrong)


def charge_twice(patch: pytest.MonkeyPatch) -> None:
    _charge_more(patch, lambda intent: intent.metadata)


def charge_for_nobody(patch: pytest.MonkeyPatch) -> None:
    _charge_more(patch, lambda _intent: {"payment": "999999", "entry": "0" * 24})


def charge_twice_unseen(patch: pytest.MonkeyPatch) -> None:
    """And comparing sees no difference at all."""
    charge_twice(patch)
    patch.setattr(looking, "differences", lambda *_given: [])
    patch.setattr(own, "unexplained", lambda _ids: {})


def refund_twice(patch: pytest.MonkeyPatch) -> None:
    """The call is repeated, and not with its key."""
    right = Gateway.create_refund

    def wrong(self: Gateway, intent_id: str, *, key: str, **more: Any) -> StripeRefund:
        with suppress(GatewayRefusedError):  # where there is not so much left
            right(self, intent_id, key=f"{key}-again", **more)
        return right(self, intent_id, key=key, **more)

    patch.setattr(Gateway, "create_refund", wrong)


def lose_refunds(patch: pytest.MonkeyPatch) -> None:
    """They are written down as done, and Stripe never hears of them."""
    patch.setattr(refunding, "_made_now", lambda refund: StripeRefund(f"re_{refund.pk}", "succeeded", ""))


def lose_a_line(patch: pytest.MonkeyPatch) -> None:
    right = lines.write_lines
    patch.setattr(comparing, "write_lines", lambda account, items: right(account, items[:-1]))


@pytest.mark.parametrize(
    ("plant", "found_by"),
    [
        (give_nothing_back, "I4"),
        (never_capture, "I6"),
        (charge_for_nobody, "I12"),
        (charge_twice, "differs from Stripe: .*It took"),
        (charge_twice_unseen, "Stripe took"),
        (refund_twice, "differs from Stripe: .*was made twice"),
        (lose_refunds, "differs from Stripe: .*Stripe does not know it"),
        (lose_a_line, "the books are not complete"),
    ],
)
def test_a_planted_fault_in_money_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], found_by: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    set_up(FirstCome, site, fee=FEE)
    with pytest.raises(AssertionError, match=found_by):
        tell_of_money(FirstCome)
