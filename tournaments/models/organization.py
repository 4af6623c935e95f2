"""Who runs tournaments."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Organization(models.Model):
    """Who runs tournaments; its members are the organizers and see nothing of other organizations."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    slug = models.SlugField(unique=True)
    contact_email = models.EmailField(_("contact e-mail"))
    stripe_account = models.CharField(_("Stripe account"), max_length=64, blank=True)

    # What a receipt says of who was paid.
    legal_name = models.CharField(_("legal name"), max_length=200, blank=True, db_default="")
    postal_address = models.TextField(_("postal address"), max_length=400, blank=True, db_default="")
    tax_number = models.CharField(_("tax number"), max_length=64, blank=True, db_default="")
    tax_name = models.CharField(
        _("name of the tax"), max_length=40, blank=True, db_default="", help_text=_("Such as VAT.")
    )
    tax_percent = models.DecimalField(
        _("tax included in fees, in percent"),
        max_digits=5,
        decimal_places=2,
        default=0,
        db_default=0,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(tax_percent__gte=0, tax_percent__lte=100), name="organization_tax_in_bounds"
            ),
            models.CheckConstraint(condition=Q(tax_percent=0) | ~Q(tax_name=""), name="organization_tax_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """An account's role in an organization."""

    class Role(models.TextChoices):
        OWNER = "OWNER", _("owner")
        ORGANIZER = "ORGANIZER", _("organizer")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=9, choices=Role, default=Role.ORGANIZER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account"], name="membership_once_per_organization")
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.organization}"
