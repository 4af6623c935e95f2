"""Draws for tests, as the services make them."""

import json
from datetime import timedelta
from typing import Any

from lottery import services
from lottery.models import Draw, DrawFile
from lottery.queries import file_of, plain_bytes
from tests.builders import Mode, make_entry, make_tournament
from tournaments.models import Tournament

DAY = timedelta(days=1)
OVER = {Mode.LOTTERY: -3 * DAY, Mode.FAIR_START: -timedelta(minutes=1)}


def to_draw(mode: Mode = Mode.LOTTERY, *, entries: int = 3, **settings: Any) -> Tournament:
    """A tournament that is due to be sealed, with so many who wait for the draw."""
    settings = {"entropy": "COMMIT_REVEAL", "opens_in": OVER[mode], **settings}
    tournament = make_tournament(mode=mode, **settings)
    for _ in range(entries):
        make_entry(tournament)
    return tournament


def opened(mode: Mode = Mode.LOTTERY, **settings: Any) -> Draw:
    """Its draw, open."""
    return open_for(to_draw(mode, **settings))


def open_for(tournament: Tournament) -> Draw:
    draw = services.open_draw(tournament_id=tournament.pk)
    assert draw is not None
    return draw


def sealed(mode: Mode = Mode.LOTTERY, **settings: Any) -> Draw:
    return seal(opened(mode, **settings))


def seal(draw: Draw) -> Draw:
    assert services.seal_draw(draw_id=draw.pk)
    draw.refresh_from_db()
    return draw


def drawn(mode: Mode = Mode.LOTTERY, **settings: Any) -> Draw:
    """Sealed, drawn, and its bundle published."""
    return run(sealed(mode, **settings))


def run(draw: Draw) -> Draw:
    assert services.run_draw(draw_id=draw.pk)
    assert services.write_bundle(draw_id=draw.pk)
    draw.refresh_from_db()
    return draw


def read(draw: Draw, name: DrawFile.Name) -> Any:
    """A published file, parsed."""
    file = file_of(draw, name)
    assert file is not None
    return json.loads(b"".join(plain_bytes(file)))
