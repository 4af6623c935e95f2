"""What strikes cost a rush: requests that failed, silence, sockets that broke, places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

PUT_OFF = "take up: 503"  # without Stripe: "it does not answer; the seat is held"
SILENCE = 1.0  # seconds without an answer that are worth a word
TEN = 10.0  # seconds after which no request may fail any more

Places = dict[tuple[int, int], int | None]


@dataclass
class Struck:
    """A strike that happened, the places before it, and the monotonic times between which sockets and silence are its own."""

    name: str
    before: Places
    at: float
    ends: float = 0.0
    lost: int | None = None  # places that were others afterwards
    without_stripe: bool = False


def aftermath(strikes: Sequence[Struck], end: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By name of the strike; `end` is what the crowd met."""
    failures: list[list[tuple[float, str]]] = [[] for _ in strikes]
    times = [struck.at for struck in strikes]
    for sent, broke, what in end["failed"]:
        number = struck_by(times, sent, broke)
        if number is not None:
            failures[number].append((max(0.0, sent - times[number]), what))
    return {
        struck.name: _cost(struck, failed, list(_looks(struck, end)))
        for struck, failed in zip(strikes, failures, strict=True)
    }


def struck_by(times: Sequence[float], sent: float, broke: float) -> int | None:
    """Which of the strikes at these times a failed request counts for; None for one that broke before all of them.

    That is one that it was under way at and broke soon after; else the last before it was sent.
    """
    under_way = [number for number, at in enumerate(times) if sent < at <= broke]
    soon = [number for number in under_way if broke - times[number] <= TEN]
    before = [number for number, at in enumerate(times) if at <= sent]
    return next(iter((*soon[-1:], *before[-1:], *under_way)), None)


def _looks(struck: Struck, end: dict[str, Any]) -> Iterator[tuple[float, int, int, int]]:
    for at, away, asked, answers in end["looks"]:
        if struck.at <= at < struck.ends:
            yield at - struck.at, away, asked, answers


def _cost(
    struck: Struck, failures: list[tuple[float, str]], looks: list[tuple[float, int, int, int]]
) -> dict[str, Any]:
    """Requests that failed, also such as were sent later than ten seconds after it, and how long until all was as before."""
    failed = [later for later, what in failures if not (struck.without_stripe and what == PUT_OFF)]
    back = max((later for later, away, _asked, _answers in looks if away), default=0.0)
    silence, answered_again = _longest_silence(looks)
    return {
        "failed": len(failed),
        "failed_after_10_s": sum(later > TEN for later in failed),
        **({"put_off": len(failures) - len(failed)} if len(failures) > len(failed) else {}),
        "normal_s": round(max([back, answered_again, *failed]), 1),
        "silent_s": round(silence, 1),
        "sockets_broken": max((away for _later, away, _asked, _answers in looks), default=0),
        "sockets_back_s": round(back, 1),
        "places_compared": len(struck.before),
        "places_lost": struck.lost,
    }


def _longest_silence(looks: list[tuple[float, int, int, int]]) -> tuple[float, float]:
    """For how long, and until when, requests were under way and none was answered."""
    longest = until = 0.0
    since, seen = 0.0, -1
    for later, _away, asked, answers in looks:
        if not asked or answers != seen:
            since, seen = later, answers
        elif later - since > longest:
            longest, until = later - since, later
    return (longest, until) if longest >= SILENCE else (0.0, 0.0)
