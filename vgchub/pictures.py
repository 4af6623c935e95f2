"""Where the parts of a picture go: pure functions from plain numbers to coordinates of an SVG.

static/js/line.js draws the line by the same rules when it moves; a test holds both against each other.
"""

from dataclasses import dataclass

# In units of the picture's view box, 360 wide: a phone shows them about as pixels.
PERSON = 20
GAP = 46
MARGIN = 14
BAR = 10_000
# People drawn one by one: at the head, on each side of "you", at the tail.
HEAD, BESIDE, TAIL = 5, 2, 2
ALL_SHOWN = 16


@dataclass(frozen=True)
class Person:
    """Somebody in line: `at` is the position, `x` the middle."""

    at: int
    x: int
    is_you: bool
    is_likely: bool


@dataclass(frozen=True)
class Gap:
    """People left out of the picture between two that are in it; `x` is its middle."""

    first: int
    last: int
    x: int


@dataclass(frozen=True)
class LinePicture:
    """The line from head (left) to tail. `shade` is how far the part reaches that is likely served today, 0 for nobody."""

    people: tuple[Person, ...]
    gaps: tuple[Gap, ...]
    shade: int
    labels: tuple[tuple[int, int], ...]  # (position, x) of the numbers below


@dataclass(frozen=True)
class Part:
    """A part of a bar that is 10,000 wide."""

    start: int
    width: int


def seat_bar(seats: int, confirmed: int, offered: int, reserved: int) -> dict[str, Part]:
    """Confirmed, offered and reserved (free, but for a group) seats side by side; what is left of the bar is free."""
    parts, before = {}, 0
    for name, number in (("confirmed", confirmed), ("offered", offered), ("reserved", reserved)):
        parts[name] = Part(before * BAR // (seats or 1), number * BAR // (seats or 1))
        before += number
    return parts


def line_picture(waiting: int, position: int | None, likely: int) -> LinePicture:
    """`waiting` people stand in line, "you" at `position` (None for somebody who only looks), the first `likely` shaded."""
    people: list[Person] = []
    gaps: list[Gap] = []
    x, last = MARGIN, 0
    for window in _windows(waiting, position):
        if last:
            gaps.append(Gap(last + 1, window[0] - 1, x + GAP // 2 - PERSON // 2))
            x += GAP
        for at in range(window[0], window[1] + 1):
            people.append(Person(at, x, at == position, at <= likely))
            x += PERSON
        last = window[1]
    labels = tuple((person.at, person.x) for person in people if _has_label(person.at, position, waiting))
    return LinePicture(tuple(people), tuple(gaps), _shade(people, gaps, min(likely, waiting)), labels)


def _windows(waiting: int, position: int | None) -> list[tuple[int, int]]:
    """The stretches of the line that are drawn; two that would leave out one or two people become one."""
    if waiting <= ALL_SHOWN:
        return [(1, waiting)] if waiting else []
    wanted = [(1, HEAD), (waiting - TAIL + 1, waiting)]
    if position is not None:
        wanted.insert(1, (max(1, position - BESIDE), min(waiting, position + BESIDE)))
    merged = wanted[:1]
    for first, last in wanted[1:]:
        if first - merged[-1][1] <= 3:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _has_label(at: int, position: int | None, waiting: int) -> bool:
    """You, and the two ends where they are not next to you."""
    if at == position:
        return True
    return at in (1, waiting) and (position is None or abs(at - position) > 2)


def _shade(people: list[Person], gaps: list[Gap], likely: int) -> int:
    """How far right the shade reaches: behind the last likely person, in a gap by proportion."""
    if not likely:
        return 0
    for person in people:
        if person.at == likely:
            return person.x + PERSON // 2
    gap = next(gap for gap in gaps if gap.first <= likely <= gap.last)
    share = (likely - gap.first + 1) / (gap.last - gap.first + 1)
    return int(gap.x - GAP // 2 + share * GAP)
