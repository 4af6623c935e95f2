"""Actions of the admin that ask before they act, and act once however often they are sent."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from vgchub.errors import RefusedError


@dataclass(frozen=True)
class Question:
    """What an action asks before it acts. `form` is built with (data, files, **form_arguments)."""

    title: Any
    text: Any
    button: Any
    form: Callable[..., forms.Form] = forms.Form
    form_arguments: dict[str, Any] = field(default_factory=dict)
    variant: str = "primary"  # "danger" for what can't be taken back


class Asking:
    """For a ModelAdmin: `ask` is the whole view of an action."""

    admin_site: Any
    opts: Any

    def ask(self, request: HttpRequest, row: Any, question: Question, perform: Callable[[Any], Any]) -> HttpResponse:
        """A page that asks; sent, `perform` acts and returns the sentence that says what was done. Refusals stay on the page."""
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
        sent = request.method == "POST"
        form = question.form(request.POST if sent else None, request.FILES if sent else None, **question.form_arguments)
        if sent and form.is_valid() and self._done(request, row, form, perform):
            return redirect(back)
        return TemplateResponse(
            request,
            "admin/ask.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": row,
                "title": question.title,
                "question": question,
                "form": form,
                "back": back,
                "once": request.POST.get("once") or secrets.token_hex(8),
            },
        )

    def _done(self, request: HttpRequest, row: Any, form: forms.Form, perform: Callable[[Any], Any]) -> bool:
        """Whether it is done now; a page sent twice (an impatient thumb, a lost answer) finds what the first one wrote."""
        once = request.POST.get("once", "")
        try:
            with transaction.atomic():
                if _done_before(row, once):
                    messages.info(request, _("This was done already."))
                    return True
                said = str(perform(form))
                self.log_change(request, row, f"{said} {once}".strip())  # type: ignore[attr-defined]
        except RefusedError as refusal:
            form.add_error(None, f"{refusal.message} {refusal.remedy}".strip())
            return False
        messages.success(request, said)
        return True


def _done_before(row: Any, once: str) -> bool:
    """Waits for the same page being sent at this very moment."""
    if not once:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"admin_action:{once}"])
    log = LogEntry.objects.filter(content_type=get_content_type_for_model(row), object_id=str(row.pk))
    return log.filter(change_message__endswith=once).exists()
