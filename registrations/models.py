"""QueueEntry: a player's way to a seat. The database itself refuses what must never be."""

import secrets
from datetime import datetime
from typing import Any

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import Player, User
from registrations.rules import ENDED, LIVE, SEATED, TRANSITIONS, State
from tournaments.models import Division, PriorityGroup, Seat, Tournament
from vgchub.constraints import ForeignKeyTogether


def new_public_id() -> str:
    """24 hex digits, 96 random bits: may be published in a draw without saying whose it is."""
    return secrets.token_hex(12)


STATE_WORDS = {
    State.WAITING: _("waiting"),
    State.OFFERED: _("a seat is on offer"),
    State.CONFIRMED: _("confirmed"),
    State.PASSED: _("missed an offer"),
    State.LAPSED: _("missed two offers"),
    State.LEFT: _("left the line"),
    State.CANCELLED: _("gave the seat back"),
    State.CLOSED: _("registration ended"),
    State.REJECTED: _("taken out by staff"),
}

STATE_KINDS = {
    State.WAITING: "waiting",
    State.OFFERED: "offered",
    State.CONFIRMED: "confirmed",
    State.PASSED: "trouble",
}


class QueueEntryQuerySet(models.QuerySet["QueueEntry"]):
    def waiting(self) -> "QueueEntryQuerySet":
        return self.filter(state=State.WAITING)

    def live(self) -> "QueueEntryQuerySet":
        return self.filter(state__in=LIVE)

    def in_line(self) -> "QueueEntryQuerySet":
        """Waiting with a place: all but those who wait for a draw, in the order in which seats are offered."""
        return self.waiting().filter(place__isnull=False).order_by("-priority", "place")

    def offerable(self) -> "QueueEntryQuerySet":
        """In line, with a verified address and no dispute about the Player ID."""
        return (
            self.in_line()
            .filter(player__account__email_verified_at__isnull=False)
            .exclude(player__player_id_state=Player.IdState.DISPUTED)
        )

    def of(self, account: User) -> "QueueEntryQuerySet":
        return self.filter(player__account=account)

    def offers_due(self, now: datetime) -> "QueueEntryQuerySet":
        """Offers that ran out. One with a checkout is for payments to settle."""
        return self.filter(state=State.OFFERED, offer_expires_at__lte=now)


# A draw gives a million places in one statement: one trigger call for all of them takes a third of the time.
@pghistory.track(
    pghistory.InsertEvent(),
    pghistory.UpdateEvent(level=pghistory.Statement),
    meta={
        # Offers as they were made: whether they went down the order is asked of each drawn tournament.
        "indexes": [
            models.Index(fields=["tournament"], condition=Q(state=State.OFFERED), name="queueentryevent_offers")
        ],
    },
)
class QueueEntry(models.Model):
    """One player's entry in one tournament.

    `number` is the order of arrival. `place` is where the entry stands, smaller is earlier: the number, or a negative one from a
    draw, so that the drawn stand before all who came later; null exactly while it waits for a draw.
    """

    State = State

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    # The database holds both together, see `queueentry_division_of_its_tournament`: a check less for each, in every join.
    tournament = models.ForeignKey(
        Tournament, models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    division = models.ForeignKey(Division, models.PROTECT, related_name="entries", db_index=False, db_constraint=False)
    player = models.ForeignKey(Player, models.PROTECT, related_name="entries")
    group = models.ForeignKey(
        PriorityGroup, models.PROTECT, null=True, blank=True, related_name="entries", db_index=False
    )
    priority = models.PositiveSmallIntegerField(_("lane"), default=0)
    number = models.BigIntegerField(_("arrival number"), unique=True)
    place = models.BigIntegerField(_("place"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=[(s, s) for s in State], default=State.WAITING)
    seat = models.OneToOneField(Seat, models.RESTRICT, null=True, blank=True, related_name="entry")
    offer_number = models.BigIntegerField(_("offer number"), null=True, blank=True)

    joined_at = models.DateTimeField(_("joined"))
    offered_at = models.DateTimeField(_("offered"), null=True, blank=True)
    offer_expires_at = models.DateTimeField(_("offer ends"), null=True, blank=True)
    checkout_at = models.DateTimeField(_("checkout begun"), null=True, blank=True)
    hold_until = models.DateTimeField(_("held until, at most"), null=True, blank=True)
    stepped_back_at = models.DateTimeField(_("stepped back in"), null=True, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    grant_reason = models.CharField(_("why the seat was granted"), max_length=200, blank=True)
    waived_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    waiver_reason = models.CharField(_("why the fee was waived"), max_length=200, blank=True)
    address_hash = models.CharField(max_length=32, blank=True, editable=False)
    device_hash = models.CharField(max_length=32, blank=True, editable=False)

    objects = QueueEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering = ["tournament", "number"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(State)), name="queueentry_state_known"),
            models.CheckConstraint(
                condition=(Q(state__in=SEATED) & Q(seat__isnull=False)) | (~Q(state__in=SEATED) & Q(seat=None)),
                name="queueentry_seat_exactly_when_offered_or_confirmed",
            ),
            models.CheckConstraint(
                condition=(Q(state=State.OFFERED) & Q(offer_expires_at__isnull=False, hold_until__isnull=False))
                | (~Q(state=State.OFFERED) & Q(offer_expires_at=None, hold_until=None)),
                name="queueentry_expiry_exactly_when_offered",
            ),
            models.CheckConstraint(
                condition=Q(offer_expires_at__lte=F("hold_until")),
                name="queueentry_offer_ends_within_its_hold",
            ),
            models.CheckConstraint(
                condition=Q(checkout_at=None) | Q(state__in=SEATED), name="queueentry_checkout_only_of_a_seat"
            ),
            models.CheckConstraint(
                condition=~Q(state=State.CONFIRMED) | Q(confirmed_at__isnull=False),
                name="queueentry_confirmed_has_its_time",
            ),
            models.CheckConstraint(
                condition=(Q(state__in=ENDED) & Q(ended_at__isnull=False)) | (~Q(state__in=ENDED) & Q(ended_at=None)),
                name="queueentry_ended_at_exactly_when_ended",
            ),
            models.CheckConstraint(
                condition=Q(place__isnull=False)
                | Q(state__in=[State.WAITING, State.LEFT, State.CLOSED, State.REJECTED]),
                name="queueentry_no_offer_without_a_place",
            ),
            models.CheckConstraint(condition=Q(priority=0) | Q(place__gt=0), name="queueentry_drawn_has_no_lane"),
            models.CheckConstraint(
                condition=Q(granted_by=None, grant_reason="") | (Q(granted_by__isnull=False) & ~Q(grant_reason="")),
                name="queueentry_grant_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(waived_by=None, waiver_reason="") | (Q(waived_by__isnull=False) & ~Q(waiver_reason="")),
                name="queueentry_waiver_has_a_reason",
            ),
            models.UniqueConstraint(
                fields=["tournament", "player"],
                condition=Q(state__in=LIVE),
                name="queueentry_one_live_per_player",
            ),
            models.UniqueConstraint(fields=["tournament", "place"], name="queueentry_place_unique"),
            ForeignKeyTogether(
                fields=["seat_id", "division_id"],
                to="tournaments_seat",
                to_fields=["id", "division_id"],
                name="queueentry_seat_of_its_division",
            ),
            ForeignKeyTogether(
                fields=["division_id", "tournament_id"],
                to="tournaments_division",
                to_fields=["id", "tournament_id"],
                name="queueentry_division_of_its_tournament",
            ),
            ForeignKeyTogether(
                fields=["group_id", "tournament_id"],
                to="tournaments_prioritygroup",
                to_fields=["id", "tournament_id"],
                name="queueentry_group_of_its_tournament",
            ),
        ]
        indexes = [
            # The line: head first. Position and offers read it in this order.
            models.Index(
                fields=["division", "-priority", "place"],
                condition=Q(state=State.WAITING),
                name="queueentry_line",
            ),
            # A group's part of it, for the seats that are reserved for it.
            models.Index(
                fields=["division", "group", "-priority", "place"],
                condition=Q(state=State.WAITING, group__isnull=False),
                name="queueentry_line_of_group",
            ),
            models.Index(fields=["offer_expires_at"], condition=Q(state=State.OFFERED), name="queueentry_offers_due"),
            models.Index(
                fields=["tournament", "offered_at"],
                condition=Q(offered_at__isnull=False),
                name="queueentry_pace",
            ),
        ]
        triggers = [
            pgtrigger.FSM(
                name="state_machine",
                field="state",
                transitions=[(str(a), str(b)) for a, b in TRANSITIONS],
                condition=pgtrigger.AnyChange("state"),  # a draw gives a million places and changes no state
            ),
            pgtrigger.ReadOnly(name="identity", fields=["public_id", "tournament", "player", "number", "joined_at"]),
            pgtrigger.Trigger(
                # A place is for good, but for one that a draw gave which is declared void before the first offer.
                name="place_stays",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__place__isnull=False) & pgtrigger.Q(old__place__df=pgtrigger.F("new__place")),
                func="""
                    IF NEW.place IS NULL AND OLD.offer_number IS NULL AND EXISTS (
                        SELECT FROM tournaments_tournament t
                        WHERE t.id = NEW.tournament_id AND t.mode <> 'FIRST_COME' AND t.drawn_at IS NULL
                    ) THEN
                        RETURN NEW;
                    END IF;
                    RAISE EXCEPTION 'a place stays' USING ERRCODE = 'check_violation';
                """,
            ),
            pgtrigger.Protect(
                name="ended_is_over",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__state__in=[str(s) for s in ENDED])
                & pgtrigger.Q(old__state__df=pgtrigger.F("new__state")),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="lanes_are_of_first_come",
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("priority"),  # type: ignore[no-untyped-call]
                when=pgtrigger.Before,
                condition=pgtrigger.Q(new__priority__gt=0),
                declare=[("_mode", "text")],
                func="""
                    SELECT mode INTO _mode FROM tournaments_tournament WHERE id = NEW.tournament_id;
                    IF _mode <> 'FIRST_COME' THEN
                        RAISE EXCEPTION 'priority is 0 in drawn modes' USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    def get_absolute_url(self) -> str:
        return reverse("entry", args=[self.public_id])

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def is_free(self) -> bool:
        """Nothing is to be paid for its seat."""
        return self.tournament.is_free or self.waived_by_id is not None

    @property
    def state_in_words(self) -> str:
        return str(STATE_WORDS[State(self.state)])

    @property
    def state_kind(self) -> str:
        """The state's colour and icon on pages."""
        return STATE_KINDS.get(State(self.state), "ended")


# Mails that go to a whole crowd at once; they wait while any other is due.
BULK_KINDS = ("CLOSED", "SEALED", "LEFT_OUT", "DRAWN", "DRAW_VOID")


class Notice(models.Model):
    """A mail that is due, written with the change that it tells of; a worker renders and queues it once.

    `offer_number` says of which offer; in a mail about a draw, of which of the tournament's draws; about a refund, of which refund.
    """

    class Kind(models.TextChoices):
        OFFERED = "OFFERED", _("a seat is offered")
        ENDING = "ENDING", _("the offer is about to end")
        CONFIRMED = "CONFIRMED", _("confirmed")
        PASSED = "PASSED", _("offer missed")
        LAPSED = "LAPSED", _("second offer missed")
        CANCELLED = "CANCELLED", _("cancelled")
        CLOSED = "CLOSED", _("registration ended")
        REJECTED = "REJECTED", _("decided by staff")
        UNSEATED = "UNSEATED", _("the payment failed, the seat is offered again")
        VOIDED = "VOIDED", _("paid too late, nothing was charged")
        SEALED = "SEALED", _("sealed for the draw")
        LEFT_OUT = "LEFT_OUT", _("not in the draw")
        DRAWN = "DRAWN", _("drawn")
        DRAW_VOID = "DRAW_VOID", _("the draw is void")
        WON = "WON", _("a seat is offered, and a card on file will be charged")
        ACTION = "ACTION", _("the payment needs the player")
        REFUNDED = "REFUNDED", _("money went back")

    entry = models.ForeignKey(QueueEntry, models.CASCADE, related_name="notices", db_index=False)
    kind = models.CharField(max_length=9, choices=Kind)
    offer_number = models.BigIntegerField(default=0)
    due_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True, blank=True)
    # What the mail says beyond how the entry stands, such as an amount: only apps above this one know of it.
    facts: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField())
    )
    # How often it could not be made, and why not; from NOTICE_TRIES on it is left to whoever looks.
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    problem = models.TextField(blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "kind", "offer_number"], name="notice_once"),
        ]
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                condition=Q(mailed_at=None) & ~Q(kind__in=BULK_KINDS),
                name="notice_due",
            ),
            models.Index(
                fields=["due_at", "id"],
                condition=Q(mailed_at=None, kind__in=BULK_KINDS),
                name="notice_bulk_due",
            ),
            models.Index(fields=["id"], condition=Q(mailed_at=None, attempts__gt=0), name="notice_tried"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.entry_id}"


class Heartbeat(models.Model):
    """When the clock last ticked: one row. A silence in it is time that players could not use."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    beat_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="heartbeat_is_one_row")]

    def __str__(self) -> str:
        return self.beat_at.isoformat()
