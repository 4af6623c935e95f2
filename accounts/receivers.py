"""What allauth tells of sign-ins, written where this site keeps it."""

from typing import Any

from allauth.account.signals import authentication_step_completed, password_reset
from django.contrib import messages
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.services import drop_unproven_password, mark_email_verified


@receiver(authentication_step_completed)
def prove_address_by_code(request: HttpRequest, user: User, method: str, **kwargs: Any) -> None:
    """Whoever typed the code from a mail reads that mailbox."""
    if method != "code" or str(kwargs.get("email", "")).lower() != user.email:
        return
    if drop_unproven_password(account=user):
        messages.info(
            request,
            _(
                "Your address is verified now. The password was set before that, so it no longer works: set a new one "
                "under “Account”, or go on signing in by code."
            ),
        )
    mark_email_verified(account=user, now=timezone.now())


@receiver(password_reset)
def prove_address_by_link(user: User, **kwargs: Any) -> None:  # noqa: ARG001  a receiver's signature
    """Whoever set a new password opened the link from a mail."""
    mark_email_verified(account=user, now=timezone.now())
