"""A relay of a drand chain of the tests' own, over real HTTP, so that any round can be asked for and anything can go wrong.

    with Relay() as relay:
        beacon.fetch(CHAIN, 7, [relay.url])

`answer_with` sets how it behaves from then on; `CHAIN_INFO` is what DRAND_CHAIN takes. Nothing in here is secret.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from py_ecc.bls.g2_primitives import G2_to_signature
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1
from py_ecc.optimized_bls12_381 import G2, curve_order, multiply

from lottery import bls
from lottery.beacon import Beacon, Chain

SECRET_KEY = int.from_bytes(sha256(b"a chain for tests").digest(), "big") % curve_order
GENESIS_TIME = 1767225600  # 2026 began
PERIOD = 3


def chain_hash(public_key: str, genesis_time: int, period: int, seed: str, beacon_id: str) -> str:
    """drand's hash of a chain, which says once and for all whose key it is."""
    told = period.to_bytes(4, "big") + genesis_time.to_bytes(8, "big") + bytes.fromhex(public_key + seed)
    return sha256(told + beacon_id.encode()).hexdigest()


def _chain_info() -> dict[str, Any]:
    public_key = G2_to_signature(multiply(G2, SECRET_KEY)).hex()
    seed = sha256(b"the seed of a chain for tests").hexdigest()
    return {
        "public_key": public_key,
        "period": PERIOD,
        "genesis_time": GENESIS_TIME,
        "hash": chain_hash(public_key, GENESIS_TIME, PERIOD, seed, "tests"),
        "groupHash": seed,
        "schemeID": "bls-unchained-g1-rfc9380",
        "metadata": {"beaconID": "tests"},
    }


CHAIN_INFO = _chain_info()
CHAIN = Chain(CHAIN_INFO["hash"], CHAIN_INFO["public_key"], GENESIS_TIME, PERIOD)


@cache
def make_beacon(round_number: int) -> Beacon:
    """What the tests' chain reveals with a round."""
    point = multiply(hash_to_G1(bls.message(round_number), bls.DST, sha256), SECRET_KEY)
    signature = int(compress_G1(point)).to_bytes(bls.SIGNATURE_BYTES, "big")
    return Beacon(round_number, sha256(signature).hexdigest(), signature.hex())


def told(beacon: Beacon) -> bytes:
    """A round as a relay's JSON tells it."""
    return json.dumps({"round": beacon.round, "randomness": beacon.randomness, "signature": beacon.signature}).encode()


class Asked(BaseHTTPRequestHandler):
    """One request. A behaviour is a function of it and of the round's number."""

    server: "Server"

    def do_GET(self) -> None:
        match self.path.strip("/").split("/"):
            case [chain, "info"] if chain == CHAIN.hash:
                self.reply(200, json.dumps(CHAIN_INFO).encode())
            case [chain, "public", number] if chain == CHAIN.hash:
                with suppress(OSError):  # who asked went away
                    self.server.behaviour(self, int(number))
            case [chain, "public", number, "again"] if chain == CHAIN.hash:
                right(self, int(number))
            case _:
                self.reply(404, b'{"error": "round or chain not found"}')

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the standard library
        """Say nothing."""


Behaviour = Callable[[Asked, int], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    behaviour: Behaviour


class Relay:
    """A relay at `url` that answers rightly, until it is told to behave otherwise."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.server = Server(("127.0.0.1", 0), Asked)
        self.server.behaviour = behaviour or right
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer_with(self, behaviour: Behaviour) -> None:
        self.server.behaviour = behaviour

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()


# --- Behaviours ------------------------------------------------------------------------------------------------------


def right(asked: Asked, number: int) -> None:
    asked.reply(200, told(make_beacon(number)))


def on_time(asked: Asked, number: int) -> None:
    """As a real relay: what isn't published yet isn't there, or it is too early for it."""
    early = CHAIN.round_published_at(number).timestamp() - time.time()
    if early > 0:
        asked.reply(404 if early > PERIOD else 425)
    else:
        right(asked, number)


def late(asked: Asked, number: int) -> None:
    asked.reply(404)


def too_early(asked: Asked, number: int) -> None:
    asked.reply(425)


def out_of_order(asked: Asked, number: int) -> None:
    asked.reply(500)


def another_round(asked: Asked, number: int) -> None:
    asked.reply(200, told(make_beacon(number + 1)))


def signature_of_another_round(asked: Asked, number: int) -> None:
    other = make_beacon(number + 1)
    asked.reply(200, told(Beacon(number, other.randomness, other.signature)))


def own_randomness(asked: Asked, number: int) -> None:
    """Rightly signed, and then a value that the relay would rather see."""
    asked.reply(200, told(Beacon(number, "00" * 32, make_beacon(number).signature)))


def rubbish(asked: Asked, number: int) -> None:
    asked.reply(200, b"<html>Welcome to the wireless network of the venue</html>")


def other_json(asked: Asked, number: int) -> None:
    asked.reply(200, b'{"round": Infinity, "randomness": null, "signature": [[]]}')


def too_much(asked: Asked, number: int) -> None:
    asked.reply(200, told(make_beacon(number)) + b" " * 5_000_000)


def elsewhere(asked: Asked, number: int) -> None:
    """To where it would be told rightly, so that only not going there explains the refusal."""
    asked.reply(302, Location=f"{asked.path}/again")


def cut_off(asked: Asked, number: int) -> None:
    body = told(make_beacon(number))
    asked.reply(200, body[:100], **{"Content-Length": str(len(body))})
    asked.connection.shutdown(socket.SHUT_RDWR)


def silent(asked: Asked, number: int) -> None:
    time.sleep(15)


def dripping(asked: Asked, number: int) -> None:
    """A byte at a time, so that no single wait is long."""
    body = told(make_beacon(number))
    asked.reply(200, b"", **{"Content-Length": str(len(body))})
    for byte in body[:60]:
        asked.wfile.write(bytes([byte]))
        time.sleep(0.25)
