"""Draw and what it sealed. What was published is never changed: the database refuses it, also by hand."""

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from lottery import triggers
from registrations.models import Notice, QueueEntry, new_public_id
from tournaments.models import Tournament

TRANSITIONS = [("OPEN", "SEALED"), ("SEALED", "DRAWN"), ("OPEN", "VOID"), ("SEALED", "VOID"), ("DRAWN", "VOID")]
DRAND, COMMIT_REVEAL = Tournament.Entropy.DRAND, Tournament.Entropy.COMMIT_REVEAL


class DrawQuerySet(models.QuerySet["Draw"]):
    def standing(self) -> "DrawQuerySet":
        """All but the voided: at most one a tournament."""
        return self.exclude(state=Draw.State.VOID)


@pghistory.track(exclude=["secret", "asked_at"])
class Draw(models.Model):
    """A tournament's draw. OPEN until its entries are sealed, SEALED until the entropy is known, then DRAWN; or VOID.

    Digests, keys and seeds are lower-case hex, as the manifest and the bundle have them.
    """

    class State(models.TextChoices):
        OPEN = "OPEN", _("open")
        SEALED = "SEALED", _("sealed")
        DRAWN = "DRAWN", _("drawn")
        VOID = "VOID", _("void")

    class Kind(models.TextChoices):
        LOTTERY = "lottery", _("lottery")
        OPENING = "opening", _("fair start")

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    tournament = models.ForeignKey(Tournament, models.PROTECT, related_name="draws")
    number = models.PositiveSmallIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    state = models.CharField(_("state"), max_length=6, choices=State, default=State.OPEN)
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by", verbose_name=_("supersedes")
    )

    entropy = models.CharField(_("where chance comes from"), max_length=13, choices=Tournament.Entropy)
    commitment = models.CharField(_("commitment"), max_length=64, blank=True)
    secret = models.CharField(max_length=64, blank=True, editable=False)  # of no page before the draw
    chain = models.CharField(_("drand chain"), max_length=64, blank=True)
    round = models.PositiveBigIntegerField(_("drand round"), null=True, blank=True)
    randomness = models.CharField(_("randomness"), max_length=64, blank=True)
    signature = models.CharField(_("signature"), max_length=96, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True, editable=False)  # when drand was last asked

    opened_at = models.DateTimeField(_("opened"))
    sealed_at = models.DateTimeField(_("sealed"), null=True, blank=True)
    published_at = models.DateTimeField(_("manifest published"), null=True, blank=True)
    drawn_at = models.DateTimeField(_("drawn"), null=True, blank=True)
    entrants = models.PositiveIntegerField(_("entries in the draw"), null=True, blank=True)
    regrouped = models.PositiveIntegerField(_("put into another group when sealed"), default=0)
    divisions = models.JSONField(_("divisions and seats, as sealed"), default=list)
    manifest_sha256 = models.CharField(_("SHA-256 of the manifest"), max_length=64, blank=True)
    seed = models.CharField(_("seed"), max_length=64, blank=True)

    void_reason = models.CharField(_("why it is void"), max_length=300, blank=True)
    void_proposed_at = models.DateTimeField(null=True, blank=True)
    void_proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    void_confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    voided_at = models.DateTimeField(_("declared void"), null=True, blank=True)

    objects = DrawQuerySet.as_manager()

    class Meta:
        verbose_name = _("draw")
        verbose_name_plural = _("draws")
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["tournament", "number"], name="draw_number_once_per_tournament"),
            models.UniqueConstraint(fields=["tournament"], condition=~Q(state="VOID"), name="draw_one_stands"),
            models.CheckConstraint(condition=Q(state__in=["OPEN", "SEALED", "DRAWN", "VOID"]), name="draw_state_known"),
            models.CheckConstraint(condition=Q(kind__in=["lottery", "opening"]), name="draw_kind_known"),
            models.CheckConstraint(
                condition=(Q(entropy="COMMIT_REVEAL", chain="", round=None) & ~Q(commitment="") & ~Q(secret=""))
                | Q(entropy="DRAND", commitment="", secret=""),
                name="draw_entropy_is_of_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(sealed_at=None, manifest_sha256="", entrants=None, published_at=None)
                | (
                    Q(sealed_at__isnull=False, entrants__isnull=False, published_at__isnull=False)
                    & ~Q(manifest_sha256="")
                ),
                name="draw_sealed_has_its_manifest",
            ),
            models.CheckConstraint(
                condition=Q(drawn_at=None, seed="")
                | (Q(drawn_at__isnull=False, sealed_at__isnull=False, drawn_at__gte=F("sealed_at")) & ~Q(seed="")),
                name="draw_drawn_has_its_seed",
            ),
            models.CheckConstraint(
                condition=Q(state="VOID")
                | Q(state="OPEN", sealed_at=None)
                | Q(state="SEALED", sealed_at__isnull=False, drawn_at=None)
                | Q(state="DRAWN", drawn_at__isnull=False),
                name="draw_state_fits_its_times",
            ),
            models.CheckConstraint(
                condition=Q(entropy="COMMIT_REVEAL")
                | (
                    (Q(sealed_at=None) | (Q(round__isnull=False) & ~Q(chain="")))
                    & (Q(drawn_at=None) | (~Q(randomness="") & ~Q(signature="")))
                ),
                name="draw_of_drand_has_its_round",
            ),
            # One proposes, another confirms; a draw that nobody was sealed in needs nobody's word.
            models.CheckConstraint(
                condition=~Q(state="VOID")
                | (
                    Q(voided_at__isnull=False)
                    & ~Q(void_reason="")
                    & (
                        Q(sealed_at=None)
                        | (
                            Q(void_proposed_by__isnull=False, void_confirmed_by__isnull=False)
                            & ~Q(void_proposed_by=F("void_confirmed_by"))
                        )
                    )
                ),
                name="draw_void_takes_two",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="draw_states", field="state", transitions=TRANSITIONS),
            pgtrigger.ReadOnly(
                name="draw_identity",
                fields=[
                    "public_id", "tournament", "number", "kind", "supersedes",
                    "entropy", "commitment", "secret", "opened_at",
                ],
            ),
            triggers.fixed(
                "draw_sealed", "sealed_at",
                "sealed_at", "published_at", "manifest_sha256", "entrants", "regrouped", "divisions", "chain", "round",
            ),
            triggers.fixed("draw_drawn", "drawn_at", "drawn_at", "seed", "randomness", "signature"),
            pgtrigger.Trigger(
                name="draw_offered_is_not_void",
                operation=pgtrigger.UpdateOf("state"),  # type: ignore[no-untyped-call]
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__state="DRAWN", new__state="VOID"),
                func="""
                    IF EXISTS (SELECT FROM registrations_queueentry e
                               WHERE e.tournament_id = OLD.tournament_id AND e.offered_at IS NOT NULL) THEN
                        RAISE EXCEPTION 'seats were offered by this draw' USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Protect(name="draw_never_deleted", operation=pgtrigger.Delete),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.public_id

    def get_absolute_url(self) -> str:
        return reverse("draw", args=[self.public_id])

    @property
    def uses_drand(self) -> bool:
        return self.entropy == DRAND

    def named(self) -> dict[str, str | int]:
        """The entropy as the manifest names it."""
        if self.uses_drand:
            return {"kind": "drand", "chain": self.chain, "round": self.round or 0}
        return {"kind": "commit-reveal", "commitment": self.commitment}

    def revealed(self) -> dict[str, str | int]:
        """The entropy as the bundle reveals it; call it once the draw is drawn."""
        if self.uses_drand:
            return {**self.named(), "randomness": self.randomness, "signature": self.signature}
        return {"kind": "commit-reveal", "secret": self.secret}


class DrawEntry(models.Model):
    """An entry as it was sealed; `division` and `group` are the manifest's codes, "" is no group.

    The primary keys of a draw ascend with the entries' public ids. The draw adds `key` (32 bytes), `rank` (1 is first, over all
    divisions) and `division_rank`. Millions of rows: no foreign keys but these two.
    """

    draw = models.ForeignKey(Draw, models.PROTECT, related_name="entries", db_index=False)
    entry = models.ForeignKey(QueueEntry, models.PROTECT, related_name="draw_entries", db_index=False)
    division = models.CharField(max_length=7)
    group = models.CharField(max_length=64, blank=True)
    tickets = models.PositiveSmallIntegerField()
    key = models.BinaryField(max_length=32, null=True, editable=False)
    rank = models.PositiveIntegerField(null=True)
    division_rank = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["draw", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["entry", "draw"], name="drawentry_once_per_draw"),
            models.UniqueConstraint(fields=["draw", "rank"], name="drawentry_rank_once"),
            models.CheckConstraint(condition=Q(tickets__gte=1, tickets__lte=64), name="drawentry_tickets_1_to_64"),
            models.CheckConstraint(
                condition=Q(key=None, rank=None, division_rank=None)
                | Q(
                    key__isnull=False,
                    rank__isnull=False,
                    division_rank__isnull=False,
                    rank__gte=1,
                    division_rank__gte=1,
                ),
                name="drawentry_key_and_rank_together",
            ),
        ]
        indexes = [
            models.Index(fields=["draw", "id"], name="drawentry_in_order_of_ids"),
            models.Index(
                fields=["draw", "division", "division_rank"],
                condition=Q(division_rank__isnull=False),
                name="drawentry_down_a_division",
            ),
        ]
        triggers = [
            triggers.only_into(
                "drawentry_of_open_draw", "lottery_draw", "draw_id", "whole.state <> 'OPEN'", "its entries are sealed"
            ),
            pgtrigger.Trigger(
                # One look for a statement; only the draw itself says this of its transaction.
                name="drawentry_ranked_by_its_draw",
                level=pgtrigger.Statement,
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="""
                    IF current_setting('vgchub.drawing', true) IS DISTINCT FROM 'on' THEN
                        RAISE EXCEPTION 'keys and ranks are drawn' USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Protect(
                name="drawentry_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__key__isnull=False)
                | triggers.changed("id", "draw", "entry", "division", "group", "tickets"),
            ),
            pgtrigger.Protect(name="drawentry_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id} in {self.draw_id}"


class LeftOut(models.Model):
    """An entry that waited for the draw and was not sealed; it stands behind the drawn, in order of arrival."""

    class Reason(models.TextChoices):
        UNVERIFIED = "UNVERIFIED", _("the e-mail address was not proved in time")
        DISPUTED = "DISPUTED", _("the Player ID is claimed by more than one account")

    draw = models.ForeignKey(Draw, models.PROTECT, related_name="left_out", db_index=False)
    entry = models.ForeignKey(QueueEntry, models.PROTECT, related_name="left_out_of", db_index=False)
    reason = models.CharField(_("reason"), max_length=10, choices=Reason)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "draw"], name="leftout_once_per_draw"),
            models.CheckConstraint(condition=Q(reason__in=["UNVERIFIED", "DISPUTED"]), name="leftout_reason_known"),
        ]
        indexes = [models.Index(fields=["draw"], name="leftout_of_draw")]
        triggers = [
            triggers.only_into(
                "leftout_of_open_draw", "lottery_draw", "draw_id", "whole.state <> 'OPEN'", "its entries are sealed"
            ),
            pgtrigger.Protect(name="leftout_stays", operation=pgtrigger.Update),
            pgtrigger.Protect(name="leftout_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id} not in {self.draw_id}"


class DrawFile(models.Model):
    """A published file, kept as one gzip stream in parts, so that a big one is written and sent in little memory."""

    class Name(models.TextChoices):
        MANIFEST = "manifest", _("manifest")
        BUNDLE = "bundle", _("bundle")

    draw = models.ForeignKey(Draw, models.PROTECT, related_name="files", db_index=False)
    name = models.CharField(max_length=8, choices=Name)
    sha256 = models.CharField(max_length=64, blank=True)  # empty while it is being written
    size = models.PositiveBigIntegerField(default=0)  # bytes, unpacked

    class Meta:
        constraints = [models.UniqueConstraint(fields=["draw", "name"], name="drawfile_once_per_draw")]
        triggers = [
            pgtrigger.Protect(
                name="drawfile_stays", operation=pgtrigger.Update, condition=~pgtrigger.Q(old__sha256="")
            ),
            pgtrigger.Protect(name="drawfile_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.draw_id}"


class DrawFilePart(models.Model):
    """Up to a megabyte of a file's gzip stream; `number` from 0."""

    file = models.ForeignKey(DrawFile, models.PROTECT, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["file", "number"]
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="drawfilepart_number_once")]
        triggers = [
            triggers.only_into(
                "drawfilepart_of_unfinished_file",
                "lottery_drawfile",
                "file_id",
                "whole.sha256 <> ''",
                "it is published",
            ),
            pgtrigger.Protect(name="drawfilepart_stays", operation=pgtrigger.Update),
            pgtrigger.Protect(name="drawfilepart_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.file_id}/{self.number}"


class Mailing(models.Model):
    """Mails that a draw owes a crowd. One row with the draw; then a worker makes a notice for each entry, some thousand at a time.

    `reached` is the primary key (of what was drawn: the rank) down to which that is done.
    """

    draw = models.ForeignKey(Draw, models.PROTECT, related_name="mailings", db_index=False)
    kind = models.CharField(max_length=9, choices=Notice.Kind)
    to_left_out = models.BooleanField(default=False)
    reached = models.PositiveBigIntegerField(default=0)
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["draw", "kind", "to_left_out"], name="mailing_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["SEALED", "LEFT_OUT", "DRAWN", "DRAW_VOID"]), name="mailing_is_about_a_draw"
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(done_at=None), name="mailing_not_done")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.draw_id}"
