"""Dead letters: what failed for good, worked off one after the other."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Case, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from payments import services
from payments.forms import RetryLettersForm
from payments.models import DeadLetter
from payments.rules import LetterKind, LetterState
from payments.services.retrying import Retried
from tournaments.forms import ReasonForm
from vgchub.admin import AdminRequest, ScopedAdmin, column, detail_action, site
from vgchub.admin_asking import Question

OPEN_FIRST = Case(When(state=LetterState.OPEN, then=Value(0)), default=Value(1)).asc()
COLOURS = {"OPEN": "danger", "RETRIED": "success"}


@admin.register(DeadLetter, site=site)
class DeadLetterAdmin(ScopedAdmin):
    """For staff alone: what broke may be of any organization, or of the site itself."""

    staff_may = frozenset({"view", "run"})
    list_display = ("reference", "kind", "coloured_state", "cause_in_short", "attempts", "failed_at")
    list_filter = ("state", "kind")
    search_fields = ("reference", "cause", "=payment__entry__public_id")
    search_help_text = _("What it is about, such as “refund 12”; its cause; or an entry")
    ordering = (OPEN_FIRST, "-failed_at", "-pk")
    actions_detail = ("retry", "dismiss")
    actions_list = ("retry_many",)
    fieldsets = (
        (None, {"fields": ("coloured_state", "reference", "kind", "cause", "attempts", "failed_at", "payment")}),
        (_("Decision"), {"fields": ("decided_at", "decided_by", "reason")}),
        (_("Details"), {"fields": ("details",)}),
    )

    @column(description=_("State"), ordering="state", label=COLOURS)
    def coloured_state(self, letter: DeadLetter) -> str:
        return letter.state

    @column(description=_("Cause"))
    def cause_in_short(self, letter: DeadLetter) -> str:
        return letter.cause if len(letter.cause) <= 80 else f"{letter.cause[:79]}…"

    @column(description=_("Details"))
    def details(self, letter: DeadLetter) -> SafeString | str:
        lines = format_html_join("", "<div>{}: {}</div>", letter.payload.items())
        return format_html('<div class="cell-lines">{}</div>', lines) if letter.payload else "-"

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        letter = self.get_object(request, object_id)
        is_open = letter is not None and letter.state == LetterState.OPEN
        return list(super().get_actions_detail(request, object_id)) if is_open else []

    @detail_action(description=_("Try many again"), url_path="retry-many", icon="replay")
    def retry_many(self, request: AdminRequest) -> HttpResponse:
        """What one cause has broken, such as a Stripe that was away for a day, with one reason."""
        if not self._may(request, "run"):
            raise Http404
        back = reverse("admin:payments_deadletter_changelist")
        form = RetryLettersForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            kind, reason = LetterKind(form.cleaned_data["kind"]), form.cleaned_data["reason"]
            _tell(request, services.retry_letters(kind=kind, by=request.user, reason=reason))
            return redirect(back)
        text = _("Up to 500 that lie open. Do this once the cause is gone. What was done already is not done twice.")
        question = Question(_("Try all of a kind again?"), text, _("Try again"))
        context = {"opts": self.opts, "title": question.title, "question": question, "form": form, "back": back}
        return TemplateResponse(request, "admin/ask.html", {**self.admin_site.each_context(request), **context})

    @detail_action(description=_("Try again"), url_path="retry", icon="replay")
    def retry(self, request: AdminRequest, object_id: str) -> HttpResponse:
        letter = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.retry_letter(letter_id=letter.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("It is tried again now. If it fails once more, it comes back here.")

        text = _("Do this once the cause is gone. What was done already is not done twice.")
        return self.ask(request, letter, Question(_("Try it again?"), text, _("Try again"), ReasonForm), perform)

    @detail_action(description=_("Dismiss"), url_path="dismiss", icon="close")
    def dismiss(self, request: AdminRequest, object_id: str) -> HttpResponse:
        letter = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.dismiss_letter(letter_id=letter.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("It is dismissed, and nothing more is done about it.")

        text = _("Nothing is done about it any more. Say what became of it, for whoever reads this later.")
        return self.ask(request, letter, Question(_("Dismiss it?"), text, _("Dismiss"), ReasonForm), perform)


def _tell(request: HttpRequest, retried: Retried) -> None:
    said = ngettext("%(n)d is tried again now.", "%(n)d are tried again now.", retried.done)
    messages.success(request, said % {"n": retried.done})
    for words, number in retried.refusals.items():
        said = ngettext("%(n)d can't be, and stays open: %(words)s", "%(n)d can't be, and stay open: %(words)s", number)
        messages.warning(request, said % {"n": number, "words": words})
