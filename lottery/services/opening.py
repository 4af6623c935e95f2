"""A draw is opened before entries are: what it will use stands still from then on, and the commitment is public."""

import secrets
from datetime import datetime

import pghistory
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import User
from lottery.drawing import commitment_of
from lottery.models import COMMIT_REVEAL, Draw
from tournaments import services as tournaments
from tournaments.models import Tournament
from tournaments.queries import database_now

KINDS = {Tournament.Mode.LOTTERY: Draw.Kind.LOTTERY, Tournament.Mode.FAIR_START: Draw.Kind.OPENING}


def publish_tournament(*, tournament_id: int, by: User) -> None:
    """Show a draft to everybody and, where its order will be drawn, open the draw with it.

    Raises what `tournaments.services.publish_tournament` raises.
    """
    with transaction.atomic():
        tournaments.publish_tournament(tournament_id=tournament_id, by=by)
        open_draw(tournament_id=tournament_id)


def due_to_open() -> list[int]:
    """Ids of published tournaments that are to be drawn and have no draw that fits."""
    fitting = Draw.objects.standing().filter(tournament=OuterRef("pk"))
    opens = fitting.filter(state=Draw.State.OPEN)
    lottery, fair = Q(mode=Tournament.Mode.LOTTERY), Q(mode=Tournament.Mode.FAIR_START)
    fits = (
        (lottery & Exists(opens.filter(kind=Draw.Kind.LOTTERY, entropy=OuterRef("entropy"))))
        | (fair & Exists(opens.filter(kind=Draw.Kind.OPENING, entropy=OuterRef("entropy"))))
        | Exists(fitting.exclude(state=Draw.State.OPEN))
    )
    published = Tournament.objects.live(database_now()).filter(closed_at=None, offers_end_at__gt=Now())
    drawn = published.filter(lottery | fair).exclude(fits)
    no_more = published.filter(~lottery & ~fair).filter(Exists(opens))
    return [*drawn.values_list("pk", flat=True), *no_more.values_list("pk", flat=True)]


def open_draw(*, tournament_id: int) -> Draw | None:
    """The tournament's draw, opened now if it has none; None for one that is not drawn.

    Rules may change until entries open: an open draw that does not fit them any more is replaced, publicly.
    """
    with transaction.atomic(), pghistory.context(service="open_draw"):
        tournament = Tournament.objects.locked().get(pk=tournament_id)
        standing = tournament.draws.standing().first()
        now = database_now()
        if standing is not None and standing.state == Draw.State.OPEN and not _fits(standing, tournament):
            _replace(standing, now)
            standing = None
        if standing is None and tournament.is_drawn_mode:
            standing = new_draw(tournament, now)
        opened_at = tournament.draw_opened_at or now
        Tournament.objects.filter(pk=tournament_id).update(draw_opened_at=opened_at if standing else None)
        return standing


def _fits(draw: Draw, tournament: Tournament) -> bool:
    return KINDS.get(Tournament.Mode(tournament.mode)) == draw.kind and draw.entropy == tournament.entropy


def _replace(draw: Draw, now: datetime) -> None:
    reason = _("The organizer changed how seats are given out before entries opened.")
    Draw.objects.filter(pk=draw.pk).update(state=Draw.State.VOID, voided_at=now, void_reason=reason)


def new_draw(tournament: Tournament, now: datetime, supersedes: Draw | None = None) -> Draw:
    """Open the next draw; the caller holds the tournament's row. With commit-reveal, its secret is made here and kept."""
    secret = secrets.token_bytes(32)
    commits = tournament.entropy == COMMIT_REVEAL
    return Draw.objects.create(
        tournament=tournament,
        number=tournament.draws.count() + 1,
        kind=KINDS[Tournament.Mode(tournament.mode)],
        entropy=tournament.entropy,
        commitment=commitment_of(secret).hex() if commits else "",
        secret=secret.hex() if commits else "",
        opened_at=now,
        supersedes=supersedes,
    )
