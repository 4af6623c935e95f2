"""The account's own pages. Signing in and up are allauth's views with our templates."""

from typing import cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import rules, services
from accounts.forms import EmailChangeForm, EmailCodeForm, PlayerForm
from accounts.models import Consent, EmailCode, Player, User
from registrations.models import QueueEntry
from vgchub.errors import RefusedError
from vgchub.limits import Limit, TooManyRequestsError, TriedTooOftenError, take
from vgchub.ratelimit import limited
from vgchub.shared_pages import shared

# Each claim of a Player ID may put somebody else's into dispute, so that a machine must not make many.
PLAYER_CHANGES_AN_HOUR = 40

form_page = require_http_methods(["GET", "HEAD", "POST"])


def _account_of(request: HttpRequest) -> User:
    return cast("User", request.user)  # behind login_required


def _onward(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """To the page of this site that the person was on the way to."""
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(wanted if ours else resolve_url(otherwise))


def _say_beside(form: forms.BaseForm, field: str, error: RefusedError) -> None:
    form.add_error(field if field in form.fields else None, f"{error.message} {error.remedy}".strip())


@never_cache
@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    user = _account_of(request)
    consents = Consent.objects.filter(account=user).select_related("player").order_by("-given_at")
    return render(
        request,
        "accounts/account.html",
        {"players": Player.objects.of(user), "consents": consents, "IdState": Player.IdState},
    )


@never_cache
@form_page
@login_required
@limited("30/m")
def add_player(request: HttpRequest) -> HttpResponse:
    user = _account_of(request)
    today = timezone.localdate()
    form = PlayerForm(request.POST or None, today=today)
    if form.is_valid():
        try:
            _count_change(user)
            player = services.create_player(
                account=user, details=form.details(), guardian_consents=_agreed(form), today=today
            )
        except RefusedError as error:
            _say_beside(form, "player_id", error)
        else:
            _tell_of_claim(request, player)
            return _onward(request, "account")
    return _player_page(request, form, first=not Player.objects.of(user).exists())


@never_cache
@form_page
@login_required
@limited("30/m")
def edit_player(request: HttpRequest, pk: int) -> HttpResponse:
    player = get_object_or_404(Player.objects.of(_account_of(request)), pk=pk)
    today = timezone.localdate()
    # The form writes what was typed into its instance, so that it gets one of its own.
    shown = Player.objects.get(pk=pk)
    form = PlayerForm(request.POST or None, instance=shown, today=today, keep_identity=_in_queue(player))
    if form.is_valid():
        try:
            _count_change(player.account)
            updated = services.update_player(
                player=player,
                details=form.details(),
                guardian_consents=_agreed(form),
                today=today,
                in_queue=_in_queue,
            )
        except RefusedError as error:
            _say_beside(form, "player_id", error)
        else:
            if updated.player_id != player.player_id:
                _tell_of_claim(request, updated)
            else:
                messages.success(request, _("Saved."))
            return _onward(request, "account")
    return _player_page(request, form, player=player)


def _in_queue(player: Player) -> bool:
    return QueueEntry.objects.live().filter(player=player).exists()


def _count_change(user: User) -> None:
    try:
        take("players", [Limit("account", user.pk, PLAYER_CHANGES_AN_HOUR, 3600)])
    except TooManyRequestsError as error:
        raise TriedTooOftenError(error.waits) from None


def _agreed(form: PlayerForm) -> bool:
    return bool(form.cleaned_data.get("guardian_consent"))


def _tell_of_claim(request: HttpRequest, player: Player) -> None:
    if player.player_id_state == Player.IdState.DISPUTED:
        text = _(
            "%(player)s is added. Another account has this Player ID too, so staff will look at it before a seat is "
            "offered; joining a queue works meanwhile."
        )
        messages.warning(request, text % {"player": player.display_name})
    else:
        messages.success(request, _("%(player)s is ready to play.") % {"player": player.display_name})


def _player_page(
    request: HttpRequest, form: PlayerForm, *, player: Player | None = None, first: bool = False
) -> HttpResponse:
    context = {
        "form": form,
        "player": player,
        "first": first,
        "next": request.POST.get("next") or request.GET.get("next", ""),
    }
    return render(request, "accounts/player_form.html", context)


@never_cache
@form_page
@login_required
@limited("30/m")
def drop_player(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then removes. Sent twice it is no error: the player is gone either way."""
    player = Player.objects.of(_account_of(request)).filter(pk=pk).first()
    if request.method == "POST":
        if player:
            services.remove_player(player=player)
            messages.success(request, _("%(player)s is removed.") % {"player": player.display_name})
        return redirect("account")
    if player is None:
        return redirect("account")
    return render(request, "accounts/player_remove.html", {"player": player})


@never_cache
@form_page
@login_required
@limited("10/10m")
def change_email(request: HttpRequest) -> HttpResponse:
    user = _account_of(request)
    form = EmailChangeForm(request.POST or None, account=user)
    if form.is_valid():
        try:
            services.send_email_code(account=user, email=form.cleaned_data["email"], now=timezone.now())
        except RefusedError as error:
            _say_beside(form, "email", error)
        else:
            return redirect("email_code")
    return render(request, "accounts/email_change.html", {"form": form})


@never_cache
@form_page
@login_required
@limited("30/10m")
def enter_code(request: HttpRequest) -> HttpResponse:
    user = _account_of(request)
    sent = EmailCode.objects.filter(account=user).first()
    if user.email_verified_at and (sent is None or sent.email == user.email):
        return _onward(request, "account")  # a form sent twice, or an old tab
    form = EmailCodeForm(request.POST or None)
    if form.is_valid():
        try:
            services.verify_email(account=user, code=form.cleaned_data["code"], now=timezone.now())
        except RefusedError as error:
            _say_beside(form, "code", error)
        else:
            messages.success(request, _("Thank you: %(email)s is verified.") % {"email": user.email})
            return _onward(request, "account")
    context = {
        "form": form,
        "email": sent.email if sent else user.email,
        "sent": sent,
        "usable": sent is not None and sent.tries_left > 0 and sent.expires_at > timezone.now(),
        "next": request.POST.get("next") or request.GET.get("next", ""),
    }
    return render(request, "accounts/email_code.html", context)


@require_POST
@login_required
@limited("10/10m")
def new_code(request: HttpRequest) -> HttpResponse:
    user = _account_of(request)
    sent = EmailCode.objects.filter(account=user).first()
    email = sent.email if sent else user.email
    if not (user.email_verified_at and email == user.email):
        try:
            services.send_email_code(account=user, email=email, now=timezone.now())
        except RefusedError as error:
            messages.warning(request, f"{error.message} {error.remedy}")
        else:
            messages.success(request, _("A new code is on its way to %(email)s.") % {"email": email})
    onward = request.POST.get("next", "")
    query = f"?{urlencode({'next': onward})}" if onward else ""
    return HttpResponseRedirect(reverse("email_code") + query)


@shared
@require_safe
def terms(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/terms.html", {"version": rules.TERMS_VERSION})
