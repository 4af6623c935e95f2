"""Forms whose tab may be older than the row that they change."""

from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ChangedFieldsForm(forms.ModelForm):  # type: ignore[type-arg]  # no subscripts at run time
    """Saves only what its reader changed.

    The page carries, hidden, the values that it was shown with. A field counts as changed when what was sent differs from
    these; every other field keeps what the row holds by now, also for the checks of one field against another. A field that
    somebody else changed meanwhile is not overwritten but said.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.derived: set[str] = set()  # what clean() filled in or emptied itself
        # A new row has nothing to lose; what a formset adds (the row's key, its parent) is no column to change.
        self.columns = self._columns() if self.instance.pk is not None else []
        for name in self.columns:
            self.fields[name].show_hidden_initial = True

    @property
    def fields_to_save(self) -> list[str]:
        """Names of the row's fields to write."""
        columns = {field.name for field in self._meta.model._meta.fields}  # noqa: SLF001
        return sorted(columns & {*self.changed_data, *self.derived})

    @cached_property
    def shown_zone(self) -> ZoneInfo | None:
        """The time zone that the shown times were written in, where it isn't the current one."""
        return None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.columns:
            if name not in self.changed_data:
                cleaned[name] = getattr(self.instance, name)
            elif self._changed_by_others(name) and cleaned.get(name) != getattr(self.instance, name):
                self.add_error(name, _("Somebody changed this meanwhile. Load the page again to see it."))
        return cleaned

    def save(self, commit: bool = True) -> Any:
        if not commit or self.instance.pk is None:
            return super().save(commit)
        self.instance.save(update_fields=self.fields_to_save)
        return self.instance

    def _columns(self) -> list[str]:
        columns = {field.name for field in self.instance._meta.fields}  # noqa: SLF001
        return [name for name, field in self.fields.items() if name in columns and not field.disabled]

    def _changed_by_others(self, name: str) -> bool:
        bound = self[name]
        shown = bound.field.hidden_widget().value_from_datadict(self.data, self.files, bound.html_initial_name)
        with timezone.override(self.shown_zone or timezone.get_current_timezone()):
            return bool(shown is not None and bound.field.has_changed(bound.initial, shown))
