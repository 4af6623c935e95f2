"""What stands after each race: the invariants, unless the test took a lock away to see them broken."""

from collections.abc import Iterator

import pytest

from registrations.services import joining, offering
from reports.invariants import violations
from tournaments.models import TournamentQuerySet

CONTROLS = {
    "without_row_lock",
    "without_shared_lock",
    "lapsing_what_was_read_before",
    "offering_to_who_was_read_before",
}


@pytest.fixture(autouse=True)
def _invariants_hold(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    yield
    if not CONTROLS & set(request.fixturenames):
        assert violations() == []


@pytest.fixture
def without_row_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tournament's row is read, but not held, by admitters and whoever else decides about seats."""
    monkeypatch.setattr(TournamentQuerySet, "locked", lambda tournaments: tournaments)


@pytest.fixture
def without_shared_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining and stepping back in read the tournament's row without holding it."""
    for name in ("JOIN", "STEP_BACK_IN"):
        statement = getattr(joining, name)
        assert "FOR KEY SHARE" in statement
        monkeypatch.setattr(joining, name, statement.replace("FOR KEY SHARE", ""))


@pytest.fixture
def lapsing_what_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offers are lapsed by a list that was read first, instead of by one UPDATE that looks at each row again."""
    where = offering.LAPSE.partition("WHERE")[2].partition("RETURNING")[0]
    due = f"WITH due AS MATERIALIZED (SELECT id FROM registrations_queueentry e WHERE {where}) "  # noqa: S608
    monkeypatch.setattr(offering, "LAPSE", due + offering.LAPSE.replace(where, " e.id IN (SELECT id FROM due) "))


@pytest.fixture
def offering_to_who_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offer is written without looking at the entry's state again."""
    again = "AND e.state = 'WAITING'"
    assert again in offering.OFFER
    monkeypatch.setattr(offering, "OFFER", offering.OFFER.replace(again, ""))
