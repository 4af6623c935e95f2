"""`python -m bench draw ...`: what bin/bench calls."""

import argparse
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgchub.local.embedded import embedded_servers

MOST_ENTRIES = 5_000_000


def main() -> int:
    """Measure, say what is going on on stderr, and print one line of JSON."""
    options = _options()
    with _site():
        import django  # noqa: PLC0415  it needs the servers' addresses
        from django.core.management import call_command  # noqa: PLC0415

        django.setup()
        call_command("migrate", verbosity=0)
        from bench import draw  # noqa: PLC0415

        figures = draw.measure(options.entries, joins=options.joins)
    print(json.dumps(figures))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench", description="Measures on embedded servers; the last line is JSON."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="seal, draw, publish and verify a draw of so many entries")
    draw.add_argument("--entries", type=_entries, default=100_000, help="how many take part (default 100000)")
    draw.add_argument(
        "--joins", action="store_true", help="join another tournament before and meanwhile, and say its p95"
    )
    return parser.parse_args()


def _entries(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ENTRIES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_ENTRIES}")
    return int(text)


@contextmanager
def _site() -> Iterator[None]:
    """PostgreSQL and Valkey as bin/run starts them, durable, and the environment that the site reads."""
    with tempfile.TemporaryDirectory(prefix="vgchub-bench-") as name:
        Path(name).chmod(0o711)
        with embedded_servers(Path(name), say=lambda text: print(text, file=sys.stderr)) as servers:
            servers.postgres.make_database("vgchub")
            os.environ |= {
                "DATABASE_URL": servers.postgres.url("vgchub"),
                "REDIS_URL": servers.valkey.url(0),
                "SECRET_KEY": secrets.token_hex(32),
                "DJANGO_SETTINGS_MODULE": "vgchub.settings",
                "LOCAL_MODE": "1",
            }
            yield


if __name__ == "__main__":
    sys.exit(main())
