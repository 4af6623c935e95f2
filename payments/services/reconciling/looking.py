"""Settling a difference: it is repaired if that is clear, looked for again, and listed if it is still there."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import DatabaseError
from django.utils.translation import gettext as _

from payments.gateway import Gateway, GatewayAwayError, GatewayError, Listed, Listing, NotAtStripeError
from payments.models import Discrepancy, Dispute, Payment, Refund
from payments.rules import Finding
from payments.services.reconciling import listing as discrepancies
from payments.services.reconciling.comparing import Difference, differences

logger = logging.getLogger(__name__)

REPAIRS = 3  # one may lead to another: a payment is ended, then its hold let go

PREFIXES = {
    "cs_": Listing.SESSIONS,
    "pi_": Listing.INTENTS,
    "re_": Listing.REFUNDS,
    "pyr_": Listing.REFUNDS,
    "du_": Listing.DISPUTES,
    "dp_": Listing.DISPUTES,
}


@dataclass(frozen=True)
class Looker:
    """Looks at objects of one account. What is younger than the comparison is asked for again, so nothing is listed in passing."""

    account: str

    def settle(self, items: Sequence[Listed]) -> int:
        """Settle all differences of some objects of one list; returns how many were repaired.

        Raises:
            GatewayAwayError
        """
        return sum(self._settle_one(found) for found in differences(self.account, items))

    def settle_by_id(self, listing: Listing, object_id: str) -> int:
        """The same for one object; one that a row of ours names and Stripe does not know is listed.

        Raises:
            GatewayAwayError
        """
        try:
            item = Gateway(self.account).one(listing, object_id)
        except NotAtStripeError:
            payment_id = _payment_that_names(object_id)
            if payment_id is not None:
                says = _("A row names it, and Stripe does not know it.")
                discrepancies.note(self.account, Finding.NOT_AT_STRIPE, object_id, payment_id, says)
            return 0
        return self.settle([item])

    def _settle_one(self, first: Difference) -> int:
        left = [first]
        for _try in range(REPAIRS):
            repairs = [found.repair for found in left if found.repair]
            for repair in repairs:
                _attempt(repair, first.object_id)
            left = self.look(first.listing, first.object_id)
            if not repairs or not left:
                break
        for found in left:
            discrepancies.note(self.account, found.finding, found.object_id, found.payment_id, found.says)
        return int(first.repair is not None and not left)

    def look(self, listing: Listing, object_id: str) -> list[Difference]:
        """What differs of an object as it and our rows are now; nothing of one that is gone."""
        try:
            item = Gateway(self.account).one(listing, object_id)
        except NotAtStripeError:
            return []
        return differences(self.account, [item])

    def look_again(self, discrepancy: Discrepancy) -> None:
        """Close a listed difference that is not there any more; else note that it still is.

        Raises:
            GatewayAwayError
        """
        prefix = discrepancy.object_id.split("_")[0] + "_"
        self.settle_by_id(PREFIXES[prefix], discrepancy.object_id)
        seen_now = Discrepancy.objects.filter(pk=discrepancy.pk, last_seen_at__gt=discrepancy.last_seen_at)
        if not seen_now.exists():
            discrepancies.close(discrepancy.pk)


def _payment_that_names(object_id: str) -> int | None:
    paid = Payment.objects.filter(intent=object_id).values_list("pk", flat=True)
    refunded = Refund.objects.filter(stripe_id=object_id).values_list("payment_id", flat=True)
    disputed = Dispute.objects.filter(stripe_id=object_id).values_list("payment_id", flat=True)
    return paid.first() or refunded.first() or disputed.first()


def _attempt(repair: Callable[[], object], object_id: str) -> None:
    """A repair that Stripe or the database refuses leaves the difference, which is then listed."""
    try:
        repair()
    except GatewayAwayError:
        raise
    except (GatewayError, DatabaseError):
        logger.exception("What differs of %s could not be repaired", object_id)
