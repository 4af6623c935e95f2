"""What would the chances be? Rules, tried on a page before entries open."""

from django.db.models import Count
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from lottery.forms import TrialForm
from tournaments.models import Division, PriorityGroup, Seat, Tournament
from vgchub.admin import AdminRequest, ScopedAdmin, detail_action


def seats_by_kind(tournament: Tournament) -> dict[tuple[Division, PriorityGroup | None], int]:
    """How many seats each division has open to all and for each group, none included."""
    rows = Seat.objects.filter(division__tournament=tournament).values_list("division", "reserved_for")
    counted = {(division, group): number for division, group, number in rows.annotate(number=Count("pk"))}
    groups = [None, *tournament.groups.all()]
    return {
        (division, group): counted.get((division.pk, group.pk if group else None), 0)
        for division in tournament.divisions.all()
        for group in groups
    }


class TrialOperation(ScopedAdmin):
    """ "Try the rules" at the top of a tournament's page."""

    @detail_action(description=_("Try the rules"), url_path="try-rules", icon="casino")
    def try_rules(self, request: AdminRequest, object_id: str) -> HttpResponse:
        """What is typed stands in the page's address, to be kept or passed on; nothing of it is saved."""
        tournament = self.own_or_404(request, object_id)
        form = TrialForm(request.GET, tournament=tournament, seats=seats_by_kind(tournament))
        return TemplateResponse(
            request,
            "admin/try_rules.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": tournament,
                "title": _("Try the rules"),
                "form": form,
                "found": form.odds() if form.is_valid() else [],
            },
        )
