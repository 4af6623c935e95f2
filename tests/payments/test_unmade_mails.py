"""Mails that can't be made: dead letters, and in I14 until they are sent or somebody has decided that they are not."""

from datetime import datetime, timedelta

import pytest
from post_office.models import Email

from accounts.models import User
from payments import services
from payments.models import DeadLetter
from payments.rules import LetterKind, LetterState
from payments.services import letters, retrying
from registrations.models import Notice, QueueEntry
from registrations.rules import NOTICE_TRIES
from registrations.rules import State as EntryState
from registrations.services import notices
from registrations.services.notices import send_due_notices
from reports.invariants import violations
from tests.builders import make_entry, make_player, make_staff, make_user, now
from tests.payments.till import make_paid_tournament

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "The cause is gone."


def an_hour_ago() -> datetime:
    return now() - timedelta(hours=1)


def the_letter() -> DeadLetter:
    return DeadLetter.objects.get(kind=LetterKind.MAIL, state=LetterState.OPEN)


def unmade_mail(state: EntryState = EntryState.CONFIRMED, kind: Notice.Kind = Notice.Kind.CONFIRMED) -> Notice:
    """A mail to an address that is none, after its last try."""
    entry = make_entry(make_paid_tournament(), make_player(make_user("alice")), state=state)
    number = entry.offer_number or 0
    notice = Notice.objects.create(entry=entry, kind=kind, offer_number=number, due_at=an_hour_ago())
    for _ in range(NOTICE_TRIES):
        assert letters.bury_failed_mails() == 0
        send_due_notices()
        Notice.objects.update(due_at=an_hour_ago())
    return notice


def i14() -> list[str]:
    return [sentence for sentence in violations() if sentence.startswith("I14: ") and "CONFIRMED" in sentence]


def test_a_mail_that_cannot_be_made_is_a_letter_and_stays_in_i14_until_it_is_sent() -> None:
    notice = unmade_mail()
    assert letters.bury_failed_mails() == 1
    assert letters.bury_failed_mails() == 0
    letter = the_letter()
    assert (letter.reference, letter.attempts) == (f"notice {notice.pk}", NOTICE_TRIES)
    assert letter.cause.startswith("ValidationError")
    assert letter.payload == {"mail": "CONFIRMED", "entry": notice.entry.public_id}
    assert len(i14()) == 1

    User.objects.filter(email="alice").update(email="alice@example.com")
    services.retry_letter(letter_id=letter.pk, by=make_staff(), reason=WHY)
    send_due_notices()
    assert Email.objects.get().to == ["alice@example.com"]
    assert i14() == []


def test_a_mail_that_cannot_be_made_and_was_dismissed_is_settled() -> None:
    unmade_mail()
    letters.bury_failed_mails()
    services.dismiss_letter(letter_id=the_letter().pk, by=make_staff(), reason=WHY)
    assert letters.bury_failed_mails() == 0
    assert i14() == []


def test_a_mail_that_was_dismissed_and_comes_due_anew_is_another() -> None:
    """Confirmed, the capture fails, paid once more, confirmed: what was dismissed is the first of both."""
    notice = unmade_mail()
    letters.bury_failed_mails()
    services.dismiss_letter(letter_id=the_letter().pk, by=make_staff(), reason=WHY)
    assert i14() == []

    DeadLetter.objects.update(decided_at=now() - timedelta(hours=2))
    notices.due([notice.entry], Notice.Kind.CONFIRMED, an_hour_ago())
    for _ in range(NOTICE_TRIES):
        assert len(i14()) == 1
        assert letters.bury_failed_mails() == 0
        send_due_notices()
        Notice.objects.update(due_at=an_hour_ago())
    assert len(i14()) == 1
    assert letters.bury_failed_mails() == 1
    assert letters.bury_failed_mails() == 0

    services.dismiss_letter(letter_id=the_letter().pk, by=make_staff(), reason=WHY)
    assert letters.bury_failed_mails() == 0
    assert i14() == []


def test_the_end_of_an_offer_that_moves_does_not_bring_a_dismissed_mail_back() -> None:
    notice = unmade_mail(EntryState.OFFERED, Notice.Kind.ENDING)
    letters.bury_failed_mails()
    services.dismiss_letter(letter_id=the_letter().pk, by=make_staff(), reason=WHY)
    notices.postpone(QueueEntry.objects.filter(pk=notice.entry_id), timedelta(hours=2))
    assert letters.bury_failed_mails() == 0


def test_a_mail_that_was_made_meanwhile_is_not_made_again() -> None:
    notice = unmade_mail()
    letters.bury_failed_mails()
    Notice.objects.filter(pk=notice.pk).update(mailed_at=now())
    with pytest.raises(retrying.NothingToRetryError):
        services.retry_letter(letter_id=the_letter().pk, by=make_staff(), reason=WHY)
