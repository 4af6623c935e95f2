"""What the actions of the admin ask for before they act."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from tournaments import rules
from tournaments.forms.fields import count_field
from tournaments.models import Division, PriorityGroup
from tournaments.rules import MemberList


class ReasonForm(forms.Form):
    """Asks why."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept with the change; players may read it."),
    )


class MessageForm(forms.Form):
    message = forms.CharField(
        label=_("Message to those waiting"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text=_("Shown at once on the page of everybody in line. Empty takes it away."),
    )


class ExtendForm(ReasonForm):
    minutes = forms.IntegerField(
        label=_("Minutes more"), min_value=1, max_value=7 * 24 * 60, widget=UnfoldAdminIntegerFieldWidget
    )
    field_order = ("minutes", "reason")


class CancelForm(ReasonForm):
    """The slug has to be typed: nobody cancels a tournament with a slip of the thumb."""

    slug = forms.CharField(label=_("Type the tournament's address to confirm"), widget=UnfoldAdminTextInputWidget)
    field_order = ("reason", "slug")

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        self.fields["slug"].help_text = expected

    def clean_slug(self) -> str:
        typed: str = self.cleaned_data["slug"].strip()
        if typed != self.expected:
            raise ValidationError(_("This is not “%(slug)s”."), params={"slug": self.expected})
        return typed


class SeatsForm(ReasonForm):
    """How many seats of each kind each division has. `counts`: (division, group or None) to how many there are.

    The page carries the numbers that it was shown with: what was not touched stays as it is by now.
    """

    def __init__(self, *args: Any, counts: dict[tuple[Division, PriorityGroup | None], int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts = {self._name(*kind): (*kind, number) for kind, number in counts.items()}
        for name, (division, group, number) in self.counts.items():
            self.fields[name] = count_field(_label(division, group))
            self.fields[name].required = True
            self.fields[name].initial = number
            self.fields[name].show_hidden_initial = True
        self.order_fields([name for name in self.fields if name != "reason"])

    @staticmethod
    def _name(division: Division, group: PriorityGroup | None) -> str:
        return f"seats_{division.pk}_{group.pk if group else 'open'}"

    def changes(self) -> list[tuple[Division, PriorityGroup | None, int]]:
        """What was typed that differs from what there was; fewer seats first, so that a seat can move between kinds."""
        typed = [
            (division, group, self.cleaned_data[name], number)
            for name, (division, group, number) in self.counts.items()
            if name in self.changed_data and self.cleaned_data[name] != number
        ]
        return [row[:3] for row in sorted(typed, key=lambda row: row[2] - row[3])]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, (_division, _group, number) in self.counts.items():
            shown = self.data.get(self.add_initial_prefix(name), str(number))
            if name in self.changed_data and shown != str(number) and name not in self.errors:
                self.add_error(
                    name, _("Somebody changed this meanwhile: there are %(number)d now.") % {"number": number}
                )
        if not self.errors and not self.changes():
            raise ValidationError(_("Nothing was changed."))
        return cleaned


def _label(division: Division, group: PriorityGroup | None) -> Any:
    return f"{division.name}: {group.name}" if group else _("%(division)s: open to all") % {"division": division.name}


class MembersForm(forms.Form):
    """A list of Player IDs, as a CSV file or pasted; `members` holds them once all lines are good."""

    MOST_BYTES = 2_000_000

    file = forms.FileField(
        label=_("CSV file"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("The Player ID is in a column named player_id, or in the first one. 2 MB at most."),
    )
    pasted = forms.CharField(
        label=_("Or paste Player IDs, one a line"), required=False, widget=UnfoldAdminTextareaWidget
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            name = "file" if cleaned.get("file") else "pasted"
            self._read(name, self._text(cleaned))
        return cleaned

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > self.MOST_BYTES:
            raise ValidationError(_("This file is larger than 2 MB. Split it."))
        return file

    def _text(self, cleaned: dict[str, Any]) -> str:
        file = cleaned.get("file")
        return rules.decoded(file.read()) if file else cleaned["pasted"]

    def _read(self, name: str, text: str) -> None:
        self.members: MemberList = rules.member_list(text)
        for line, value in self.members.bad[:20]:
            self.add_error(
                name, _("Line %(line)d: “%(value)s” is no Player ID (3 to 16 digits).") % {"line": line, "value": value}
            )
        if len(self.members.bad) > 20:
            self.add_error(name, _("And %(more)d lines more.") % {"more": len(self.members.bad) - 20})
        if self.members.bad:
            self.add_error(None, _("Nothing was imported. Correct the list and send it again."))
        elif not self.members.player_ids:
            self.add_error(name, _("There is no Player ID in it."))


class RemoveMembersForm(ReasonForm, MembersForm):
    field_order = ("file", "pasted", "reason")
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Where seats are drawn, everybody can read it, with the number of players. Name no player."),
    )
