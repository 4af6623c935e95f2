"""The books held against the simulator's: what tests ask when everything is over."""

from datetime import datetime
from typing import Any

from payments.models import Discrepancy, Payment, Reconciliation
from payments.queries import unexplained
from payments.services import reconciling
from reports import ledger
from tests.payments.till import Till
from tournaments.models import Tournament

MOST_PAGES = 1000


def reconcile(since: datetime, until: datetime) -> Reconciliation:
    """Compare everything of that time, on the spot."""
    run = reconciling.begin(kind=Reconciliation.Kind.BY_HAND, account="", since=since, until=until)
    reconciling.go_on(reconciliation_id=run.pk, pages=MOST_PAGES)
    run.refresh_from_db()
    assert run.ended_at, run.error
    return run


def check_differences() -> None:
    """The comparisons so far left nothing to look at."""
    differs = list(Discrepancy.objects.filter(resolved_at=None).values_list("kind", "object_id", "says"))
    assert not differs, f"differs from Stripe: {differs}"


def check_books(till: Till, since: datetime, until: datetime) -> None:
    """Nothing is left to look at, to come or unexplained, and the ledger says to the cent what the simulator's own objects do."""
    reconcile(since, until)
    check_differences()
    odd = unexplained(list(Payment.objects.values_list("pk", flat=True)))
    assert not odd, f"money that nothing explains, by payment: {odd}"
    ours = booked_by_us()
    assert ours.pop("to come") == 0, "the books are not complete"
    assert ours == booked_at(till), "the ledger is not the simulator's"


def booked_by_us() -> dict[str, int]:
    """The ledgers of all tournaments together, which are in one currency."""
    balances = [total.balance for pk in Tournament.objects.values_list("pk", flat=True) for total in ledger.totals(pk)]
    return {
        "captured": sum(balance.captured_minor for balance in balances),
        "refunded": sum(balance.refunded_minor for balance in balances),
        "pending": sum(balance.pending_minor for balance in balances),
        "held": sum(balance.held_minor for balance in balances),
        "lost": sum(balance.lost_minor for balance in balances),
        "fee": sum(balance.fee_minor for balance in balances),
        "net": sum(balance.net_minor for balance in balances),
        "to come": sum(balance.to_come_minor for balance in balances),
    }


def booked_at(till: Till) -> dict[str, int]:
    """The same, counted from what the simulator holds, past its API and ours."""
    disputes = _objects(till, "dispute")
    moved = _objects(till, "balance_transaction")
    refunds = [refund for refund in _objects(till, "refund") if refund["balance_transaction"]]  # else a hold was let go
    return {
        "captured": sum(charge["amount_captured"] for charge in _objects(till, "charge") if charge["captured"]),
        "refunded": sum(refund["amount"] for refund in refunds if refund["status"] == "succeeded"),
        "pending": sum(refund["amount"] for refund in refunds if refund["status"] == "pending"),
        "held": sum(one["amount"] for one in disputes if one["status"] in ("needs_response", "under_review")),
        "lost": sum(one["amount"] for one in disputes if one["status"] == "lost"),
        "fee": sum(line["fee"] for line in moved),
        "net": sum(line["net"] for line in moved),
    }


def _objects(till: Till, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = till.shop.control(f"state?kind={kind}", verb="GET")[kind]
    return found
