"""From entries to places: what opening, sealing and drawing do."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.db import connection

from accounts.models import Player
from lottery import beacon, services
from lottery.models import Draw, DrawFile
from lottery.queries import file_of, plain_bytes
from lottery.services import running, sealing
from registrations.clock import tournaments_to_serve
from registrations.models import QueueEntry
from registrations.services import join_queue, leave_queue, offer_seats, set_seats
from registrations.services.running import SealedError
from tests.builders import (
    Mode,
    make_entry,
    make_group,
    make_organization,
    make_player,
    make_staff,
    make_tournament,
    make_user,
    now,
)
from tests.lottery.draws import DAY, drawn, open_for, opened, read, run, seal, sealed, to_draw
from tests.lottery.relay import (
    CHAIN,
    CHAIN_INFO,
    Relay,
    another_round,
    late,
    make_beacon,
    out_of_order,
    own_randomness,
    signature_of_another_round,
)
from tournaments.models import Tournament
from tournaments.services import ListSealedError, import_members

pytestmark = pytest.mark.django_db

MANIFEST, BUNDLE = DrawFile.Name.MANIFEST, DrawFile.Name.BUNDLE
MINUTE = timedelta(minutes=1)


def change(tournament: Tournament, **fields: Any) -> None:
    Tournament.objects.filter(pk=tournament.pk).update(**fields)


def place_of(entry: QueueEntry) -> int | None:
    return QueueEntry.objects.values_list("place", flat=True).get(pk=entry.pk)


def ids_in(manifest: dict[str, Any]) -> list[str]:
    return [entry["id"] for entry in manifest["entries"]]


def test_a_lottery_is_sealed_drawn_and_offered_down_its_order() -> None:
    draw = drawn(seats=2, entries=5)
    bundle = read(draw, BUNDLE)
    order = [public_id for _key, public_id in bundle["ranking"]]
    line = QueueEntry.objects.in_line().values_list("public_id", flat=True)
    assert list(line) == order
    assert offer_seats(tournament_id=draw.tournament_id) == 2
    offered = QueueEntry.objects.filter(offered_at__isnull=False).order_by("offer_number")
    assert [entry.public_id for entry in offered] == order[:2]


# --- Opening -------------------------------------------------------------------------------------------------


def to_come(mode: Mode = Mode.LOTTERY, **settings: Any) -> Tournament:
    """Entries do not open before tomorrow."""
    return make_tournament(mode=mode, opens_in=DAY, **{"entropy": "COMMIT_REVEAL", **settings})


def test_open_draw_commits_to_a_secret_that_it_keeps() -> None:
    draw = open_for(to_come())
    assert sha256(bytes.fromhex(draw.secret)).hexdigest() == draw.commitment
    assert draw.named() == {"kind": "commit-reveal", "commitment": draw.commitment}
    assert Tournament.objects.get().draw_opened_at == draw.opened_at


def test_open_draw_makes_another_secret_for_each_draw() -> None:
    assert len({open_for(to_come()).secret for _ in range(5)}) == 5


def test_secret_is_in_nothing_that_is_published_before_the_draw() -> None:
    draw = opened()
    secret = draw.secret
    seal(draw)
    assert secret not in str(read(draw, MANIFEST))
    assert read(run(draw), BUNDLE)["entropy"] == {"kind": "commit-reveal", "secret": secret}


def test_open_draw_of_drand_names_its_round_when_it_is_sealed() -> None:
    draw = open_for(to_come(entropy="DRAND"))
    assert (draw.secret, draw.commitment, draw.chain, draw.round) == ("", "", "", None)


def test_open_draw_again_is_the_same_draw() -> None:
    tournament = to_come()
    assert open_for(tournament) == open_for(tournament)
    assert Draw.objects.count() == 1


def test_open_draw_of_first_come_is_none() -> None:
    assert services.open_draw(tournament_id=make_tournament().pk) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"entropy": "DRAND"},
        {"mode": Mode.FAIR_START, "seals_at": None, "prequeue_opens_at": now() + timedelta(hours=20)},
    ],
)
def test_open_draw_replaces_what_does_not_fit_the_rules_any_more(fields: dict[str, Any]) -> None:
    first = open_for(to_come())
    change(first.tournament, **fields)
    assert services.due_to_open() == [first.tournament_id]
    second = open_for(first.tournament)
    first.refresh_from_db()
    assert (first.state, second.state, second.number) == ("VOID", "OPEN", 2)
    assert "before entries opened" in first.void_reason
    assert second.supersedes is None
    assert services.due_to_open() == []


def test_open_draw_of_what_became_first_come_leaves_nothing_standing_still() -> None:
    draw = open_for(to_come())
    change(draw.tournament, mode=Mode.FIRST_COME, seals_at=None)
    assert services.due_to_open() == [draw.tournament_id]
    assert services.open_draw(tournament_id=draw.tournament_id) is None
    assert services.due_to_open() == []
    change(draw.tournament, opens_at=now() - MINUTE)
    make_group(draw.tournament, "Latecomers")


def test_publish_tournament_opens_its_draw() -> None:
    tournament = to_come(published=False)
    services.publish_tournament(tournament_id=tournament.pk, by=make_staff())
    assert tournament.draws.get().state == "OPEN"


def test_due_to_open_are_those_that_will_be_drawn_and_have_no_draw() -> None:
    organization = make_organization()
    due = [to_come(organization=organization), to_come(Mode.FAIR_START, organization=organization)]
    open_for(to_come(organization=organization))
    make_tournament(organization=organization)
    to_come(published=False, organization=organization)
    to_come(cancelled_at=now(), organization=organization)
    sealed()
    drawn()
    assert sorted(services.due_to_open()) == sorted(tournament.pk for tournament in due)


# --- Sealing -------------------------------------------------------------------------------------------------


def test_due_to_seal_are_lotteries_at_their_time_and_fair_starts_when_they_open() -> None:
    due = {opened(), opened(Mode.FAIR_START)}
    open_for(to_come())
    open_for(to_come(Mode.FAIR_START))
    opened(seals_at=now() + DAY, offers_end_at=now() + 2 * DAY)
    sealed()
    opened(cancelled_at=now())
    assert set(services.due_to_seal()) == {draw.pk for draw in due}


def test_due_to_seal_is_what_was_begun_and_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = opened()
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "write_file", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            services.seal_draw(draw_id=draw.pk)
    draw.refresh_from_db()
    assert (draw.state, draw.entries.count()) == ("OPEN", 0)
    assert services.due_to_seal() == [draw.pk]
    assert seal(draw).entrants == 3


def test_seal_draw_before_its_time_is_refused() -> None:
    with pytest.raises(services.NotDueError):
        services.seal_draw(draw_id=open_for(to_come()).pk)


def test_seal_draw_by_hand_may_be_earlier_but_not_before_closing() -> None:
    closed = opened(seals_at=now() + DAY, offers_end_at=now() + 2 * DAY)
    with pytest.raises(services.NotDueError):
        services.seal_draw(draw_id=closed.pk)
    assert services.seal_draw(draw_id=closed.pk, by=make_staff())
    still_open = opened(opens_in=-DAY)
    with pytest.raises(services.NotDueError):
        services.seal_draw(draw_id=still_open.pk, by=make_staff())


@pytest.mark.parametrize("fields", [{"cancelled_at": now()}, {"closed_at": now()}])
def test_seal_draw_of_what_is_over_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(services.NotDueError):
        services.seal_draw(draw_id=opened(**fields).pk)


def test_seal_draw_that_is_not_there_is_refused() -> None:
    with pytest.raises(services.DrawNotFoundError):
        services.seal_draw(draw_id=0)


def test_seal_draw_again_does_nothing() -> None:
    draw = sealed()
    before = Draw.objects.values().get(pk=draw.pk)
    assert services.seal_draw(draw_id=draw.pk) is False
    assert Draw.objects.values().get(pk=draw.pk) == before


def test_seal_draw_publishes_the_manifest_whose_hash_it_says() -> None:
    draw = sealed(seats=7)
    file = file_of(draw, MANIFEST)
    assert file is not None
    content = b"".join(plain_bytes(file))
    assert (sha256(content).hexdigest(), len(content)) == (draw.manifest_sha256, file.size)
    manifest = read(draw, MANIFEST)
    assert ids_in(manifest) == sorted(QueueEntry.objects.values_list("public_id", flat=True))
    assert manifest["draw"] == draw.public_id
    assert manifest["tournament"] == draw.tournament.slug
    assert manifest["divisions"] == [{"code": "masters", "seats": 7, "reserved": []}]
    assert draw.published_at is not None


def test_seal_draw_leaves_out_who_is_not_proved_and_says_why() -> None:
    tournament = to_draw(entries=2)
    unverified = make_entry(tournament, make_player(make_user(verified=False)))
    disputed = make_entry(tournament, make_player(player_id_state=Player.IdState.DISPUTED))
    draw = seal(open_for(tournament))
    assert draw.entrants == 2
    assert dict(draw.left_out.values_list("entry", "reason")) == {unverified.pk: "UNVERIFIED", disputed.pk: "DISPUTED"}
    assert not {unverified.public_id, disputed.public_id} & set(ids_in(read(draw, MANIFEST)))


def test_seal_draw_takes_nobody_who_has_left() -> None:
    tournament = to_draw(entries=1)
    gone = make_entry(tournament)
    leave_queue(account=gone.player.account, public_id=gone.public_id)
    assert gone.public_id not in ids_in(read(seal(open_for(tournament)), MANIFEST))


def test_seal_draw_of_nobody_is_a_draw_too() -> None:
    draw = run(sealed(entries=0))
    assert (draw.entrants, read(draw, BUNDLE)["ranking"]) == (0, [])


def test_seal_draw_puts_everybody_into_the_groups_that_were_imported_until_then() -> None:
    tournament = to_draw(entries=0)
    entry, other = make_entry(tournament), make_entry(tournament)
    group = make_group(tournament, "Les Étoiles", tickets=3, reserved={"masters": 2})
    draw = open_for(tournament)
    import_members(group_id=group.pk, player_ids=[entry.player.player_id], by=make_staff())
    manifest = read(seal(draw), MANIFEST)
    told = {row["id"]: (row["group"], row["tickets"]) for row in manifest["entries"]}
    assert told == {entry.public_id: ("les-etoiles", 3), other.public_id: (None, 1)}
    assert manifest["divisions"][0]["reserved"] == [{"group": "les-etoiles", "seats": 2}]
    assert Draw.objects.get().regrouped == 1
    with pytest.raises(ListSealedError):
        import_members(group_id=group.pk, player_ids=[other.player.player_id], by=make_staff())


def test_seal_draw_promises_the_seats_that_there_are() -> None:
    draw = opened(seats=3)
    division, staff = draw.tournament.divisions.get(), make_staff()
    set_seats(division_id=division.pk, seats=5, by=staff, reason="A larger hall.")
    seal(draw)
    with pytest.raises(SealedError):
        set_seats(division_id=division.pk, seats=6, by=staff, reason="Too late.")
    run(draw)
    assert draw.divisions == [{"code": "masters", "seats": 5, "reserved": []}]
    set_seats(division_id=division.pk, seats=6, by=staff, reason="A larger hall.")


def test_seal_draw_of_a_fair_start_lets_later_arrivals_stand_behind() -> None:
    draw = sealed(Mode.FAIR_START, entries=3)
    player = make_player()
    [late_one] = join_queue(account=player.account, tournament=draw.tournament, player_ids=[player.pk])
    assert late_one.place == late_one.number
    assert offer_seats(tournament_id=draw.tournament_id) == 0
    run(draw)
    order = [public_id for _key, public_id in read(draw, BUNDLE)["ranking"]]
    line = QueueEntry.objects.in_line().values_list("public_id", flat=True)
    assert list(line) == [*order, late_one.public_id]


# --- Drawing with a secret -----------------------------------------------------------------------------------


def test_run_draw_hands_out_places_before_everybody_else() -> None:
    draw = drawn(entries=4)
    assert set(QueueEntry.objects.values_list("place", flat=True)) == {-4, -3, -2, -1}
    for entry in draw.entries.select_related("entry"):
        assert entry.rank is not None
        assert entry.entry.place == entry.rank - 5
    draw.tournament.refresh_from_db()
    assert draw.tournament.drawn_at == draw.drawn_at


def test_run_draw_lets_who_was_left_out_stand_behind_in_order_of_arrival() -> None:
    tournament = to_draw(entries=0)
    first = make_entry(tournament, make_player(make_user(verified=False)))
    inside = make_entry(tournament)
    second = make_entry(tournament, make_player(player_id_state=Player.IdState.DISPUTED))
    run(seal(open_for(tournament)))
    assert (place_of(inside), place_of(first), place_of(second)) == (-1, first.number, second.number)


def test_run_draw_lets_who_left_since_sealing_keep_the_rank_and_stand_nowhere() -> None:
    draw = sealed(entries=4)
    gone = draw.entries.all()[1].entry
    leave_queue(account=gone.player.account, public_id=gone.public_id)
    bundle = read(run(draw), BUNDLE)
    order = [public_id for _key, public_id in bundle["ranking"]]
    assert gone.public_id in order
    assert place_of(gone) is None
    others = [public_id for public_id in order if public_id != gone.public_id]
    assert list(QueueEntry.objects.in_line().values_list("public_id", flat=True)) == others


def test_run_draw_ranks_each_division_by_itself_too() -> None:
    tournament = to_draw(entries=3, divisions=("masters", "senior"))
    senior = tournament.divisions.get(code="senior")
    for _ in range(3):
        make_entry(tournament, make_player(division="senior"), division=senior)
    draw = run(seal(open_for(tournament)))
    for code in ("masters", "senior"):
        ranks = draw.entries.filter(division=code).order_by("rank").values_list("division_rank", flat=True)
        assert list(ranks) == [1, 2, 3]


def test_run_draw_again_does_nothing() -> None:
    draw = drawn()
    before = list(draw.entries.values())
    assert services.run_draw(draw_id=draw.pk) is False
    assert services.write_bundle(draw_id=draw.pk) is False
    assert list(draw.entries.values()) == before


def test_run_draw_of_what_is_not_sealed_does_nothing() -> None:
    assert services.run_draw(draw_id=opened().pk) is False
    assert services.write_bundle(draw_id=sealed().pk) is False


def test_run_draw_of_a_cancelled_tournament_does_nothing() -> None:
    draw = sealed()
    change(draw.tournament, cancelled_at=now())
    assert services.due_to_draw() == []
    assert services.run_draw(draw_id=draw.pk) is False


def test_run_draw_refuses_to_rank_other_entries_than_were_sealed() -> None:
    draw = sealed(entries=3)
    with connection.cursor() as cursor:  # past the trigger that keeps everybody else out
        cursor.execute("SELECT set_config('vgchub.drawing', 'on', true)")
    draw.entries.filter(pk=draw.entries.all()[0].pk).update(key=b"k" * 32, rank=99, division_rank=99)
    with pytest.raises(RuntimeError, match="sealed 3 entries and ranked 2"):
        services.run_draw(draw_id=draw.pk)


def test_due_to_bundle_is_what_is_drawn_and_has_no_bundle() -> None:
    drawn()
    draw = sealed()
    assert services.due_to_draw() == [draw.pk]
    assert services.run_draw(draw_id=draw.pk)
    assert services.due_to_bundle() == [draw.pk]
    assert services.write_bundle(draw_id=draw.pk)
    assert services.due_to_bundle() == []


# --- Drawing with drand --------------------------------------------------------------------------------------


@pytest.fixture
def relay(settings: Any) -> Iterator[Relay]:
    """The one relay that is asked, of a chain of the tests' own."""
    with Relay() as relay:
        settings.DRAND_CHAIN, settings.DRAND_RELAYS = CHAIN_INFO, [relay.url]
        yield relay


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """What the database's clock says to whoever looks what is due to be drawn."""
    monkeypatch.setattr(running, "database_now", lambda: moment)


def rounds_time(draw: Draw) -> datetime:
    return services.round_published_at(draw)


@pytest.mark.parametrize(("mode", "ahead"), [(Mode.LOTTERY, 10 * MINUTE), (Mode.FAIR_START, timedelta(seconds=30))])
def test_seal_draw_names_the_first_round_that_nobody_can_know_yet(mode: Mode, ahead: timedelta, relay: Relay) -> None:
    draw = sealed(mode, entropy="DRAND")
    assert read(draw, MANIFEST)["entropy"] == {"kind": "drand", "chain": CHAIN.hash, "round": draw.round}
    assert draw.sealed_at is not None
    assert timedelta() <= rounds_time(draw) - (draw.sealed_at + ahead) < timedelta(seconds=CHAIN.period)


def test_a_draft_is_not_sealed_though_its_time_has_come() -> None:
    draw = opened()
    Tournament.objects.update(published_at=None)
    assert services.due_to_seal() == []
    with pytest.raises(services.NotDueError):
        services.seal_draw(draw_id=draw.pk)


def test_relays_that_keep_one_worker_waiting_keep_no_second_one(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = sealed(entropy="DRAND")
    asked: list[bool] = []

    def fetch(*_arguments: object) -> beacon.Beacon:
        asked.append(services.run_draw(draw_id=draw.pk))  # somebody else, while this one waits for an answer
        raise beacon.BeaconAwayError("no answer")

    monkeypatch.setattr(beacon, "fetch", fetch)
    assert not services.run_draw(draw_id=draw.pk)
    assert asked == [False]


def test_run_draw_takes_the_round_that_the_manifest_named(relay: Relay) -> None:
    draw = run(sealed(entropy="DRAND"))
    assert draw.round is not None
    known = make_beacon(draw.round)
    assert (draw.randomness, draw.signature) == (known.randomness, known.signature)
    assert read(draw, BUNDLE)["entropy"] == {
        "kind": "drand",
        "chain": CHAIN.hash,
        "round": draw.round,
        "randomness": known.randomness,
        "signature": known.signature,
    }


def test_due_to_draw_waits_for_the_round_and_then_asks_less_and_less(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = sealed(entropy="DRAND")
    out = rounds_time(draw)
    at(monkeypatch, out - timedelta(seconds=1))
    assert services.due_to_draw() == []
    at(monkeypatch, out)
    assert services.due_to_draw() == [draw.pk]
    for waited, wait in ((2, 2), (60, 6), (300, 30), (6000, 60)):
        moment = out + timedelta(seconds=waited)
        Draw.objects.filter(pk=draw.pk).update(asked_at=moment)
        at(monkeypatch, moment + timedelta(seconds=wait - 1.5))
        assert services.due_to_draw() == []
        at(monkeypatch, moment + timedelta(seconds=wait * 1.12 + 0.5))
        assert services.due_to_draw() == [draw.pk]


@pytest.mark.parametrize("behaviour", [late, out_of_order, another_round, own_randomness, signature_of_another_round])
def test_run_draw_waits_while_the_round_cannot_be_had_and_believes_nothing_else(behaviour: Any, relay: Relay) -> None:
    draw = sealed(entropy="DRAND")
    relay.answer_with(behaviour)
    assert services.run_draw(draw_id=draw.pk) is False
    draw.refresh_from_db()
    assert (draw.state, draw.randomness, draw.seed) == ("SEALED", "", "")
    assert draw.asked_at is not None
    assert set(QueueEntry.objects.values_list("place", flat=True)) == {None}


def test_run_draw_goes_on_once_the_relay_is_back(relay: Relay, settings: Any) -> None:
    draw = sealed(entropy="DRAND")
    settings.DRAND_RELAYS = ["http://127.0.0.1:9"]
    assert services.run_draw(draw_id=draw.pk) is False
    settings.DRAND_RELAYS = ["http://127.0.0.1:9", relay.url]
    assert run(draw).state == "DRAWN"


def test_seal_draw_that_took_until_its_round_was_out_is_begun_again(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    draw = opened(entropy="DRAND")
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "AHEAD", dict.fromkeys(Draw.Kind, -MINUTE))
        assert services.seal_draw(draw_id=draw.pk) is False
    draw.refresh_from_db()
    assert (draw.state, draw.entries.count(), draw.files.count()) == ("OPEN", 0, 0)
    assert "its round was out" in caplog.text
    assert services.due_to_seal() == [draw.pk]
    assert seal(draw).entrants == 3


def test_run_draw_refuses_a_round_that_was_out_when_the_manifest_was_published(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    draw = opened(entropy="DRAND")
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "AHEAD", dict.fromkeys(Draw.Kind, -MINUTE))
        patch.setattr(sealing, "published_in_time", lambda _: True)
        seal(draw)
    assert services.run_draw(draw_id=draw.pk) is False
    draw.refresh_from_db()
    assert (draw.state, draw.randomness) == ("SEALED", "")
    assert "declare it void" in caplog.text


def test_run_draw_of_a_chain_that_is_not_known_any_more_waits_and_holds_up_nobody(
    relay: Relay, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = sealed(entropy="DRAND")
    settings.DRAND_CHAIN = {}
    other = sealed()
    assert services.due_to_draw() == [other.pk]
    assert services.run_draw(draw_id=unknown.pk) is False
    assert f"no key is known of the chain {CHAIN.hash}" in caplog.text


def test_a_draw_keeps_its_chain_when_new_ones_name_another(settings: Any) -> None:
    draw = sealed(entropy="DRAND")
    assert draw.chain == beacon.QUICKNET.hash
    before = rounds_time(draw)
    settings.DRAND_CHAIN = CHAIN_INFO
    assert rounds_time(draw) == before


# --- Objections ----------------------------------------------------------------------------------------------


def test_offers_of_a_lottery_begin_when_objections_end() -> None:
    draw = drawn(objection_minutes=30, seats=2)
    assert offer_seats(tournament_id=draw.tournament_id) == 0
    assert tournaments_to_serve() == []
    for minutes, offers in ((29, 0), (31, 2)):
        moment = now() - minutes * MINUTE
        change(draw.tournament, drawn_at=moment, entries_sealed_at=moment)
        assert tournaments_to_serve() == ([draw.tournament_id] if offers else [])
        assert offer_seats(tournament_id=draw.tournament_id) == offers


def test_offers_of_a_fair_start_begin_at_once() -> None:
    draw = drawn(Mode.FAIR_START, objection_minutes=30, seats=2)
    moment = now() - MINUTE
    change(draw.tournament, drawn_at=moment, entries_sealed_at=moment)
    assert tournaments_to_serve() == [draw.tournament_id]
    assert offer_seats(tournament_id=draw.tournament_id) == 2
