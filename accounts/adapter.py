"""Where allauth asks this site how things are done here."""

import contextlib
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Player, User
from accounts.services import CodeTooSoonError, TooManyCodesError, send_email_code
from vgchub.celery import wake_on_commit
from vgchub.ratelimit import account_at_address, client_address
from vgchub.tasks import send_mail as send_mail_now


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("This address and this password don't go together."),
        "email_taken": _(
            "There is an account with this address already. If it is yours, sign in; a code by e-mail will do."
        ),
        "enter_current_password": _("That is not your password."),
        "incorrect_code": _("That is not the code we sent."),
        "too_many_login_attempts": _("That was tried too often. Wait five minutes, or set a new password."),
        "rate_limited": _("That was tried too often. Wait a minute."),
    }

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Failures count on account and address together: nobody can lock somebody else out."""
        return account_at_address(request, str(credentials.get("email", "")))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        super().send_mail(template_prefix, email, context)
        wake_on_commit(send_mail_now)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:  # noqa: ARG002
        """Our own code of six digits instead of allauth's link."""
        with contextlib.suppress(CodeTooSoonError, TooManyCodesError):  # the last one still lies in the mailbox
            send_email_code(account=emailconfirmation.email_address.user, now=timezone.now())

    def post_login(
        self, request: HttpRequest, user: User, *, signup: bool, redirect_url: str | None, **kwargs: Any
    ) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, signup=signup, redirect_url=redirect_url, **kwargs)
        if not signup or Player.objects.of(user).exists():
            return response
        # The first thing an account needs is a player; then it goes on to where the person wanted to go.
        onward = QueryDict(mutable=True)
        onward["next"] = response["Location"]
        return HttpResponseRedirect(f"{reverse('player_add')}?{onward.urlencode(safe='/')}")

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002
        return reverse("account")
