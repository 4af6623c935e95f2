"""Who signs in (User), who plays (Player), and what they agreed to (Consent)."""

from datetime import date
from typing import Any, ClassVar

import pghistory
import pgtrigger
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import rules
from accounts.countries import COUNTRIES

_COUNTRY_NAMES = dict(COUNTRIES)


class UserManager(BaseUserManager["User"]):
    """Users by e-mail address, whatever its case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


# What look-alike addresses have in common, in SQL: no dots or digits before the @, nothing from a + on, no capitals.
EMAIL_ALIKE = (
    "regexp_replace(split_part(split_part(lower(%(expressions)s), '@', 1), '+', 1), '[.0-9]', '', 'g')"
    " || '@' || split_part(lower(%(expressions)s), '@', 2)"
)


class User(AbstractBaseUser, PermissionsMixin):
    """An account: signs in, pays, receives mail. It may hold several players (a guardian's children)."""

    email = models.EmailField(_("e-mail address"), unique=True)
    # Seats are offered, and draws are made, only among verified addresses.
    email_verified_at = models.DateTimeField(_("e-mail verified at"), null=True, blank=True)
    is_staff = models.BooleanField(
        _("staff"),
        default=False,
        help_text=_("Sees every organization. Organizers are members of one instead."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    joined_at = models.DateTimeField(_("joined at"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_in_any_case")]
        indexes = [models.Index(models.Func("email", template=f"({EMAIL_ALIKE})"), name="user_email_alike")]

    def __str__(self) -> str:
        return self.email


class PlayerQuerySet(models.QuerySet["Player"]):
    def of(self, account: User) -> "PlayerQuerySet":
        return self.filter(account=account)


@pghistory.track()
class Player(models.Model):
    """A person who plays. `birth_date` decides the division, the other facts decide priority groups."""

    class IdState(models.TextChoices):
        CLAIMED = "CLAIMED", _("claimed")
        VERIFIED = "VERIFIED", _("verified")
        DISPUTED = "DISPUTED", _("claimed by more than one account")

    account = models.ForeignKey(User, models.CASCADE, related_name="players", verbose_name=_("account"))
    display_name = models.CharField(_("name"), max_length=80)
    player_id = models.CharField(
        _("Player ID"),
        max_length=16,
        db_index=True,
        validators=[RegexValidator(r"^[0-9]{3,16}$", _("A Player ID is a number of 3 to 16 digits."))],
    )
    player_id_state = models.CharField(max_length=8, choices=IdState, default=IdState.CLAIMED)
    birth_date = models.DateField(_("date of birth"))
    country = models.CharField(
        _("country"),
        max_length=2,
        validators=[RegexValidator(r"^[A-Z]{2}$", _("A country is two capital letters, such as DE."))],
    )
    championship_points = models.PositiveIntegerField(_("championship points"), default=0)
    best_placement = models.PositiveIntegerField(_("best placement"), null=True, blank=True)
    seasons_played = models.PositiveSmallIntegerField(_("seasons played"), default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PlayerQuerySet.as_manager()

    class Meta:
        ordering = ["display_name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["player_id"],
                condition=models.Q(player_id_state="VERIFIED"),
                name="player_id_verified_once",
            ),
            models.UniqueConstraint(fields=["account", "player_id"], name="player_id_once_per_account"),
            models.CheckConstraint(
                condition=models.Q(player_id_state__in=["CLAIMED", "VERIFIED", "DISPUTED"]),
                name="player_id_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(birth_date__gte=date(1900, 1, 1)), name="player_birth_date_plausible"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def country_name(self) -> str:
        return str(_COUNTRY_NAMES.get(self.country, self.country))

    def facts(self, *, memberships: frozenset[int] = frozenset()) -> rules.PlayerFacts:
        """The plain values that eligibility is decided on; `memberships` are ids of PriorityGroups."""
        return rules.PlayerFacts(
            birth_date=self.birth_date,
            country=self.country,
            championship_points=self.championship_points,
            best_placement=self.best_placement,
            seasons_played=self.seasons_played,
            memberships=memberships,
        )


class Consent(models.Model):
    """An agreement as it was given: what text, when, by which account. Rows are only ever added."""

    class Kind(models.TextChoices):
        TERMS = "TERMS", _("terms of service")
        GUARDIAN = "GUARDIAN", _("guardian's consent")

    account = models.ForeignKey(User, models.CASCADE, related_name="consents")
    player = models.ForeignKey(Player, models.CASCADE, null=True, blank=True, related_name="consents")
    kind = models.CharField(max_length=8, choices=Kind)
    text_version = models.CharField(max_length=20)
    given_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="TERMS", player__isnull=True) | models.Q(kind="GUARDIAN", player__isnull=False),
                name="consent_of_a_guardian_names_the_player",
            ),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.text_version}"


class EmailCode(models.Model):
    """The code that was last mailed to prove an address: one per account, kept as a keyed hash only.

    It stands here and not in the session, so that its tries are counted over all devices and without Redis.
    """

    TRIES = 5

    account = models.OneToOneField(User, models.CASCADE, related_name="email_code")
    # The account's own address, or the one it is to have once this is typed.
    email = models.EmailField()
    code_hash = models.CharField(max_length=64)
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    tries_left = models.PositiveSmallIntegerField(default=TRIES)
    # How many were mailed since when: a mailbox can't be flooded, nor all codes be tried.
    counted_from = models.DateTimeField()
    mailed = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(tries_left__lte=5), name="emailcode_has_at_most_5_tries"),
            models.CheckConstraint(
                condition=models.Q(sent_at__lt=models.F("expires_at"), counted_from__lte=models.F("sent_at")),
                name="emailcode_times_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.email
