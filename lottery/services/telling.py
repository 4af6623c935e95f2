"""Who is told what of a draw: the mails that it owes are written with it, word to the sockets follows."""

from django.db import connection, transaction
from django.db.models import Q

from lottery.models import Draw, Mailing
from lottery.results import outcomes_of
from lottery.tasks import mail, tell
from registrations.models import Notice
from registrations.services.telling import tell_accounts
from registrations.tasks import send_notices
from tournaments.queries import database_now
from vgchub.celery import wake_on_commit

Kind = Notice.Kind

TOLD_AT_ONCE = 300  # accounts a second whose pages ask what they drew

# One chunk: its notices, and down to where it reached. The first of the order is mailed first; who has left by the time that it
# comes to that is no longer mailed.
MAKE = """
WITH chunk AS (
    SELECT entry_id, {by} AS reached FROM {table} WHERE draw_id = %(draw)s AND {by} > %(reached)s ORDER BY {by} LIMIT %(chunk)s
), made AS (
    INSERT INTO registrations_notice (entry_id, kind, offer_number, due_at)
    SELECT entry_id, %(kind)s, %(number)s, %(due_at)s FROM chunk ORDER BY reached
)
SELECT count(*), max(reached) FROM chunk
"""
CHUNK = 2000

FORGET = """
DELETE FROM registrations_notice n USING registrations_queueentry e
WHERE e.id = n.entry_id AND e.tournament_id = %(tournament)s AND n.offer_number = %(number)s
  AND n.kind IN ('SEALED', 'LEFT_OUT', 'DRAWN') AND n.mailed_at IS NULL
"""


def tell_sealed(draw: Draw) -> None:
    """Everybody of a lottery hears what was sealed; and who is left out, also of a fair start, why and what to do."""
    if draw.kind == Draw.Kind.LOTTERY:
        _mail(draw, Kind.SEALED)
    _mail(draw, Kind.LEFT_OUT, to_left_out=True)


def tell_drawn(draw: Draw) -> None:
    """Everybody of a lottery hears what was drawn; after a fair start the offers follow at once and say it themselves."""
    if draw.kind == Draw.Kind.LOTTERY:
        _mail(draw, Kind.DRAWN)
    wake_on_commit(tell, draw.pk)


def stop_mails(draw: Draw) -> None:
    """No more notices are made of what is about to be void; who is at work on some has written them when this returns."""
    draw.mailings.filter(done_at=None).update(done_at=database_now())


def tell_void(draw: Draw) -> None:
    """What was not mailed yet is no longer true; the mails were stopped before."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, {"tournament": draw.tournament_id, "number": draw.number})
    _mail(draw, Kind.DRAW_VOID)
    _mail(draw, Kind.DRAW_VOID, to_left_out=True)


def tell_entrants(*, draw_id: int, has_seat: bool, after: int) -> tuple[bool, int] | None:
    """Tell the next sockets that their entry changed: first who has a seat, then the rest, both in the order drawn.

    Begin with `has_seat` and after rank 0; returns with what to go on, or None once everybody was told.
    """
    draw = Draw.objects.filter(pk=draw_id, state=Draw.State.DRAWN).first()
    if draw is None:
        return None
    seated = _seated(draw)
    kind = draw.entries.filter(seated) if has_seat else draw.entries.exclude(seated)
    rows = list(
        kind.filter(rank__gt=after)
        .order_by("rank")
        .values_list("rank", "entry__player__account", "entry__public_id")[:TOLD_AT_ONCE]
    )
    tell_accounts((account, public_id) for _rank, account, public_id in rows)
    if len(rows) == TOLD_AT_ONCE:
        return has_seat, rows[-1][0] or 0
    return (False, 0) if has_seat else None


def _seated(draw: Draw) -> Q:
    """The entries that drew a seat."""
    seated = Q(pk__in=[])
    for code, outcome in outcomes_of(draw).items():
        seated |= Q(division=code) & (Q(division_rank__lte=outcome.last_open) | Q(division_rank__in=outcome.reserved))
    return seated


def _mail(draw: Draw, kind: Notice.Kind, *, to_left_out: bool = False) -> None:
    """One row, however many there are: a million notices would hold the draw's transaction up for a minute."""
    Mailing.objects.create(draw=draw, kind=kind, to_left_out=to_left_out, due_at=database_now())
    wake_on_commit(mail)


def mails_due() -> bool:
    """Whether there are notices to be made."""
    return Mailing.objects.filter(done_at=None).exists()


def make_notices() -> bool:
    """Make the next notices of a draw's mails, in a short transaction of their own; returns whether there was anything to do."""
    with transaction.atomic():
        mailing = (
            Mailing.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(done_at=None)
            .select_related("draw")
            .order_by("due_at", "pk")
            .first()
        )
        if mailing is None:
            return False
        made, reached = _make(mailing)
        mailing.reached = reached or mailing.reached
        mailing.done_at = database_now() if made < CHUNK else None
        mailing.save(update_fields=["reached", "done_at"])
        wake_on_commit(send_notices)
    return True


def _make(mailing: Mailing) -> tuple[int, int | None]:
    table = "lottery_leftout" if mailing.to_left_out else "lottery_drawentry"
    statement = MAKE.format(table=table, by="rank" if mailing.kind == Kind.DRAWN else "id")
    numbers = {"draw": mailing.draw_id, "number": mailing.draw.number, "reached": mailing.reached, "chunk": CHUNK}
    with connection.cursor() as cursor:
        cursor.execute(statement, {**numbers, "kind": mailing.kind, "due_at": mailing.due_at})
        made, reached = cursor.fetchone()
    return made, reached
