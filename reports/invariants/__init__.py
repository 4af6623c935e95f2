"""What must be true at every instant, each as a question to the database that answers with the exceptions."""

from reports.invariants import history, mails, money, order, seats
from reports.invariants.asking import Invariant, Report

INVARIANTS: tuple[Invariant, ...] = (
    *seats.INVARIANTS,
    *money.INVARIANTS,
    *order.INVARIANTS,
    *history.INVARIANTS,
    *mails.INVARIANTS,
)


def check(*, tournament_id: int | None = None) -> list[Report]:
    """Ask all of them, in the order of their codes; of one tournament, or of the whole site."""
    ordered = sorted(INVARIANTS, key=lambda invariant: int(invariant.code[1:]))
    return [Report(invariant, invariant.violations(tournament_id)) for invariant in ordered]


def violations(*, tournament_id: int | None = None) -> list[str]:
    """Every exception as "code: sentence"; empty when all is as it must be."""
    reports = check(tournament_id=tournament_id)
    return [f"{report.invariant.code}: {sentence}" for report in reports for sentence in report.violations]


__all__ = ["INVARIANTS", "Invariant", "Report", "check", "violations"]
