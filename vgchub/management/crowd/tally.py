"""What the crowd met: answers and their times, by step."""

import statistics
from collections import Counter, defaultdict


class Tally:
    """Counts and times of a run; printed as a table at its end."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def answered(self, step: str, seconds: float) -> None:
        self.milliseconds[step].append(seconds * 1000)

    def error(self, what: str) -> None:
        self.errors[what] += 1

    def table(self) -> list[str]:
        lines = [f"{'step':<12}{'requests':>10}{'p50 ms':>10}{'p95 ms':>10}{'max ms':>10}"]
        for step, times in self.milliseconds.items():
            p50, p95 = _percentiles(times)
            lines.append(f"{step:<12}{len(times):>10,}{p50:>10.0f}{p95:>10.0f}{max(times):>10.0f}")
        lines.append("")
        lines += [f"{outcome:<24}{count:>8,}" for outcome, count in self.outcomes.items()]
        lines.append(f"{'errors':<24}{self.errors.total():>8,}")
        lines += [f"  {what}: {count:,}" for what, count in self.errors.most_common(10)]
        return lines


def _percentiles(times: list[float]) -> tuple[float, float]:
    if len(times) == 1:
        return times[0], times[0]
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    return cuts[9], cuts[18]
