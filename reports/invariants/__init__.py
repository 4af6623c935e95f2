"""What must be true at every instant, each as a question to the database that answers with the exceptions."""

from reports.invariants import draws, history, mails, money, order, seats
from reports.invariants.asking import Invariant, Report

INVARIANTS: tuple[Invariant, ...] = (
    *seats.INVARIANTS,
    *money.INVARIANTS,
    *order.INVARIANTS,
    *draws.INVARIANTS,
    *history.INVARIANTS,
    *mails.INVARIANTS,
)


def check(*, tournament_id: int | None = None, watching: bool = False) -> list[Report]:
    """Ask all of them, in the order of their codes; of one tournament, or of the whole site.

    `watching` asks of the whole site what can be asked every few minutes.
    """
    ordered = sorted(INVARIANTS, key=lambda invariant: int(invariant.code[1:]))
    if watching:
        return [Report(invariant, invariant.watch()) for invariant in ordered]
    return [Report(invariant, invariant.violations(tournament_id)) for invariant in ordered]


def violations(*, tournament_id: int | None = None, watching: bool = False) -> list[str]:
    """Every exception as "code: sentence"; empty when all is as it must be."""
    reports = check(tournament_id=tournament_id, watching=watching)
    return [f"{report.invariant.code}: {sentence}" for report in reports for sentence in report.violations]


__all__ = ["INVARIANTS", "Invariant", "Report", "check", "violations"]
