"""What a benchmark prints: progress on stderr, then on stdout a table, and the same figures as one line of JSON."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

BEGAN = time.monotonic()


def say(text: str) -> None:
    """Progress, for the person who waits, with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)


def show(name: str, figures: Mapping[str, Any]) -> None:
    """Print all figures; a mapping inside of them is shown indented under its name."""
    print(f"\n{name}, {datetime.now(UTC):%d %B %Y}, {os.cpu_count()} cores")
    rows = list(_rows(figures, depth=0))
    width = max((len(label) for label, _value in rows), default=0)
    for label, value in rows:
        print(f"  {label:<{width}}  {value}".rstrip())
    print(json.dumps(figures), flush=True)


def _rows(figures: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        label = "  " * depth + name
        if isinstance(value, Mapping):
            yield label, ""
            yield from _rows(value, depth + 1)
        else:
            yield label, _words(value)


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:>12,.4g}" if abs(value) < 1 else f"{value:>12,.2f}"
    return f"{value:>12,}" if isinstance(value, int) else f"{value!s:>12}"
