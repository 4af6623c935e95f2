"""What a join needs: which of the account's players."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Player, User


class JoinForm(forms.Form):
    """Chooses among the account's own players."""

    players = forms.ModelMultipleChoiceField(
        queryset=Player.objects.none(),
        label=_("Who plays?"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one player.")},
    )

    def __init__(self, *args: Any, account: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["players"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  it stands five lines above
        field.queryset = Player.objects.of(account)

    def player_ids(self) -> list[int]:
        return [player.pk for player in self.cleaned_data["players"]]
