"""The six digits that prove an address."""

import threading
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.db import connection

from accounts import services
from accounts.models import EmailCode, User
from tests.accounts.mailbox import last_code_to, mails_to
from tests.builders import make_user, now

NOW = now()
ADDRESS = "alice@players.example"


@pytest.fixture
def alice(db: None) -> User:
    return make_user(ADDRESS, verified=False)


def send(account: User, after: timedelta = timedelta(0), email: str = "") -> str:
    services.send_email_code(account=account, email=email, now=NOW + after)
    return last_code_to(email or account.email)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_the_code_from_the_mail_proves_the_address(alice: User) -> None:
    code = send(alice)
    services.verify_email(account=alice, code=code, now=NOW + timedelta(minutes=14))

    alice.refresh_from_db()
    assert alice.email_verified_at == NOW + timedelta(minutes=14)
    assert EmailAddress.objects.values_list("email", "verified", "primary").get() == (ADDRESS, True, True)


def test_the_mail_is_text_and_says_what_to_do(alice: User) -> None:
    code = send(alice)

    mail = mails_to(ADDRESS)[0]
    assert mail.subject == f"{code} is your VGC Hub code"
    assert mail.html_message == ""
    assert "within 15 minutes" in mail.message
    assert len(code) == 6


def test_the_code_is_not_kept_readable(alice: User) -> None:
    code = send(alice)

    assert code not in str(EmailCode.objects.values().get())


def test_a_wrong_code_counts_a_try_and_the_right_one_still_works(alice: User) -> None:
    code = send(alice)
    with pytest.raises(services.CodeWrongError) as refusal:
        services.verify_email(account=alice, code=wrong(code), now=NOW)

    assert refusal.value.data == {"tries_left": 4}
    services.verify_email(account=alice, code=f" {code[:3]} {code[3:]} ", now=NOW)
    alice.refresh_from_db()
    assert alice.email_verified_at


def test_after_five_wrong_tries_the_right_code_is_worth_nothing(alice: User) -> None:
    code = send(alice)
    for _attempt in range(5):
        with pytest.raises(services.CodeWrongError):
            services.verify_email(account=alice, code=wrong(code), now=NOW)
    with pytest.raises(services.CodeExpiredError):
        services.verify_email(account=alice, code=code, now=NOW)

    alice.refresh_from_db()
    assert alice.email_verified_at is None


def test_a_code_ends_after_fifteen_minutes_and_with_its_use(alice: User) -> None:
    code = send(alice)
    with pytest.raises(services.CodeExpiredError):
        services.verify_email(account=alice, code=code, now=NOW + timedelta(minutes=15))
    services.verify_email(account=alice, code=code, now=NOW)
    with pytest.raises(services.CodeExpiredError):
        services.verify_email(account=alice, code=code, now=NOW)


def test_nobody_proves_an_address_with_the_code_of_another_account(alice: User) -> None:
    bob = make_user("bob@players.example", verified=False)
    code = send(alice)
    services.send_email_code(account=bob, now=NOW)
    with pytest.raises(services.CodeWrongError):
        services.verify_email(account=bob, code=code, now=NOW)


def test_a_new_code_comes_after_a_minute_and_ends_the_old_one(alice: User) -> None:
    first = send(alice)
    with pytest.raises(services.CodeTooSoonError) as refusal:
        send(alice, timedelta(seconds=20))
    assert refusal.value.data == {"retry_after": 40}

    send(alice, timedelta(seconds=60))
    if last_code_to(ADDRESS) != first:
        with pytest.raises(services.CodeWrongError):
            services.verify_email(account=alice, code=first, now=NOW + timedelta(seconds=61))


def test_a_mailbox_gets_ten_codes_a_day(alice: User) -> None:
    for minute in range(10):
        send(alice, timedelta(minutes=minute))
    with pytest.raises(services.TooManyCodesError):
        send(alice, timedelta(minutes=30))
    send(alice, timedelta(days=1))

    assert len(mails_to(ADDRESS)) == 11


def test_an_address_changes_once_the_new_one_is_proven(alice: User) -> None:
    services.mark_email_verified(account=alice, now=NOW)
    code = send(alice, email="New@players.example".lower())
    alice.refresh_from_db()
    assert alice.email == ADDRESS

    services.verify_email(account=alice, code=code, now=NOW + timedelta(minutes=1))
    alice.refresh_from_db()
    assert (alice.email, alice.email_verified_at) == ("new@players.example", NOW + timedelta(minutes=1))
    assert EmailAddress.objects.values_list("email", "verified").get() == ("new@players.example", True)
    assert "is now new@players.example" in mails_to(ADDRESS)[-1].message


def test_an_address_that_another_account_took_meanwhile_stays_theirs(alice: User) -> None:
    code = send(alice, email="new@players.example")
    make_user("new@players.example")
    with pytest.raises(services.EmailTakenError):
        services.verify_email(account=alice, code=code, now=NOW)

    alice.refresh_from_db()
    assert (alice.email, alice.email_verified_at) == (ADDRESS, None)


def test_proving_again_changes_nothing(alice: User) -> None:
    services.mark_email_verified(account=alice, now=NOW)
    services.mark_email_verified(account=alice, now=NOW + timedelta(days=1))

    assert alice.email_verified_at == NOW


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_once_are_no_more_tries() -> None:
    account = make_user(ADDRESS, verified=False)
    code = send(account)
    answers: list[str] = []

    def guess() -> None:
        try:
            services.verify_email(account=account, code=wrong(code), now=NOW)
        except (services.CodeWrongError, services.CodeExpiredError) as error:
            answers.append(error.code)
        finally:
            connection.close()

    guesses = [threading.Thread(target=guess) for _number in range(12)]
    for thread in guesses:
        thread.start()
    for thread in guesses:
        thread.join(20)

    assert sorted(answers) == ["code_expired"] * 7 + ["code_wrong"] * 5
