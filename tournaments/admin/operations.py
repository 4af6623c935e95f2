"""What organizers do to a running tournament: each asks on a page of its own, then calls one service."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.enums import ActionVariant

from lottery import services as lottery
from payments import services as payments
from payments.queries import FROZEN, SETTLED, cancellation_progress
from registrations import services as registrations
from tournaments import services
from tournaments.admin.ledger import LedgerOperation, has_money
from tournaments.admin.trying import TrialOperation, seats_by_kind
from tournaments.forms import (
    FIRST_COME_WARNING,
    CancelForm,
    ExtendForm,
    MembersForm,
    MessageForm,
    ReasonForm,
    RemoveMembersForm,
    SeatsForm,
)
from tournaments.models import Tournament
from tournaments.rules import Phase
from vgchub.admin import AdminRequest, ScopedAdmin, detail_action
from vgchub.admin_asking import Question
from vgchub.words import money

RUNNING = {Phase.PREQUEUE, Phase.OPEN, Phase.CLOSED}
PUBLISHED = {Phase.ANNOUNCED, *RUNNING}

COMMITMENT = _(
    "With it, the site draws a secret and publishes its fingerprint: so everybody can see later that the secret was not exchanged."
)

# Which actions are offered when; the services refuse by themselves what can't be done.
OFFERED_IN: dict[str, set[Phase]] = {
    "publish": {Phase.DRAFT},
    "withdraw": {Phase.ANNOUNCED},
    "write_message": PUBLISHED,
    "try_rules": {Phase.DRAFT, Phase.ANNOUNCED},
    "change_seats": {Phase.DRAFT, *PUBLISHED},
    "pause": RUNNING,
    "resume": RUNNING,
    "extend": {Phase.OPEN, Phase.CLOSED},
    "cancel": {*PUBLISHED, Phase.OVER},
    "refunds": {Phase.CANCELLED},
    "ledger": {*PUBLISHED, Phase.OVER, Phase.CANCELLED},
}


STAGES = {
    "DUE": _("due"),
    FROZEN: _("waiting for the end of a dispute"),
    "PENDING": _("under way at the bank"),
    "SUCCEEDED": _("refunded"),
    "FAILED": _("failed: somebody has to look"),
    SETTLED: _("failed, and given back another way"),
}


class TournamentOperations(TrialOperation, LedgerOperation):
    """The actions at the top of a tournament's page."""

    actions_detail: ClassVar[tuple[Any, ...]] = (
        "publish",
        "write_message",
        "change_seats",
        "try_rules",
        "refunds",
        "ledger",
        {
            "title": _("More"),
            "icon": "more_horiz",
            "items": ["pause", "resume", "extend", "withdraw", "cancel"],
        },
    )

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        tournament = self.get_object(request, object_id)
        if tournament is None or not self._may(request, "run", tournament):
            return []
        return [found for found in super().get_actions_detail(request, object_id) if self._offered(found, tournament)]

    @staticmethod
    def _offered(found: Any, tournament: Tournament) -> bool:
        name = found.method.original_function_name
        if name in ("pause", "resume") and (tournament.paused_at is None) is (name == "resume"):
            return False
        if name == "try_rules" and not tournament.is_drawn_mode:
            return False
        fits = tournament.phase(timezone.now()) in OFFERED_IN[name]
        return fits and (name not in ("ledger", "refunds") or has_money(tournament))

    @detail_action(description=_("Publish"), url_path="publish", icon="campaign", variant=ActionVariant.PRIMARY)
    def publish(self, request: AdminRequest, object_id: str) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(_form: forms.Form) -> str:
            lottery.publish_tournament(tournament_id=tournament.pk, by=request.user)
            return say("Published. Everybody can see it now.")

        text = say("Everybody will see the tournament and when it opens. Until entries open, you can still change it.")
        if tournament.mode == Tournament.Mode.FIRST_COME:
            text = f"{FIRST_COME_WARNING} {text}"
        elif tournament.entropy == Tournament.Entropy.COMMIT_REVEAL:
            text = f"{text} {COMMITMENT}"
        return self.ask(request, tournament, Question(_("Publish this tournament?"), text, _("Publish")), perform)

    @detail_action(description=_("Make it a draft again"), url_path="withdraw", icon="visibility_off")
    def withdraw(self, request: AdminRequest, object_id: str) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            services.withdraw_tournament(
                tournament_id=tournament.pk, by=request.user, reason=form.cleaned_data["reason"]
            )
            return say("It is a draft again; only organizers see it.")

        text = _("Nobody but organizers will see it any more. This works as long as nobody has entered.")
        question = Question(_("Make it a draft again?"), text, _("Make it a draft"), ReasonForm)
        return self.ask(request, tournament, question, perform)

    @detail_action(description=_("Message"), url_path="message", icon="chat")
    def write_message(self, request: AdminRequest, object_id: str) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            message = form.cleaned_data["message"]
            services.set_message(tournament_id=tournament.pk, message=message, by=request.user)
            return say("Everybody in line sees your message now.") if message else say("The message is gone.")

        text = _("Say in a sentence or two what is going on and what players should do, even if it is nothing.")
        question = Question(
            _("Message to those waiting"), text, _("Show it"), MessageForm, {"initial": {"message": tournament.message}}
        )
        return self.ask(request, tournament, question, perform)

    @detail_action(description=_("Seats"), url_path="seats", icon="event_seat")
    def change_seats(self, request: AdminRequest, object_id: str) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(form: SeatsForm) -> str:
            with transaction.atomic():  # all of it, or on a refusal nothing
                for division, group, seats in form.changes():
                    registrations.set_seats(
                        division_id=division.pk,
                        seats=seats,
                        group_id=group.pk if group else None,
                        by=request.user,
                        reason=form.cleaned_data["reason"],
                    )
            return say("Seats changed: %(reason)s") % {"reason": form.cleaned_data["reason"]}

        text = _(
            "Type how many there shall be. Only free seats can be taken away; new ones are offered down the line at once."
        )
        question = Question(_("Seats"), text, _("Change seats"), SeatsForm, {"counts": seats_by_kind(tournament)})
        return self.ask(request, tournament, question, perform)

    @detail_action(description=_("Pause offers"), url_path="pause", icon="pause")
    def pause(self, request: AdminRequest, object_id: str) -> HttpResponse:
        return self._switch(
            request,
            object_id,
            registrations.pause_tournament,
            Question(
                _("Pause offers?"),
                _(
                    "No seat is offered and no offer runs out until you resume. Players can still join, and keep their place."
                ),
                _("Pause"),
                ReasonForm,
            ),
            say("Offers are paused. Joining goes on."),
        )

    @detail_action(description=_("Resume offers"), url_path="resume", icon="play_arrow", variant=ActionVariant.PRIMARY)
    def resume(self, request: AdminRequest, object_id: str) -> HttpResponse:
        return self._switch(
            request,
            object_id,
            registrations.resume_tournament,
            Question(
                _("Resume offers?"),
                _("Offers go on, and every open one gets the paused time on top."),
                _("Resume"),
                ReasonForm,
            ),
            say("Offers go on."),
        )

    @detail_action(description=_("Extend open offers"), url_path="extend", icon="more_time")
    def extend(self, request: AdminRequest, object_id: str) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            minutes = form.cleaned_data["minutes"]
            extended = registrations.extend_offers(
                tournament_id=tournament.pk, minutes=minutes, by=request.user, reason=form.cleaned_data["reason"]
            )
            return ngettext(
                "%(number)d open offer lasts %(minutes)d minutes longer.",
                "%(number)d open offers last %(minutes)d minutes longer.",
                extended,
            ) % {"number": extended, "minutes": minutes}

        text = _("Everybody who has an offer right now gets so many minutes more to take it up.")
        question = Question(_("Extend all open offers"), text, _("Extend"), ExtendForm)
        return self.ask(request, tournament, question, perform)

    @detail_action(
        description=_("Cancel the tournament"), url_path="cancel", icon="event_busy", variant=ActionVariant.DANGER
    )
    def cancel(self, request: AdminRequest, object_id: str) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            payments.cancel_tournament(tournament_id=tournament.pk, by=request.user, reason=form.cleaned_data["reason"])
            return say("The tournament is cancelled. Everybody is told by mail, and paid fees go back in full.")

        text = _(
            "This can't be taken back. Everybody who waits is let go, every seat is cancelled, and every fee is refunded in full."
        )
        question = Question(
            _("Cancel this tournament for good?"),
            text,
            _("Cancel the tournament"),
            CancelForm,
            {"expected": tournament.slug},
            variant="danger",
        )
        return self.ask(request, tournament, question, perform)

    @detail_action(
        description=_("Refunds"), url_path="refunds", icon="currency_exchange", variant=ActionVariant.PRIMARY
    )
    def refunds(self, request: AdminRequest, object_id: str) -> HttpResponse:
        """How far the cancelling has come; the page shows itself anew until nothing is left that goes on by itself."""
        tournament = self.own_or_404(request, object_id)
        progress = cancellation_progress(tournament.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": tournament,
            "title": _("Refunds"),
            "progress": progress,
            "rows": [
                (STAGES[found.stage], found.count, money(found.minor, found.currency)) for found in progress.refunds
            ],
        }
        return TemplateResponse(request, "admin/refunds.html", context)

    def _switch(
        self, request: AdminRequest, object_id: str, service: Callable[..., None], question: Question, said: str
    ) -> HttpResponse:
        tournament = self.own_or_404(request, object_id)

        def perform(form: forms.Form) -> str:
            service(tournament_id=tournament.pk, by=request.user, reason=form.cleaned_data["reason"])
            return said

        return self.ask(request, tournament, question, perform)


class GroupOperations(ScopedAdmin):
    """The actions at the top of a priority group's page."""

    actions_detail = ("add_members", "drop_members")

    @detail_action(description=_("Add players"), url_path="import", icon="group_add", variant=ActionVariant.PRIMARY)
    def add_members(self, request: AdminRequest, object_id: str) -> HttpResponse:
        group = self.own_or_404(request, object_id)

        def perform(form: MembersForm) -> str:
            done = services.import_members(group_id=group.pk, player_ids=form.members.player_ids, by=request.user)
            moved = registrations.regroup_entries(tournament_id=group.tournament_id)
            return say("%(added)d players added, %(known)d were on the list already; %(moved)d entries regrouped.") % {
                "added": done.added,
                "known": done.known,
                "moved": moved,
            }

        text = _("All lines have to be good, or nothing is imported. Who is on the list already just stays.")
        return self.ask(request, group, Question(_("Add players"), text, _("Import"), MembersForm), perform)

    @detail_action(description=_("Take players off"), url_path="remove", icon="group_remove")
    def drop_members(self, request: AdminRequest, object_id: str) -> HttpResponse:
        group = self.own_or_404(request, object_id)

        def perform(form: RemoveMembersForm) -> str:
            removed = services.remove_members(
                group_id=group.pk,
                player_ids=form.members.player_ids,
                by=request.user,
                reason=form.cleaned_data["reason"],
            )
            moved = registrations.regroup_entries(tournament_id=group.tournament_id)
            off = ngettext("%(number)d player is off the list;", "%(number)d players are off the list;", removed)
            regrouped = ngettext("%(number)d entry regrouped.", "%(number)d entries regrouped.", moved)
            return f"{off % {'number': removed}} {regrouped % {'number': moved}}"

        text = _("Who has an offer or a seat keeps it; who waits is regrouped at once.")
        question = Question(_("Take players off the list"), text, _("Take them off"), RemoveMembersForm)
        return self.ask(request, group, question, perform)
