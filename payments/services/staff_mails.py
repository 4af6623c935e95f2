"""Mails to those who run a tournament and the site, about money that needs a person."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from post_office.models import PRIORITY, STATUS, Email

from accounts.models import User
from tournaments.models import Organization


def tell_organizer(organization: Organization, name: str, context: Mapping[str, Any]) -> None:
    """Queue templates/payments/mail/`name`.txt for the organization's contact address, in the caller's transaction."""
    _queue([organization.contact_email], name, context)


def tell_organizer_and_staff(organization: Organization, name: str, context: Mapping[str, Any]) -> None:
    """The same, and one mail for each member of staff."""
    staff = User.objects.filter(is_staff=True, is_active=True).order_by("pk").values_list("email", flat=True)
    _queue(dict.fromkeys([organization.contact_email, *staff]), name, context)


def _queue(addresses: Iterable[str], name: str, context: Mapping[str, Any]) -> None:
    subject = " ".join(render_to_string(f"payments/mail/{name}_subject.txt", context).split())
    text = render_to_string(f"payments/mail/{name}.txt", context)
    Email.objects.bulk_create(
        Email(
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[address],
            subject=subject,
            message=text,
            status=STATUS.queued,
            priority=int(PRIORITY.medium),
        )
        for address in addresses
        if address
    )
