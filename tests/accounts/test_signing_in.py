"""Sign-up, sign-in by password and by code, sign-out, new passwords: through the pages, as a person does it."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core.cache import cache, caches
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import Consent, User
from tests.accounts.mailbox import last_code_to, last_link_to, mails_to
from tests.builders import PASSWORD, make_player, make_user

pytestmark = pytest.mark.django_db

ADDRESS = "alice@players.example"
SIGN_UP = {"email": ADDRESS, "password1": PASSWORD, "terms": "on"}


def signed_in_as(client: Client) -> str | None:
    user_id = client.session.get("_auth_user_id")
    return User.objects.get(pk=user_id).email if user_id else None


def sign_in(client: Client, email: str = ADDRESS, password: str = PASSWORD, **headers: str) -> int:
    return client.post(reverse("account_login"), {"login": email, "password": password}, headers=headers).status_code


class TestSignUp:
    def test_it_leads_to_the_first_player_and_then_to_where_one_wanted_to_go(self, client: Client) -> None:
        answer = client.post(reverse("account_signup"), {**SIGN_UP, "next": "/t/regional/"})

        assert answer["Location"] == "/account/players/add/?next=/t/regional/"
        assert signed_in_as(client) == ADDRESS

    def test_the_acceptance_of_the_terms_is_kept_with_its_text(self, client: Client) -> None:
        client.post(reverse("account_signup"), SIGN_UP)

        consent = Consent.objects.get()
        assert (consent.account.email, consent.kind, consent.text_version) == (ADDRESS, "TERMS", "2026-11-22")

    def test_a_code_is_mailed_and_nothing_waits_for_it(self, client: Client) -> None:
        client.post(reverse("account_signup"), SIGN_UP)

        assert [mail.subject for mail in mails_to(ADDRESS)] == [f"{last_code_to(ADDRESS)} is your VGC Hub code"]
        assert User.objects.get().email_verified_at is None

    def test_without_the_terms_there_is_no_account_and_what_was_typed_stays(self, client: Client) -> None:
        answer = client.post(reverse("account_signup"), {**SIGN_UP, "terms": ""})

        assert not User.objects.exists()
        assert "Without accepting the terms there is no account." in answer.content.decode()
        assert ADDRESS in answer.content.decode()

    def test_an_address_is_one_account_whatever_its_case(self, client: Client) -> None:
        make_user(ADDRESS)
        answer = client.post(reverse("account_signup"), {**SIGN_UP, "email": ADDRESS.upper()})

        assert "There is an account with this address already." in answer.content.decode()
        assert User.objects.count() == 1

    @pytest.mark.parametrize("password", ["short", "password1234", ADDRESS])
    def test_an_easy_password_is_refused_beside_the_field(self, client: Client, password: str) -> None:
        answer = client.post(reverse("account_signup"), {**SIGN_UP, "password1": password})

        assert answer.context["form"].errors.keys() == {"password1"}
        assert not User.objects.exists()

    def test_somebody_elses_site_is_nowhere_to_go_on_to(self, client: Client) -> None:
        answer = client.post(reverse("account_signup"), {**SIGN_UP, "next": "https://evil.example/"})

        assert "evil" not in answer["Location"]


class TestPassword:
    def test_it_signs_in_for_ninety_days(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD)
        answer = client.post(reverse("account_login"), {"login": ADDRESS, "password": PASSWORD, "next": "/entries/"})

        assert answer["Location"] == "/entries/"
        assert client.cookies["sessionid"]["max-age"] == 90 * 24 * 3600
        assert client.session.get_expiry_age() == 90 * 24 * 3600

    def test_passwords_are_kept_as_argon2(self, client: Client) -> None:
        client.post(reverse("account_signup"), SIGN_UP)

        assert User.objects.get().password.startswith("argon2")

    def test_a_wrong_one_is_refused_and_the_address_stays_typed(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD)
        answer = client.post(reverse("account_login"), {"login": ADDRESS, "password": "not the password"})

        assert signed_in_as(client) is None
        assert "This address and this password don&#x27;t go together." in answer.content.decode()
        assert f'value="{ADDRESS}"' in answer.content.decode()

    def test_a_deactivated_account_cannot_sign_in(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD, is_active=False)
        sign_in(client)

        assert signed_in_as(client) is None

    def test_signing_out_takes_a_press(self, client: Client) -> None:
        client.force_login(make_user(ADDRESS))
        client.get(reverse("account_logout"))
        assert signed_in_as(client) == ADDRESS

        client.post(reverse("account_logout"))
        assert signed_in_as(client) is None

    def test_a_flushed_cache_signs_nobody_out(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD)
        sign_in(client)
        caches["default"].clear()

        assert client.get(reverse("account")).status_code == 200
        assert Session.objects.count() == 1

    def test_changing_it_signs_other_devices_out_and_tells_by_mail(self, client: Client) -> None:
        user = make_user(ADDRESS, password=PASSWORD)
        phone = Client()
        for device in (client, phone):
            device.force_login(user)
        new = "another-long-password"
        client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new})

        assert (signed_in_as(client), client.get(reverse("account")).status_code) == (ADDRESS, 200)
        assert phone.get(reverse("account")).status_code == 302
        assert "password was changed" in mails_to(ADDRESS)[-1].subject

    def test_a_forgotten_one_is_set_anew_by_a_link_which_also_proves_the_address(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD, verified=False)
        client.post(reverse("account_reset_password"), {"email": ADDRESS})
        form = client.get(last_link_to(ADDRESS), follow=True)
        new = "another-long-password"
        client.post(form.request["PATH_INFO"], {"password1": new, "password2": new})

        user = User.objects.get()
        assert user.check_password(new)
        assert user.email_verified_at
        assert signed_in_as(client) == ADDRESS

    def test_a_used_link_says_so(self, client: Client) -> None:
        answer = client.get(reverse("account_reset_password_from_key", args=["1", "used-up"]))

        assert "This link is used up or too old" in answer.content.decode()

    def test_resetting_tells_nobody_whether_there_is_an_account(self, client: Client) -> None:
        make_user(ADDRESS)
        answers = [
            client.post(reverse("account_reset_password"), {"email": email})
            for email in (ADDRESS, "no@players.example")
        ]

        assert {(answer.status_code, answer["Location"]) for answer in answers} == {
            (302, reverse("account_reset_password_done"))
        }


class TestCode:
    def request_code(self, client: Client, email: str = ADDRESS) -> None:
        client.post(reverse("account_request_login_code"), {"email": email, "next": "/entries/"})

    def confirm(self, client: Client, code: str) -> str:
        answer = client.post(reverse("account_confirm_login_code"), {"code": code, "next": "/entries/"})
        return answer.headers.get("Location", "")

    def test_it_signs_in_and_proves_the_address(self, client: Client) -> None:
        make_user(ADDRESS, verified=False)
        self.request_code(client)

        assert self.confirm(client, last_code_to(ADDRESS)) == "/entries/"
        assert signed_in_as(client) == ADDRESS
        assert User.objects.get().email_verified_at
        assert EmailAddress.objects.get().verified

    def test_it_is_good_for_three_tries(self, client: Client) -> None:
        make_user(ADDRESS)
        self.request_code(client)
        code = last_code_to(ADDRESS)
        for _attempt in range(3):
            self.confirm(client, "BBBB-BBBB")
        self.confirm(client, code)

        assert signed_in_as(client) is None

    def test_a_password_from_before_the_proof_is_forgotten(self, client: Client) -> None:
        """Mallory made an account with Alice's address, and waits for her to fill it."""
        mallory = Client()
        mallory.post(reverse("account_signup"), SIGN_UP)
        self.request_code(client)
        self.confirm(client, last_code_to(ADDRESS))

        assert signed_in_as(client) == ADDRESS
        assert client.get(reverse("account")).status_code == 200
        assert mallory.get(reverse("account")).status_code == 302
        sign_in(mallory)
        assert mallory.get(reverse("account")).status_code == 302

    def test_a_password_of_a_proven_address_stays(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD)
        self.request_code(client)
        self.confirm(client, last_code_to(ADDRESS))

        assert User.objects.get().check_password(PASSWORD)

    def test_an_unknown_address_gets_a_mail_that_says_so_and_the_page_tells_nothing(self, client: Client) -> None:
        self.request_code(client, "nobody@players.example")

        assert mails_to("nobody@players.example")[0].subject == "No VGC Hub account has this address"
        assert client.get(reverse("account_confirm_login_code")).status_code == 200

    def test_a_new_one_can_be_had_twice(self, client: Client) -> None:
        make_user(ADDRESS)
        self.request_code(client)
        for _press in range(3):
            client.post(reverse("account_confirm_login_code"), {"action": "resend"})

        assert len(mails_to(ADDRESS)) == 3


class TestLimits:
    def test_a_venue_signs_in_from_one_address(self) -> None:
        """Forty people behind one router: allauth's own limit is thirty a minute."""
        first = make_user(password=PASSWORD)
        people = [first, *(make_user() for _number in range(39))]
        User.objects.update(password=first.password)  # one hash for all
        answers = {sign_in(Client(), person.email) for person in people}

        assert answers == {302}

    def test_the_eleventh_wrong_password_of_an_account_waits_and_others_do_not(self, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD)
        make_user("bob@players.example", password=PASSWORD)
        for _attempt in range(10):
            sign_in(client, password="wrong-password")
        answer = client.post(reverse("account_login"), {"login": ADDRESS, "password": PASSWORD})
        assert "That was tried too often." in answer.content.decode()

        sign_in(client, "bob@players.example")
        assert signed_in_as(client) == "bob@players.example"

    def test_nobody_locks_somebody_else_out(self, client: Client, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = 1
        make_user(ADDRESS, password=PASSWORD)
        for _attempt in range(11):
            sign_in(client, password="wrong-password", **{"X-Forwarded-For": "203.0.113.66"})
        sign_in(client, **{"X-Forwarded-For": "203.0.113.9"})

        assert signed_in_as(client) == ADDRESS

    @pytest.mark.parametrize("name", ["account_request_login_code", "account_reset_password"])
    def test_nobody_uses_up_somebody_elses_mails(self, name: str, client: Client) -> None:
        make_user(ADDRESS, password=PASSWORD)
        for _attempt in range(6):
            headers = {"X-Forwarded-For": "203.0.113.66"}
            answer = Client().post(reverse(name), {"email": ADDRESS}, headers=headers)
        assert "That was tried too often." in answer.content.decode()
        assert len(mails_to(ADDRESS)) == 5

        client.post(reverse(name), {"email": ADDRESS}, headers={"X-Forwarded-For": "203.0.113.9"})
        assert len(mails_to(ADDRESS)) == 6

    def test_limits_count_the_clients_address_and_no_forged_one(self, client: Client, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = 1
        settings.ACCOUNT_RATE_LIMITS = {"login": "2/m/ip"}
        answers = [sign_in(client, **{"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.9"}) for n in range(4)]
        elsewhere = sign_in(client, **{"X-Forwarded-For": "203.0.113.10"})

        assert (answers, elsewhere) == ([200, 200, 429, 429], 200)

    def test_a_limit_says_when_to_try_again(self, client: Client, settings: Settings) -> None:
        settings.ACCOUNT_RATE_LIMITS = {"signup": "1/10m/ip", "login": "1/20m/ip"}
        client.post(reverse("account_signup"), {})
        [key] = cache.keys("allauth:rl:*signup*")  # type: ignore[attr-defined]  # Redis'
        cache.set(key, [cache.get(key)[0] - 300], 600)  # five minutes later
        answer = client.post(reverse("account_signup"), SIGN_UP)

        assert answer.status_code == 429
        assert 240 < int(answer["Retry-After"]) <= 300
        assert answer["RateLimit-Policy"] == '"signup";q=1;w=600'
        assert answer["RateLimit"] == f'"signup";r=0;t={answer["Retry-After"]}'
        shown = answer.content.decode()
        assert "That was tried too often." in shown
        assert "Try again in " in shown

    def test_a_limit_of_which_nothing_is_known_says_to_come_back_soon(self, client: Client, settings: Settings) -> None:
        settings.ACCOUNT_RATE_LIMITS = {"signup": "300/m/ip"}
        client.post(reverse("account_signup"), {})
        [key] = cache.keys("allauth:rl:*signup*")  # type: ignore[attr-defined]
        cache.set(f"{key}:lock", 1, 60)  # somebody else's, who is counted at this moment
        answer = client.post(reverse("account_signup"), SIGN_UP)

        assert (answer.status_code, answer["Retry-After"], "RateLimit" in answer) == (429, "5", False)

    def test_without_redis_one_signs_in_and_wrong_passwords_are_still_counted(
        self, client: Client, settings: Settings
    ) -> None:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
        make_user(ADDRESS, password=PASSWORD)
        make_user("bob@players.example", password=PASSWORD)
        sign_in(client)
        assert client.get(reverse("account")).status_code == 200

        other = Client()
        for _attempt in range(10):
            sign_in(other, "bob@players.example", "wrong-password")
        sign_in(other, "bob@players.example")
        assert signed_in_as(other) is None


def test_a_sign_up_sent_twice_at_once_is_refused_kindly(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one's form was checked before the first one's account was there."""
    make_user(ADDRESS)
    monkeypatch.setattr("allauth.account.internal.flows.manage_email.assess_unique_email", lambda *_args, **_kw: True)
    answer = client.post(reverse("account_signup"), SIGN_UP)

    assert answer.status_code == 409
    assert "There is an account with this e-mail address already." in answer.content.decode()
    assert Consent.objects.count() == 0


def test_whoever_has_a_player_goes_straight_on(client: Client) -> None:
    make_player(make_user(ADDRESS, password=PASSWORD))
    answer = client.post(reverse("account_login"), {"login": ADDRESS, "password": PASSWORD})

    assert answer["Location"] == reverse("home")


def test_sessions_end_after_ninety_days(client: Client) -> None:
    client.force_login(make_user(ADDRESS))
    session = Session.objects.get()

    assert timedelta(days=89) < session.expire_date - User.objects.get().joined_at < timedelta(days=91)
