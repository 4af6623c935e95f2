"""The chance of a seat in a draw, per group and number of tickets: exact, by an integral. Pure, on numpy.

Where the formula comes from. An entry's key is the smallest of `w` uniform numbers, one per ticket. Minus the logarithm of what is
left of the unit turns each into an exponential waiting time and keeps their order; the first of `w` such times is exponential with
rate `w`. So a draw is a race in which an entry with `w` tickets arrives by time t with probability 1 - e^(-w t), each on its own.
I get a seat if one is left when I arrive, and my arrival has density w e^(-w t):

    chance = integral over t in (0, inf) of  w e^(-w t) * P[a seat is left at t] dt

Without reserves a seat is left when at most k - 1 others have arrived, a sum of binomials, one for each number of tickets.

Reserves change only what is counted. The first R of a group to arrive take its R reserved seats, wherever they stand among the
others, and who comes after them competes for the open seats: max(0, arrivals - R) of each group, next to everybody whom no reserve
helps. At a given time all these numbers are independent, so this is exact as well: a seat is left for me while my group's reserve
is not used up, and then while the open seats are not.

Sums of independent numbers are convolutions, computed here as products of Fourier transforms on a window that leaves out less
than e^-28 (by Bernstein's inequality), so a million entrants cost little more than a thousand.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]
Crowd = Mapping[int, int]  # tickets -> how many entries hold that many

TAIL = 28.0  # e^-28 is less than 10^-12: what is less likely is left out
PRECISION = 1e-9  # to which a panel of the integral and its two halves have to agree
EARLIEST = 1e-13  # before it nobody has arrived: 10^6 entries with 64 tickets make that 10^-5 arrivals
PANEL_NODES, PANEL_WEIGHTS = np.polynomial.legendre.leggauss(32)
MOST_HALVINGS = 20
PLAYED_AT_ONCE = 2_000_000  # keys of simulated draws in memory
MOST_RESERVES = 4  # the exact chances take the longer the more groups have reserved seats: with five it is seconds
KEYS, DRAWS = 3_000_000, (20, 2000)  # played instead, in about a second: so many keys, but no fewer and no more draws


@dataclass(frozen=True)
class Row:
    """Entries of one group (None: of none) that hold the same number of tickets, and the chance of each, 0.0 to 1.0.

    `error` is the standard error of a simulated chance; None says that the chance is exact.
    """

    group: str | None
    tickets: int
    count: int
    chance: float
    error: float | None = None

    @property
    def expected(self) -> float:
        """How many of these entries get a seat, on average."""
        return self.count * self.chance


@dataclass(frozen=True)
class Odds:
    """The chances in one division, by group and tickets; `draws` is how many were simulated, None if the chances are exact."""

    seats: int
    rows: tuple[Row, ...]
    draws: int | None = None

    @property
    def exact(self) -> bool:
        return self.draws is None

    @property
    def entrants(self) -> int:
        return sum(row.count for row in self.rows)


def chance(seats: int, tickets: int, others: Crowd) -> float:
    """The chance that an entry with `tickets` gets one of `seats` open seats against the others; off by less than 1e-8."""
    return _chance(tickets, _Rivals(seats, others))


def odds(
    open_seats: int,
    reserves: Mapping[str, int],
    entrants: Mapping[tuple[str | None, int], int],
    *,
    releases_reserved: bool = False,
) -> Odds:
    """Everybody's exact chance in one division.

    `reserves`: group -> seats kept for it, next to the open ones. `entrants`: (group or None, tickets) -> how many. With
    `releases_reserved` the reserved seats that a group is too small to take are open seats.
    """
    field = _Field.of(open_seats, reserves, entrants, releases_reserved=releases_reserved)
    rows = (Row(*key, count, field.chance(*key)) for key, count in _classes(entrants))
    return Odds(open_seats + sum(reserves.values()), tuple(rows))


def simulated_odds(
    open_seats: int,
    reserves: Mapping[str, int],
    entrants: Mapping[tuple[str | None, int], int],
    *,
    releases_reserved: bool = False,
    draws: int,
    seed: int,
) -> Odds:
    """The same from `draws` draws that were played, to see the exact chances come about: arrivals, then seats, as in a real one."""
    field = _Field.of(open_seats, reserves, entrants, releases_reserved=releases_reserved)
    classes = _classes(entrants)
    shares = np.concatenate(list(_played(field, classes, draws, seed))) if classes else np.empty((draws, 0))
    errors = shares.std(axis=0, ddof=1 if draws > 1 else 0) / math.sqrt(draws)
    rows = (
        Row(*key, count, float(share), float(error))
        for (key, count), share, error in zip(classes, shares.mean(axis=0), errors, strict=True)
    )
    return Odds(open_seats + sum(reserves.values()), tuple(rows), draws)


def odds_in_time(
    open_seats: int,
    reserves: Mapping[str, int],
    entrants: Mapping[tuple[str | None, int], int],
    *,
    releases_reserved: bool = False,
) -> Odds:
    """The same for a page, which can't wait: simulated where the exact chances would take seconds, or don't settle."""
    if sum(seats > 0 for seats in reserves.values()) <= MOST_RESERVES:
        try:
            return odds(open_seats, reserves, entrants, releases_reserved=releases_reserved)
        except ArithmeticError:
            logger.exception("The exact chances of %s for %s and %s did not settle", entrants, open_seats, reserves)
    fewest, most = DRAWS
    draws = max(fewest, min(most, KEYS // max(1, sum(entrants.values()))))
    return simulated_odds(open_seats, reserves, entrants, releases_reserved=releases_reserved, draws=draws, seed=1)


def _classes(entrants: Mapping[tuple[str | None, int], int]) -> list[tuple[tuple[str | None, int], int]]:
    """Those without a group first, then by group and tickets."""
    present = [(key, count) for key, count in entrants.items() if count]
    return sorted(present, key=lambda item: (item[0][0] is not None, item[0][0] or "", item[0][1]))


@dataclass(frozen=True)
class _Field:
    """Who competes for what: `sure` are groups whose reserve is as large as they are, `contested` those with a smaller one."""

    open_seats: int
    free: Counter[int]
    sure: frozenset[str]
    contested: dict[str, tuple[int, Counter[int]]]

    @classmethod
    def of(
        cls,
        open_seats: int,
        reserves: Mapping[str, int],
        entrants: Mapping[tuple[str | None, int], int],
        *,
        releases_reserved: bool,
    ) -> "_Field":
        crowds: dict[str | None, Counter[int]] = {}
        for (group, tickets), count in entrants.items():
            crowds.setdefault(group, Counter())[tickets] += count
        sure: set[str] = set()
        contested = {}
        for group, seats in reserves.items():
            crowd = crowds.get(group, Counter())
            unused = seats - crowd.total()
            if unused >= 0:
                sure.add(group)
                open_seats += unused if releases_reserved else 0
            elif seats:
                contested[group] = (seats, crowd)
        helped = sure | contested.keys()
        free = sum((crowd for group, crowd in crowds.items() if group not in helped), Counter[int]())
        return cls(open_seats, free, frozenset(sure), contested)

    def chance(self, group: str | None, tickets: int) -> float:
        if group in self.sure:
            return 1.0
        myself = Counter({tickets: 1})
        reserves = tuple(reserve for name, reserve in self.contested.items() if name != group)
        rivals = _Rivals(self.open_seats, self.free, reserves)
        if group in self.contested:
            seats, crowd = self.contested[group]
            return _chance(tickets, replace(rivals, own=(seats, crowd - myself)))
        return _chance(tickets, replace(rivals, free=self.free - myself))


@dataclass(frozen=True)
class _Rivals:
    """The others, as one entry sees them.

    `free` compete for the open seats only; `reserves` are (seats, members) of other groups, `own` those of the entry's group.
    """

    open_seats: int
    free: Crowd
    reserves: tuple[tuple[int, Crowd], ...] = ()
    own: tuple[int, Crowd] | None = None

    @property
    def for_open_seats(self) -> int:
        """How many of them want an open seat when all have arrived."""
        reserves = [*self.reserves, *([self.own] if self.own else [])]
        return sum(self.free.values()) + sum(max(0, sum(crowd.values()) - seats) for seats, crowd in reserves)

    def leave_a_seat(self, times: Floats) -> Floats:
        """The probability that an entry which arrives at each of the times finds a seat. It falls with time."""
        waves = [_Wave(self.free, times)] + [_Wave(crowd, times, seats) for seats, crowd in self.reserves]
        if self.own is None:
            return _at_most(self.open_seats - 1, waves)
        seats, crowd = self.own
        mine = _Wave(crowd, times, seats)
        reserve_left = _at_most(seats - 1, [_Wave(crowd, times)])
        # While the reserve is left nobody spills over, so the second term is then what the first one leaves out.
        return reserve_left * (1 - _at_most(self.open_seats - 1, waves)) + _at_most(self.open_seats - 1, [*waves, mine])

    def window(self, latest: float) -> tuple[float, float]:
        """Before the first time a seat is surely left, from the second on surely none, or it does not matter any more."""
        times = np.geomspace(EARLIEST, latest, 4000)
        groups = [*self.reserves, *([self.own] if self.own else [])]
        everybody = sum((Counter(crowd) for _, crowd in groups), Counter(self.free))
        mean, reach = _spread(everybody, times)
        early = times[mean + reach < self.open_seats]
        gone = mean - reach > self.open_seats + sum(seats for seats, _ in groups)
        if self.own:
            mean, reach = _spread(self.own[1], times)
            gone &= mean - reach > self.own[0]
        late = times[gone]
        return (float(early[-1]) if early.size else 0.0, float(late[0]) if late.size else latest)


def _chance(tickets: int, rivals: _Rivals) -> float:
    """The integral. Raises ArithmeticError if it does not settle, which is a fault: the integrand is smooth."""
    if rivals.for_open_seats < rivals.open_seats:
        return 1.0
    if rivals.own is None and rivals.open_seats <= 0:
        return 0.0

    def panel(start: float, end: float) -> float:
        half = (end - start) / 2
        times = start + half * (1 + PANEL_NODES)
        density = tickets * np.exp(-tickets * times)
        return float(half * PANEL_WEIGHTS @ (density * rivals.leave_a_seat(times)))

    start, end = rivals.window(TAIL / tickets)
    before = -math.expm1(-tickets * start)
    return min(1.0, max(0.0, before + _settled(panel, start, end, panel(start, end))))


def _settled(
    panel: Callable[[float, float], float], start: float, end: float, whole: float, halvings: int = 0
) -> float:
    """The integral by Gauss and Legendre, on panels that are halved where the halves don't agree with the whole yet."""
    middle = (start + end) / 2
    left, right = panel(start, middle), panel(middle, end)
    if abs(left + right - whole) < PRECISION:
        return left + right
    if halvings == MOST_HALVINGS:
        raise ArithmeticError(f"The chance did not settle between {start} and {end}.")
    return _settled(panel, start, middle, left, halvings + 1) + _settled(panel, middle, end, right, halvings + 1)


def _arrived(crowd: Crowd, times: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """(how many, with which probability each has arrived), a row for each number of tickets, a column for each time."""
    counts = np.array(list(crowd.values()), dtype=np.int64).reshape(-1, 1)
    tickets = np.array(list(crowd), dtype=np.float64).reshape(-1, 1)
    return counts, -np.expm1(-tickets * times)


def _spread(crowd: Crowd, times: Floats) -> tuple[Floats, Floats]:
    """The mean number of arrivals, and how far from it they are less often than e^-TAIL on each side (Bernstein)."""
    counts, arrived = _arrived(crowd, times)
    variance = (counts * arrived * (1 - arrived)).sum(axis=0)
    return (counts * arrived).sum(axis=0), TAIL / 3 + np.sqrt(TAIL**2 / 9 + 2 * TAIL * variance)


class _Wave:
    """How many of a crowd have arrived at each of some times, less the first `reserved`: a distribution on a window.

    `low`: where the window begins, one number for each time; `span`: how many numbers after it are in the window.
    """

    def __init__(self, crowd: Crowd, times: Floats, reserved: int = 0) -> None:
        self._counts, self._arrived = _arrived(crowd, times)
        self._reserved = reserved
        mean, reach = _spread(crowd, times)
        total = sum(crowd.values())
        self.span = min(total, 2 * math.ceil(reach.max()))
        self._first = np.clip(np.floor(mean - reach).astype(np.int64), 0, total - self.span)
        self.low = np.maximum(0, self._first - reserved)

    def transform(self, size: int) -> Complexes:
        """The Fourier transform at multiples of 2 pi / size, as numpy's rfft has it; (times, size // 2 + 1)."""
        if not self._reserved:
            return self._binomials(size)
        chances = _chances(self._binomials(self.span + 1), self._first, self.span + 1)
        numbers = np.maximum(0, self._first[:, None] + np.arange(self.span + 1) - self._reserved) % size
        rows = size * np.arange(len(chances))[:, None]
        folded = np.bincount((rows + numbers).ravel(), chances.ravel(), minlength=size * len(chances))
        return np.fft.rfft(folded.reshape(-1, size), axis=1)

    def _binomials(self, size: int) -> Complexes:
        """The product of the binomials' transforms; left 0 where it is less than e^-TAIL, which is nearly everywhere."""
        angle = 2 * np.pi / size * np.arange(size // 2 + 1)
        variance = (self._counts * self._arrived * (1 - self._arrived)).sum(axis=0)
        kept = int(np.count_nonzero(2 * variance.min() * np.sin(angle / 2) ** 2 < TAIL))
        turned = np.exp(-1j * angle[:kept]) - 1
        product = np.zeros((variance.size, angle.size), dtype=np.complex128)
        product[:, :kept] = 1
        for count, arrived in zip(self._counts, self._arrived, strict=True):
            product[:, :kept] *= (1 + arrived[:, None] * turned) ** count
        return product


def _at_most(most: int, waves: list[_Wave]) -> Floats:
    """The probability, at each time, that all waves together have at most so many."""
    low = sum((wave.low for wave in waves[1:]), waves[0].low)
    size = 1 + sum(wave.span for wave in waves)
    product = waves[0].transform(size)
    for wave in waves[1:]:
        product = product * wave.transform(size)
    chances = _chances(product, low, size)
    counted: Floats = np.where(low[:, None] + np.arange(size) <= most, chances, 0).sum(axis=1)
    return np.clip(counted, 0, 1)


def _chances(transform: Complexes, low: npt.NDArray[np.int64], size: int) -> Floats:
    """The probabilities of low, low + 1, ..., low + size - 1 from their transform."""
    turns = (low[:, None] * np.arange(size // 2 + 1)) % size
    return np.fft.irfft(transform * np.exp(2j * np.pi / size * turns), n=size, axis=1)


def _played(
    field: _Field, classes: list[tuple[tuple[str | None, int], int]], draws: int, seed: int
) -> Iterator[Floats]:
    """Which share of each class got a seat in each draw: (draws, classes), some draws at a time."""
    source = np.random.default_rng(seed)
    counts = [count for _, count in classes]
    tickets = np.repeat([float(tickets) for (_, tickets), _ in classes], counts)
    groups = np.repeat(np.array([group or "" for (group, _), _ in classes]), counts)
    starts = np.cumsum([0, *counts[:-1]])
    at_once = max(1, PLAYED_AT_ONCE // len(tickets))
    for begun in range(0, draws, at_once):
        times = source.exponential(size=(min(at_once, draws - begun), len(tickets))) / tickets
        yield np.add.reduceat(_seated(field, groups, times), starts, axis=1) / counts


def _seated(field: _Field, groups: npt.NDArray[np.str_], times: Floats) -> Floats:
    """1.0 for who has a seat in the end, else 0.0: reserves to the first of a group, open seats to the first of the rest."""
    seated = np.zeros(times.shape)
    seated[:, np.isin(groups, list(field.sure))] = 1.0
    for group, (seats, _) in field.contested.items():
        members = groups == group
        seated[:, members] = _first(seats, times[:, members])
    left = np.where(seated > 0, np.inf, times)
    return seated + _first(field.open_seats, left)


def _first(seats: int, times: Floats) -> Floats:
    """1.0 for the earliest so many of each row that ever arrive."""
    if seats <= 0:
        return np.zeros(times.shape)
    last = min(seats, times.shape[1]) - 1
    limit = np.partition(times, last, axis=1)[:, last : last + 1]
    return ((times <= limit) & np.isfinite(times)).astype(np.float64)
