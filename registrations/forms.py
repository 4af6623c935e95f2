"""What a join needs: which of the account's players."""

from django import forms
from django.utils.translation import gettext_lazy as _


class PlayerKeys(forms.TypedMultipleChoiceField):
    """Keys of players, each once. Whose they are, and whether they are there, is the service's question."""

    def valid_value(self, value: str) -> bool:
        return value.isascii() and value.isdecimal() and len(value) < 19  # of 64 bits


class JoinForm(forms.Form):
    """Says who is to join."""

    players = PlayerKeys(
        coerce=int,
        error_messages={
            "required": _("Choose at least one player."),
            "invalid_choice": _("Choose among your own players."),
        },
    )

    def player_ids(self) -> list[int]:
        return list(dict.fromkeys(self.cleaned_data["players"]))
