"""The draw as a whole: what is published is what the vectors say, and seats are offered as the bundle allocates them."""

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from lottery import beacon
from lottery.drawing import canonical, utc
from lottery.models import Draw, DrawFile
from lottery.queries import file_of, group_codes, plain_bytes, sealed_divisions
from lottery.services import running, sealing
from registrations.models import QueueEntry
from registrations.services import confirm_entry, leave_queue, offer_seats
from tests.builders import Mode, make_entry, make_group, make_player, make_tournament, make_user
from tests.lottery.draws import DAY, OVER, open_for, read, run, seal, to_draw
from tests.lottery.vectors import DRAWS, bundle_of, divisions_of, head_of, revealed_by
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db

CODES = ("junior", "masters", "senior")


def bytes_of(draw: Draw, name: DrawFile.Name) -> bytes:
    file = file_of(draw, name)
    assert file is not None
    return b"".join(plain_bytes(file))


# --- The published vectors, by way of the database -----------------------------------------------------------


def tournament_of(manifest: dict[str, Any]) -> Tournament:
    """A tournament, its seats, groups and entries, of which this manifest is to be made."""
    mode = Mode.LOTTERY if manifest["kind"] == "lottery" else Mode.FAIR_START
    seats = {each.code: each.unreserved for each in divisions_of(manifest)}
    tournament = make_tournament(mode=mode, opens_in=-20 * DAY, slug=manifest["tournament"], seats=seats)
    divisions = {division.code: division for division in tournament.divisions.all()}
    members: dict[tuple[str, int], list[Any]] = {}
    for entry in manifest["entries"]:
        player = make_player(division=entry["division"])
        make_entry(tournament, player, public_id=entry["id"], division=divisions[entry["division"]])
        members.setdefault((entry["group"], entry["tickets"]), []).append(player)
    for (group, tickets), players in members.items():
        if group:
            reserved = {d.code: r.seats for d in divisions_of(manifest) for r in d.reserved if r.group == group}
            make_group(tournament, group, tickets=tickets, members=tuple(players), reserved=reserved)
    return tournament


def opened_as(vector: dict[str, Any]) -> Draw:
    named, revealed = vector["manifest"]["entropy"], revealed_by(vector)
    commits = named["kind"] == "commit-reveal"
    return Draw.objects.create(
        public_id=vector["manifest"]["draw"],
        tournament=tournament_of(vector["manifest"]),
        number=1,
        kind=vector["manifest"]["kind"],
        entropy="COMMIT_REVEAL" if commits else "DRAND",
        commitment=named["commitment"] if commits else "",
        secret=revealed["secret"] if commits else "",
        opened_at=head_of(vector["manifest"]).sealed_at - DAY,
    )


def let_time_and_chance_be_those_of(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, revealed = vector["manifest"], revealed_by(vector)
    sealed_at = head_of(manifest).sealed_at
    named = SimpleNamespace(hash=manifest["entropy"].get("chain"), first_round_after=lambda _: revealed["round"])
    monkeypatch.setattr(sealing, "database_now", lambda: sealed_at)
    monkeypatch.setattr(sealing, "current_chain", lambda: named)
    monkeypatch.setattr(sealing, "published_in_time", lambda _: True)
    if revealed["kind"] == "drand":
        told = beacon.Beacon(revealed["round"], revealed["randomness"], revealed["signature"])
        monkeypatch.setattr(running, "_reveal", lambda _: told)
    if any(reserve["seats"] == 0 for division in manifest["divisions"] for reserve in division["reserved"]):
        # It names reserves of no seats, which the site leaves out.
        monkeypatch.setattr(sealing, "sealed_divisions", lambda _: divisions_of(manifest))


@pytest.mark.parametrize("name", DRAWS)
def test_services_publish_the_vectors_byte_for_byte(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vector = DRAWS[name]
    draw = opened_as(vector)
    let_time_and_chance_be_those_of(vector, monkeypatch)
    seal(draw)
    assert draw.manifest_sha256 == vector["manifest_sha256"]
    assert bytes_of(draw, DrawFile.Name.MANIFEST) == canonical(vector["manifest"])
    run(draw)
    assert draw.seed == vector["seed"]
    assert bytes_of(draw, DrawFile.Name.BUNDLE) == canonical(bundle_of(vector))
    order = [public_id for _key, public_id in vector["ranking"]]
    assert list(QueueEntry.objects.in_line().values_list("public_id", flat=True)) == order


def test_divisions_of_the_largest_vector_are_what_the_site_itself_would_seal() -> None:
    manifest = DRAWS["regional"]["manifest"]
    tournament = tournament_of(manifest)
    assert sealed_divisions(tournament) == divisions_of(manifest)
    assert utc(head_of(manifest).sealed_at) == manifest["sealed_at"]


# --- Offers by the real admitter, against the allocation that was published ----------------------------------


def random_draw(random: Random, **settings: Any) -> Draw:
    """Up to three divisions, up to three groups with reserves and tickets, more entries than seats or fewer."""
    mode = random.choice([Mode.LOTTERY, Mode.FAIR_START])
    seats = {code: random.randint(0, 9) for code in random.sample(CODES, random.randint(1, 3))}
    tournament = make_tournament(
        mode=mode, opens_in=OVER[mode], seats=seats, entropy="COMMIT_REVEAL", offer_batch=10,
        offers_per_minute=10**8, **settings,
    )  # fmt: skip
    players = []
    for division in tournament.divisions.all():
        for _ in range(random.randint(0, 14)):
            players.append(make_player(division=division.code))
            make_entry(tournament, players[-1], division=division)
    for number in range(random.randint(0, 3)):
        members = random.sample(players, random.randint(0, len(players) // 2))
        reserved = {code: random.randint(0, 4) for code in seats}
        make_group(
            tournament, f"Group {number}", tickets=random.randint(1, 8), members=tuple(members), reserved=reserved
        )
    return run(seal(open_for(tournament)))


def offer_all(draw: Draw, between: Callable[[], object] = lambda: None) -> None:
    """Rounds of offers, as the clock makes them, until none is left."""
    while offer_seats(tournament_id=draw.tournament_id):
        between()


def offered_in(draw: Draw, code: str) -> list[list[str | None]]:
    """[id, group whose reserved seat it is] of a division, in the order of the offers."""
    codes = group_codes(draw.tournament)
    entries = QueueEntry.objects.filter(tournament=draw.tournament_id, division__code=code, seat__isnull=False)
    rows = entries.order_by("offer_number").values_list("public_id", "seat__reserved_for")
    return [[public_id, codes[group] if group else None] for public_id, group in rows]


@pytest.mark.parametrize("number", range(12))
def test_offers_go_exactly_to_whom_the_bundle_seats_and_in_its_order(number: int) -> None:
    draw = random_draw(Random(number), releases_reserved=False)  # noqa: S311  an example like another
    offer_all(draw)
    for code, told in read(draw, DrawFile.Name.BUNDLE)["allocation"].items():
        assert offered_in(draw, code) == told["seated"]


@pytest.mark.parametrize("number", range(100, 108))
def test_seats_that_nobody_of_a_group_can_take_go_to_the_head_of_the_waitlist(number: int) -> None:
    random = Random(number)  # noqa: S311
    draw = random_draw(random)
    offer_all(draw)
    released = draw.kind == Draw.Kind.LOTTERY  # nobody can join a lottery any more; a fair start goes on
    for division in draw.divisions:
        told = read(draw, DrawFile.Name.BUNDLE)["allocation"][division["code"]]
        left = division["seats"] - len(told["seated"]) if released else 0
        expected = {public_id for public_id, _group in told["seated"]} | set(told["waitlist"][:left])
        assert {public_id for public_id, _group in offered_in(draw, division["code"])} == expected


def test_random_draws_are_of_every_sort() -> None:
    """What the tests above stand on: reserves that are used up, reserves that are left, waitlists and none."""
    seen = set()
    for number in range(12):
        draw = random_draw(Random(number), releases_reserved=False)  # noqa: S311
        for division in draw.divisions:
            told = read(draw, DrawFile.Name.BUNDLE)["allocation"][division["code"]]
            groups = [group for _id, group in told["seated"]]
            seen.add("waitlist" if told["waitlist"] else "no waitlist")
            for reserve in division["reserved"]:
                seen.add("used up" if groups.count(reserve["group"]) == reserve["seats"] else "left over")
    assert seen == {"waitlist", "no waitlist", "used up", "left over"}


def test_seat_that_comes_back_goes_to_the_next_in_the_published_order() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY, opens_in=OVER[Mode.LOTTERY], seats=3, entropy="COMMIT_REVEAL")
    players = [make_player() for _ in range(9)]
    for player in players:
        make_entry(tournament, player)
    make_group(tournament, members=tuple(players[:2]), reserved={"masters": 1})
    draw = run(seal(open_for(tournament)))
    told = read(draw, DrawFile.Name.BUNDLE)["allocation"]["masters"]
    assert offer_seats(tournament_id=tournament.pk) == 4
    declines = next(public_id for public_id, group in told["seated"] if group is None)
    for entry in QueueEntry.objects.filter(seat__isnull=False):
        if entry.public_id == declines:
            leave_queue(account=entry.player.account, public_id=declines)
        else:
            confirm_entry(entry_id=entry.pk)
    assert offer_seats(tournament_id=tournament.pk) == 1
    others = [row for row in told["seated"] if row[0] != declines]
    assert offered_in(draw, "masters") == [*others, [told["waitlist"][0], None]]


def test_a_reserved_seat_does_not_wait_for_a_member_who_can_not_take_it() -> None:
    tournament = to_draw(Mode.LOTTERY, entries=2, seats=1)
    member = make_player(make_user(verified=False))
    group = make_group(tournament, members=(member,), reserved={"masters": 1})
    make_entry(tournament, member, group=group)
    run(seal(open_for(tournament)))
    assert offer_seats(tournament_id=tournament.pk) == 2
