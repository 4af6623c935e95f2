"""Money in the admin: read by those whose tournament it is; a refund that a bank sent back is decided anew."""

import pytest
from django.test import Client
from django.urls import reverse

from payments.models import Payment, Refund
from payments.rules import RefundState, State
from tests.builders import make_entry, make_organization, make_organizer, make_tournament, now
from tournaments.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours() -> Organization:
    return make_organization("Ours")


@pytest.fixture
def alice(ours: Organization, client: Client) -> Client:
    """Signed in as an organizer of Ours."""
    client.force_login(make_organizer(ours))
    return client


@pytest.fixture
def failed(ours: Organization) -> Refund:
    entry = make_entry(make_tournament(organization=ours, fee_minor=2500))
    payment = Payment.objects.create(
        entry=entry,
        amount_minor=2500,
        currency="eur",
        state=State.CAPTURED,
        intent="pi_1",
        session_expires_at=now(),
        created_at=now(),
        authorised_at=now(),
        captured_at=now(),
    )
    return Refund.objects.create(
        payment=payment,
        amount_minor=2500,
        reason="cancelled",
        state=RefundState.FAILED,
        created_at=now(),
        ended_at=now(),
        failure_code="lost_or_stolen_card",
        failure_message="The bank did not take the money back.",
    )


def test_a_failed_refund_is_decided_anew_with_a_reason(alice: Client, failed: Refund) -> None:
    there = reverse("admin:payments_refund_retry", args=[failed.pk])
    assert there in alice.get(reverse("admin:payments_refund_change", args=[failed.pk])).content.decode()

    assert list(alice.post(there).context["form"].errors) == ["reason"]
    alice.post(there, {"reason": "The bank has a new card."})

    anew = failed.payment.refunds.exclude(pk=failed.pk).get()
    assert (anew.amount_minor, anew.state, anew.reason) == (2500, RefundState.DUE, "The bank has a new card.")
    again = alice.post(there, {"reason": "Once more."})
    assert "went back already" in str(again.context["form"].errors)
    assert there not in alice.get(reverse("admin:payments_refund_change", args=[anew.pk])).content.decode()


def test_a_payment_is_only_read_and_lists_its_refunds(alice: Client, failed: Refund) -> None:
    there = reverse("admin:payments_payment_change", args=[failed.payment.pk])

    page = alice.get(there)

    assert "The bank did not take the money back." in page.content.decode()
    assert alice.post(there, {"state": "FAILED"}).status_code == 403
