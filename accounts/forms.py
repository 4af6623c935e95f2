"""Input of the account pages."""

from datetime import date
from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import rules
from accounts.countries import COUNTRIES
from accounts.models import Player, User
from accounts.queries import guardian_consented
from accounts.services import EmailTakenError, PlayerDetails


class PlayerForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own takes none
    """A player. The guardian's consent is asked for exactly when the age and country that were typed call for it.

    `keep_identity`: birth date and Player ID stay as they are, since an entry depends on them.
    """

    country = forms.ChoiceField(
        label=gettext_lazy("Country"), choices=[("", gettext_lazy("Choose a country")), *COUNTRIES]
    )
    guardian_consent = forms.BooleanField(
        label=gettext_lazy("I am the parent or guardian of this player and agree that they take part."),
        error_messages={"required": gettext_lazy("A parent or guardian has to agree before this player can be added.")},
    )

    class Meta:
        model = Player
        fields = ("display_name", "player_id", "birth_date", "country")
        widgets = {
            "display_name": forms.TextInput(attrs={"autocomplete": "off"}),
            "player_id": forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
            "birth_date": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "autocomplete": "off"}),
        }
        help_texts = {
            "display_name": gettext_lazy("As it is to stand on the badge."),
            "player_id": gettext_lazy("The number on the player's card or profile. It is checked at the venue."),
            "birth_date": gettext_lazy("It decides the age division."),
        }
        error_messages = {
            "birth_date": {"invalid": gettext_lazy("Write the date as year-month-day, such as 2009-05-31.")}
        }

    def __init__(self, *args: Any, today: date, keep_identity: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.fields["birth_date"].widget.attrs |= {"min": "1900-01-01", "max": today.isoformat()}
        if keep_identity:
            for name in ("player_id", "birth_date"):
                self.fields[name].disabled = True
                self.fields[name].help_text = _("Can't change while this player waits for a seat or holds one.")
        if not self._asks_guardian():
            del self.fields["guardian_consent"]

    def _asks_guardian(self) -> bool:
        if not self.is_bound:
            return False
        birth_date, country = self._typed("birth_date"), self._typed("country")
        if not isinstance(birth_date, date) or not self._plausible(birth_date) or not country:
            return False
        if not rules.needs_guardian(birth_date, country, self.today):
            return False
        return self.instance.pk is None or not guardian_consented(self.instance)

    def _typed(self, name: str) -> Any:
        field = self.fields[name]
        if field.disabled:
            return self.get_initial_for_field(field, name)
        try:
            return field.clean(self[name].data)
        except ValidationError:
            return None

    def _plausible(self, birth_date: date) -> bool:
        return date(1900, 1, 1) <= birth_date <= self.today

    def clean_birth_date(self) -> date:
        birth_date: date = self.cleaned_data["birth_date"]
        if not self._plausible(birth_date):
            raise ValidationError(_("Nobody who plays was born on that day; check the year."))
        return birth_date

    def details(self) -> PlayerDetails:
        """What was typed, once the form is valid."""
        names = ("display_name", "player_id", "birth_date", "country")
        return PlayerDetails(**{name: self.cleaned_data[name] for name in names})


class EmailCodeForm(forms.Form):
    """The code from the mail; spaces do no harm."""

    code = forms.CharField(
        label=gettext_lazy("Code from the mail"),
        max_length=12,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "class": "code-input"}),
    )

    def clean_code(self) -> str:
        digits = "".join(self.cleaned_data["code"].split())
        if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
            raise ValidationError(_("The code is six digits, such as 012345."))
        return digits


class EmailChangeForm(forms.Form):
    """The new address, and the password where there is one: whoever has the address has the account."""

    email = forms.EmailField(
        label=gettext_lazy("New e-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text=gettext_lazy("We mail it a code. The old address stays until you type that code."),
    )
    password = forms.CharField(
        label=gettext_lazy("Your password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        strip=False,
    )

    def __init__(self, *args: Any, account: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        if not account.has_usable_password():
            del self.fields["password"]

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if email == self.account.email:
            raise ValidationError(_("That is your address already."))
        if User.objects.filter(email=email).exists():
            raise ValidationError(str(EmailTakenError.message))
        return email

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        # allauth's way counts failures, so that a borrowed phone is no place to try passwords.
        if not get_adapter().reauthenticate(self.account, password):
            raise ValidationError(_("That is not your password."))
        return password
