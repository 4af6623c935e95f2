"""HistoryBlock: a sealed stretch of history."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class HistoryBlock(models.Model):
    """Digests of all event rows up to `sealed_to`, from where the block before ended, chained to that block's digest.

    `sealed_to` and `marks` are {event table: pgh_id}. `marks` is how far the next block will reach, once every transaction with
    an id below `open_below` is over. `contents` is {event table: {"columns": [...], "count": n, "digest": hex}}.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    sealed_at = models.DateTimeField(_("sealed"))
    events = models.PositiveIntegerField(_("events"))
    sealed_to = models.JSONField()
    marks = models.JSONField()
    open_below = models.BigIntegerField()
    contents = models.JSONField()
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(_("digest"), max_length=64, unique=True)

    class Meta:
        verbose_name = _("block of history")
        verbose_name_plural = _("blocks of history")
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(condition=Q(number__gte=1), name="historyblock_numbers_from_one"),
            models.CheckConstraint(
                condition=~Q(digest=F("previous_digest")), name="historyblock_is_not_its_own_parent"
            ),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.number}: {self.digest[:12]}"
