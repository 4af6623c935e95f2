"""Organizers watch over their own draws; declaring one void takes two members of staff."""

import csv
import io
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Player, User
from lottery import services
from lottery.exporting import csv_pieces
from lottery.models import Draw
from payments.models import Review
from registrations.models import QueueEntry
from registrations.services import offer_seats
from tests.builders import (
    Mode,
    make_entry,
    make_group,
    make_organization,
    make_organizer,
    make_player,
    make_staff,
    make_user,
    now,
)
from tests.lottery.draws import DAY, drawn, open_for, opened, run, seal, sealed, to_draw

pytestmark = pytest.mark.django_db

STAFF_ONLY = ("propose_void", "confirm_void", "withdraw_proposal")
LIST = reverse("admin:lottery_draw_changelist")


def as_(account: User) -> Client:
    client = Client()
    client.force_login(account)
    return client


def organizer_of(draw: Draw) -> Client:
    return as_(make_organizer(draw.tournament.organization))


def at(draw: Draw, page: str) -> str:
    return reverse(f"admin:lottery_draw_{page}", args=[draw.pk])


def act(client: Client, draw: Draw, action: str, **sent: str) -> Any:
    """Open the action's page, then send it; answers with the page that follows."""
    assert client.get(at(draw, action)).status_code == 200
    return client.post(at(draw, action), sent, follow=True)


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def refused(answer: Any) -> list[str]:
    found: list[str] = answer.context["form"].non_field_errors()
    return found


def actions(client: Client, draw: Draw) -> list[str]:
    page = client.get(at(draw, "change"))
    return [str(entry["title"]) for entry in page.context["actions_detail"]]


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def table(client: Client, draw: Draw) -> list[dict[str, str]]:
    answer: Any = client.get(at(draw, "export"))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


# --- Watching ---------------------------------------------------------------------------------------------------


def test_the_secret_is_on_no_page_before_the_draw() -> None:
    staff = as_(make_staff())
    for draw in (opened(), sealed()):
        assert len(draw.secret) == 64
        for page in (LIST, at(draw, "change"), at(draw, "history")):
            shown = text(staff.get(page))
            assert draw.public_id in shown
            assert draw.secret not in shown
    assert draw.secret not in text(staff.get(at(draw, "propose_void")))
    assert draw.secret not in str(table(staff, draw))


@pytest.mark.parametrize("lookup", ["secret__startswith", "secret", "secret__lt", "supersedes__secret__startswith"])
def test_the_secret_can_not_be_guessed_by_narrowing_the_list_down(lookup: str) -> None:
    draw = opened()
    for client in (organizer_of(draw), as_(make_staff())):
        assert client.get(LIST, {"public_id__startswith": draw.public_id[:4]}).status_code == 200
        assert client.get(LIST, {lookup: draw.secret}).status_code == 400


def test_the_page_says_what_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    def awaits(draw: Draw, words: str) -> bool:
        return words in text(organizer_of(draw).get(at(draw, "change")))

    assert awaits(opened(opens_in=-DAY), "Entries are sealed ")
    assert awaits(sealed(), "The draw runs by itself, at once.")
    waiting = sealed(Mode.FAIR_START, entropy="DRAND")
    assert awaits(waiting, f"Round {waiting.round:,} of drand, which is out ")
    Draw.objects.filter(pk=waiting.pk).update(asked_at=now())
    late = services.round_published_at(waiting) + timedelta(minutes=1)
    monkeypatch.setattr("lottery.admin.database_now", lambda: late)
    assert awaits(waiting, "last asked for ")
    Draw.objects.filter(pk=waiting.pk).update(asked_at=late + timedelta(seconds=20))
    assert awaits(waiting, "being asked for right now")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(30, "Objections: offers start "), (0, "Nothing: the draw is done, and seats are offered down its order.")],
)
def test_after_the_draw_the_page_says_until_when_it_can_be_objected_to(minutes: int, words: str) -> None:
    draw = drawn(objection_minutes=minutes)
    assert words in text(organizer_of(draw).get(at(draw, "change")))


def test_a_manifest_that_came_too_late_is_said_to_need_voiding(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = sealed(entropy="DRAND")
    monkeypatch.setattr("lottery.services.rounds.round_published_at", lambda _draw: draw.published_at)

    assert "this draw never runs: it has to be declared void" in text(as_(make_staff()).get(at(draw, "change")))


def test_a_chain_that_is_not_known_any_more_is_said_on_every_page(settings: Any) -> None:
    settings.DRAND_CHAIN = {"hash": "ab" * 32, "public_key": "", "genesis_time": 1_700_000_000, "period": 30}
    draw = sealed(entropy="DRAND")
    settings.DRAND_CHAIN = {}
    staff = as_(make_staff())

    assert f"whose key isn't known here (any more): {'ab' * 32}" in unescape(text(staff.get(at(draw, "change"))))
    assert staff.get(at(draw, "propose_void")).status_code == 200
    assert "can't be read at the moment" in unescape(text(Client().get(draw.get_absolute_url())))


def test_the_page_counts_seats_the_waitlist_and_who_was_left_out() -> None:
    tournament = to_draw(entries=6, seats=2)
    veteran = make_player()
    veterans = make_group(tournament, members=(veteran,), reserved={"masters": 2})
    make_entry(tournament, veteran, group=veterans)
    make_entry(tournament, make_player(make_user(verified=False)))
    make_entry(tournament, make_player(player_id_state=Player.IdState.DISPUTED))
    draw = run(seal(open_for(tournament)))

    page = text(organizer_of(draw).get(at(draw, "change")))

    assert "Masters: 7 entries for 4 seats (2 reserved), 4 on the waitlist" in page
    assert "1: the e-mail address was not proved in time" in page
    assert "1: the Player ID is claimed by more than one account" in page
    for name in ("", "manifest.json", "bundle.json"):
        assert f'href="{draw.get_absolute_url()}{name}"' in page


@pytest.mark.parametrize("rows", [1, 3])
def test_the_number_of_queries_of_the_list_does_not_grow(django_assert_num_queries: Any, rows: int) -> None:
    for _number in range(rows):
        sealed()
    staff = as_(make_staff())
    staff.get(LIST)
    with django_assert_num_queries(4):
        staff.get(LIST)


# --- Sealing by hand --------------------------------------------------------------------------------------------


def test_an_organizer_seals_a_lottery_early_once_registration_has_closed() -> None:
    later = now() + DAY
    closed = opened(opens_in=-3 * DAY, seals_at=later)
    still_open = opened(opens_in=-DAY)
    alice = organizer_of(closed)

    assert actions(alice, closed) == ["Seal the entries now"]
    assert actions(organizer_of(still_open), still_open) == []
    [refusal] = refused(act(organizer_of(still_open), still_open, "seal"))
    assert refusal.startswith("The entries can't be sealed now. A lottery is sealed once registration has closed")
    assert services.due_to_seal() == []
    assert said(act(alice, closed, "seal")) == ["The entries are sealed. Their list is published in a moment."]
    assert services.due_to_seal() == [closed.pk]
    assert seal(closed).entrants == 3


def test_signals_are_looked_at_before_somebody_seals_by_hand() -> None:
    """Days before the planned time nothing else has looked."""
    closed = opened(opens_in=-3 * DAY, seals_at=now() + 2 * DAY)
    for number in range(4):
        account = make_user(f"alice{number}@players.example")
        make_entry(closed.tournament, make_player(account), address_hash="a1", device_hash="d1")
    act(organizer_of(closed), closed, "seal")
    assert Review.objects.filter(entry__tournament=closed.tournament).count() == 4


def test_a_fair_start_is_sealed_by_hand_only_after_a_void_draw() -> None:
    first = opened(Mode.FAIR_START)
    assert actions(organizer_of(first), first) == []

    again = voided(seal(first))

    assert actions(organizer_of(again), again) == ["Seal the entries now"]
    act(organizer_of(again), again, "seal")
    assert seal(again).state == Draw.State.SEALED


# --- Declaring void ---------------------------------------------------------------------------------------------


def voided(draw: Draw) -> Draw:
    """Declared void by two; returns the draw that follows."""
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason="An entry was missing.")
    return services.void_draw(draw_id=draw.pk, by=make_staff())


def test_a_draw_is_declared_void_by_two_members_of_staff() -> None:
    draw = drawn(objection_minutes=30)
    dora, emil = as_(make_staff("dora@example.org")), as_(make_staff())
    assert actions(dora, draw) == ["Export", "Propose to declare void"]

    asked = text(dora.get(at(draw, "propose_void")))
    assert "The first seat would be offered " in asked
    act(dora, draw, "propose_void", reason="An entry was missing.")
    draw.refresh_from_db()
    assert (draw.state, draw.void_reason) == (Draw.State.DRAWN, "An entry was missing.")

    assert actions(dora, draw) == ["Export", "Withdraw the proposal"]
    assert refused(act(dora, draw, "confirm_void")) == [
        "You proposed this yourself. Another member of staff has to confirm it."
    ]
    assert actions(emil, draw) == ["Export", "Confirm: declare void", "Withdraw the proposal"]
    asked = text(emil.get(at(draw, "confirm_void")))
    assert "dora@example.org proposed it: “An entry was missing.”" in asked
    act(emil, draw, "confirm_void")

    draw.refresh_from_db()
    assert draw.state == Draw.State.VOID
    assert draw.superseded_by.state == Draw.State.OPEN
    page = text(emil.get(at(draw, "change")))
    assert f'href="{at(draw.superseded_by, "change")}"' in page
    assert "An entry was missing." in page


def test_a_proposal_without_a_reason_is_not_one() -> None:
    draw = drawn(objection_minutes=30)
    answer = act(as_(make_staff()), draw, "propose_void", reason=" ")
    assert answer.context["form"].errors == {"reason": ["This field is required."]}
    draw.refresh_from_db()
    assert draw.void_proposed_at is None


def test_a_proposal_can_be_withdrawn() -> None:
    draw = drawn(objection_minutes=30)
    dora = as_(make_staff())
    act(dora, draw, "propose_void", reason="An entry was missing.")

    assert said(act(dora, draw, "withdraw_proposal")) == ["The proposal is withdrawn; the draw stands."]

    draw.refresh_from_db()
    assert (draw.void_reason, draw.void_proposed_by) == ("", None)
    assert refused(act(as_(make_staff()), draw, "confirm_void"))[0].startswith("Nobody has proposed")


def test_after_the_first_offer_nothing_is_void_any_more() -> None:
    draw = drawn()
    offer_seats(tournament_id=draw.tournament_id)
    dora = as_(make_staff())

    assert actions(dora, draw) == ["Export"]
    assert refused(act(dora, draw, "propose_void", reason="Too late."))[0].startswith("Seats have been offered")


@pytest.mark.parametrize("action", STAFF_ONLY)
def test_organizers_declare_nothing_void(action: str) -> None:
    draw = drawn(objection_minutes=30)
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason="An entry was missing.")
    alice = organizer_of(draw)

    assert actions(alice, draw) == []
    assert alice.get(at(draw, action)).status_code == 403
    assert alice.post(at(draw, action), {"reason": "because"}).status_code == 403
    draw.refresh_from_db()
    assert (draw.state, draw.void_reason) == (Draw.State.DRAWN, "An entry was missing.")


@pytest.mark.parametrize("action", ["seal", "export", *STAFF_ONLY])
def test_other_organizers_and_players_do_nothing(action: str) -> None:
    draw = drawn(objection_minutes=30)
    stranger = as_(make_organizer(make_organization()))
    player = as_(QueueEntry.objects.filter(tournament=draw.tournament).first().player.account)  # type: ignore[union-attr]

    for client, status in ((stranger, 404), (player, 403)):
        assert client.get(at(draw, action)).status_code == status
        assert client.post(at(draw, action), {"reason": "because"}).status_code == status
    draw.refresh_from_db()
    assert (draw.state, draw.void_proposed_at) == (Draw.State.DRAWN, None)


# --- The export -------------------------------------------------------------------------------------------------


def test_the_export_tells_how_everybody_came_out() -> None:
    tournament = to_draw(entries=3, seats=1)
    veronica = make_player(display_name="Veronica")
    veterans = make_group(tournament, members=(veronica,), reserved={"masters": 1}, tickets=4)
    veteran = make_entry(tournament, veronica, group=veterans)
    unproven = make_entry(tournament, make_player(make_user(verified=False)))
    draw = run(seal(open_for(tournament)))
    offer_seats(tournament_id=tournament.pk)

    found = table(as_(make_staff()), draw)

    in_order = draw.entries.order_by("rank")
    assert [row["public_id"] for row in found[:4]] == [entry.entry.public_id for entry in in_order]
    assert [row["key"] for row in found[:4]] == [bytes(entry.key or b"").hex() for entry in in_order]
    assert [row["division_place"] for row in found[:4]] == ["1", "2", "3", "4"]
    others = [row["outcome"] for row in found[:4] if row["public_id"] != veteran.public_id]
    assert others == ["open", "waitlist", "waitlist"]
    [hers] = [row for row in found if row["public_id"] == veteran.public_id]
    assert {name: hers[name] for name in ("division", "group", "tickets", "outcome", "state", "player")} == {
        "division": "masters", "group": "veterans", "tickets": "4", "outcome": "reserved", "state": "OFFERED",
        "player": "Veronica",
    }  # fmt: skip
    assert hers["player_id"] == veteran.player.player_id
    last = found[-1]
    assert (last["public_id"], last["outcome"]) == (
        unproven.public_id, "left out: the e-mail address was not proved in time"
    )  # fmt: skip
    assert len(found) == 5


def test_the_export_is_for_staff_alone() -> None:
    draw = sealed()
    alice = organizer_of(draw)
    assert "Export" not in actions(alice, draw)
    assert alice.get(at(draw, "export")).status_code == 403
    assert actions(as_(make_staff()), draw)[0] == "Export"
    assert table(as_(make_staff()), draw)


def test_the_export_of_a_sealed_draw_has_no_places_yet() -> None:
    draw = sealed(entries=2)
    found = table(as_(make_staff()), draw)
    assert [(row["key"], row["rank"], row["outcome"]) for row in found] == [("", "", "")] * 2


def test_a_name_is_no_formula_in_a_spreadsheet() -> None:
    tournament = to_draw(entries=0)
    for name in ("=1+1", "+1", "-1", "@SUM(A1)", "Ann"):
        make_entry(tournament, make_player(display_name=name))
    draw = run(seal(open_for(tournament)))
    names = sorted(row["player"] for row in table(as_(make_staff()), draw))
    assert names == ["'+1", "'-1", "'=1+1", "'@SUM(A1)", "Ann"]


def test_the_export_is_read_and_sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = drawn(entries=5)
    [whole] = csv_pieces(draw)
    for name in ("lottery.queries.CHUNK", "lottery.exporting.CHUNK", "vgchub.tables.LINES"):
        monkeypatch.setattr(name, 2)
    pieces = list(csv_pieces(draw))
    assert len(pieces) == 3
    assert "".join(pieces) == whole
