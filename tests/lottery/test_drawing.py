"""The draw to the byte, and what makes it fair."""

import hashlib
import hmac
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.drawing import (
    MAX_TICKETS,
    Division,
    Entry,
    Head,
    How,
    Keys,
    Reserve,
    Result,
    allocate,
    bundle_pieces,
    canonical,
    commitment_of,
    entropy_bytes,
    manifest_pieces,
    rank,
    seed_of,
    utc,
)
from tests.lottery.vectors import DRAWS, bundle_of, divisions_of, entries_of, head_of, revealed_by

SEED = bytes(range(32))
HEAD = Head(
    draw="a" * 24,
    tournament="harbour-open",
    kind="lottery",
    sealed_at=datetime(2026, 6, 10, 18, tzinfo=UTC),
    entropy={"kind": "commit-reveal", "commitment": commitment_of(SEED).hex()},
    divisions=(Division("masters", 3), Division("junior", 1)),
)

ids = st.integers(0, 2**96 - 1).map(lambda number: f"{number:024x}")
entries = st.builds(
    Entry, ids, st.just("masters"), st.sampled_from([None, "champions", "veterans"]), st.integers(1, 64)
)
fields = st.lists(entries, max_size=30, unique_by=lambda entry: entry.id)
seeds = st.binary(min_size=32, max_size=32)

every_vector = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def order(seed: bytes, field: list[Entry]) -> list[str]:
    return [entry_id for _key, entry_id in rank(seed, field)]


# The published vectors


@every_vector
def test_the_manifest_of_a_vector_comes_out_byte_for_byte(draw: dict[str, Any]) -> None:
    manifest = b"".join(manifest_pieces(head_of(draw["manifest"]), entries_of(draw["manifest"])))
    assert manifest == canonical(draw["manifest"])
    assert sha256(manifest) == draw["manifest_sha256"]


@every_vector
def test_the_seed_of_a_vector_comes_out(draw: dict[str, Any]) -> None:
    digest = bytes.fromhex(draw["manifest_sha256"])
    assert seed_of(digest, entropy_bytes(draw["entropy"])).hex() == draw["seed"]


@every_vector
def test_the_ranking_of_a_vector_comes_out(draw: dict[str, Any]) -> None:
    ranking = rank(bytes.fromhex(draw["seed"]), entries_of(draw["manifest"]))
    assert [[key.hex(), entry_id] for key, entry_id in ranking] == draw["ranking"]
    lines = "\n".join(f"{key.hex()} {entry_id}" for key, entry_id in ranking)
    assert sha256(lines.encode()) == draw["ranking_sha256"]


@every_vector
def test_the_bundle_of_a_vector_comes_out_byte_for_byte(draw: dict[str, Any]) -> None:
    manifest = draw["manifest"]
    by_id = {entry.id: entry for entry in entries_of(manifest)}
    ranking = [(bytes.fromhex(key), entry_id) for key, entry_id in draw["ranking"]]
    result = Result(
        divisions=divisions_of(manifest),
        manifest_sha256=bytes.fromhex(draw["manifest_sha256"]),
        entropy=revealed_by(draw),
        seed=bytes.fromhex(draw["seed"]),
    )

    def ranked_in(code: str) -> list[tuple[str, str | None]]:
        return [(entry_id, by_id[entry_id].group) for _key, entry_id in ranking if by_id[entry_id].division == code]

    bundle = b"".join(bundle_pieces(result, [canonical(manifest)], ranking, ranked_in))
    assert bundle == canonical(bundle_of(draw))
    assert sha256(canonical(json.loads(bundle)["allocation"])) == draw["allocation_sha256"]


def test_the_commitment_of_the_offline_vector_is_the_hash_of_its_secret() -> None:
    draw = DRAWS["offline"]
    assert commitment_of(bytes.fromhex(draw["entropy"]["secret"])).hex() == draw["manifest"]["entropy"]["commitment"]


# Bytes


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"b": 1, "a": [None, "x"], "B": {}}, b'{"B":{},"a":[null,"x"],"b":1}'),
        ('"\\/\b\f\n\r\t\x01\x1f\x7f', b'"\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"'),
        (-(2**53) + 1, b"-9007199254740991"),
        ((), b"[]"),
    ],
)
def test_canonical_is_rfc_8785(value: object, data: bytes) -> None:
    assert canonical(value) == data


@pytest.mark.parametrize("value", [True, 1.0, float("nan"), {1: "a"}, {None: 1}, b"a", {"a": [{2}]}, datetime.now(UTC)])
def test_canonical_refuses_other_types(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)


@pytest.mark.parametrize("value", ["é", {"é": 1}, ["\ud800"], 2**53, [-(2**53)]])
def test_canonical_refuses_what_is_not_the_same_everywhere(value: object) -> None:
    with pytest.raises(ValueError, match=r"too large|ascii"):
        canonical(value)


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_a_manifest_comes_in_pieces_that_join_to_the_whole(count: int) -> None:
    field = [Entry(f"{number:024x}", "junior", None, 1) for number in range(count)]
    pieces = list(manifest_pieces(HEAD, iter(field)))
    manifest = json.loads(b"".join(pieces))
    assert [entry["id"] for entry in manifest["entries"]] == [entry.id for entry in field]
    assert canonical(manifest) == b"".join(pieces)
    assert len(pieces) == 3 + -(-count // 1000)


def test_a_manifest_names_the_draw_that_it_supersedes() -> None:
    manifest = json.loads(b"".join(manifest_pieces(replace(HEAD, supersedes="b" * 24), [])))
    assert manifest["supersedes"] == "b" * 24
    assert [division["code"] for division in manifest["divisions"]] == ["junior", "masters"]


GOOD = Entry("1" * 24, "masters", None, 1)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ([GOOD, GOOD], "does not come after"),
        ([GOOD, replace(GOOD, id="0" * 24)], "does not come after"),
        ([replace(GOOD, id="1" * 23)], "not the id"),
        ([replace(GOOD, id="A" * 24)], "not the id"),
        ([replace(GOOD, division="senior")], "division that the draw does not have"),
        ([replace(GOOD, tickets=0)], "0 tickets"),
        ([replace(GOOD, tickets=65)], "65 tickets"),
        ([replace(GOOD, group="é")], "ascii"),
    ],
)
def test_a_manifest_refuses_entries_out_of_form(field: list[Entry], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        b"".join(manifest_pieces(HEAD, field))


def test_a_manifest_refuses_two_divisions_of_one_code() -> None:
    with pytest.raises(ValueError, match="same code"):
        b"".join(manifest_pieces(replace(HEAD, divisions=(Division("junior", 1), Division("junior", 2))), []))


def test_times_are_utc_and_keep_their_microseconds() -> None:
    berlin = timezone(timedelta(hours=2))
    assert utc(datetime(2026, 6, 10, 20, tzinfo=berlin)) == "2026-06-10T18:00:00Z"
    assert utc(datetime(2026, 6, 10, 18, 0, 0, 250, tzinfo=UTC)) == "2026-06-10T18:00:00.000250Z"
    with pytest.raises(ValueError, match="zone"):
        utc(datetime(2026, 6, 10, 18))  # noqa: DTZ001  # what it refuses


DRAND: dict[str, str | int] = {"kind": "drand", "chain": "0" * 64, "round": 7, "randomness": "f" * 64}


def test_entropy_of_drand_is_chain_round_and_randomness() -> None:
    assert entropy_bytes(DRAND) == b"drand\0" + bytes(32) + bytes(7) + b"\7" + b"\xff" * 32


@pytest.mark.parametrize(
    "wrong",
    [
        DRAND | {"round": 0},
        DRAND | {"round": 2**53},
        DRAND | {"chain": "0" * 63},
        DRAND | {"randomness": "F" * 64},
        DRAND | {"randomness": "f" * 62 + " f"},
        {"kind": "commit-reveal", "secret": "0" * 62},
        {"kind": "dice"},
    ],
)
def test_entropy_out_of_form_is_refused(wrong: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match=r"round|hex|source of entropy"):
        entropy_bytes(wrong)


@given(seeds, ids, st.integers(0, MAX_TICKETS - 1))
def test_a_ticket_is_an_hmac(seed: bytes, entry_id: str, number: int) -> None:
    message = b"vgchub-draw/1 ticket\0" + entry_id.encode() + b"\0" + number.to_bytes(4, "big")
    assert Keys(seed).ticket(entry_id, number) == hmac.digest(seed, message, "sha256")


@pytest.mark.parametrize("tickets", [0, 65, -1])
def test_a_key_needs_1_to_64_tickets(tickets: int) -> None:
    with pytest.raises(ValueError, match="tickets"):
        Keys(SEED).of("1" * 24, tickets)


# Fairness


@given(seeds, fields, st.randoms(use_true_random=False))
def test_the_order_of_the_input_never_matters(seed: bytes, field: list[Entry], random: Any) -> None:
    shuffled = list(field)
    random.shuffle(shuffled)
    assert rank(seed, shuffled) == rank(seed, field)


@given(seeds, fields.filter(bool), st.data())
def test_one_more_ticket_never_worsens_a_rank(seed: bytes, field: list[Entry], data: st.DataObject) -> None:
    lucky = data.draw(st.sampled_from(field))
    richer = replace(lucky, tickets=min(lucky.tickets + 1, MAX_TICKETS))
    with_more = [richer if entry is lucky else entry for entry in field]
    assert order(seed, with_more).index(lucky.id) <= order(seed, field).index(lucky.id)


@given(seeds, fields.filter(bool), st.data())
def test_a_withdrawal_never_changes_the_order_of_the_others(
    seed: bytes, field: list[Entry], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(field))
    others = [entry_id for entry_id in order(seed, field) if entry_id != gone.id]
    assert order(seed, [entry for entry in field if entry is not gone]) == others


def test_the_first_place_goes_by_tickets() -> None:
    field = [Entry("1" * 24, "masters", None, 1), Entry("2" * 24, "masters", None, 3)]
    first = Counter(order(number.to_bytes(32, "big"), field)[0] for number in range(4000))
    assert first["2" * 24] == pytest.approx(3000, abs=4 * (4000 * 0.75 * 0.25) ** 0.5)


# Allocation


def seats_of(division: Division, groups: list[str | None]) -> list[How]:
    return [how for _id, how in allocate(division, [(str(number), group) for number, group in enumerate(groups)])]


def test_the_own_reserve_comes_before_an_open_seat() -> None:
    division = Division("masters", 3, (Reserve("champions", 1),))
    assert seats_of(division, ["champions", "champions", None, None]) == ["reserved", "open", "open", "waitlist"]


def test_a_reserve_waits_for_its_group_however_late_it_comes() -> None:
    division = Division("masters", 2, (Reserve("champions", 1),))
    assert seats_of(division, [None, None, "veterans", "champions"]) == ["open", "waitlist", "waitlist", "reserved"]


def test_a_reserve_that_nobody_can_take_stays_free() -> None:
    assert seats_of(Division("masters", 2, (Reserve("champions", 2),)), [None, "veterans"]) == ["waitlist", "waitlist"]


def test_a_division_without_seats_has_a_waitlist_only() -> None:
    assert seats_of(Division("masters", 0), [None, "champions"]) == ["waitlist", "waitlist"]


divisions = st.builds(
    lambda unreserved, champions, veterans: Division(
        "masters", unreserved + champions + veterans, (Reserve("veterans", veterans), Reserve("champions", champions))
    ),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
)
groups = st.lists(st.sampled_from([None, "champions", "veterans", "juniors"]), max_size=30)


@given(divisions, groups)
def test_seats_go_to_whom_they_are_meant_for_and_no_further(division: Division, groups: list[str | None]) -> None:
    taken = list(zip(groups, seats_of(division, groups), strict=True))
    counts = Counter(how for _group, how in taken)
    assert counts[How.OPEN] == min(
        division.unreserved,
        len(groups) - sum(min(reserve.seats, groups.count(reserve.group)) for reserve in division.reserved),
    )
    for reserve in division.reserved:
        own = [how for group, how in taken if group == reserve.group]
        # The first of the group take the whole reserve.
        assert own[: reserve.seats] == [How.RESERVED] * min(reserve.seats, len(own))
        assert How.RESERVED not in own[reserve.seats :]
    assert all(how is not How.RESERVED for group, how in taken if group in {None, "juniors"})


@given(divisions, groups)
def test_nobody_is_passed_by_one_of_the_same_group(division: Division, groups: list[str | None]) -> None:
    taken = list(zip(groups, seats_of(division, groups), strict=True))
    for group in set(groups):
        own = [how is How.WAITLIST for each, how in taken if each == group]
        assert own == sorted(own)


@pytest.mark.parametrize(
    ("seats", "reserved"),
    [(1, (Reserve("champions", 2),)), (-1, ()), (3, (Reserve("a", 1), Reserve("a", 1))), (3, (Reserve("a", -1),))],
)
def test_a_division_can_not_reserve_what_it_does_not_have(seats: int, reserved: tuple[Reserve, ...]) -> None:
    with pytest.raises(ValueError, match="reserve"):
        Division("masters", seats, reserved)


def test_a_bundle_without_divisions_is_still_a_bundle() -> None:
    result = Result((), bytes(32), {"kind": "commit-reveal", "secret": "0" * 64}, SEED)
    bundle = json.loads(b"".join(bundle_pieces(result, [b"{}"], [], lambda _code: [])))
    assert bundle["allocation"] == {}
    assert bundle["ranking"] == []
