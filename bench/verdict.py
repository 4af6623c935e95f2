"""What may not be among a benchmark's figures: by their names, wherever they stand."""

from collections.abc import Iterator, Mapping
from typing import Any

ZERO = (
    "errors",
    "asked_to_wait",
    "oversold",
    "unsold",
    "given_up",
    "strikes_missed",
    "failed_after_10_s",
    "places_lost",
    "charged_twice",
    "lost",
    "ledger_difference_minor",
)
EXPECTED = {"errors", "asked_to_wait"}  # where a fault is asked for; those who were refused ask again


def broken(figures: Mapping[str, Any]) -> list[str]:
    """Each figure that has to be 0 (or False) and is not, with where it stands: `strikes, web is killed, places_lost: 2`."""
    zero = set(ZERO) - (EXPECTED if "fault" in figures else set())
    return [f"{', '.join(path)}: {value}" for path, value in _all(figures) if path[-1] in zero and value]


def _all(figures: Mapping[str, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _all(value, *above, name)
        else:
            yield (*above, name), value
