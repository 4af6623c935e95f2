"""The tournament's own form: impossible settings are refused with the reason beside the field."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextInputWidget

from tournaments.models import Tournament
from vgchub.forms import ChangedFieldsForm
from vgchub.words import card_step

Mode = Tournament.Mode

WAITING_ROOM = timedelta(minutes=60)
MODES = [
    (
        Mode.FAIR_START,
        _("Fair start (suggested): the order of all who wait when registration opens is drawn at random."),
    ),
    (Mode.LOTTERY, _("Lottery: everybody enters in time, then the order is drawn.")),
    (Mode.FIRST_COME, _("First come, first served: in order of arrival.")),
]
FIRST_COME_WARNING = _(
    "First come, first served rewards bots and fast lines: whoever is a tenth of a second faster gets the seat. "
    "A fair start gives everybody who is there in time the same chance."
)

# (earlier, later, whether they may be equal, the field that is told, what it is told)
ORDER: list[tuple[str, str, bool, str, Any]] = [
    ("opens_at", "closes_at", False, "closes_at", _("Registration has to close after it opens.")),
    (
        "prequeue_opens_at",
        "opens_at",
        False,
        "prequeue_opens_at",
        _("The waiting room has to open before registration does."),
    ),
    ("closes_at", "seals_at", True, "seals_at", _("Entries are sealed when registration closes, or later.")),
    ("closes_at", "offers_end_at", True, "offers_end_at", _("Offers can't end before registration closes.")),
    (
        "seals_at",
        "offers_end_at",
        False,
        "offers_end_at",
        _("There has to be time for offers after entries are sealed."),
    ),
    ("offers_end_at", "starts_at", True, "offers_end_at", _("Offers have to end before the tournament starts.")),
    ("starts_at", "ends_at", False, "ends_at", _("The tournament has to end after it starts.")),
    ("refund_until", "starts_at", True, "refund_until", _("Refunds have to end before the tournament starts.")),
]

HELP = {
    "fee_minor": _(
        "In the currency's smallest unit, without a point: 2500 is €25.00, but ¥2,500 (yen have no cents) and KWD 2.500. 0 is free."
    ),
    "time_zone": _("Of the venue. All times below are meant there."),
    "max_waiting": _("Empty: any number may wait."),
    "joins_per_player": _("Joining again is never needed; this stops a machine that tries."),
    "joins_per_address": _(
        "For accounts whose e-mail address is not verified yet: whoever makes many of them is slowed down here. "
        "Never more than 20 within 10 seconds, whatever is set here."
    ),
    "joins_per_address_verified": _("A venue or a school shares one address, so this stops a flood only."),
    "join_ceiling": _(
        "Empty (suggested): any number may join at once. Otherwise whoever comes when the minute is full is given a turn, which is "
        "kept for them, and their page joins by itself when it comes. The time in which one can join, or the waiting room of a "
        "fair start, has to be long enough for all who come."
    ),
    "entropy": _(
        "With drand the draw needs the network, and nobody can know or choose the value it uses. With a sealed secret it works "
        "without, and players have to trust you not to have tailored the list of entries; the page of the draw tells them so."
    ),
}

# A field that means something in one mode alone, and what to say in another one.
ONLY_OF = (
    ("prequeue_opens_at", Mode.FAIR_START, _("Only a fair start has a waiting room. Leave this empty.")),
    ("seals_at", Mode.LOTTERY, _("Only a lottery seals its entries. Leave this empty.")),
    ("saves_cards", Mode.LOTTERY, _("Only a lottery charges cards on file. Leave this off.")),
)
LEAST_DECLINE_HOURS = 24
AT_LEAST_ONE = ("offer_minutes", "payment_minutes", "late_offer_hours")


class LocalDateTimeInput(forms.DateTimeInput):
    """The browser's own picker, which fits a thumb."""

    input_type = "datetime-local"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": " ".join([*INPUT_CLASSES, "max-w-64!"]), **(attrs or {})}, "%Y-%m-%dT%H:%M:%S")


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": " ".join(INPUT_CLASSES), **(attrs or {})}, "%Y-%m-%d")


class TimeZoneInput(UnfoldAdminTextInputWidget):
    """Free to type, with every zone's name offered."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        typed = super().render(name, value, {**(attrs or {}), "list": "time-zones"}, renderer)
        options = format_html_join("", '<option value="{}">', ((zone,) for zone in sorted(available_timezones())))
        return format_html('{}<datalist id="time-zones">{}</datalist>', typed, options)


class TournamentForm(ChangedFieldsForm):
    """Times are typed, and shown, in the tournament's own time zone (`tournaments.admin` makes it the current one)."""

    class Meta:
        model = Tournament
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "mode" in self.fields:
            self.fields["mode"].choices = MODES  # type: ignore[attr-defined]
        for name, text in HELP.items():
            if name in self.fields:
                self.fields[name].help_text = text
        for name in AT_LEAST_ONE:
            if name in self.fields:
                self.fields[name].min_value = 1  # type: ignore[attr-defined]

    @cached_property
    def shown_zone(self) -> ZoneInfo | None:
        shown = self.data.get(self.add_initial_prefix("time_zone"))
        return ZoneInfo(shown) if shown in available_timezones() else None

    @cached_property
    def changed_data(self) -> list[str]:
        """With another time zone every time means another moment: nobody moves a tournament to Berlin to start at 03:17."""
        changed = list(super().changed_data)
        if self.instance.pk is None or "time_zone" not in changed:
            return changed
        times = [name for name in self.columns if isinstance(self.fields[name], forms.DateTimeField)]
        return list(dict.fromkeys([*changed, *times]))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        self._fit_mode(cleaned)
        for name, message in self._problems(self._values(cleaned)):
            if name in self.fields and name not in self.errors:
                self.add_error(name, message)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """What would have been filled in from a field that is wrong itself is not judged."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        filled_from = {"opens_at": "prequeue_opens_at", "closes_at": "seals_at"}
        return excluded | {filled for source, filled in filled_from.items() if source in self.errors}

    def _values(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """What the row would hold: fields that the page showed read-only come from the row."""
        names = {name for rule in ORDER for name in rule[:2]} | {
            "mode",
            "objection_minutes",
            "saves_cards",
            "fee_minor",
            "currency",
            "decline_hours",
            *AT_LEAST_ONE,
        }
        return {
            name: cleaned.get(name) if name in self.fields else getattr(self.instance, name, None)
            for name in names
            if name not in self.errors
        }

    def _fit_mode(self, cleaned: dict[str, Any]) -> None:
        """Fill in the usual waiting room and sealing time; empty what another mode left behind."""
        mode = cleaned.get("mode") or self.instance.mode
        usual = {
            "prequeue_opens_at": (Mode.FAIR_START, _earlier(cleaned.get("opens_at"), WAITING_ROOM)),
            "seals_at": (Mode.LOTTERY, cleaned.get("closes_at")),
        }
        for name, (owner, value) in usual.items():
            if name not in self.fields or name in self.errors:
                continue
            if mode == owner and cleaned.get(name) is None:
                cleaned[name] = value
                self.derived.add(name)
            elif mode != owner and cleaned.get(name) is not None and self._left_behind(name):
                cleaned[name] = None
                self.derived.add(name)

    def _left_behind(self, name: str) -> bool:
        return self.instance.pk is not None and name not in self.changed_data

    def _problems(self, values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for earlier, later, equal, told, message in ORDER:
            first, second = values.get(earlier), values.get(later)
            if first and second and not (first < second or (equal and first == second)):
                yield told, message
        for name, mode, message in ONLY_OF:
            if values.get("mode") not in (None, mode) and values.get(name):
                yield name, message
        yield from ((name, message) for is_so, name, message in WRONG if is_so(values))
        for name in AT_LEAST_ONE:
            if values.get(name) == 0:
                yield name, _("At least 1.")


def _offers_begin_too_late(values: dict[str, Any]) -> bool:
    seals_at, offers_end_at, minutes = (values.get(name) for name in ("seals_at", "offers_end_at", "objection_minutes"))
    if not seals_at or not offers_end_at or minutes is None:
        return False
    return bool(seals_at < offers_end_at <= seals_at + timedelta(minutes=minutes))


def _cannot_be_paid(values: dict[str, Any]) -> bool:
    return bool((values.get("fee_minor") or 0) % card_step(values.get("currency") or ""))


def _is_counted_in_two_ways(values: dict[str, Any]) -> bool:
    return values.get("currency") == "ugx" and bool(values.get("fee_minor"))


def _little_time_to_decline(values: dict[str, Any]) -> bool:
    hours = values.get("decline_hours")
    return bool(values.get("saves_cards")) and hours is not None and hours < LEAST_DECLINE_HOURS


def _offer_ends_before_the_charge(values: dict[str, Any]) -> bool:
    hours, offer_hours = values.get("decline_hours"), values.get("late_offer_hours")
    return bool(values.get("saves_cards")) and hours is not None and offer_hours is not None and offer_hours <= hours


# (whether it is so, the field that is told, what it is told)
WRONG: list[tuple[Callable[[dict[str, Any]], bool], str, Any]] = [
    (
        _offers_begin_too_late,
        "objection_minutes",
        _("The time for objections would go on until after the last offers."),
    ),
    (
        _cannot_be_paid,
        "fee_minor",
        _(
            "Cards can't pay that exactly: the last of three digits after the point has to be 0, and the last two of an ISK fee."
        ),
    ),
    (
        _is_counted_in_two_ways,
        "currency",
        _(
            "Stripe counts Ugandan shillings in two ways, so that a fee could be taken a hundred times over. Use another currency."
        ),
    ),
    (
        _little_time_to_decline,
        "decline_hours",
        _("Winners have at least 24 hours to decline before their card is charged. Type 24 or more."),
    ),
    (
        _offer_ends_before_the_charge,
        "late_offer_hours",
        _(
            "An offer has to last longer than the hours to decline, so that somebody whose card is refused can pay another way. "
            "Type more hours here, or fewer to decline."
        ),
    ),
]


def _earlier(moment: datetime | None, by: timedelta) -> datetime | None:
    return moment - by if moment else None
