"""The age divisions of a tournament."""

import pghistory
import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tournaments import rules, triggers
from tournaments.models.tournament import Tournament


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Division(models.Model):
    """An age division. Bounds are inclusive birth dates."""

    class Code(models.TextChoices):
        JUNIOR = "junior", _("Juniors")
        SENIOR = "senior", _("Seniors")
        MASTERS = "masters", _("Masters")

    tournament = models.ForeignKey(Tournament, models.CASCADE, related_name="divisions")
    code = models.CharField(_("division"), max_length=7, choices=Code)
    name = models.CharField(_("name"), max_length=40)
    born_from = models.DateField(_("born on or after"), null=True, blank=True)
    born_to = models.DateField(_("born on or before"), null=True, blank=True)

    class Meta:
        ordering = ["tournament", "code"]
        constraints = [
            models.UniqueConstraint(fields=["tournament", "code"], name="division_code_once_per_tournament"),
            models.UniqueConstraint(fields=["id", "tournament"], name="division_with_its_tournament"),
            models.CheckConstraint(
                condition=Q(born_from=None) | Q(born_to=None) | Q(born_from__lte=F("born_to")),
                name="division_bounds_in_order",
            ),
        ]
        triggers = [
            triggers.frozen_with_entries(
                operation=pgtrigger.Insert
                | pgtrigger.Delete
                | triggers.update_of("tournament_id", "code", "born_from", "born_to")
            ),
            triggers.counts_as_a_change(),
        ]

    def __str__(self) -> str:
        return self.name

    def bounds(self) -> rules.DivisionBounds:
        return rules.DivisionBounds(self.pk, self.code, self.born_from, self.born_to)
