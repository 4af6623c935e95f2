"""Mails: each once, about what is still so, and none held up by another."""

import logging
from datetime import timedelta

import pytest
from post_office.models import PRIORITY, Email

from registrations import services
from registrations.models import Notice, QueueEntry
from registrations.rules import NOTICE_TRIES, State
from registrations.services import notices
from registrations.services.notices import OF_DRAWS, send_due_notices
from tests.builders import make_entry, make_player, make_staff, make_tournament, make_user, now
from tournaments.models import Tournament

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
KINDS = Notice.Kind
# Where an entry stands when such a mail is due.
STANDING = {
    KINDS.OFFERED: State.OFFERED,
    KINDS.ENDING: State.OFFERED,
    KINDS.UNSEATED: State.OFFERED,
    KINDS.CONFIRMED: State.CONFIRMED,
    KINDS.PASSED: State.PASSED,
    KINDS.LAPSED: State.LAPSED,
    KINDS.CANCELLED: State.CANCELLED,
    KINDS.CLOSED: State.CLOSED,
    KINDS.REJECTED: State.REJECTED,
    KINDS.VOIDED: State.PASSED,
    KINDS.REFUNDED: State.CANCELLED,
    KINDS.WON: State.OFFERED,
    KINDS.ACTION: State.OFFERED,
}
# What some mails say beyond how the entry stands.
OF_CARD: dict[str, object] = {"card": "Visa 4242", "amount": "€25.00", "charged_at": "on Sunday at 12:00 (CET)"}
FACTS: dict[Notice.Kind, dict[str, object]] = {
    KINDS.REFUNDED: {"amount_minor": 2500, "currency": "eur", "reason": "cancelled"},
    KINDS.WON: OF_CARD,
    KINDS.ACTION: {**OF_CARD, "problem": "The card has expired.", "bank_asks": False},
}


def due(entry: QueueEntry, kind: Notice.Kind, *, minutes_ago: int = 1) -> Notice:
    return Notice.objects.create(
        entry=entry,
        kind=kind,
        offer_number=entry.offer_number or 0,
        due_at=now() - minutes_ago * MINUTE,
        facts=FACTS.get(kind, {}),
    )


def subjects() -> list[str]:
    return list(Email.objects.order_by("pk").values_list("subject", flat=True))


@pytest.mark.parametrize("kind", STANDING)
def test_each_kind_is_mailed_once_in_plain_words(kind: Notice.Kind) -> None:
    player = make_player(make_user("ash@players.example"), display_name="Ash O'Hara <b>")
    tournament = make_tournament(name="Spring & Summer Cup")
    entry = make_entry(tournament, player, state=STANDING[kind])
    notice = due(entry, kind)
    assert send_due_notices() == 1
    assert send_due_notices() == 0
    mail = Email.objects.get()
    assert mail.to == ["ash@players.example"]
    assert mail.subject
    assert "\n" not in mail.subject
    assert "Spring & Summer Cup" in mail.message
    assert "Ash O'Hara <b>" in mail.message
    assert "Ash O&#x27;Hara &lt;b&gt;" in mail.html_message  # a name is no markup
    for text in (mail.subject, mail.message, mail.html_message.partition("<body")[2]):
        assert "{" not in text
        assert "None" not in text
    assert entry.public_id in mail.message or f"/{tournament.slug}/" in mail.message
    notice.refresh_from_db()
    assert notice.mailed_at is not None


def test_a_name_is_never_a_template() -> None:
    name = "{% debug %}{{ tournament }}{%"
    due(make_entry(make_tournament(name=name), make_player(display_name=name), state=State.CONFIRMED), KINDS.CONFIRMED)
    send_due_notices()
    mail = Email.objects.get()
    assert all(name in text for text in (mail.subject, mail.message, mail.html_message))


def test_each_kind_of_mail_is_tried_here_or_with_the_draws() -> None:
    assert set(STANDING) == set(KINDS) - set(OF_DRAWS)


def test_an_offer_comes_before_other_mail() -> None:
    tournament = make_tournament()
    due(make_entry(tournament, state=State.CONFIRMED), KINDS.CONFIRMED)
    due(make_entry(tournament, state=State.OFFERED), KINDS.OFFERED)
    send_due_notices()
    assert sorted(Email.objects.values_list("priority", flat=True)) == [PRIORITY.medium, PRIORITY.high]


# --- What is noted -------------------------------------------------------------------------------------------


def test_an_offer_is_told_at_once_and_its_end_after_three_quarters_of_its_time() -> None:
    tournament = make_tournament()
    make_entry(tournament)
    services.offer_seats(tournament_id=tournament.pk)
    entry = QueueEntry.objects.get()
    told, ending = Notice.objects.order_by("due_at")
    assert entry.offered_at is not None
    assert (told.kind, told.due_at, told.offer_number) == ("OFFERED", entry.offered_at, entry.offer_number)
    assert (ending.kind, ending.due_at) == ("ENDING", entry.offered_at + 7.5 * MINUTE)


def test_a_second_offer_is_told_again() -> None:
    entry = make_entry(make_tournament(), state=State.PASSED)
    services.step_back_in(account=entry.player.account, public_id=entry.public_id)
    services.offer_seats(tournament_id=entry.tournament_id)
    assert Notice.objects.filter(kind=KINDS.OFFERED).count() == 1
    entry.refresh_from_db()
    due(entry, KINDS.CANCELLED)  # any other kind of the same offer stands beside it
    assert entry.notices.count() == 3


def test_nothing_that_is_not_due_is_mailed() -> None:
    due(make_entry(make_tournament(), state=State.OFFERED), KINDS.ENDING, minutes_ago=-1)
    assert send_due_notices() == 0
    assert subjects() == []


def test_leaving_on_ones_own_is_not_mailed() -> None:
    entry = make_entry(make_tournament())
    services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    assert not Notice.objects.exists()


# --- What is still so ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KINDS.OFFERED, KINDS.ENDING])
@pytest.mark.parametrize(
    "state", [State.WAITING, State.CONFIRMED, State.PASSED, State.LAPSED, State.LEFT, State.CLOSED]
)
def test_a_mail_about_an_offer_that_is_over_is_dropped(kind: Notice.Kind, state: State) -> None:
    due(make_entry(make_tournament(), state=state), kind)
    assert send_due_notices() == 1
    assert subjects() == []
    assert send_due_notices() == 0


def test_a_mail_about_an_earlier_offer_is_dropped() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    Notice.objects.create(entry=entry, kind=KINDS.ENDING, offer_number=0, due_at=now() - MINUTE)
    send_due_notices()
    assert subjects() == []


def test_who_is_paying_is_not_warned_of_the_end() -> None:
    due(make_entry(make_tournament(), state=State.OFFERED, checkout_at=now()), KINDS.ENDING)
    send_due_notices()
    assert subjects() == []


def test_nobody_is_warned_of_an_end_while_the_clock_stands_still() -> None:
    entry = make_entry(make_tournament(paused_at=now() - 10 * MINUTE), state=State.OFFERED)
    notice = due(entry, KINDS.ENDING)
    assert send_due_notices() == 0
    services.resume_tournament(tournament_id=entry.tournament_id, by=make_staff())
    before = notice.due_at
    notice.refresh_from_db()
    assert notice.due_at - before >= 10 * MINUTE
    assert notice.mailed_at is None


def test_a_warning_of_an_offer_that_ended_in_a_pause_is_done_with_and_not_left_overdue() -> None:
    """Resuming moves it no more, so it would be overdue in that very moment."""
    entry = make_entry(make_tournament(), state=State.OFFERED)
    notice = due(entry, KINDS.ENDING, minutes_ago=60)
    Tournament.objects.update(paused_at=now() - 70 * MINUTE)
    services.leave_queue(account=entry.player.account, public_id=entry.public_id)
    assert send_due_notices() == 1
    assert subjects() == []
    notice.refresh_from_db()
    assert notice.mailed_at is not None


def test_more_time_moves_the_warning_too() -> None:
    entry = make_entry(make_tournament(), state=State.OFFERED)
    notice = due(entry, KINDS.ENDING, minutes_ago=-3)
    services.extend_offers(tournament_id=entry.tournament_id, minutes=15, by=make_staff(), reason="Slow mail.")
    before = notice.due_at
    notice.refresh_from_db()
    assert notice.due_at == before + 15 * MINUTE


def test_mail_goes_on_in_a_pause() -> None:
    due(make_entry(make_tournament(), state=State.CONFIRMED), KINDS.CONFIRMED)
    Tournament.objects.update(paused_at=now())
    send_due_notices()
    assert len(subjects()) == 1


# --- One that can't be mailed --------------------------------------------------------------------------------


def test_an_address_that_takes_no_mail_holds_nobody_else_up(caplog: pytest.LogCaptureFixture) -> None:
    tournament = make_tournament()
    broken = make_entry(tournament, make_player(make_user("not an address")), state=State.CONFIRMED)
    notice = due(broken, KINDS.CONFIRMED, minutes_ago=5)
    due(make_entry(tournament, state=State.CONFIRMED), KINDS.CONFIRMED)
    with caplog.at_level(logging.ERROR):
        assert send_due_notices() == 2
    assert len(subjects()) == 1
    assert str(notice.pk) in caplog.text
    notice.refresh_from_db()
    assert notice.mailed_at is None
    assert notice.due_at > now()
    assert (notice.attempts, notice.problem) == (1, "ValidationError: ['not an address is not a valid email address']")
    assert send_due_notices() == 0


def test_one_that_fails_again_and_again_stays_due_and_is_not_tried_any_more() -> None:
    entry = make_entry(make_tournament(), make_player(make_user("not an address")), state=State.CONFIRMED)
    notice = due(entry, KINDS.CONFIRMED, minutes_ago=5)
    for _ in range(NOTICE_TRIES):
        assert send_due_notices() == 1
        Notice.objects.update(due_at=now() - MINUTE)
    assert send_due_notices() == 0
    notice.refresh_from_db()
    assert (notice.attempts, notice.mailed_at) == (NOTICE_TRIES, None)
    assert notice.due_at < now()

    notices.due([entry], KINDS.CONFIRMED, now())  # it came true once more
    assert send_due_notices() == 1
