"""The account's pages, without JavaScript, as a person fills them in."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Consent, Player, User
from tests.accounts.mailbox import last_code_to, mails_to
from tests.builders import PASSWORD, make_entry, make_player, make_tournament, make_user

pytestmark = pytest.mark.django_db

ADDRESS = "alice@players.example"
ADULT = {"display_name": "Alice Ash", "player_id": "4711", "birth_date": "2000-05-05", "country": "DE"}
CHILD = {**ADULT, "birth_date": "2015-05-05"}
ADD = "/account/players/add/"


@pytest.fixture
def alice() -> User:
    return make_user(ADDRESS)


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


class TestAddingAPlayer:
    def test_it_leads_back_to_where_one_came_from(self, browser: Client, alice: User) -> None:
        answer = browser.post(ADD, {**ADULT, "next": "/entries/"})

        assert answer["Location"] == "/entries/"
        player = alice.players.get()
        assert (player.display_name, player.player_id, player.country) == ("Alice Ash", "4711", "DE")

    def test_somebody_elses_site_is_nowhere_to_go_back_to(self, browser: Client) -> None:
        assert browser.post(ADD, {**ADULT, "next": "//evil.example/"})["Location"] == reverse("account")

    def test_an_adult_is_asked_for_no_guardian(self, browser: Client) -> None:
        assert "guardian" not in browser.get(ADD).content.decode()
        browser.post(ADD, ADULT)
        assert not Consent.objects.exists()

    def test_a_child_brings_the_form_back_with_what_was_typed_and_the_question(self, browser: Client) -> None:
        answer = browser.post(ADD, CHILD)
        page = answer.content.decode()

        assert answer.context["form"].errors.keys() == {"guardian_consent"}
        assert 'name="guardian_consent"' in page
        for typed in ('value="Alice Ash"', 'value="4711"', 'value="2015-05-05"', '<option value="DE" selected>'):
            assert typed in page
        assert not Player.objects.exists()

    def test_the_guardians_tick_is_kept_as_consent(self, browser: Client, alice: User) -> None:
        browser.post(ADD, {**CHILD, "guardian_consent": "on"})

        consent = Consent.objects.get()
        assert (consent.account, consent.player) == (alice, alice.players.get())
        assert "As guardian, that Alice Ash takes part" in browser.get("/account/").content.decode()

    @pytest.mark.parametrize(
        ("field", "typed"),
        [
            ("display_name", ""),
            ("display_name", "A\x00"),
            ("display_name", "A" * 81),
            ("player_id", "12"),
            ("player_id", "12345678901234567"),
            ("player_id", "12a45"),
            ("birth_date", "2999-01-01"),
            ("birth_date", "1800-01-01"),
            ("birth_date", "yesterday"),
            ("country", ""),
            ("country", "XX"),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field(self, browser: Client, field: str, typed: str) -> None:
        answer = browser.post(ADD, {**ADULT, field: typed})

        assert answer.context["form"].errors.keys() == {field}
        assert not Player.objects.exists()

    def test_an_id_of_the_own_account_is_refused_beside_the_field(self, browser: Client, alice: User) -> None:
        make_player(alice, player_id="4711")
        answer = browser.post(ADD, ADULT)

        assert answer.context["form"].errors["player_id"] == [
            "A player with this Player ID is in your account already. Choose that player, or check the number."
        ]

    def test_an_id_of_another_account_is_accepted_and_the_dispute_is_told(self, browser: Client) -> None:
        make_player(player_id="4711")
        page = browser.post(ADD, ADULT, follow=True).content.decode()

        assert "Another account has this Player ID too" in page
        assert "disputed" in page

    def test_a_machine_cannot_claim_id_after_id(
        self, browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("accounts.views.PLAYER_CHANGES_AN_HOUR", 2)
        for number in (1001, 1002, 1003):
            answer = browser.post(ADD, {**ADULT, "player_id": str(number)})

        assert alice.players.count() == 2
        assert "Try again in " in answer.content.decode()


class TestEditingAPlayer:
    def test_name_and_country_are_corrected(self, browser: Client, alice: User) -> None:
        player = make_player(alice, player_id="4711")
        browser.post(reverse("player_edit", args=[player.pk]), {**ADULT, "country": "AT"})

        player.refresh_from_db()
        assert (player.display_name, player.country) == ("Alice Ash", "AT")

    def test_in_a_queue_birth_date_and_id_stay_whatever_is_sent(self, browser: Client, alice: User) -> None:
        player = make_player(alice, player_id="4711")
        make_entry(make_tournament(), player)
        page = browser.get(reverse("player_edit", args=[player.pk])).content.decode()
        assert page.count("disabled") == 2

        browser.post(reverse("player_edit", args=[player.pk]), {**CHILD, "player_id": "4712"})
        player.refresh_from_db()
        assert (player.display_name, player.player_id, player.birth_date.year) == ("Alice Ash", "4711", 2000)

    def test_a_child_whose_guardian_agreed_is_not_asked_again(self, browser: Client, alice: User) -> None:
        browser.post(ADD, {**CHILD, "guardian_consent": "on"})
        player = alice.players.get()
        browser.post(reverse("player_edit", args=[player.pk]), {**CHILD, "display_name": "Ali"})

        player.refresh_from_db()
        assert player.display_name == "Ali"
        assert Consent.objects.count() == 1

    def test_nobody_reaches_the_players_of_another_account(self, browser: Client) -> None:
        stranger = make_player(display_name="Bob")
        for name in ("player_edit", "player_remove"):
            browser.post(reverse(name, args=[stranger.pk]), ADULT)

        stranger.refresh_from_db()
        assert stranger.display_name == "Bob"


class TestRemovingAPlayer:
    def test_it_asks_first_and_may_be_pressed_twice(self, browser: Client, alice: User) -> None:
        player = make_player(alice, display_name="Alice Ash")
        url = reverse("player_remove", args=[player.pk])
        assert "Remove Alice Ash?" in browser.get(url).content.decode()
        assert alice.players.exists()

        assert [browser.post(url).status_code for _press in range(2)] == [302, 302]
        assert not alice.players.exists()

    def test_a_player_with_entries_stays_and_the_page_says_why(self, browser: Client, alice: User) -> None:
        player = make_player(alice)
        make_entry(make_tournament(), player)
        answer = browser.post(reverse("player_remove", args=[player.pk]))

        assert answer.status_code == 409
        assert "its records have to stay complete" in answer.content.decode()


class TestProvingTheAddress:
    @pytest.fixture
    def alice(self) -> User:
        return make_user(ADDRESS, verified=False)

    def test_the_banner_leads_to_the_code_and_back(self, browser: Client, alice: User) -> None:
        page = browser.get("/account/").content.decode()
        assert "/account/email/code/?next=/account/" in page

        browser.post(reverse("email_code_new"), {"next": "/entries/"})
        answer = browser.post(reverse("email_code"), {"code": last_code_to(ADDRESS), "next": "/entries/"})
        assert answer["Location"] == "/entries/"
        alice.refresh_from_db()
        assert alice.email_verified_at

    def test_the_banner_is_gone_with_the_proof_and_costs_no_query(
        self, browser: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        browser.get("/account/")
        with django_assert_num_queries(3):  # the user, the players, the consents; the session comes from the cache
            page = browser.get("/account/").content.decode()
        assert "Type the code that we mailed" in page

        User.objects.update(email_verified_at="2026-01-01T00:00Z")
        with django_assert_num_queries(3):
            page = browser.get("/account/").content.decode()
        assert "Type the code" not in page

    def test_a_wrong_code_says_how_many_tries_are_left(self, browser: Client) -> None:
        browser.post(reverse("email_code_new"))
        wrong = f"{(int(last_code_to(ADDRESS)) + 1) % 1_000_000:06d}"
        page = browser.post(reverse("email_code"), {"code": wrong}).content.decode()

        assert "That is not the code we sent. You have 4 more tries." in page

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦"])
    def test_what_is_no_code_costs_no_try(self, browser: Client, alice: User, typed: str) -> None:
        browser.post(reverse("email_code_new"))
        browser.post(reverse("email_code"), {"code": typed})

        assert alice.email_code.tries_left == 5

    def test_a_second_code_within_a_minute_is_refused_kindly(self, browser: Client) -> None:
        browser.post(reverse("email_code_new"))
        page = browser.post(reverse("email_code_new"), follow=True).content.decode()

        assert "You can have another code in" in page
        assert len(mails_to(ADDRESS)) == 1

    def test_a_form_sent_twice_is_no_error(self, browser: Client) -> None:
        browser.post(reverse("email_code_new"))
        code = last_code_to(ADDRESS)
        answers = [browser.post(reverse("email_code"), {"code": code}) for _press in range(2)]

        assert [answer["Location"] for answer in answers] == [reverse("account")] * 2


class TestChangingTheAddress:
    @pytest.fixture
    def alice(self) -> User:
        return make_user(ADDRESS, password=PASSWORD)

    def test_it_takes_the_password_and_the_code_from_the_new_mailbox(self, browser: Client, alice: User) -> None:
        answer = browser.post(reverse("email_change"), {"email": "New@players.example", "password": PASSWORD})
        assert answer["Location"] == reverse("email_code")
        assert "new@players.example" in browser.get(reverse("email_code")).content.decode()

        browser.post(reverse("email_code"), {"code": last_code_to("new@players.example")})
        alice.refresh_from_db()
        assert alice.email == "new@players.example"
        assert "is now new@players.example" in mails_to(ADDRESS)[-1].message

    @pytest.mark.parametrize(
        ("email", "password", "field"),
        [
            ("new@players.example", "wrong-password", "password"),
            ("bob@players.example", PASSWORD, "email"),  # somebody else's
            (ADDRESS, PASSWORD, "email"),
            ("no address", PASSWORD, "email"),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field(
        self, browser: Client, email: str, password: str, field: str
    ) -> None:
        make_user("bob@players.example")
        answer = browser.post(reverse("email_change"), {"email": email, "password": password})

        assert answer.context["form"].errors.keys() == {field}
        assert mails_to(email) == []

    def test_an_account_without_a_password_is_asked_for_none(self, client: Client) -> None:
        client.force_login(make_user("bob@players.example"))
        answer = client.post(reverse("email_change"), {"email": "new@players.example"})

        assert answer["Location"] == reverse("email_code")


def test_pages_of_an_account_ask_for_signing_in_and_come_back(client: Client) -> None:
    assert client.get("/account/players/add/")["Location"] == "/accounts/login/?next=/account/players/add/"


@pytest.mark.parametrize("number", [1, 3])
def test_more_players_cost_no_more_queries(
    browser: Client, alice: User, django_assert_num_queries: DjangoAssertNumQueries, number: int
) -> None:
    for _number in range(number):
        make_player(alice)
    browser.get("/account/")
    with django_assert_num_queries(3):
        browser.get("/account/")


def test_names_are_shown_as_text_not_as_markup(browser: Client, alice: User) -> None:
    make_player(alice, display_name="<script>alert(1)</script>")
    page = browser.get("/account/").content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
