"""A tournament: when it can be entered, and by which rules its seats are given out."""

from datetime import datetime, timedelta
from zoneinfo import available_timezones

import pghistory
import pgtrigger
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from tournaments import rules, triggers
from tournaments.models.organization import Organization


class TournamentQuerySet(models.QuerySet["Tournament"]):
    def published(self, now: datetime) -> "TournamentQuerySet":
        return self.filter(published_at__lte=now)

    def live(self, now: datetime) -> "TournamentQuerySet":
        """Those whose offers may still run: the clock's work."""
        return self.filter(published_at__lte=now, cancelled_at__isnull=True)

    def locked(self) -> "TournamentQuerySet":
        """FOR UPDATE: whatever decides who gets a seat holds the tournament's row alone, for milliseconds."""
        return self.select_for_update()

    def held(self) -> "TournamentQuerySet":
        """FOR NO KEY UPDATE: keeps out whoever locks the row, but not who joins; for what takes longer, once entries are sealed."""
        return self.select_for_update(no_key=True)


def _known_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(
            _("“%(value)s” is no time zone; take one such as Europe/Berlin."), params={"value": value}
        )


AT_LEAST_ONE = [MinValueValidator(1)]


def default_entropy() -> str:
    """Where this installation's draws get their chance from, unless an organizer says otherwise."""
    return str(settings.DRAW_ENTROPY)


@pghistory.track(exclude=["rules_version"])
class Tournament(models.Model):
    """A tournament and the rules by which its seats are given out.

    The times in `STATE_FIELDS` are written by services only, under the row's lock, and tested by whoever joins.
    """

    class Mode(models.TextChoices):
        FIRST_COME = "FIRST_COME", _("first come, first served")
        FAIR_START = "FAIR_START", _("fair start")
        LOTTERY = "LOTTERY", _("lottery")

    class Entropy(models.TextChoices):
        """Where a draw gets its chance from: see lottery.drawing."""

        DRAND = "DRAND", _("drand: a public source that nobody can foresee or choose")
        COMMIT_REVEAL = "COMMIT_REVEAL", _("a sealed secret of this site, which works without the network")

    STATE_FIELDS = (
        "published_at", "draw_opened_at", "entries_sealed_at", "drawn_at", "paused_at", "cancelled_at", "closed_at"
    )  # fmt: skip
    DRAWN_MODES = (Mode.FAIR_START, Mode.LOTTERY)

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="tournaments")
    slug = models.SlugField(_("address on the site"), unique=True)
    name = models.CharField(_("name"), max_length=120)
    game = models.CharField(_("game"), max_length=80, default="Pokémon VGC")
    format = models.CharField(_("format"), max_length=80, blank=True)
    description = models.TextField(_("description"), blank=True)
    venue = models.CharField(_("venue"), max_length=120)
    city = models.CharField(_("city"), max_length=80)
    country = models.CharField(
        _("country"),
        max_length=2,
        validators=[RegexValidator(r"^[A-Z]{2}$", _("Two capital letters, such as DE."))],
    )
    time_zone = models.CharField(_("time zone"), max_length=40, default="UTC", validators=[_known_time_zone])
    starts_at = models.DateTimeField(_("tournament starts"))
    ends_at = models.DateTimeField(_("tournament ends"))

    mode = models.CharField(_("how seats are given out"), max_length=10, choices=Mode, default=Mode.FAIR_START)
    prequeue_opens_at = models.DateTimeField(_("waiting room opens"), null=True, blank=True)
    opens_at = models.DateTimeField(_("registration opens"))
    closes_at = models.DateTimeField(_("registration closes"))
    seals_at = models.DateTimeField(_("entries are sealed"), null=True, blank=True)
    offers_end_at = models.DateTimeField(_("last offers"))
    entropy = models.CharField(
        _("where chance comes from"), max_length=13, choices=Entropy, default=default_entropy, db_default="DRAND"
    )
    objection_minutes = models.PositiveSmallIntegerField(
        _("minutes for objections, in a lottery"),
        default=30,
        db_default=30,
        help_text=_("Offers start so long after the draw; until then a draw can be declared void."),
    )
    releases_reserved = models.BooleanField(
        _("open reserved seats that nobody can take"),
        default=True,
        db_default=True,
        help_text=_(
            "Once nobody can join any more, a reserved seat that nobody of its group waits for goes to the head of the line."
        ),
    )

    published_at = models.DateTimeField(_("published"), null=True, blank=True, editable=False)
    draw_opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    entries_sealed_at = models.DateTimeField(null=True, blank=True, editable=False)
    drawn_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)
    cancelled_at = models.DateTimeField(_("cancelled"), null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(_("waiting ended"), null=True, blank=True, editable=False)

    fee_minor = models.PositiveIntegerField(_("fee, in cents"), default=0)
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default="eur",
        validators=[RegexValidator(r"^[a-z]{3}$", _("Such as eur."))],
    )
    saves_cards = models.BooleanField(
        _("players may put a card on file, in a lottery"),
        default=False,
        db_default=False,
        help_text=_("It is charged when they win. Entering is free with and without, and a card buys no ticket."),
    )
    decline_hours = models.PositiveSmallIntegerField(
        _("hours to decline before a card on file is charged"), default=24, db_default=24
    )
    refund_until = models.DateTimeField(_("refunds until"), null=True, blank=True)
    refund_kept_percent = models.PositiveSmallIntegerField(
        _("percentage kept on a refund"), default=0, validators=[MaxValueValidator(100)]
    )

    offer_minutes = models.PositiveSmallIntegerField(_("minutes to take up an offer, in the rush"), default=10)
    rush_minutes = models.PositiveSmallIntegerField(_("minutes the rush lasts"), default=120)
    late_offer_hours = models.PositiveSmallIntegerField(_("hours to take up an offer, afterwards"), default=48)
    payment_minutes = models.PositiveSmallIntegerField(_("minutes to pay"), default=10)
    offers_per_minute = models.PositiveIntegerField(
        _("offers a minute"), default=1000, validators=[MinValueValidator(1)]
    )
    offer_batch = models.PositiveSmallIntegerField(
        _("offers at once"), default=50, validators=[MinValueValidator(10), MaxValueValidator(50)]
    )
    max_waiting = models.PositiveIntegerField(_("most who may wait"), null=True, blank=True)
    joins_per_player = models.PositiveSmallIntegerField(
        _("joins a minute, of a player"), default=5, db_default=5, validators=AT_LEAST_ONE
    )
    joins_per_address = models.PositiveIntegerField(
        _("joins a minute from one address, e-mail not verified"), default=10, db_default=10, validators=AT_LEAST_ONE
    )
    joins_per_address_verified = models.PositiveIntegerField(
        _("joins a minute from one address, e-mail verified"), default=3000, db_default=3000, validators=AT_LEAST_ONE
    )
    join_ceiling = models.PositiveIntegerField(
        _("most joins a minute in all"), null=True, blank=True, validators=AT_LEAST_ONE
    )
    emergency_contact = models.CharField(_("emergency contact"), max_length=120, blank=True)
    message = models.TextField(_("message to those waiting"), blank=True, max_length=500)
    # Counts the changes of this row and of its divisions and groups: whoever remembers them can tell whether they still hold.
    rules_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects = TournamentQuerySet.as_manager()

    class Meta:
        ordering = ["starts_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(mode__in=["FIRST_COME", "FAIR_START", "LOTTERY"]), name="tournament_mode_known"
            ),
            models.CheckConstraint(condition=Q(opens_at__lt=F("closes_at")), name="tournament_opens_before_it_closes"),
            models.CheckConstraint(
                condition=Q(closes_at__lte=F("offers_end_at")), name="tournament_closes_before_offers_end"
            ),
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="tournament_starts_before_it_ends"),
            models.CheckConstraint(
                condition=Q(offers_end_at__lte=F("starts_at")), name="tournament_offers_end_before_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(prequeue_opens_at__isnull=True) | Q(prequeue_opens_at__lt=F("opens_at")),
                name="tournament_waiting_room_opens_first",
            ),
            models.CheckConstraint(
                condition=(Q(mode="LOTTERY") & Q(seals_at__gte=F("closes_at")))
                | (~Q(mode="LOTTERY") & Q(seals_at=None)),
                name="tournament_lottery_seals_after_it_closes",
            ),
            models.CheckConstraint(
                condition=Q(mode="FAIR_START") | Q(prequeue_opens_at=None),
                name="tournament_waiting_room_is_of_fair_start",
            ),
            models.CheckConstraint(
                condition=~Q(mode="FAIR_START") | Q(prequeue_opens_at__isnull=False),
                name="tournament_fair_start_has_a_waiting_room",
            ),
            models.CheckConstraint(
                condition=Q(offer_batch__gte=10, offer_batch__lte=50, offers_per_minute__gte=1),
                name="tournament_pace_in_bounds",
            ),
            models.CheckConstraint(
                condition=Q(offer_minutes__gte=1, payment_minutes__gte=1, late_offer_hours__gte=1),
                name="tournament_offers_last",
            ),
            models.CheckConstraint(
                condition=Q(joins_per_player__gte=1, joins_per_address__gte=1, joins_per_address_verified__gte=1)
                & (Q(join_ceiling=None) | Q(join_ceiling__gte=1)),
                name="tournament_lets_somebody_join",
            ),
            models.CheckConstraint(condition=Q(refund_kept_percent__lte=100), name="tournament_keeps_at_most_all"),
            models.CheckConstraint(
                condition=Q(saves_cards=False) | Q(mode="LOTTERY"), name="tournament_saves_cards_for_a_lottery"
            ),
            models.CheckConstraint(
                condition=Q(entropy__in=["DRAND", "COMMIT_REVEAL"]), name="tournament_entropy_known"
            ),
            models.CheckConstraint(
                condition=Q(drawn_at=None)
                | Q(
                    mode__in=["FAIR_START", "LOTTERY"],
                    entries_sealed_at__isnull=False,
                    entries_sealed_at__lte=F("drawn_at"),
                ),
                name="tournament_sealed_before_drawn",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="counts_its_changes",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func="NEW.rules_version := OLD.rules_version + 1; RETURN NEW;",
            ),
            # Cancelling and ending are for good: nobody was told otherwise.
            pgtrigger.Protect(
                name="cancelled_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__cancelled_at__isnull=False, new__cancelled_at__isnull=True),
            ),
            pgtrigger.Protect(
                name="closed_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__closed_at__isnull=False, new__closed_at__isnull=True),
            ),
            triggers.frozen_with_entries(
                tournament="OLD.id", operation=triggers.update_of(*triggers.DRAW_FIELDS), of=triggers.DRAW_FIELDS
            ),
            triggers.sealed_until_drawn(
                tournament="OLD.id", operation=triggers.update_of("closes_at", "seals_at"), of=("closes_at", "seals_at")
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tournament", args=[self.slug])

    @property
    def is_free(self) -> bool:
        return self.fee_minor == 0

    @property
    def is_drawn_mode(self) -> bool:
        return self.mode in self.DRAWN_MODES

    @property
    def offers_begin_at(self) -> datetime | None:
        """When the order stands for good and offers go down it; None as long as it is to be drawn."""
        if not self.is_drawn_mode:
            return self.opens_at
        if self.drawn_at is None or self.mode == self.Mode.FAIR_START:
            return self.drawn_at
        return self.drawn_at + timedelta(minutes=self.objection_minutes)

    @property
    def join_limits(self) -> rules.JoinLimits:
        return rules.JoinLimits(
            player=self.joins_per_player,
            address=self.joins_per_address,
            address_verified=self.joins_per_address_verified,
            ceiling=self.join_ceiling,
        )

    def times(self, *, early_minutes: int = 0) -> rules.Times:
        """The times of this tournament for somebody who may join `early_minutes` before the rest."""
        return rules.Times(
            published_at=self.published_at,
            first_join_at=self.prequeue_opens_at or self.opens_at - timedelta(minutes=early_minutes),
            opens_at=self.opens_at,
            closes_at=self.closes_at,
            offers_end_at=self.offers_end_at,
            cancelled_at=self.cancelled_at,
        )

    def is_published(self, now: datetime) -> bool:
        return self.published_at is not None and self.published_at <= now

    def phase(self, now: datetime, *, early_minutes: int = 0) -> rules.Phase:
        return rules.phase(self.times(early_minutes=early_minutes), now)

    def clean(self) -> None:
        """A fair start needs its waiting room, a lottery its sealing time: sensible ones are filled in where left empty."""
        if self.mode == self.Mode.FAIR_START and self.prequeue_opens_at is None and self.opens_at:
            self.prequeue_opens_at = self.opens_at - timedelta(minutes=60)
        if self.mode == self.Mode.LOTTERY and self.seals_at is None:
            self.seals_at = self.closes_at
