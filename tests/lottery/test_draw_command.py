"""manage.py draw simulate: organizers try rules before a tournament has them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.core.management import CommandError, call_command
from django.template.loader import render_to_string

from lottery.chart import percent
from lottery.odds import odds, simulated_odds

SVG = "{http://www.w3.org/2000/svg}"


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("draw", "simulate", *arguments, stdout=out)
    return out.getvalue()


def table_of(*arguments: str) -> dict[str, Any]:
    return json.loads(said("--json", *arguments))  # type: ignore[no-any-return]


def test_simulate_prints_an_aligned_table_of_exact_chances() -> None:
    heading, _, *lines = said("--players", "100", "--seats", "10", "--group", "VIP:20:1:10").splitlines()
    assert heading == "100 players, 10 seats; the chances are exact"
    assert lines == [
        "Who            Entries  Chance of a seat  Expected seats",
        "-------------  -------  ----------------  --------------",
        "1 ticket            80                0%             0.0",
        "VIP, 1 ticket       20             50.0%            10.0",
    ]


def test_simulate_gives_one_seat_for_ten_players_unless_told() -> None:
    assert table_of("--players", "95")["seats"] == 10


def test_simulate_counts_groups_among_the_players_and_reserves_among_the_seats() -> None:
    table = table_of("--players", "1000", "--seats", "70", "--group", "VIP:200:4:20", "--group", "Local:100:2:5")
    expected = odds(45, {"VIP": 20, "Local": 5}, {(None, 1): 700, ("VIP", 4): 200, ("Local", 2): 100})
    assert [(row["group"], row["tickets"], row["players"], row["chance"]) for row in table["rows"]] == [
        (row.group, row.tickets, row.count, row.chance) for row in expected.rows
    ]
    assert sum(row["expected_seats"] for row in table["rows"]) == pytest.approx(70)


def test_simulate_opens_what_a_small_group_can_t_take_only_when_told() -> None:
    rules = ("--players", "100", "--seats", "20", "--group", "VIP:5:1:15")
    assert table_of(*rules)["rows"][0]["expected_seats"] == pytest.approx(5)
    assert table_of(*rules, "--release")["rows"][0]["expected_seats"] == pytest.approx(15)


def test_simulate_plays_draws_beside_the_exact_chances() -> None:
    rules = ("--players", "60", "--seats", "10", "--group", "VIP:10:4:2", "--draws", "2000")
    first, again, other = (table_of(*rules, "--seed", seed) for seed in ("7", "7", "8"))
    assert first == again != other
    assert first["draws"] == 2000
    for row in first["rows"]:
        assert abs(row["simulated"]["chance"] - row["chance"]) <= 5 * row["simulated"]["standard_error"]
    assert "in 2000 draws" in said(*rules)
    assert "±" in said(*rules)


def test_simulate_writes_a_chart_that_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    file = tmp_path / "odds.svg"
    said("--players", "100", "--seats", "10", "--group", "R&D <x>:20:1:10", "--svg", str(file))
    picture = ET.fromstring(file.read_text())  # noqa: S314  our own
    title, words = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
    assert title is not None
    assert words is not None
    assert picture.get("aria-labelledby") == f"{title.get('id')} {words.get('id')}"
    assert (words.text or "").strip() == "1 ticket: 0%. R&D <x>, 1 ticket: 50.0%."
    filled = [bar.get("width") for bar in picture.iter(f"{SVG}rect") if bar.get("fill")]
    assert filled == ["0", "180"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--players", "ten"), "--players has to be a whole number from 1"),
        (("--players", "0"), "--players has to be a whole number from 1"),
        (("--players", "10", "--seats", "-1"), "--seats has to be a whole number from 0"),
        (("--players", "10", "--group", "VIP:5:1"), "--group VIP:5:1 has to be NAME:PLAYERS:TICKETS:RESERVED"),
        (("--players", "10", "--group", " :5:1:0"), "has to be NAME:PLAYERS:TICKETS:RESERVED"),
        (("--players", "10", "--group", "VIP:x:1:0"), "PLAYERS of VIP has to be a whole number"),
        (("--players", "10", "--group", "VIP:5:65:0"), "TICKETS of VIP has to be a whole number from 1 to 64"),
        (("--players", "10", "--group", "VIP:5:0:0"), "TICKETS of VIP has to be a whole number from 1 to 64"),
        (("--players", "10", "--group", "VIP:5:1:1.5"), "RESERVED of VIP has to be a whole number"),
        (("--players", "10", "--group", "VIP:11:1:0"), "more than 10 players: raise --players"),
        (("--players", "10", "--seats", "2", "--group", "VIP:5:1:3"), "more than 2 seats: raise --seats"),
        (("--players", "10", "--group", "VIP:1:1:0", "--group", "VIP:2:1:0"), "same name"),
        (("--players", "1000000", "--draws", "1001"), "--draws has to be a whole number from 0 to 1000"),
        (("--players", "10", "--seed", "-3"), "--seed has to be a whole number"),
        (("--players", "10", "--svg", "/nowhere/at/all.svg"), "can't be written to /nowhere/at/all.svg"),
    ],
)
def test_simulate_says_in_one_line_what_is_wrong(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError) as refusal:
        said(*arguments)
    assert problem in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_draw_needs_an_action() -> None:
    with pytest.raises(CommandError, match="ACTION"):
        call_command("draw")


def test_a_page_says_whether_chances_are_exact_or_from_how_many_draws() -> None:
    rules = (3, {"VIP": 1}, {(None, 1): 1200, ("VIP", 2): 7})
    exact = render_to_string("lottery/_odds_table.html", {"odds": odds(*rules)})
    played = render_to_string("lottery/_odds_table.html", {"odds": simulated_odds(*rules, draws=1500, seed=1)})
    assert "1,207 entries for 4 seats" in exact
    assert "VIP, 2 tickets" in exact
    assert "The chances are exact" in exact
    assert "from 1,500 draws" in played
    assert "±" in played


def test_a_chart_on_a_page_takes_the_page_s_colours() -> None:
    picture = render_to_string("lottery/_odds_chart.svg", {"odds": odds(1, {}, {(None, 1): 2}), "id": "masters"})
    assert "<style" not in picture
    assert 'id="masters-title"' in picture
    assert "var(--waiting" in picture


@pytest.mark.parametrize(
    ("chance", "error", "words"),
    [
        (0.0, None, "0%"),
        (0.0004, None, "less than 0.1%"),
        (0.04737, None, "4.7%"),
        (0.9996, None, "more than 99.9%"),
        (1.0, None, "100%"),
        (0.04737, 0.0002, "4.74% ± 0.02"),
        (0.04737, 0.000001, "4.74% ± 0.01"),
    ],
)
def test_chances_are_said_to_a_tenth_and_never_overstated(chance: float, error: float | None, words: str) -> None:
    assert percent(chance, error) == words
