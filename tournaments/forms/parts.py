"""The rows on a tournament's page: divisions and priority groups."""

from datetime import UTC, date
from typing import Any

from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.forms import PaginationInlineFormSet

from tournaments import rules
from tournaments.forms.fields import count_field
from tournaments.models import Division, PriorityGroup
from vgchub.forms import ChangedFieldsForm


class DivisionForm(ChangedFieldsForm):
    """A division; `seats` is typed once, later changes go through the action that asks for a reason."""

    seat_number = count_field(_("Seats"))

    class Meta:
        model = Division
        fields = ("code", "name", "born_from", "born_to")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["seat_number"].disabled = True
            self.initial["seat_number"] = getattr(self.instance, "seat_count", None)

    def has_changed(self) -> bool:
        """A suggested row without seats was not taken up, wherever on the page it stands by now."""
        return super().has_changed() and not (self.instance.pk is None and self._is_suggestion())

    def _is_suggestion(self) -> bool:
        typed = {name: self.data.get(self.add_prefix(name), "") for name in (*self.Meta.fields, "seat_number")}
        empty = dict.fromkeys(typed, "")
        return any(
            typed == {**empty, **{name: str(value) for name, value in row.items()}}
            for row in current_season_divisions()
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        born_from, born_to = cleaned.get("born_from"), cleaned.get("born_to")
        if born_from and born_to and born_from > born_to:
            self.add_error("born_to", _("This is before the day on the left: nobody would be admitted."))
        if (
            self.instance.pk is None
            and self.has_changed()
            and not cleaned.get("seat_number")
            and "seat_number" not in self.errors
        ):
            self.add_error("seat_number", _("How many seats? Empty the row if there is no such division."))
        return cleaned


def season_divisions(today: date) -> list[dict[str, Any]]:
    """The usual three divisions of the season that `today` is in; a season turns on 1 September and is named after its end."""
    season = today.year + (today.month >= 9)
    return [
        {"code": "junior", "name": str(_("Juniors")), "born_from": date(season - 12, 1, 1)},
        {
            "code": "senior",
            "name": str(_("Seniors")),
            "born_from": date(season - 16, 1, 1),
            "born_to": date(season - 13, 12, 31),
        },
        {"code": "masters", "name": str(_("Masters")), "born_to": date(season - 17, 12, 31)},
    ]


class DivisionFormSet(PaginationInlineFormSet):
    """Divisions of one tournament never overlap: a birth date decides."""

    def clean(self) -> None:
        super().clean()
        kept = {form.cleaned_data["code"]: form for form in _kept(self) if form.cleaned_data.get("code")}
        bounds = [
            rules.DivisionBounds(0, code, form.cleaned_data.get("born_from"), form.cleaned_data.get("born_to"))
            for code, form in kept.items()
            if not form.errors
        ]
        for first, second in rules.overlapping(bounds):
            other = kept[first].cleaned_data["name"]
            kept[second].add_error(
                "born_from", _("Somebody would belong here and in %(other)s: let them not overlap.") % {"other": other}
            )

    def seats_by_code(self) -> dict[str, int]:
        return {
            form.cleaned_data["code"]: form.cleaned_data.get("seat_number") or 0
            for form in _kept(self)
            if form.cleaned_data.get("code")
        }


def _kept(formset: "BaseInlineFormSet[Any, Any, Any]") -> list[Any]:
    """The forms of a formset that will be rows: neither left empty nor ticked for deletion."""
    return [
        form
        for form in formset.forms
        if hasattr(form, "cleaned_data")
        and (form.instance.pk is not None or form.has_changed())
        and form not in formset.deleted_forms
    ]


class GroupForm(ChangedFieldsForm):
    """A priority group; on a new tournament also how many of each division's seats are reserved for it."""

    reserved_junior = count_field(_("Reserved seats, Juniors"))
    reserved_senior = count_field(_("Reserved seats, Seniors"))
    reserved_masters = count_field(_("Reserved seats, Masters"))

    class Meta:
        model = PriorityGroup
        fields = "__all__"

    def reserved(self) -> dict[str, int]:
        """Division code to the number typed, where there is one."""
        typed = {code: self.cleaned_data.get(f"reserved_{code}") for code in Division.Code.values}
        return {code: number for code, number in typed.items() if number}

    def clean_countries(self) -> str:
        return _words(self.cleaned_data["countries"].upper(), None, _("“%s” is no country: two letters, such as DE."))

    def clean_division_codes(self) -> str:
        codes = set(Division.Code.values)
        return _words(self.cleaned_data["division_codes"].lower(), codes, _("“%s” is none of junior, senior, masters."))

    def clean_tickets(self) -> int:
        tickets: int = self.cleaned_data["tickets"]
        if not 1 <= tickets <= 64:
            raise ValidationError(_("Between 1 and 64."))
        return tickets


def _words(text: str, known: set[str] | None, message: Promise) -> str:
    """Words apart by spaces or commas, as they are kept: apart by one space."""
    words = text.replace(",", " ").split()
    for word in words:
        if word not in known if known is not None else not (len(word) == 2 and word.isascii() and word.isalpha()):
            raise ValidationError(str(message) % word)
    return " ".join(words)


class GroupFormSet(PaginationInlineFormSet):
    """Reserved seats are among a division's seats, so they have to fit into them."""

    divisions: DivisionFormSet | None = None  # of the same page, when the tournament is new

    def clean(self) -> None:
        super().clean()
        if self.divisions is None or not self.divisions.is_valid():
            return
        left = self.divisions.seats_by_code()
        for form in _kept(self):
            for code, number in form.reserved().items():
                if code not in left:
                    form.add_error(f"reserved_{code}", _("This tournament has no such division."))
                elif number > left[code]:
                    form.add_error(f"reserved_{code}", _too_many(number, left[code]))
                else:
                    left[code] -= number


def _too_many(asked: int, left: int) -> str:
    text = _("%(asked)d are more than the %(left)d seats that are left to reserve.")
    return str(text) % {"asked": asked, "left": left}


def current_season_divisions() -> list[dict[str, Any]]:
    return season_divisions(timezone.now().astimezone(UTC).date())
