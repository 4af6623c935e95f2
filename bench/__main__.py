"""`python -m bench draw ...`: what bin/bench calls."""

import signal
import sys
from importlib import import_module

from bench import commands, report, verdict
from bench.site import bench_site
from vgchub.local.problems import LocalProblemError


def main() -> int:
    """Measure, saying on stderr what is going on; print a table, then the figures as one line of JSON.

    Returns 1, with a line that says what, if anything was found that must never be.
    """
    options = commands.parser().parse_args()
    try:
        with bench_site() as site:
            figures = import_module(f"bench.{options.command}").measure(site, options)
            found = site.violations()
    except LocalProblemError as problem:
        print(problem, file=sys.stderr)
        return 1
    report.show(options.command, figures)
    wrong = verdict.broken(figures)
    if wrong:
        print(f"Has to be 0: {'; '.join(wrong)}", file=sys.stderr)
    if found:
        print(f"{len(found)} invariants are broken, first {found[0]}", file=sys.stderr)
    return 1 if wrong or found else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # unwind: stop all, leave nothing
    sys.exit(main())
