"""What a draw waits for, in sentences for those who watch over it. Times are those of the venue."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from lottery.beacon import BeaconAwayError
from lottery.models import Draw, DrawFile
from lottery.services import published_in_time, round_published_at
from vgchub import words


def awaited(draw: Draw, now: datetime) -> str:
    """What has to happen next, and since when it is due; the draw comes with its tournament."""
    if draw.tournament.cancelled_at is not None:
        return _("Nothing: the tournament was cancelled.")
    match draw.state:
        case Draw.State.OPEN:
            return _sealing(draw, now)
        case Draw.State.SEALED:
            return _round(draw, now) if draw.uses_drand else _("The draw runs by itself, at once.")
        case Draw.State.DRAWN:
            return _after(draw, now)
    return _("Nothing: it is void.")


def seals_by_hand(draw: Draw, now: datetime) -> bool:
    """Whether somebody may seal its entries now: those of a lottery early, those of a draw that follows a void one always."""
    tournament = draw.tournament
    if draw.state != Draw.State.OPEN or tournament.cancelled_at or tournament.closed_at or tournament.entries_sealed_at:
        return False
    if draw.kind == Draw.Kind.LOTTERY:
        return tournament.closes_at <= now
    return draw.supersedes_id is not None and tournament.opens_at <= now


def first_offer(draw: Draw, now: datetime) -> str:
    """When the first seat would be offered, unless the draw is declared void."""
    begin = draw.tournament.offers_begin_at
    if begin is None:
        return _("The first seat would be offered once it is drawn.")
    if begin <= now:
        return _("The first seat is offered any moment now.")
    return _("The first seat would be offered %(when)s.") % {"when": _time(draw, begin, now)}


def came_too_late(draw: Draw) -> bool:
    """Whether the round was out before the manifest was: somebody could have known it, so the draw never runs."""
    if not draw.uses_drand or draw.published_at is None or round_out_at(draw) is None:
        return False
    return not published_in_time(draw)


def round_out_at(draw: Draw) -> datetime | None:
    """When the round is published; None if its chain isn't known here (any more)."""
    try:
        return round_published_at(draw)
    except BeaconAwayError:
        return None


def _sealing(draw: Draw, now: datetime) -> str:
    tournament = draw.tournament
    if tournament.entries_sealed_at is not None:
        return _("Entries are sealed; their list is being written, and published when it is complete.")
    if seals_by_hand(draw, now) and draw.supersedes_id is not None:
        return _("Somebody has to seal the entries by hand, once what went wrong is put right.")
    due = tournament.seals_at if draw.kind == Draw.Kind.LOTTERY else tournament.opens_at
    if due is None or due <= now:
        return _("Entries are sealed by themselves, at once.")
    return _("Entries are sealed %(when)s.") % {"when": _time(draw, due, now)}


def _round(draw: Draw, now: datetime) -> str:
    round_at = round_out_at(draw)
    if round_at is None:
        return _(
            "A chain of drand whose key isn't known here (any more): %(chain)s. The draw waits until DRAND_CHAIN names it again, "
            "or is declared void."
        ) % {"chain": draw.chain}
    facts = {"round": words.number(draw.round or 0), "when": _time(draw, round_at, now)}
    if came_too_late(draw):
        return (
            _(
                "The list of entries was published only after round %(round)s of drand was out (%(when)s). Somebody could have "
                "known the outcome, so this draw never runs: it has to be declared void."
            )
            % facts
        )
    if now < round_at:
        return _("Round %(round)s of drand, which is out %(when)s.") % facts
    if draw.asked_at is None:
        return _("Round %(round)s of drand, out since %(when)s; not asked for yet.") % facts
    if draw.asked_at > now:  # a worker is at it, see services.running
        return _("Round %(round)s of drand, out since %(when)s; being asked for right now.") % facts
    asked = _time(draw, draw.asked_at.replace(microsecond=0), now)
    return _("Round %(round)s of drand, out since %(when)s; last asked for %(asked)s.") % {**facts, "asked": asked}


def _after(draw: Draw, now: datetime) -> str:
    if not draw.files.filter(name=DrawFile.Name.BUNDLE).exists():
        return _("The bundle, with which anybody can check the draw, is being written.")
    begin = draw.tournament.offers_begin_at
    if begin is not None and begin > now:
        return _("Objections: offers start %(when)s.") % {"when": _time(draw, begin, now)}
    return _("Nothing: the draw is done, and seats are offered down its order.")


def _time(draw: Draw, when: datetime, now: datetime) -> str:
    return words.moment(when, ZoneInfo(draw.tournament.time_zone), now=now)
