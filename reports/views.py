"""What staff and organizers read."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from registrations.models import QueueEntry
from reports import metrics as gauges
from reports.dossier import dossier
from tournaments.queries import organizations_of


@require_safe
@login_required
@never_cache
def entry_staff(request: HttpRequest, public_id: str) -> HttpResponse:
    """Why did I not get in: all about one entry, for staff and the tournament's own organizers; 404 for everybody else."""
    entry = get_object_or_404(
        QueueEntry.objects.select_related("tournament", "division", "group", "seat", "player__account"),
        public_id=public_id,
        tournament__organization__in=organizations_of(request.user),
    )
    context = {
        "entry": entry,
        "tournament": entry.tournament,
        "dossier": dossier(entry),
        "offer_columns": [_("Number"), _("Seat"), _("Offered"), _("Until"), _("What became of it")],
        "mail_columns": [_("Mail"), _("Due"), _("Sent")],
        "payment_columns": [_("Amount"), _("State"), _("Begun"), _("Goes back"), _("Remark")],
    }
    return render(request, "reports/entry_staff.html", context)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus, with METRICS_TOKEN as its bearer token; there is no such page where none is set."""
    if not settings.METRICS_TOKEN:
        raise Http404
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(gauges.as_text(), content_type=CONTENT_TYPE_LATEST)
