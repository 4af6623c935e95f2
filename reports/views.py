"""What staff and organizers read."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from registrations.models import QueueEntry
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
