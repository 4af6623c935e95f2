"""What stands after each race: the invariants, unless the test took a lock away to see them broken."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet

import reports.services
from lottery.models import DrawQuerySet
from lottery.services import running, sealing
from registrations import clock
from registrations.services import joining, leaving, offering
from tests.sealing import violations_once_sealed
from tournaments.models import TournamentQuerySet
from vgchub.admin import ScopedAdmin
from vgchub.postgresql.locks import Work

CONTROLS = {
    "without_row_lock",
    "without_shared_lock",
    "without_locks_of_the_draw",
    "holding_joins_too",
    "placing_whoever_was_sealed",
    "lapsing_what_was_read_before",
    "offering_to_who_was_read_before",
    "forgetting_the_conflict",
    "without_any_row_lock",
    "saving_the_whole_row",
    "publishing_without_leading",
}


@pytest.fixture(autouse=True)
def _invariants_hold(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    yield
    if not CONTROLS & set(request.fixturenames):
        assert violations_once_sealed() == []


@pytest.fixture
def without_row_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tournament's row is read, but not held, by admitters and whoever else decides about seats."""
    monkeypatch.setattr(TournamentQuerySet, "locked", lambda tournaments: tournaments)


@pytest.fixture
def without_shared_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining and stepping back in read the tournament's row without holding it."""
    for service, name in ((joining, "JOIN"), (leaving, "STEP_BACK_IN")):
        statement = getattr(service, name)
        assert "FOR KEY SHARE" in statement
        monkeypatch.setattr(service, name, statement.replace("FOR KEY SHARE", ""))


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


@pytest.fixture
def without_locks_of_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever seals or draws reads the rows of tournament and draw without holding them, and doesn't ask who else is at it."""
    monkeypatch.setattr(TournamentQuerySet, "locked", lambda tournaments: tournaments)
    monkeypatch.setattr(TournamentQuerySet, "held", lambda tournaments: tournaments)
    monkeypatch.setattr(DrawQuerySet, "select_for_update", lambda draws: draws)
    for module in (sealing, running):
        monkeypatch.setattr(module, "only_one", lambda _work, _draw_id: True)


@pytest.fixture
def holding_joins_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes as long as there are entries holds the tournament's row alone."""
    monkeypatch.setattr(TournamentQuerySet, "held", TournamentQuerySet.locked)


@pytest.fixture
def placing_whoever_was_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are handed out without looking whether the entry still waits."""
    again = "AND e.state = 'WAITING' "
    assert again in running.PLACE
    monkeypatch.setattr(running, "PLACE", running.PLACE.replace(again, ""))


@pytest.fixture
def forgetting_the_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining doesn't say what to do about somebody who has joined already."""
    clause = "ON CONFLICT DO NOTHING"
    assert clause in joining.JOIN
    monkeypatch.setattr(joining, "JOIN", joining.JOIN.replace(clause, ""))


@pytest.fixture
def without_any_row_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read to be changed is read without being held, nor does anybody ask who else is at it."""
    monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_how: rows)
    monkeypatch.setattr(reports.services, "_only_sealer", lambda: True)


@pytest.fixture
def saving_the_whole_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of the admin reads its row without holding it, and writes every column of it."""
    monkeypatch.setattr(ScopedAdmin, "get_object", ModelAdmin.get_object)
    monkeypatch.setattr(ScopedAdmin, "save_model", lambda _admin, _request, row, _form, _change: row.save())


@pytest.fixture
def publishing_without_leading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each clock does what only the leading one should."""

    def do_it(_work: Work, _key: int, act: Callable[[], object]) -> bool:
        act()
        return True

    monkeypatch.setattr(clock, "_while_leading", do_it)
