"""The pages of paying: take up an offer, come back from Stripe, give a paid seat back."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from payments import services
from payments.forms import CancelForm
from payments.gateway import urgently
from payments.models import Payment
from payments.services.refunding import Cancellation
from payments.views.requests import SignedInRequest
from registrations.models import QueueEntry
from registrations.rules import State
from registrations.services.leaving import own_entry
from vgchub.ratelimit import limited
from vgchub.words import money


@require_POST
@login_required
@limited("30/m")
def take_up(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Take up an offer: on to Stripe's page, or straight to the confirmed seat where nothing is to be paid."""
    checkout_url = services.start_payment(account=request.user, public_id=public_id)
    if checkout_url is None:
        return redirect("payment_return", public_id=public_id)
    # 303: the browser follows with GET, to a place that the CSP's form-action names.
    return HttpResponse(status=303, headers={"Location": checkout_url})


@require_safe
@login_required
@never_cache
def payment_return(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Back from Stripe: ask it ourselves, since its webhook may be late, and say how it went. Asks again until it is known."""
    entry = own_entry(request.user, public_id)
    payment = Payment.objects.open().filter(entry=entry).first()
    if payment is not None:
        with urgently():
            services.settle_payment(payment_id=payment.pk)
        entry.refresh_from_db()
    return render(request, "payments/return.html", _outcome(entry))


def _outcome(entry: QueueEntry) -> dict[str, Any]:
    """Template context: the entry, its latest payment, and which of the page's stories it is."""
    payment = entry.payments.first()
    if entry.state == State.CONFIRMED:
        story = "confirmed"
    elif payment is not None and payment.state == Payment.State.CREATED and entry.state == State.OFFERED:
        story = "declined" if payment.failure_code else "waiting"
    else:
        story = "offered" if entry.state == State.OFFERED else "gone"
    return {"entry": entry, "tournament": entry.tournament, "payment": payment, "story": story}


@require_safe
@login_required
@never_cache
def checkout_left(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Stripe's "back" link: nothing was paid. The live page shows the offer, which goes on."""
    entry = own_entry(request.user, public_id)
    payment = entry.payments.first()
    if entry.state == State.OFFERED and payment is not None and payment.failure_message:
        reason = _("Your card was refused: %(reason)s You can try again, also with another card.")
        messages.warning(request, reason % {"reason": payment.failure_message})
    elif entry.state == State.OFFERED:
        messages.info(request, _("Nothing was paid. The seat is held until the time shown; you can still pay."))
    return redirect("queue", slug=entry.tournament.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@limited("30/m")
@never_cache
def cancel(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Give a confirmed seat back: GET says what is refunded, POST does it."""
    entry = own_entry(request.user, public_id)
    terms = services.cancellation_terms(entry)
    form = CancelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.cancel_and_refund(
            account=request.user, public_id=public_id, expected_minor=form.cleaned_data["expected_minor"]
        )
        if entry.state == State.CONFIRMED:  # else it was given back before, and told
            messages.success(request, _given_back(entry, terms))
        return redirect("queue", slug=entry.tournament.slug)
    if entry.state != State.CONFIRMED:
        return redirect("queue", slug=entry.tournament.slug)
    context = {"entry": entry, "tournament": entry.tournament, "terms": terms}
    return render(request, "payments/cancel.html", context)


def _given_back(entry: QueueEntry, terms: Cancellation) -> str:
    told = _("%(player)s's seat is given back.") % {"player": entry.player.display_name}
    if terms.is_frozen or not terms.refund_minor:
        return told
    amount = money(terms.refund_minor, terms.currency)
    return (
        told + " " + _("You get %(amount)s back, the way you paid; a mail says when it is sent.") % {"amount": amount}
    )
