"""The pages of a card on file: put it there, come back from Stripe, take it off."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from payments import services
from payments.gateway import urgently
from payments.models import SavedCard
from payments.queries import card_on_file
from payments.views.requests import SignedInRequest
from registrations.services.leaving import own_entry
from vgchub.ratelimit import limited


@require_POST
@login_required
@limited("30/m")
@urgently()
def card(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Put a card on file for a lottery: on to Stripe's page, which charges nothing."""
    address = services.ask_for_card(account=request.user, public_id=public_id)
    return HttpResponse(status=303, headers={"Location": address})


@require_safe
@login_required
@never_cache
@urgently()
def card_return(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Back from Stripe's page: ask it ourselves, since its webhook may be late, and say whether a card is on file."""
    entry = own_entry(request.user, public_id)
    asked = entry.cards.live().first()
    if asked is not None:
        services.settle_card(card_id=asked.pk)
    found = entry.cards.live().first()
    saved = card_on_file(entry)
    story = "saved" if saved else "waiting" if found and found.state == SavedCard.State.ASKED else "none"
    context = {"entry": entry, "tournament": entry.tournament, "card": saved, "story": story}
    return render(request, "payments/card_return.html", context)


@require_POST
@login_required
@limited("30/m")
@urgently()
def card_remove(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Take the card on file off again."""
    services.remove_card(account=request.user, public_id=public_id)
    messages.success(request, _("No card is on file any more: nothing is charged by itself."))
    return redirect("queue", slug=own_entry(request.user, public_id).tournament.slug)
