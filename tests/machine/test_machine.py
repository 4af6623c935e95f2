"""Whatever happens, in whatever order, in each mode: what must be true is true after every step."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from registrations import rules
from registrations.models import Notice
from registrations.rules import State
from registrations.services import notices, running
from tests.machine.machine import FairStart, FirstCome, Happenings, Lottery
from tests.machine.site import Site, whole_site
from tests.payments.till import Till

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

EXAMPLES = 4
AT_NIGHT = 15  # times as many, and other ones every night
STEPS = 30


@pytest.fixture
def site(till: Till) -> Iterator[Site]:
    with whole_site(till, os.environ["DATABASE_URL"]) as site:
        yield site


def play(happenings: type[Happenings], site: Site, **more: Any) -> None:
    """So many tournaments of this mode, the same ones in every run but at night."""
    happenings.site = site
    at_night = settings.get_current_profile_name() == "nightly"
    happenings.asks_history_always = at_night
    how = {
        "max_examples": EXAMPLES * (AT_NIGHT if at_night else 1),
        "stateful_step_count": STEPS,
        "derandomize": not at_night,
        "deadline": None,
        "suppress_health_check": list(HealthCheck),
        **more,
    }
    run_state_machine_as_test(happenings, settings=settings(**how))


@pytest.mark.parametrize("happenings", [FirstCome, FairStart, Lottery])
def test_whatever_happens_everything_holds(happenings: type[Happenings], site: Site) -> None:
    play(happenings, site)


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
        (forget_who_missed_an_offer, Lottery, "PASSED"),
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
        play(happenings, site, phases=[Phase.generate], database=None)
