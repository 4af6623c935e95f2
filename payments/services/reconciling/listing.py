"""What somebody has to look at: differences are listed once, and close by themselves when they are no longer found."""

import pghistory
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from payments.models import Discrepancy
from payments.rules import Finding
from tournaments.queries import database_now
from vgchub.errors import RefusedError


class DiscrepancyClosedError(RefusedError):
    code = "discrepancy_closed"
    message = gettext_lazy("This is resolved already.")
    remedy = gettext_lazy("Its page says how.")


def note(account: str, finding: Finding, object_id: str, payment_id: int | None, says: str) -> bool:
    """List a difference, or note that it is still there. One that somebody has resolved comes back only if it says something else.

    Returns whether it is open now.
    """
    now = database_now()
    same = Discrepancy.objects.filter(kind=finding, object_id=object_id)
    with pghistory.context(service="reconcile"):
        if same.filter(resolved_at=None).update(last_seen_at=now, says=says, payment=payment_id):
            return True
        if same.filter(resolved_by__isnull=False, says=says).exists():
            return False
        row = Discrepancy(
            kind=finding,
            stripe_account=account,
            object_id=object_id,
            payment_id=payment_id,
            says=says,
            first_seen_at=now,
            last_seen_at=now,
        )
        # Two comparisons at once find the same: the database keeps one.
        Discrepancy.objects.bulk_create([row], ignore_conflicts=True)
    return True


def close(discrepancy_id: int) -> None:
    """It was looked for again, and is gone."""
    with pghistory.context(service="reconcile"):
        Discrepancy.objects.filter(pk=discrepancy_id, resolved_at=None).update(
            resolved_at=database_now(), resolution=_("No longer found when Stripe and the rows were compared again.")
        )


def resolve_discrepancy(*, discrepancy_id: int, by: User, reason: str) -> None:
    """Somebody has looked, and says what came of it. The same difference is not listed again.

    Raises:
        DiscrepancyClosedError
    """
    with transaction.atomic(), pghistory.context(service="resolve_discrepancy", by=by.pk, reason=reason):
        open_one = Discrepancy.objects.filter(pk=discrepancy_id, resolved_at=None)
        if not open_one.update(resolved_at=database_now(), resolved_by=by, resolution=reason[:200]):
            raise DiscrepancyClosedError
