"""Priority groups, and who is listed in them."""

import pghistory
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tournaments import rules, triggers
from tournaments.models.tournament import Tournament


@pghistory.track(
    pghistory.InsertEvent(),
    pghistory.UpdateEvent(),
    pghistory.DeleteEvent(),
    # Its list was made longer or shorter; by how many `players` is in the event's context.
    pghistory.ManualEvent("listed"),  # type: ignore[no-untyped-call]
    pghistory.ManualEvent("unlisted"),  # type: ignore[no-untyped-call]
)
class PriorityGroup(models.Model):
    """Players who get reserved seats, more tickets in a draw, or an earlier opening."""

    tournament = models.ForeignKey(Tournament, models.CASCADE, related_name="groups")
    name = models.CharField(_("name"), max_length=60)
    priority = models.PositiveSmallIntegerField(
        _("lane"),
        default=0,
        help_text=_("Served before lower lanes, first come only; 0 is the general line."),
    )
    tickets = models.PositiveSmallIntegerField(
        _("tickets in a draw"), default=1, validators=[MinValueValidator(1), MaxValueValidator(64)]
    )
    opens_early_minutes = models.PositiveIntegerField(_("opens early, minutes"), default=0)
    min_championship_points = models.PositiveIntegerField(_("championship points at least"), null=True, blank=True)
    max_best_placement = models.PositiveIntegerField(_("best placement at most"), null=True, blank=True)
    countries = models.CharField(
        _("countries"), max_length=200, blank=True, help_text=_("Such as DE AT CH; empty is any.")
    )
    division_codes = models.CharField(
        _("divisions"), max_length=40, blank=True, help_text=_("Such as junior senior; empty is any.")
    )
    min_seasons_played = models.PositiveSmallIntegerField(_("seasons played at least"), null=True, blank=True)

    class Meta:
        ordering = ["tournament", "-priority", "-tickets", "name"]
        constraints = [
            models.UniqueConstraint(fields=["tournament", "name"], name="prioritygroup_name_once_per_tournament"),
            models.UniqueConstraint(fields=["id", "tournament"], name="prioritygroup_with_its_tournament"),
            models.CheckConstraint(condition=Q(tickets__gte=1, tickets__lte=64), name="prioritygroup_tickets_1_to_64"),
        ]
        triggers = [triggers.frozen_with_entries(), triggers.counts_as_a_change()]

    def __str__(self) -> str:
        return self.name

    def rule(self) -> rules.Group:
        return rules.Group(
            id=self.pk,
            name=self.name,
            priority=self.priority,
            tickets=self.tickets,
            opens_early_minutes=self.opens_early_minutes,
            criteria=rules.Criteria(
                min_championship_points=self.min_championship_points,
                max_best_placement=self.max_best_placement,
                countries=frozenset(self.countries.split()),
                divisions=frozenset(self.division_codes.split()),
                min_seasons_played=self.min_seasons_played,
            ),
        )


class PriorityMember(models.Model):
    """Somebody listed in a group by Player ID, whether or not such a player has an account yet."""

    group = models.ForeignKey(PriorityGroup, models.CASCADE, related_name="members")
    player_id = models.CharField(
        _("Player ID"),
        max_length=16,
        validators=[RegexValidator(r"^[0-9]{3,16}$", _("A number of 3 to 16 digits."))],
    )

    class Meta:
        ordering = ["group", "player_id"]
        constraints = [models.UniqueConstraint(fields=["group", "player_id"], name="prioritymember_once_per_group")]
        indexes = [models.Index(fields=["player_id"], name="prioritymember_by_player_id")]

    def __str__(self) -> str:
        return self.player_id
