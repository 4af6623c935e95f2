"""What a tournament takes, reckoned from what one request, one socket and one move of the line were measured to cost.

Costs are CPU milliseconds of one core and bytes, as `bin/bench` printed them on the machines of docs/performance.md (those of
pages on the slower one); what is assumed of people, and what a pod of each kind is, stands beside them. Pure arithmetic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Cost:
    """One figure, and where it comes from."""

    value: float
    source: str


JOIN_WEB_MS = Cost(2.4, "bin/bench joins --via page: cpu_ms, web")
JOIN_DATABASE_MS = Cost(0.7, "bin/bench joins --via page: cpu_ms, postgres")
JOIN_REDIS_MS = Cost(0.14, "bin/bench joins --via page: cpu_ms, valkey")
OWN_PAGE_WEB_MS = Cost(6.1, "bin/bench pages: page_signed_in, cpu_us, web")
OWN_PAGE_DATABASE_MS = Cost(0.32, "bin/bench pages: page_signed_in, cpu_us, postgres")
OWN_PAGE_REDIS_MS = Cost(0.08, "bin/bench pages: page_signed_in, cpu_us, valkey")
OWN_PAGE_BYTES = Cost(12_700, "bin/bench pages: page_signed_in, bytes")
SHARED_PAGE_WEB_MS = Cost(0.9, "bin/bench pages: page, cpu_us, web")
SHARED_PAGE_BYTES = Cost(3_800, "bin/bench pages: page, bytes")
SOCKET_KB = Cost(23.1, "bin/bench sockets: mb_per_1000")
SOCKET_WRITE_MS = Cost(0.011, "bin/bench sockets: 11% of a core for 10,000 sockets whose line moves")
LINE_BYTES = Cost(305, "docs/performance.md, Live: bytes of a text, compressed, less its blocks")
LINE_BYTES_A_BLOCK = Cost(5.9, "docs/performance.md, Live: bytes of a text, compressed, by 1,024 who wait")
TEXT_BYTES = Cost(430, "docs/performance.md, Live: the same texts as Redis passes them on, not compressed")
TEXT_BYTES_A_BLOCK = Cost(12.8, "docs/performance.md, Live: the same texts as Redis passes them on, not compressed")
OFFER_DATABASE_MS = Cost(
    4.9, "bin/bench seats: postgres_ms, 1.3; docs/performance.md, The rush: a look for signals of fraud, 3.6"
)
OFFER_WORKER_MS = Cost(
    45.0, "bin/bench rush: cpu_s_joining and cpu_s_afterwards, worker, for each seat with its mails and payment"
)
SESSION_KB = Cost(0.39, "bin/bench joins --via page: kept_kb, session")
LIMITS_KB = Cost(0.38, "bin/bench joins: kept_kb, limits")

# --- What is assumed ---------------------------------------------------------------------------------------------------

PEAK = 4  # the busiest seconds see so many times the mean of the minutes in which people come
OWN_PAGES = 6  # of everybody who joins: the tournament's page a few times, the form, the live page
SHARED_PAGES = 10  # for everybody who joins, of people who only look, or have not signed in yet
SEATS_A_MINUTE = 1000  # offers_per_minute, as tournaments have it
STATEMENTS_A_JOIN, STATEMENTS_A_PAGE = 3, 3
USED = 0.6  # of a core at the peak; the rest is for what nobody has foreseen

WEB_CORES, WEB_CONNECTIONS = 2, 16  # a web pod: two processes with WEB_POOL connections each, at the worst
LIVE_SOCKETS, LIVE_CONNECTIONS = 10_000, 4  # a live pod: one process on one core
WORKER_CORES, WORKER_CONNECTIONS = 1, 2
CLOCK_PODS, CLOCK_CONNECTIONS = 2, 1  # one works, one stands by
DIRECT_CONNECTIONS = 300  # more than that go through PgBouncer

# --- What is a lot: said in words below the plan -----------------------------------------------------------------------

ONE_DATABASE_CORES = 32
ONE_REDIS_CORES = 1
ONE_NETWORK_BYTES = 1.25e9  # 10 Gbit/s

MOST_PLAYERS = 100_000_000
MOST_SEATS = 10_000_000
MOST_MINUTES = 7 * 24 * 60


class NoPlanError(ValueError):
    """What was asked for is no tournament; the text says what is wrong with it."""


@dataclass(frozen=True)
class Plan:
    """What a tournament takes in its busiest seconds. Rates are by the second, pods as the constants above have them."""

    players: int
    seats: int
    minutes: float
    joins: float
    own_pages: float
    shared_pages: float
    page_bytes: float
    sockets: int
    socket_bytes: float
    line_bytes: float
    web_pods: int
    live_pods: int
    live_mb: float
    worker_pods: int
    clock_pods: int
    connections: int
    statements: float
    database_cores: float
    redis_cores: float
    redis_mb: float
    redis_bytes: float
    sold_out_minutes: float


def plan(players: int, seats: int, minutes: float) -> Plan:
    """What it takes when so many players come for so many seats within so many minutes.

    Raises:
        NoPlanError: with a sentence about the number that can't be
    """
    _check(players, seats, minutes)
    joins = players / (minutes * 60) * PEAK
    own_pages, shared_pages = joins * OWN_PAGES, joins * SHARED_PAGES
    offers = min(seats, SEATS_A_MINUTE) / 60
    web = joins * JOIN_WEB_MS.value + own_pages * OWN_PAGE_WEB_MS.value + shared_pages * SHARED_PAGE_WEB_MS.value
    database = (
        joins * JOIN_DATABASE_MS.value + own_pages * OWN_PAGE_DATABASE_MS.value + offers * OFFER_DATABASE_MS.value
    )
    redis = joins * JOIN_REDIS_MS.value + own_pages * OWN_PAGE_REDIS_MS.value
    blocks = players / 1024
    line_bytes = LINE_BYTES.value + blocks * LINE_BYTES_A_BLOCK.value
    text_bytes = TEXT_BYTES.value + blocks * TEXT_BYTES_A_BLOCK.value
    web_pods = max(2, ceil(_cores(web) / WEB_CORES))
    live_pods = max(2, ceil(players / min(LIVE_SOCKETS, USED * 1000 / SOCKET_WRITE_MS.value)))
    worker_pods = max(2, ceil(_cores(offers * OFFER_WORKER_MS.value) / WORKER_CORES))
    return Plan(
        players=players,
        seats=seats,
        minutes=minutes,
        joins=joins,
        own_pages=own_pages,
        shared_pages=shared_pages,
        page_bytes=own_pages * OWN_PAGE_BYTES.value + shared_pages * SHARED_PAGE_BYTES.value,
        sockets=players,
        socket_bytes=players * line_bytes,
        line_bytes=line_bytes,
        web_pods=web_pods,
        live_pods=live_pods,
        live_mb=players * SOCKET_KB.value / 1000 / live_pods,
        worker_pods=worker_pods,
        clock_pods=CLOCK_PODS,
        connections=(
            web_pods * WEB_CONNECTIONS
            + live_pods * LIVE_CONNECTIONS
            + worker_pods * WORKER_CONNECTIONS
            + CLOCK_PODS * CLOCK_CONNECTIONS
        ),
        statements=joins * STATEMENTS_A_JOIN + own_pages * STATEMENTS_A_PAGE,
        database_cores=_cores(database),
        redis_cores=_cores(redis),
        redis_mb=players * (SESSION_KB.value + LIMITS_KB.value) / 1000,
        redis_bytes=text_bytes * live_pods,
        sold_out_minutes=seats / SEATS_A_MINUTE,
    )


def _cores(milliseconds: float) -> float:
    """Of which so many milliseconds a second use no more than they should."""
    return milliseconds / 1000 / USED


def _check(players: int, seats: int, minutes: float) -> None:
    for name, value, most in (
        ("players", players, MOST_PLAYERS),
        ("seats", seats, MOST_SEATS),
        ("minutes", minutes, MOST_MINUTES),
    ):
        if not 1 <= value <= most:
            raise NoPlanError(f"{name} has to be from 1 to {most:,}, not {value:,}.")


def table(found: Plan) -> Iterator[tuple[str, str]]:
    """What is planned, and how much of it, as a person reads it."""
    yield "joins a second", _count(found.joins)
    yield "pages a second, signed in", _count(found.own_pages)
    yield "pages a second, shared", f"{_count(found.shared_pages)} (fewer behind a CDN)"
    yield "pages, bytes a second", _bytes(found.page_bytes)
    yield "sockets", f"{found.sockets:,}"
    yield (
        "sockets, bytes a second",
        f"{_bytes(found.socket_bytes)} ({_bytes(found.line_bytes)} each time the line moves)",
    )
    yield "web pods", f"{found.web_pods:,} of {WEB_CORES} cores"
    yield "live pods", f"{found.live_pods:,} of 1 core, {_count(found.live_mb)} MB of sockets each"
    yield "worker pods", f"{found.worker_pods:,} of {WORKER_CORES} core"
    yield "clock pods", f"{found.clock_pods:,} (one stands by)"
    pooled = " (through PgBouncer)" if found.connections > DIRECT_CONNECTIONS else ""
    yield "database connections", f"{found.connections:,}{pooled}"
    yield "database", f"{_count(found.statements)} statements a second, {_cores_in_words(found.database_cores)}"
    told = f"{_bytes(found.redis_bytes)} a second to live pods"
    yield "Redis", f"{_bytes(found.redis_mb * 1e6)} kept, {_cores_in_words(found.redis_cores)}, {told}"
    yield "all seats offered after", f"{_count(found.sold_out_minutes)} min or later"


def advice(found: Plan) -> Iterator[str]:
    """What is more than one of its kind was measured to carry, and what helps; nothing for a plan that is plain."""
    if found.database_cores > ONE_DATABASE_CORES:
        yield (
            f"One PostgreSQL of {found.database_cores:,.0f} cores is the limit: let people come over more minutes "
            "(a fair start or a lottery costs nobody the place), and read pages from a replica."
        )
    if found.redis_cores > ONE_REDIS_CORES:
        yield "One Redis uses one core for its commands: spread sessions and limits over a cluster."
    if found.socket_bytes > ONE_NETWORK_BYTES:
        yield (
            f"Sockets take {found.socket_bytes * 8 / 1e9:,.0f} Gbit/s while the line moves every second: publish it less often, "
            "or spread live pods over networks."
        )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}"


def _cores_in_words(value: float) -> str:
    return f"{_count(value)} cores" if value >= 1 else "less than a core"


def _bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{_count(value / size)} {unit}"
    return f"{value:.0f} B"
