"""Celery shells of the draw: ids in, one service call."""

import time

from celery import shared_task

# A job that waits longer than this is dropped: the next look finds the same draw.
PATIENCE = 5


@shared_task(expires=PATIENCE)
def look() -> None:
    """Find what is due; each draw gets a job of its own, so that none waits for another."""
    from lottery import services
    from lottery.services import telling

    for draw_id in services.due_to_seal():
        seal.apply_async(args=(draw_id,))
    for draw_id in services.due_to_draw():
        draw.apply_async(args=(draw_id,))
    for draw_id in services.due_to_bundle():
        bundle.apply_async(args=(draw_id,))
    if telling.mails_due():
        mail.apply_async()
    for tournament_id in services.due_to_open():
        services.open_draw(tournament_id=tournament_id)


@shared_task(expires=PATIENCE)
def seal(draw_id: int) -> None:
    """Seal the entries; a draw whose entropy is known already follows at once."""
    from lottery.services import due_to_draw, seal_draw

    if seal_draw(draw_id=draw_id) and draw_id in due_to_draw():
        draw(draw_id)


@shared_task(expires=PATIENCE)
def draw(draw_id: int) -> None:
    """Draw, then publish the bundle."""
    from lottery.services import run_draw

    if run_draw(draw_id=draw_id):
        bundle(draw_id)


@shared_task(expires=PATIENCE)
def bundle(draw_id: int) -> None:
    """Publish the file with which anybody can check the draw."""
    from lottery.services import write_bundle

    write_bundle(draw_id=draw_id)


@shared_task(expires=60)
def tell(draw_id: int, has_seat: bool = True, after: int = 0) -> None:
    """Tell the sockets what was drawn, so many a second that their pages don't all ask in the same one.

    Nothing is lost with a job that is: the pages ask by themselves.
    """
    from lottery.services.telling import tell_entrants

    further = tell_entrants(draw_id=draw_id, has_seat=has_seat, after=after)
    if further:
        tell.apply_async(args=(draw_id, *further), countdown=1)


@shared_task(expires=PATIENCE)
def mail() -> None:
    """Make the notices of draws' mails, and let other jobs have their turn."""
    from lottery.services.telling import make_notices

    ends = time.monotonic() + PATIENCE
    while make_notices() and time.monotonic() < ends:
        pass
