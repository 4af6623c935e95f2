"""`python -m tests.bench.together COMMAND...`: benchmarks one after the other on one site, which is what takes longest to make.

Each COMMAND is a benchmark with its options. A line of JSON says what came of each, `[command, figures, what is broken]`, the last
one what is not as it must be at the end. What the real ones watch or wait for is shorter here.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any
from unittest.mock import patch

from bench import commands, rushing, verdict
from bench.site import bench_site

WATCHED = 3.0  # seconds after each strike
SHORTER: dict[str, dict[str, float]] = {
    "sockets": {"MOVES": 2, "MOVING_SECONDS": 2, "RESTING_SECONDS": 0.2},
    "pages": {"SETTLES_SECONDS": 0.1},
    "bare": {"WARM_UP": 50},
}


def main() -> None:
    play = rushing.Rush.run

    def briefly(rush: rushing.Rush, strikes: Sequence[rushing.Strike] = ()) -> dict[str, Any]:
        return play(rush, [dataclasses.replace(strike, lasts=WATCHED) for strike in strikes])

    with patch.object(rushing.Rush, "run", briefly), bench_site() as site:
        servers = len(site.supervisor.groups)
        for command in sys.argv[1:]:
            options = commands.parser().parse_args(command.split())
            module = import_module(f"bench.{options.command}")
            for name, value in SHORTER.get(options.command, {}).items():
                setattr(module, name, value)
            figures = module.measure(site, options)
            print(json.dumps([command, figures, verdict.broken(figures)]), flush=True)
            while len(site.supervisor.groups) > servers:
                site.stop_last()
        print(json.dumps(site.violations()), flush=True)


if __name__ == "__main__":
    main()
