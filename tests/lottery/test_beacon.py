"""drand: when a round is due, what a relay has to say to be believed, and what becomes of one that doesn't."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from py_ecc.bls.g2_primitives import subgroup_check
from py_ecc.bls.point_compression import decompress_G1

from lottery import beacon
from lottery.beacon import QUICKNET, Beacon, BeaconAwayError, BeaconNotYetError, Timeouts
from tests.lottery import relay as behaving
from tests.lottery.relay import CHAIN, CHAIN_INFO, Behaviour, Relay, chain_hash, make_beacon

# Three rounds that quicknet has published.
ROUNDS = [
    Beacon(
        123,
        "fb8f7bc29bf24db51871ec8c79f3a1e4bd0557bc0dfcee9ed1d924e69d1c60dc",
        "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92",
    ),
    Beacon(
        1000,
        "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
    ),
    Beacon(
        657413,
        "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587",
        "b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7be41076862b98fad56e91a6b85b89cd97b",
    ),
]
QUICKNET_SEED = "f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"
ZERO = bytes([0xC0]) + bytes(47)
SHORT = Timeouts(connect=0.5, total=1)


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as running:
        yield running


def signed_with(signature: bytes, round_number: int = 1000) -> Beacon:
    """Somebody's signature, with the randomness that follows from it."""
    return Beacon(round_number, sha256(signature).hexdigest(), signature.hex())


def flipped(text: str, bit: int) -> bytes:
    return (int(text, 16) ^ 1 << bit).to_bytes(len(text) // 2, "big")


# --- When a round is due -----------------------------------------------------------------------------------------------


def test_rounds_are_published_a_period_apart_from_the_first_at_genesis() -> None:
    assert QUICKNET.round_published_at(1) == datetime(2023, 8, 23, 15, 9, 27, tzinfo=UTC)
    assert QUICKNET.round_published_at(1000) == datetime(2023, 8, 23, 15, 59, 24, tzinfo=UTC)


def test_before_the_chain_began_the_first_round_comes_next() -> None:
    assert QUICKNET.first_round_after(datetime(2020, 1, 1, tzinfo=UTC)) == 1


@given(st.datetimes(datetime(2023, 8, 24), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  aware by `timezones`
def test_the_first_round_after_a_moment_is_not_before_it_and_the_one_before_is(moment: datetime) -> None:
    number = QUICKNET.first_round_after(moment)
    assert QUICKNET.round_published_at(number - 1) < moment <= QUICKNET.round_published_at(number)


def test_a_round_published_at_the_very_moment_counts_and_a_microsecond_later_does_not() -> None:
    moment = QUICKNET.round_published_at(5_000_000)
    assert QUICKNET.first_round_after(moment) == 5_000_000
    assert QUICKNET.first_round_after(moment + timedelta(microseconds=1)) == 5_000_001


# --- What is genuine ---------------------------------------------------------------------------------------------------


def test_the_pinned_key_and_times_are_the_ones_that_the_hash_of_quicknet_stands_for() -> None:
    told = chain_hash(QUICKNET.public_key, QUICKNET.genesis_time, QUICKNET.period, QUICKNET_SEED, "quicknet")
    assert told == QUICKNET.hash


@pytest.mark.parametrize("published", ROUNDS, ids=lambda published: str(published.round))
def test_rounds_that_quicknet_published_are_genuine(published: Beacon) -> None:
    assert beacon.is_genuine(QUICKNET, published)


def test_one_bit_of_a_signature_makes_it_a_forgery() -> None:
    forged = [signed_with(flipped(ROUNDS[1].signature, bit)) for bit in range(384)]
    assert [one for one in forged if beacon.is_genuine(QUICKNET, one)] == []


def test_one_bit_in_each_byte_of_the_key_makes_it_somebody_elses() -> None:
    keys = [flipped(QUICKNET.public_key, bit) for bit in (*range(0, 768, 8), 765)]
    chains = [replace(QUICKNET, public_key=key.hex()) for key in keys]
    assert [chain for chain in chains if beacon.is_genuine(chain, ROUNDS[1])] == []


@pytest.mark.parametrize("bit", [0, 1, 9, 63])
def test_a_signature_of_one_round_is_none_of_another(bit: int) -> None:
    assert not beacon.is_genuine(QUICKNET, replace(ROUNDS[1], round=1000 ^ 1 << bit))


@pytest.mark.parametrize("number", [-1, 2**64])
def test_there_is_no_round_of_a_number_that_does_not_fit(number: int) -> None:
    assert not beacon.is_genuine(QUICKNET, replace(ROUNDS[1], round=number))


def test_randomness_that_does_not_follow_from_the_signature_is_none() -> None:
    assert not beacon.is_genuine(QUICKNET, replace(ROUNDS[1], randomness=ROUNDS[0].randomness))


def test_zero_signs_nothing() -> None:
    assert not beacon.is_genuine(QUICKNET, signed_with(ZERO))


def test_a_key_of_zero_is_no_key_although_zero_is_what_it_would_sign() -> None:
    chain = replace(QUICKNET, public_key=(ZERO + bytes(48)).hex())
    assert not beacon.is_genuine(chain, signed_with(ZERO))


def test_a_point_of_the_curve_outside_of_the_group_signs_nothing() -> None:
    outside = (1 << 383 | 4).to_bytes(48, "big")
    assert not subgroup_check(decompress_G1(int.from_bytes(outside, "big")))
    assert not beacon.is_genuine(QUICKNET, signed_with(outside))


@pytest.mark.parametrize("length", [0, 47, 49, 96])
def test_a_signature_of_another_length_is_none(length: int) -> None:
    signature = (bytes.fromhex(ROUNDS[1].signature) * 2)[:length]
    assert not beacon.is_genuine(QUICKNET, signed_with(signature))


def test_a_key_of_another_length_is_none() -> None:
    assert not beacon.is_genuine(replace(QUICKNET, public_key=QUICKNET.public_key[:-2]), ROUNDS[1])


def test_what_is_not_hex_is_not_genuine() -> None:
    assert not beacon.is_genuine(QUICKNET, replace(ROUNDS[1], signature="a signature"))


# --- Asking relays -----------------------------------------------------------------------------------------------------


def test_a_relay_tells_a_round(relay: Relay) -> None:
    assert beacon.fetch(CHAIN, 77, [relay.url]) == make_beacon(77)


@pytest.mark.parametrize(
    "behaviour",
    [
        behaving.out_of_order,
        behaving.another_round,
        behaving.signature_of_another_round,
        behaving.own_randomness,
        behaving.rubbish,
        behaving.other_json,
        behaving.too_much,
        behaving.elsewhere,
        behaving.cut_off,
        behaving.silent,
        behaving.dripping,
        behaving.late,
        behaving.too_early,
    ],
)
def test_a_relay_that_lies_or_fails_is_passed_over_and_logged(
    behaviour: Behaviour, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    make_beacon(77)  # signed beforehand, so that no time is lost with it
    with Relay(behaviour) as first, caplog.at_level(logging.INFO, logger="lottery.beacon"):
        assert beacon.fetch(CHAIN, 77, [first.url, relay.url], SHORT) == make_beacon(77)
    assert [first.url in line for line in caplog.messages] == [True]


@pytest.mark.parametrize("gone", ["http://127.0.0.1:9", "http://no-such-relay.invalid", "not an address", ""])
def test_a_relay_that_is_not_there_is_passed_over(gone: str, relay: Relay) -> None:
    assert beacon.fetch(CHAIN, 77, [gone, relay.url], SHORT) == make_beacon(77)


def test_an_address_may_end_with_a_slash(relay: Relay) -> None:
    assert beacon.fetch(CHAIN, 77, [relay.url + "/"]) == make_beacon(77)


@pytest.mark.parametrize("behaviour", [behaving.late, behaving.too_early])
def test_a_round_that_no_relay_has_is_not_there_yet(behaviour: Behaviour, relay: Relay) -> None:
    relay.answer_with(behaviour)
    with pytest.raises(BeaconNotYetError):
        beacon.fetch(CHAIN, 77, [relay.url, "http://127.0.0.1:9"])


def test_a_round_of_tomorrow_is_not_there_yet_and_one_of_today_is(relay: Relay) -> None:
    relay.answer_with(behaving.on_time)
    tomorrow = CHAIN.first_round_after(datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(BeaconNotYetError):
        beacon.fetch(CHAIN, tomorrow, [relay.url])
    today = CHAIN.first_round_after(datetime.now(UTC) - timedelta(seconds=10))
    assert beacon.fetch(CHAIN, today, [relay.url]) == make_beacon(today)


@pytest.mark.parametrize("relays", [[], ["http://127.0.0.1:9"]])
def test_drand_is_away_when_no_relay_answers(relays: list[str]) -> None:
    with pytest.raises(BeaconAwayError):
        beacon.fetch(CHAIN, 77, relays)


def test_drand_is_away_when_every_relay_lies(relay: Relay) -> None:
    relay.answer_with(behaving.own_randomness)
    with pytest.raises(BeaconAwayError):
        beacon.fetch(CHAIN, 77, [relay.url, relay.url])


@pytest.mark.parametrize("behaviour", [behaving.silent, behaving.dripping])
def test_a_slow_relay_costs_no_more_than_its_time(behaviour: Behaviour, relay: Relay) -> None:
    make_beacon(77)
    relay.answer_with(behaviour)
    began = time.monotonic()
    with pytest.raises(BeaconAwayError):
        beacon.fetch(CHAIN, 77, [relay.url], Timeouts(connect=0.2, total=0.4))
    assert time.monotonic() - began < 10


def test_settings_name_the_relays(relay: Relay, settings: Any) -> None:
    settings.DRAND_RELAYS = [relay.url]
    assert beacon.fetch(CHAIN, 77) == make_beacon(77)


def test_draws_are_on_quicknet_unless_the_settings_name_a_chain(settings: Any) -> None:
    assert beacon.current_chain() == QUICKNET
    settings.DRAND_CHAIN = CHAIN_INFO
    assert beacon.current_chain() == CHAIN


def test_a_draw_keeps_its_chain_when_the_settings_name_another(settings: Any) -> None:
    settings.DRAND_CHAIN = CHAIN_INFO
    assert beacon.chain_named(QUICKNET.hash) == QUICKNET
    assert beacon.chain_named(CHAIN.hash) == CHAIN
    settings.DRAND_CHAIN = {}
    with pytest.raises(BeaconAwayError):
        beacon.chain_named(CHAIN.hash)


# --- The tests' relay is like a real one ---------------------------------------------------------------------------------


def test_the_tests_relay_tells_a_round_in_the_shape_of_the_real_ones(relay: Relay) -> None:
    """drand's documented answer of an unchained network; the lengths are those of the rounds that quicknet published."""
    answer = requests.get(f"{relay.url}/{CHAIN.hash}/public/77", timeout=5)
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json()
    assert {name: type(value) for name, value in told.items()} == {"round": int, "randomness": str, "signature": str}
    assert (told["round"], len(told["randomness"]), len(told["signature"])) == (77, 64, 96)
    assert {(len(one.randomness), len(one.signature)) for one in ROUNDS} == {(64, 96)}


def test_the_tests_relay_tells_of_its_chain_in_the_shape_of_the_real_ones(relay: Relay) -> None:
    info = requests.get(f"{relay.url}/{CHAIN.hash}/info", timeout=5).json()
    assert info == json.loads(json.dumps(CHAIN_INFO))
    assert {name: type(value) for name, value in info.items()} == {
        "public_key": str,
        "period": int,
        "genesis_time": int,
        "hash": str,
        "groupHash": str,
        "schemeID": str,
        "metadata": dict,
    }
    assert len(info["public_key"]) == len(QUICKNET.public_key)


@pytest.mark.parametrize("path", ["/public/77", f"/{QUICKNET.hash}/public/77", "/"])
def test_the_tests_relay_knows_no_other_chain(path: str, relay: Relay) -> None:
    assert requests.get(relay.url + path, timeout=5).status_code == 404


def test_checking_signatures_leaves_the_process_safe_from_deeply_nested_json() -> None:
    # In a process of its own, because it would not survive.
    program = """
import json
from lottery import bls
try:
    json.loads("[" * 100_000)
except RecursionError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "refused\n")
