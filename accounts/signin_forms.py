"""allauth's forms in this site's words: a label above each field, and nothing greyed inside it."""

from typing import Any

from allauth.account import forms as allauth
from allauth.core import context
from django import forms
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.services import EmailTakenError, record_consent
from vgchub.limits import Limit, TooManyRequestsError, TriedTooOftenError, take
from vgchub.ratelimit import account_at_address

LABELS = {
    "email": gettext_lazy("E-mail address"),
    "login": gettext_lazy("E-mail address"),
    "password": gettext_lazy("Password"),
    "oldpassword": gettext_lazy("Password so far"),
    "password1": gettext_lazy("New password"),
    "password2": gettext_lazy("New password again"),
    "code": gettext_lazy("Code from the mail"),
}
MAILS_IN_TEN_MINUTES = 5
GOOD_PASSWORD = gettext_lazy("10 characters or more. A short sentence is easy to remember.")


class OurWords(forms.Form):
    """Comes first among the bases, so that it finds the fields that allauth makes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, field.label)
        if "password1" in self.fields:
            self.fields["password1"].help_text = GOOD_PASSWORD


class LoginForm(OurWords, allauth.LoginForm):
    pass


class Mailed(forms.Form):
    """Asks for a mail to an address. Counted on that and the sender's own together: nobody can use up somebody else's mails."""

    def clean_email(self) -> str:
        email: str = super().clean_email()  # type: ignore[misc]  # of allauth's form
        try:
            take("mail", [Limit("account", account_at_address(context.request, email), MAILS_IN_TEN_MINUTES, 600)])
        except TooManyRequestsError as error:
            refusal = TriedTooOftenError(error.waits)
            raise forms.ValidationError(f"{refusal.message} {refusal.remedy}", code="rate_limited") from None
        return email


class RequestLoginCodeForm(OurWords, Mailed, allauth.RequestLoginCodeForm):
    pass


class ConfirmLoginCodeForm(OurWords, allauth.ConfirmLoginCodeForm):
    pass


class ResetPasswordForm(OurWords, Mailed, allauth.ResetPasswordForm):
    pass


class ResetPasswordKeyForm(OurWords, allauth.ResetPasswordKeyForm):
    pass


class ChangePasswordForm(OurWords, allauth.ChangePasswordForm):
    pass


class SetPasswordForm(OurWords, allauth.SetPasswordForm):
    pass


def _terms_label() -> str:
    return format_html(_('I accept the <a href="{}" target="_blank">terms</a>'), "/terms/")


class SignupForm(OurWords, allauth.SignupForm):
    """E-mail, password and the acceptance of the terms, which is kept as a Consent."""

    terms = forms.BooleanField(
        label=lazy(_terms_label, str)(),
        error_messages={"required": gettext_lazy("Without accepting the terms there is no account.")},
    )
    field_order = ("email", "password1", "terms")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].help_text = _("Offers of seats are mailed here, so take one that you read.")
        self.fields["password1"].label = _("Password")

    def save(self, request: HttpRequest) -> User:
        """The account with its consent, or neither of them; the same form sent twice at once makes one account."""
        try:
            with transaction.atomic():
                user: User = super().save(request)
                record_consent(account=user)
        except IntegrityError:
            raise EmailTakenError from None
        return user
