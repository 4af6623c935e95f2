"""Seats, each a row."""

import pghistory
from django.db import models
from django.utils.translation import gettext_lazy as _

from tournaments import triggers
from tournaments.models.division import Division
from tournaments.models.group import PriorityGroup


class SeatQuerySet(models.QuerySet["Seat"]):
    def free(self) -> "SeatQuerySet":
        """Seats that nobody holds: no entry points at them (registrations.QueueEntry.seat)."""
        return self.filter(entry__isnull=True)


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Seat(models.Model):
    """A seat. Capacity is the number of these rows and nothing else."""

    division = models.ForeignKey(Division, models.CASCADE, related_name="seats")
    number = models.PositiveIntegerField(_("number"))
    reserved_for = models.ForeignKey(
        PriorityGroup,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="seats",
        verbose_name=_("reserved for"),
    )

    objects = SeatQuerySet.as_manager()

    class Meta:
        ordering = ["division", "number"]
        constraints = [
            models.UniqueConstraint(fields=["division", "number"], name="seat_number_once_per_division"),
            models.UniqueConstraint(fields=["id", "division"], name="seat_with_its_division"),
        ]
        triggers = [triggers.sealed_until_drawn(tournament=triggers.OF_SEAT)]

    def __str__(self) -> str:
        return f"{self.division.name} {self.number}"
