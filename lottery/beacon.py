"""The only place that talks to drand: random values that nobody could know or choose before their time.

Relays are asked and never trusted: an answer counts when the chain's pinned key has signed it. A round has one value for ever, so
it doesn't matter which relay gave it. Plain values come out; errors are these two and no others.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import aiohttp
from django.conf import settings

logger = logging.getLogger(__name__)

ANSWER_BYTES = 1000  # an answer has about 250
NOT_YET = (404, 425)


class BeaconError(Exception):
    """The round could not be had."""


class BeaconNotYetError(BeaconError):
    """No relay has the round yet: ask again after a moment."""


class BeaconAwayError(BeaconError):
    """No relay could be reached, or none told the truth: ask again later."""


@dataclass(frozen=True)
class Chain:
    """A drand chain of the scheme `bls-unchained-g1-rfc9380`. `hash` and `public_key` in hex, `period` in seconds."""

    hash: str
    public_key: str
    genesis_time: int  # seconds since 1970
    period: int

    def round_published_at(self, round_number: int) -> datetime:
        return datetime.fromtimestamp(self.genesis_time + self.period * (round_number - 1), UTC)

    def first_round_after(self, moment: datetime) -> int:
        """The first round that is published at `moment` or later."""
        genesis = datetime.fromtimestamp(self.genesis_time, UTC)
        periods = -((genesis - moment) // timedelta(seconds=self.period))  # rounded up, in whole microseconds
        return max(1, periods + 1)


@dataclass(frozen=True)
class Beacon:
    """What a chain revealed with a round; `randomness` (32 bytes) and `signature` (48 bytes) in lower-case hex."""

    round: int
    randomness: str
    signature: str


@dataclass(frozen=True)
class Timeouts:
    """Seconds for one relay: to connect, and for everything together."""

    connect: float = 2
    total: float = 5


QUICKNET = Chain(
    hash="52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    public_key=(
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
        "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    ),
    genesis_time=1692803367,
    period=3,
)
TIMEOUTS = Timeouts()


def current_chain() -> Chain:
    """The chain that a new draw names: quicknet, unless DRAND_CHAIN names another."""
    info = settings.DRAND_CHAIN
    if not info:
        return QUICKNET
    return Chain(info["hash"], info["public_key"], int(info["genesis_time"]), int(info["period"]))


def chain_named(chain_hash: str) -> Chain:
    """The chain of a draw that was sealed earlier. Raises BeaconAwayError when its key isn't known here (any more)."""
    for chain in (current_chain(), QUICKNET):
        if chain.hash == chain_hash:
            return chain
    raise BeaconAwayError(f"no key is known of the chain {chain_hash}")


def fetch(
    chain: Chain, round_number: int, relays: Sequence[str] | None = None, timeouts: Timeouts = TIMEOUTS
) -> Beacon:
    """The value of a round, from the first relay (of DRAND_RELAYS) that has it and tells the truth.

    Takes a second where all is well, and never longer than `timeouts` for each relay. Raises BeaconNotYetError, BeaconAwayError.
    """
    not_yet = False
    for relay in settings.DRAND_RELAYS if relays is None else relays:
        try:
            return _ask(relay, chain, round_number, timeouts)
        except BeaconNotYetError:
            not_yet = True
            logger.info("%s does not have round %d of drand yet", relay, round_number)
        except BeaconAwayError as error:
            logger.warning("%s did not give round %d of drand: %s", relay, round_number, error)
    if not_yet:
        raise BeaconNotYetError(f"no relay has round {round_number} yet")
    raise BeaconAwayError(f"no relay gave round {round_number}")


def is_genuine(chain: Chain, beacon: Beacon) -> bool:
    """Whether the chain's key has signed this round, and the randomness is what follows from the signature."""
    from lottery import bls  # noqa: PLC0415  its import takes half a second, and few processes check signatures

    try:
        signature, key = bytes.fromhex(beacon.signature), bytes.fromhex(chain.public_key)
        signed = bls.message(beacon.round)
    except (ValueError, OverflowError):
        return False
    return beacon.randomness == sha256(signature).hexdigest() and bls.holds(signature, key, signed)


def _ask(relay: str, chain: Chain, round_number: int, timeouts: Timeouts) -> Beacon:
    """One relay's answer, checked. Raises BeaconNotYetError, BeaconAwayError."""
    url = f"{relay.rstrip('/')}/{chain.hash}/public/{round_number}"
    try:
        status, body = asyncio.run(_get(url, timeouts))
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that is none
        raise BeaconAwayError(f"{type(error).__name__} {error}") from error
    if status in NOT_YET:
        raise BeaconNotYetError(f"answered {status}")
    if status != 200 or len(body) > ANSWER_BYTES:
        raise BeaconAwayError(f"answered {status} with {len(body)} bytes or more")
    beacon = _parsed(body, round_number)
    if not is_genuine(chain, beacon):
        raise BeaconAwayError("what it says is not signed by the chain")
    return beacon


async def _get(url: str, timeouts: Timeouts) -> tuple[int, bytes]:
    """Status and body of an address, as it is: no redirects, nothing unpacked, and no more than it takes to see that it's too much.

    aiohttp, because its `total` also ends an answer that drips in byte by byte.
    """
    limits = aiohttp.ClientTimeout(total=timeouts.total, sock_connect=timeouts.connect)
    session = aiohttp.ClientSession(timeout=limits, auto_decompress=False, trust_env=True)
    async with session, session.get(url, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as response:
        body = b""
        async for part in response.content.iter_any():
            body += part
            if len(body) > ANSWER_BYTES:
                break
        return response.status, body


def _parsed(body: bytes, round_number: int) -> Beacon:
    """What a relay's JSON says of that round, in lower case. Raises BeaconAwayError when it says something else."""
    try:
        answer: dict[str, Any] = json.loads(body)
        randomness, signature = (bytes.fromhex(answer[name]).hex() for name in ("randomness", "signature"))
        told = answer["round"]
    except (ValueError, TypeError, KeyError) as error:
        raise BeaconAwayError("its answer is not drand's") from error
    if told != round_number:
        raise BeaconAwayError(f"asked for round {round_number}, it told of {told}")
    return Beacon(round_number, randomness, signature)
