"""The browser's arithmetic of the line is the server's: the same positions, chances and sentences from the same text."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from registrations import sentences
from registrations.line import (
    Expected,
    Lane,
    Line,
    bitmap,
    block_of,
    chance_of_seat,
    minutes_to_wait,
    pack,
    position,
)

pytestmark = pytest.mark.browser

DIVISION = 7
CHANCE = random.Random(20261122)  # noqa: S311

ASK = """async ({ cases, say, unlikely }) => {
  const live = await import("/static/js/live.js");
  return cases.map(({ division, packed, priority, place, paused }) => {
    const position = live.positionIn(division, live.bitmap(packed), priority, place);
    const sentence = live.sentence(say, { position, name: "Masters", division, paused, unlikely });
    return [position, live.chance(position, division), sentence];
  });
}"""


def make_case() -> dict[str, Any]:
    """Somebody in a line of up to 3,000 in two lanes, some with drawn (negative) places."""
    line = Line()
    lanes = {p: CHANCE.sample(range(-2000 if p == 0 else 1, 3000), CHANCE.randint(1, 1500)) for p in (0, 2)}
    for priority, places in lanes.items():
        for block in {block_of(place) for place in places}:
            line.replace(Lane.of(DIVISION, priority), block, bitmap(p for p in places if block_of(p) == block))
    priority = CHANCE.choice((0, 2))
    place = CHANCE.choice(lanes[priority])
    seats = CHANCE.choice((0, 1, 2, 64, 1500))
    offered, free = CHANCE.choice(((0, 0), (1, 0), (5, 7), (0, 1400)))
    return {
        "division": {
            "lanes": line.head(DIVISION),
            "seats": seats,
            "offered": offered,
            "free": free,
            "mean": round(CHANCE.uniform(0, 2500), 3),
            "deviation": CHANCE.choice((0, 0.618, 12.5)),
            "offers_in_window": CHANCE.choice((0, 1, 50, 900)),
        },
        "packed": pack(line.lanes[Lane.of(DIVISION, priority)][block_of(place)]),
        "bits": line.lanes[Lane.of(DIVISION, priority)][block_of(place)],
        "priority": priority,
        "place": place,
        "paused": CHANCE.random() < 0.1,
    }


def by_the_server(case: dict[str, Any]) -> tuple[int, float, str]:
    division = case["division"]
    own = position(division["lanes"], case["bits"], case["priority"], case["place"])
    assert own is not None
    chance = chance_of_seat(own, Expected(division["mean"], division["deviation"]))
    sentence = sentences.waiting(
        {
            "position": own,
            "division": "Masters",
            "seats": division["seats"],
            "open": division["free"] + division["offered"],
            "chance": chance,
            "minutes": minutes_to_wait(own, division["offers_in_window"], 10),
            "paused": case["paused"],
        }
    )
    return own, chance, sentence


def test_browser_and_server_say_the_same(new_page: Callable[..., Page]) -> None:
    page = new_page("desktop")
    page.goto("/")
    cases = [make_case() for _ in range(60)]
    sent = [{key: value for key, value in case.items() if key != "bits"} for case in cases]
    said = page.evaluate(ASK, {"cases": sent, "say": sentences.templates(), "unlikely": sentences.UNLIKELY})
    for case, (own, chance, sentence) in zip(cases, said, strict=True):
        expected = by_the_server(case)
        assert own == expected[0]
        assert chance == pytest.approx(expected[1], abs=1e-6)
        assert sentence == expected[2]
