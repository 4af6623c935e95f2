"""I10 and I11 hold after a draw and all that may follow, and tell of each thing that somebody with all rights could change."""

import hashlib
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from accounts.models import Player
from lottery import services
from lottery.drawing import manifest_pieces
from lottery.models import Draw, DrawEntry, DrawFile, DrawFilePart
from lottery.queries import CHUNK, head_of, sealed_entries
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services import (
    grant_seat,
    join_queue,
    lapse_offers,
    leave_queue,
    offer_seats,
    offering,
    set_seats,
    step_back_in,
)
from reports.invariants import draws as invariants
from reports.invariants import violations
from tests.builders import Mode, make_entry, make_group, make_player, make_staff, make_tournament, make_user, now
from tests.lottery.draws import OVER, drawn, open_for, opened, run, seal, sealed, to_draw
from tests.lottery.relay import CHAIN_INFO, Relay
from tests.lottery.test_allocation import offer_all
from tests.reports.test_invariants import by_force, found
from tournaments.models import Seat, Tournament
from tournaments.queries import database_now

pytestmark = pytest.mark.django_db

HASH = "ab" * 32


def told(draw: Draw) -> list[str]:
    """What I10 says of the draw, both when somebody asks and on a schedule."""
    start = f"I10: {draw.tournament.slug}: draw {draw}: "
    said = [s for s in violations(tournament_id=draw.tournament_id) if s.startswith("I10")]
    assert [s for s in violations(watching=True) if s.startswith("I10")] == said
    return [sentence.removeprefix(start).removesuffix(".") for sentence in said]


def force(draw: Draw, **fields: Any) -> None:
    with by_force():
        Draw.objects.filter(pk=draw.pk).update(**fields)


def force_entry(row: DrawEntry, **fields: Any) -> None:
    with by_force():
        DrawEntry.objects.filter(pk=row.pk).update(**fields)


def packed(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


# --- All is well ---------------------------------------------------------------------------------------------


def lottery_that_is_open() -> None:
    opened()


def lottery_that_is_sealed() -> None:
    sealed()


def lottery_that_is_drawn() -> None:
    drawn(entries=9, seats=3)


def draw_without_anybody() -> None:
    drawn(entries=0)


def draw_without_a_bundle_yet() -> None:
    assert services.run_draw(draw_id=sealed().pk)


def draw_that_is_void_and_the_next() -> None:
    first = drawn()
    services.propose_void(draw_id=first.pk, by=make_staff(), reason="Somebody was left out.")
    second = services.void_draw(draw_id=first.pk, by=make_staff())
    assert violations() == []
    services.seal_draw(draw_id=second.pk, by=make_staff())
    run(second)
    offer_all(second)


def draw_with_everything_that_may_follow() -> None:
    """Groups, reserves, left out, leaving before and after the draw, a later arrival, a grant, a miss, a return, seats."""
    tournament = make_tournament(mode=Mode.FAIR_START, opens_in=OVER[Mode.FAIR_START], entropy="COMMIT_REVEAL", seats=4)
    players = [make_player() for _ in range(14)]
    for player in players:
        make_entry(tournament, player)
    make_entry(tournament, make_player(make_user(verified=False)))
    make_group(tournament, members=tuple(players[:5]), tickets=3, reserved={"masters": 2})
    draw = seal(open_for(tournament))
    gone = draw.entries.all()[3].entry
    leave_queue(account=gone.player.account, public_id=gone.public_id)
    run(draw)
    late = make_player()
    join_queue(account=late.account, tournament=tournament, player_ids=[late.pk])
    last = QueueEntry.objects.in_line().filter(place__lt=0).last()
    assert last is not None
    grant_seat(public_id=last.public_id, by=make_staff(), reason="A guest of honour.")
    offer_all(draw)
    missed, declined, *_ = QueueEntry.objects.filter(state=State.OFFERED).order_by("offer_number")[1:]
    QueueEntry.objects.filter(pk=missed.pk).update(offer_expires_at=now() - timedelta(minutes=1))
    assert lapse_offers(tournament_id=tournament.pk) == 1
    leave_queue(account=declined.player.account, public_id=declined.public_id)
    offer_all(draw)
    step_back_in(account=missed.player.account, public_id=missed.public_id)
    set_seats(division_id=draw.tournament.divisions.get().pk, seats=6, by=make_staff(), reason="A larger hall.")
    offer_all(draw)
    assert QueueEntry.objects.filter(state=State.OFFERED).count() > 4


def reserve_that_was_released() -> None:
    tournament = make_tournament(mode=Mode.LOTTERY, opens_in=OVER[Mode.LOTTERY], entropy="COMMIT_REVEAL", seats=1)
    players = [make_player() for _ in range(6)]
    for player in players:
        make_entry(tournament, player)
    make_group(tournament, members=(players[0],), reserved={"masters": 3})
    offer_all(run(seal(open_for(tournament))))
    assert QueueEntry.objects.filter(state=State.OFFERED).count() == 4


@pytest.mark.parametrize(
    "story",
    [
        lottery_that_is_open,
        lottery_that_is_sealed,
        lottery_that_is_drawn,
        draw_without_anybody,
        draw_without_a_bundle_yet,
        draw_that_is_void_and_the_next,
        draw_with_everything_that_may_follow,
        reserve_that_was_released,
    ],
)
@pytest.mark.django_db(transaction=True)
def test_i10_and_i11_are_content_with(story: Callable[[], None]) -> None:
    story()
    assert violations() == []
    assert violations(watching=True) == []


# --- I10: what re-computes -----------------------------------------------------------------------------------


def test_i10_another_secret() -> None:
    draw = opened()
    force(draw, secret=HASH)
    assert told(draw) == ["its secret is not the one that it committed to"]


def test_i10_another_hash_of_the_manifest() -> None:
    draw = sealed()
    force(draw, manifest_sha256=HASH)
    assert told(draw) == ["its manifest is not the one whose hash was published"]


def test_i10_a_manifest_that_vanished() -> None:
    draw = sealed()
    with by_force():
        DrawFile.objects.filter(draw=draw)._raw_delete("default")
    assert told(draw) == ["its manifest is not the one whose hash was published"]


@pytest.mark.parametrize("name", list(DrawFile.Name))
@pytest.mark.parametrize("content", [b"not packed at all", packed(b'{"algorithm":"another"}'), b""])
def test_i10_other_bytes_of_a_file(name: DrawFile.Name, content: bytes) -> None:
    draw = drawn()
    with by_force():
        DrawFilePart.objects.filter(file__draw=draw, file__name=name).update(content=content)
    first = f"the bytes of its {name.label} are not those that were published"
    assert told(draw)[0] == first


@pytest.mark.parametrize(
    "fields",
    [{"division": "junior"}, {"group": "friends"}, {"tickets": 2}],
)
def test_i10_an_entry_that_is_not_as_it_was_sealed(fields: dict[str, Any]) -> None:
    draw = sealed(entries=3)
    force_entry(draw.entries.all()[1], **fields)
    assert told(draw) == ["its rows come to another manifest"]


def test_i10_an_entry_less() -> None:
    draw = sealed(entries=3)
    with by_force():
        DrawEntry.objects.filter(pk=draw.entries.all()[1].pk)._raw_delete("default")
    assert told(draw) == ["its rows come to another manifest", "it has not as many entries as were sealed"]


def test_i10_another_number_of_seats() -> None:
    draw = sealed()
    force(draw, divisions=[{"code": "masters", "seats": 400, "reserved": []}])
    assert told(draw) == ["its rows come to another manifest"]


def test_i10_a_manifest_that_was_forged_with_all_that_tells_of_it() -> None:
    """Rows, bytes and hashes fit together again, and a friend has tickets: the seed gives it away."""
    draw = drawn(entries=3)
    force_entry(draw.entries.all()[1], tickets=64)
    content = b"".join(manifest_pieces(head_of(draw), sealed_entries(draw)))
    digest = hashlib.sha256(content).hexdigest()
    with by_force():
        file = DrawFile.objects.filter(draw=draw, name="manifest")
        file.update(sha256=digest, size=len(content))
        DrawFilePart.objects.filter(file__in=file).update(content=packed(content))
        Draw.objects.filter(pk=draw.pk).update(manifest_sha256=digest)
    assert told(draw)[0] == "its seed does not follow from manifest and entropy"


def test_i10_another_seed() -> None:
    draw = drawn()
    force(draw, seed=HASH)
    assert told(draw)[0] == "its seed does not follow from manifest and entropy"


def test_i10_another_key() -> None:
    draw = drawn(entries=5)
    first = draw.entries.get(rank=1)
    force_entry(first, key=b"\0" * 32)
    assert told(draw) == [
        f"the key of {first.entry.public_id} is not the one that its seed gives",
        "its rows come to another bundle",
    ]


def test_i10_two_who_changed_ranks() -> None:
    draw = drawn(entries=5)
    one, two = draw.entries.get(rank=2), draw.entries.get(rank=3)
    with by_force():
        DrawEntry.objects.filter(pk=one.pk).update(rank=99, division_rank=99)
        DrawEntry.objects.filter(pk=two.pk).update(rank=2, division_rank=2)
        DrawEntry.objects.filter(pk=one.pk).update(rank=3, division_rank=3)
    assert told(draw) == [
        f"{one.entry.public_id} does not stand where its key puts it",
        "its rows come to another bundle",
    ]


def test_i10_another_rank_within_the_division() -> None:
    draw = drawn(entries=5)
    last = draw.entries.get(rank=5)
    force_entry(last, division_rank=9)
    assert f"{last.entry.public_id} does not stand where its key puts it" in told(draw)


def test_i10_ranks_that_end_too_early() -> None:
    draw = drawn(entries=5)
    force_entry(draw.entries.get(rank=5), rank=CHUNK * 3)
    assert "its ranks end at 4" in told(draw)


def test_i10_drand(settings: Any) -> None:
    with Relay() as relay:
        settings.DRAND_CHAIN, settings.DRAND_RELAYS = CHAIN_INFO, [relay.url]
        draw = run(sealed(entropy="DRAND"))
    assert told(draw) == []
    force(draw, randomness=HASH)
    assert told(draw)[:2] == [
        "its randomness does not follow from the signature",
        "its seed does not follow from manifest and entropy",
    ]


def test_i10_a_signature_of_nobody(settings: Any) -> None:
    with Relay() as relay:
        settings.DRAND_CHAIN, settings.DRAND_RELAYS = CHAIN_INFO, [relay.url]
        draw = run(sealed(entropy="DRAND"))
    signature = "cd" * 48
    force(draw, signature=signature, randomness=hashlib.sha256(bytes.fromhex(signature)).hexdigest())
    assert "its round of drand is not signed by its chain" in told(draw)


def test_i10_of_a_void_draw_too() -> None:
    draw = drawn()
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason="Somebody was left out.")
    services.void_draw(draw_id=draw.pk, by=make_staff())
    force_entry(draw.entries.get(rank=1), key=b"\0" * 32)
    assert found()["I10"] == 2


# --- I10 on a schedule ---------------------------------------------------------------------------------------


@pytest.fixture
def draw_with_another_key() -> Draw:
    draw = drawn(entries=3)
    force_entry(draw.entries.get(rank=1), key=b"\0" * 32)
    return draw


def lately() -> int:
    return len(invariants.differing_lately())


def test_i10_on_a_schedule_computes_what_was_drawn_lately(
    draw_with_another_key: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lately() == 2
    monkeypatch.setattr(invariants, "WATCHED_FOR", timedelta())
    assert lately() == 0
    assert found()["I10"] == 2


def test_i10_on_a_schedule_computes_so_many_entries_and_the_newest_first(
    draw_with_another_key: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(entries=3)
    for entries, exceptions in ((6, 2), (5, 0), (2, 0)):
        monkeypatch.setattr(invariants, "WATCHED_ENTRIES", entries)
        assert lately() == exceptions
    force(draw_with_another_key, seed=HASH)
    assert lately() == 1


# --- I11: places ---------------------------------------------------------------------------------------------


def only_i11() -> str:
    """The one sentence that I11 says, both when somebody asks and on a schedule."""
    [sentence] = [sentence for sentence in violations() if sentence.startswith("I11")]
    assert sentence in violations(watching=True)
    return sentence


def at_rank(draw: Draw, rank: int) -> QueueEntry:
    return draw.entries.get(rank=rank).entry


def test_i11_another_place() -> None:
    draw = drawn(entries=3)
    with by_force():
        QueueEntry.objects.filter(pk=at_rank(draw, 3).pk).update(place=-9)
    assert f"entry {at_rank(draw, 3).public_id} stands at place -9, and its rank says -1" in only_i11()


def test_i11_a_place_that_was_taken_away() -> None:
    draw = drawn(entries=3)
    entry = at_rank(draw, 2)
    with by_force():
        QueueEntry.objects.filter(pk=entry.pk).update(place=None)
    assert found()["I11"] == 2  # it is not where its rank says, and waits for nothing


def test_i11_is_content_with_who_left_before_the_draw_but_not_with_who_is_said_to() -> None:
    draw = sealed(entries=3)
    gone = draw.entries.all()[0].entry
    leave_queue(account=gone.player.account, public_id=gone.public_id)
    run(draw)
    assert found() == {}
    with by_force():
        QueueEntry.objects.filter(pk=gone.pk).update(ended_at=database_now())
    assert f"entry {gone.public_id} stands at place None" in only_i11()


def test_i11_somebody_who_entered_in_time_and_is_in_no_draw() -> None:
    draw = sealed(entries=3)
    late = make_entry(draw.tournament)
    assert f"entry {late.public_id} of " in only_i11()
    run(draw)
    assert f"entry {late.public_id} of " in only_i11()


def test_i11_an_entry_of_another_tournament() -> None:
    draw = drawn(entries=3)
    other = make_entry(make_tournament(), place=-3)
    force_entry(draw.entries.get(rank=1), entry=other)
    assert found(draw.tournament)["I11"] == 1


# --- I11: offers ---------------------------------------------------------------------------------------------


def offer(entry: QueueEntry, seat: Seat | None = None) -> None:
    """Offer a seat to this entry, whoever stands before it: what an admitter with a mistake would do."""
    seat = seat or Seat.objects.free().filter(division=entry.division_id, reserved_for=None)[0]
    offering._offer(entry.tournament, [(entry.pk, seat.pk)], database_now())


def test_i11_somebody_further_down_was_offered_first() -> None:
    draw = drawn(entries=4, seats=4)
    offer(at_rank(draw, 2))
    assert f"entry {at_rank(draw, 1).public_id} of rank 1 could have taken" in only_i11()
    offer(at_rank(draw, 1))
    assert f"that {at_rank(draw, 2).public_id}, further down" in only_i11()
    offer_all(draw)
    only_i11()


def test_i11_looks_at_ranks_also_where_places_were_changed_to_fit() -> None:
    draw = drawn(entries=2, seats=1)
    with by_force():
        for rank, place in ((1, -9), (2, -2), (1, -1)):
            QueueEntry.objects.filter(pk=at_rank(draw, rank).pk).update(place=place)
    assert offer_seats(tournament_id=draw.tournament_id) == 1
    sentences = [sentence for sentence in violations() if "of rank 1 could have taken" in sentence]
    assert len(sentences) == 1


def test_i11_somebody_who_came_later_was_offered_first() -> None:
    draw = drawn(Mode.FAIR_START, entries=2, seats=2)
    player = make_player()
    [late] = join_queue(account=player.account, tournament=draw.tournament, player_ids=[player.pk])
    offer(late)
    assert len([s for s in violations() if s.startswith("I11") and late.public_id in s]) == 2


def test_i11_somebody_was_stepped_over_and_left_afterwards() -> None:
    draw = drawn(entries=2, seats=1)
    offer(at_rank(draw, 2))
    entry = at_rank(draw, 1)
    leave_queue(account=entry.player.account, public_id=entry.public_id)
    QueueEntry.objects.filter(pk=entry.pk).update(ended_at=F("ended_at") + timedelta(minutes=1))
    assert f"entry {entry.public_id} of rank 1" in only_i11()


def test_i11_is_content_when_who_stood_before_had_left() -> None:
    draw = drawn(entries=2, seats=1)
    entry = at_rank(draw, 1)
    leave_queue(account=entry.player.account, public_id=entry.public_id)
    offer(at_rank(draw, 2))
    assert found() == {}


@pytest.mark.django_db(transaction=True)
def test_i11_is_content_with_a_reserved_seat_that_went_past_others_and_was_opened_afterwards() -> None:
    tournament = to_draw(entries=5, seats=1)
    member = make_entry(tournament)
    group = make_group(tournament, members=(member.player,), reserved={"masters": 1})
    draw = run(seal(open_for(tournament)))
    [seat] = group.seats.all()
    offer(member, seat)
    assert found() == {}
    leave_queue(account=member.player.account, public_id=member.public_id)
    Seat.objects.filter(pk=seat.pk).update(reserved_for=None)
    assert found() == {}
    offer_all(draw)
    assert found() == {}


def test_i11_a_member_was_stepped_over_for_the_seat_of_its_group() -> None:
    tournament = to_draw(entries=1, seats=0)
    players = [make_player(), make_player()]
    for player in players:
        make_entry(tournament, player)
    group = make_group(tournament, members=tuple(players), reserved={"masters": 1})
    draw = run(seal(open_for(tournament)))
    first, second = draw.entries.filter(group="veterans").order_by("rank")
    offer(second.entry, group.seats.get())
    assert f"entry {first.entry.public_id} of rank {first.rank} could have taken" in only_i11()


def test_i11_is_content_with_a_grant_and_with_a_dispute() -> None:
    draw = drawn(entries=4, seats=3)
    grant_seat(public_id=at_rank(draw, 4).public_id, by=make_staff(), reason="A guest of honour.")
    Player.objects.filter(pk=at_rank(draw, 1).player_id).update(player_id_state=Player.IdState.DISPUTED)
    offer_all(draw)
    assert at_rank(draw, 1).state == State.WAITING
    assert found() == {}


def test_i11_an_offer_while_objections_may_be_raised() -> None:
    draw = drawn(entries=2, seats=1, objection_minutes=30)
    offer(at_rank(draw, 1))
    assert "before the order stood for good" in only_i11()


def test_i11_an_offer_before_the_draw() -> None:
    draw = sealed(Mode.FAIR_START, entries=1, seats=1)
    player = make_player()
    [late] = join_queue(account=player.account, tournament=draw.tournament, player_ids=[player.pk])
    offer(late)
    assert "before the order stood for good" in only_i11()


def test_i11_on_a_schedule_looks_where_seats_may_still_be_offered() -> None:
    draw = drawn(entries=2, seats=1, lasts=timedelta(hours=10))
    offer(at_rank(draw, 2))
    only_i11()
    long_ago = now() - timedelta(days=2)
    with by_force():
        Tournament.objects.filter(pk=draw.tournament_id).update(offers_end_at=long_ago)
    assert not [s for s in violations(watching=True) if s.startswith("I11")]
    assert [s for s in violations() if s.startswith("I11")]
