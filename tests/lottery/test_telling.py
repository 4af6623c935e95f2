"""What was drawn reaches the sockets of those whom it concerns: who has a seat first, and not everybody in the same second."""

import asyncio
import json
from typing import Any

import pytest

from lottery import tasks
from lottery.models import Draw
from lottery.services import telling
from registrations.models import QueueEntry
from tests.builders import make_entry, make_group
from tests.lottery.draws import drawn, open_for, run, seal, sealed, to_draw
from tests.registrations.test_sockets import in_its_own_loop, own_pass, socket
from tests.stage import LiveSite
from vgchub import live

Messages = list[tuple[int, dict[str, Any]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Messages:
    """Whom each call tells what, in order."""
    messages: Messages = []
    monkeypatch.setattr(live, "tell_many_on_commit", messages.extend)
    return messages


def tell_all(draw: Draw) -> list[tuple[bool, int]]:
    """Tell everybody; returns where each call began."""
    began, further = [], (True, 0)
    while further:
        began.append(further)
        further = telling.tell_entrants(draw_id=draw.pk, has_seat=further[0], after=further[1])  # type: ignore[assignment]
    return began


@pytest.mark.django_db
def test_who_has_a_seat_is_told_first_also_a_reserved_one_and_each_once(told: Messages) -> None:
    tournament = to_draw(entries=12, seats=2)
    locals_ = [make_entry(tournament) for _ in range(3)]
    make_group(tournament, members=tuple(entry.player for entry in locals_), reserved={"masters": 1})
    draw = run(seal(open_for(tournament)))
    told.clear()  # who was put into the group heard of it
    tell_all(draw)
    line = list(QueueEntry.objects.in_line())
    local = min((entry for entry in line if entry in locals_), key=lambda entry: entry.place or 0)
    seated = [local, *[entry for entry in line if entry != local][:2]]
    order = [message["entry"] for _account, message in told]
    assert set(order[:3]) == {entry.public_id for entry in seated}
    assert order[3:] == [entry.public_id for entry in line if entry not in seated]
    assert {message["kind"] for _account, message in told} == {"entry.changed"}
    accounts = dict(QueueEntry.objects.values_list("public_id", "player__account"))
    assert all(accounts[message["entry"]] == account for account, message in told)


@pytest.mark.django_db
def test_so_many_at_a_time_are_told_and_the_next_a_second_later(
    told: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TOLD_AT_ONCE", 2)
    draw = drawn(entries=5, seats=2)
    later: list[dict[str, Any]] = []
    monkeypatch.setitem(vars(tasks.tell), "apply_async", lambda **options: later.append(options))
    tasks.tell(draw.pk)
    assert len(told) == 2
    assert later == [{"args": (draw.pk, True, 2), "countdown": 1}]
    assert tell_all(draw) == [(True, 0), (True, 2), (False, 0), (False, 4)]


@pytest.mark.django_db
def test_nothing_is_told_of_what_is_not_drawn(told: Messages) -> None:
    assert telling.tell_entrants(draw_id=sealed().pk, has_seat=True, after=0) is None
    assert told == []


def test_the_draw_reaches_an_open_socket_within_seconds(live_site: LiveSite) -> None:
    entries = live_site.call(lambda: list(to_draw(entries=3).entries.select_related("player")))

    async def play() -> list[Any]:
        async with socket(live_site, own_pass(entries[0])) as connection, asyncio.timeout(20):
            heard: list[Any] = []
            while "entry.changed" not in {message["kind"] for message in heard}:
                heard.append(json.loads(await connection.recv()))
            return heard

    heard = in_its_own_loop(play())
    assert heard[-1] == {"kind": "entry.changed", "entry": entries[0].public_id}
    assert {"draw.sealed", "draw.drawn"} <= {message["kind"] for message in heard}
