"""What entrants are mailed: each once, in plain words, and never before somebody's offer."""

import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from post_office.models import PRIORITY, Email

from accounts.models import Player, User
from lottery import services
from lottery.models import Draw
from lottery.services import telling
from lottery.services.telling import make_notices
from registrations.models import BULK_KINDS, Notice, QueueEntry
from registrations.rules import State
from registrations.services import leave_queue, offer_seats
from registrations.services.notices import BATCH, send_due_notices
from tests.builders import Mode, make_entry, make_group, make_player, make_staff, make_tournament, make_user, now
from tests.lottery.draws import OVER, drawn, open_for, run, seal, sealed, to_draw
from vgchub.local.fingerprint import HOUSE
from vgchub.postgresql.locks import Work

pytestmark = pytest.mark.django_db

KINDS = Notice.Kind


def mails(subject: str = "") -> list[Email]:
    """All that are queued once nothing more is due, those of a subject first to last."""
    make_all()
    while send_due_notices():
        pass
    return list(Email.objects.filter(subject__contains=subject).order_by("pk"))


def make_all() -> None:
    while make_notices():
        pass


def mail_to(entry: QueueEntry, subject: str) -> str:
    (mail,) = [mail for mail in mails(subject) if mail.to == [entry.player.account.email]]
    for text in (mail.subject, mail.message, mail.html_message.partition("<body")[2]):
        assert "{" not in text
        assert "None" not in text
    assert not re.search(r"\n\n\n|\S {2,}\S| [.,:]", mail.message), "no words are missing"
    return str(mail.message)


def void(draw: Draw, reason: str = "A player was left out.") -> Draw:
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason=reason)
    return services.void_draw(draw_id=draw.pk, by=make_staff())


# --- Sealed --------------------------------------------------------------------------------------------------


def test_everybody_of_a_lottery_hears_what_was_sealed_of_the_own_entry_alone() -> None:
    tournament = to_draw(name="Spring & Summer Cup", entries=0)
    one = make_entry(tournament, make_player(display_name="Ash O'Hara <b>"))
    other = make_entry(tournament)
    make_group(tournament, members=(other.player,), tickets=3)
    draw = seal(open_for(tournament))
    text = mail_to(one, "You are in the draw of Spring & Summer Cup")
    assert (
        "Ash O'Hara <b> takes part in the draw of Spring & Summer Cup, in Masters, with 1 ticket. It is drawn now."
        in text
    )
    assert all(what in text for what in (one.public_id, draw.manifest_sha256, draw.get_absolute_url()))
    assert other.public_id not in text
    assert "Besides you, only those who run the tournament can see which of the ids is yours." in text
    assert "with 3 tickets" in mail_to(other, "You are in the draw")


def test_with_drand_the_mail_says_when_it_is_drawn() -> None:
    draw = sealed(entropy="DRAND", entries=1)
    assert re.search(
        r"It is drawn .+ at \d\d:\d\d(:\d\d)? \(Berlin time\)\.", mail_to(QueueEntry.objects.get(), "in the draw")
    )
    assert draw.drawn_at is None


def test_the_mail_goes_out_though_the_chain_is_not_known_any_more(settings: Any) -> None:
    settings.DRAND_CHAIN = {"hash": "ab" * 32, "public_key": "", "genesis_time": 1_700_000_000, "period": 30}
    draw = sealed(entropy="DRAND", entries=1)
    settings.DRAND_CHAIN = {}
    text = mail_to(QueueEntry.objects.get(), "in the draw")
    assert draw.manifest_sha256 in text
    assert "It is drawn" not in text


def test_who_was_left_out_hears_why_and_what_to_do() -> None:
    tournament = to_draw(entries=1)
    unproved = make_entry(tournament, make_player(make_user(verified=False)))
    disputed = make_entry(tournament, make_player(player_id_state=Player.IdState.DISPUTED))
    seal(open_for(tournament))
    subject = "You are not in the draw"
    assert "this e-mail address had not been proved" in mail_to(unproved, subject)
    assert "/account/email/code/" in mail_to(unproved, subject)
    assert "more than one account claims the same Player ID" in mail_to(disputed, subject)
    assert "desk@organizers.example" in mail_to(disputed, subject)
    assert len(mails()) == 3


def test_a_fair_start_mails_only_those_whom_it_left_out() -> None:
    tournament = to_draw(Mode.FAIR_START, entries=2)
    unproved = make_entry(tournament, make_player(make_user(verified=False)))
    run(seal(open_for(tournament)))
    assert [mail.to for mail in mails()] == [[unproved.player.account.email]]


def test_who_has_left_hears_no_more_of_the_draw() -> None:
    draw = sealed(entries=2)
    gone = QueueEntry.objects.first()
    assert gone is not None
    leave_queue(account=gone.player.account, public_id=gone.public_id)
    run(draw)
    assert all(mail.to != [gone.player.account.email] for mail in mails())


# --- Drawn ---------------------------------------------------------------------------------------------------


def test_a_seat_and_a_place_on_the_waitlist_are_told_in_kind_words() -> None:
    drawn(entries=3, seats=2, objection_minutes=30)
    first, second, third = QueueEntry.objects.in_line()
    subject = "is drawn: your place"
    text = mail_to(first, subject)
    assert "drew place 1 for 2 Masters seats of" in text
    assert "That is a seat. We send you a mail the moment you can take it up" in text
    assert re.search(r"Seats are offered down the order from .+ \(Berlin time\)", text)
    assert first.public_id in text
    assert "drew place 2 for 2 Masters seats" in mail_to(second, subject)
    text = mail_to(third, subject)
    assert "drew place 3 for 2 Masters seats" in text
    assert "That is place 1 on the waitlist." in text
    assert "you need to do nothing to stay in line" in text


def test_a_reserved_seat_is_a_seat_wherever_it_was_drawn() -> None:
    tournament = to_draw(entries=9, seats=1)
    locals_ = [make_entry(tournament) for _ in range(2)]
    make_group(tournament, members=tuple(entry.player for entry in locals_), reserved={"masters": 1})
    run(seal(open_for(tournament)))
    told = [mail_to(entry, "is drawn") for entry in QueueEntry.objects.in_line()]
    first_local = min(locals_, key=lambda entry: QueueEntry.objects.get(pk=entry.pk).place or 0)
    offer_seats(tournament_id=tournament.pk)
    seated = {entry.public_id for entry in QueueEntry.objects.filter(state=State.OFFERED)}
    assert first_local.public_id in seated
    assert [
        first_local.public_id in text for text in told if "one of those that are reserved for your group" in text
    ] == [True]
    assert {text for text in told if "That is a seat" in text} == {
        text for text in told if any(public_id in text for public_id in seated)
    }


def test_once_a_seat_is_on_offer_that_mail_says_it_all() -> None:
    draw = drawn(entries=2, seats=1)
    offer_seats(tournament_id=draw.tournament_id)
    offered = QueueEntry.objects.get(state=State.OFFERED)
    subjects = [mail.subject for mail in mails() if mail.to == [offered.player.account.email]]
    assert [subject.split(" of ")[0] for subject in subjects if "yours" not in subject] == ["You are in the draw"]


# --- Void ----------------------------------------------------------------------------------------------------


def test_a_void_draw_is_told_with_its_reason_and_what_it_said_before_is_not() -> None:
    tournament = to_draw(entries=1)
    unproved = make_entry(tournament, make_player(make_user(verified=False)))
    draw = run(seal(open_for(tournament)))
    void(draw, "A list was imported too late.")
    for entry in tournament.entries.all():
        text = mail_to(entry, f"The draw of {tournament.name} is void")
        assert "A list was imported too late." in text
        assert draw.get_absolute_url() in text
        assert ("it takes part in the new one if that is put right" in text) == (entry == unproved)
        assert ("You need to do nothing" in text) == (entry != unproved)
    assert len(mails()) == 2


def test_the_draw_after_a_void_one_is_told_anew() -> None:
    first = sealed(entries=1)
    assert len(mails()) == 1
    services.seal_draw(draw_id=void(first).pk, by=make_staff())
    texts = [mail.message for mail in mails("You are in the draw")]
    second = Draw.objects.standing().get()
    assert [first.manifest_sha256 in texts[0], second.manifest_sha256 in texts[1]] == [True, True]


# --- Many ----------------------------------------------------------------------------------------------------


def crowd(entries: int) -> Draw:
    """A lottery of so many, sealed."""
    tournament = make_tournament(mode=Mode.LOTTERY, entropy="COMMIT_REVEAL", opens_in=OVER[Mode.LOTTERY])
    accounts = User.objects.bulk_create(
        User(email=f"{number}@crowd.example", email_verified_at=now()) for number in range(entries)
    )
    players = Player.objects.bulk_create(
        Player(account=account, display_name="P", player_id=f"7{account.pk:011}", birth_date="2000-05-05", country="DE")
        for account in accounts
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('registrations_arrival_number') FROM generate_series(1, %s)", [entries])
        numbers = [row[0] for row in cursor.fetchall()]
    division = tournament.divisions.get()
    QueueEntry.objects.bulk_create(
        QueueEntry(tournament=tournament, division=division, player=player, number=number, joined_at=now())
        for player, number in zip(players, numbers, strict=True)
    )
    return seal(open_for(tournament))


def test_three_thousand_mails_about_a_draw_delay_no_offer() -> None:
    draw = crowd(3000)
    assert not Notice.objects.exists()
    make_all()
    assert Notice.objects.filter(kind=KINDS.SEALED).count() == draw.entrants == 3000
    assert send_due_notices() == BATCH
    tournament = make_tournament()
    make_entry(tournament)
    offer_seats(tournament_id=tournament.pk)
    assert send_due_notices() == 1
    last = Email.objects.latest("pk")
    assert last.subject.startswith("A Masters seat is yours")
    assert last.priority == PRIORITY.high
    assert set(Email.objects.exclude(pk=last.pk).values_list("priority", flat=True)) == {PRIORITY.low}
    assert send_due_notices() == BATCH
    assert Email.objects.count() == 2 * BATCH + 1


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_mails_nobody_twice_and_forgets_nobody() -> None:
    draw = crowd(2 * BATCH)
    make_all()
    killed = """
import django; django.setup()
import os
from registrations.services import notices
mark, count = notices.Notice.objects.filter, 0
def counted(*arguments, **conditions):
    global count
    count += "pk__in" in conditions
    if count == 2: os.kill(os.getpid(), 9)  # the second batch is in the mail queue, and not marked as mailed
    return mark(*arguments, **conditions)
notices.Notice.objects.filter = counted
while notices.send_due_notices(): pass
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=HOUSE, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Email.objects.count() == BATCH  # of the second batch nothing
    assert sorted(to for mail in mails() for to in mail.to) == sorted(
        draw.tournament.entries.values_list("player__account__email", flat=True)
    )


@pytest.mark.django_db(transaction=True)
def test_one_worker_at_a_time_mails_to_a_crowd_and_the_others_look_for_what_is_urgent() -> None:
    crowd(3)
    make_all()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [Work.MAIL_CROWDS])
        try:
            # Asked from the same session, the lock would be given again.
            other = (
                "import django; django.setup(); from registrations.services.notices import *; print(send_due_notices())"
            )
            done = subprocess.run(
                [sys.executable, "-c", other], cwd=HOUSE, env=os.environ, check=True, capture_output=True, text=True
            )
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [Work.MAIL_CROWDS])
    assert done.stdout == "0\n"
    assert send_due_notices() == 3


@pytest.mark.parametrize("bulk", [True, False])
def test_each_look_at_what_is_due_reads_an_index(bulk: bool) -> None:
    due = Notice.objects.filter(mailed_at=None, due_at__lte=now() + timedelta(days=1))
    due = due.filter(kind__in=BULK_KINDS) if bulk else due.exclude(kind__in=BULK_KINDS)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        plan = due.order_by("due_at", "pk")[:BATCH].explain()
    assert f"Index Scan using {'notice_bulk_due' if bulk else 'notice_due'} on" in plan
    assert "Sort" not in plan


def test_sealing_drawing_and_voiding_write_no_row_for_each_entry() -> None:
    draw = drawn(entries=4)
    assert not Notice.objects.exists()
    assert sorted(draw.mailings.values_list("kind", flat=True)) == ["DRAWN", "LEFT_OUT", "SEALED"]
    void(draw)
    assert [str(mailing.kind) for mailing in draw.mailings.filter(done_at=None)] == ["DRAW_VOID", "DRAW_VOID"]


def test_notices_are_made_chunk_by_chunk_the_best_place_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "CHUNK", 2)
    draw = drawn(entries=5)
    draw.mailings.exclude(kind=KINDS.DRAWN).update(done_at=now())
    made = []
    while make_notices():
        made.append(Notice.objects.count())
    assert made == [2, 4, 5]
    order = draw.entries.order_by("rank").values_list("entry", flat=True)
    assert list(Notice.objects.order_by("pk").values_list("entry", flat=True)) == list(order)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_while_it_makes_notices_leaves_the_rest_to_the_next() -> None:
    crowd(5)
    killed = """
import django; django.setup()
import os
from lottery.services import telling
telling.CHUNK = 2
make, count = telling._make, 0
def counted(mailing):
    global count
    made = make(mailing)
    count += 1
    if count == 2: os.kill(os.getpid(), 9)
    return made
telling._make = counted
while telling.make_notices(): pass
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=HOUSE, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Notice.objects.count() == 2
    make_all()
    assert Notice.objects.count() == 5
