"""Pages that every part of the site falls back on, and those of a local site."""

import pytest
from django.shortcuts import render
from django.test import Client
from post_office import mail as post_office
from post_office.models import Email
from pytest_django import DjangoAssertNumQueries

from tests.builders import make_user


@pytest.mark.parametrize("template", ["busy.html", "500.html", "403_csrf.html"])
def test_pages_of_trouble_need_no_request_and_no_query(
    db: None, django_assert_num_queries: DjangoAssertNumQueries, template: str
) -> None:
    with django_assert_num_queries(0):
        page = render(None, template, {"refresh": 5}).content.decode()
    assert "<main" in page
    assert ('http-equiv="refresh" content="5"' in page) == (template == "busy.html")


def test_busy_page_that_answers_a_form_does_not_send_it_again() -> None:
    page = render(None, "busy.html", {"refresh": None}).content.decode()
    assert "http-equiv" not in page
    assert "send it again" in page
    assert "by itself" not in page


@pytest.mark.django_db
def test_unknown_address_leads_back_to_the_tournaments(client: Client) -> None:
    response = client.get("/no/such/page/")
    assert response.status_code == 404
    assert b"There is no page at this address." in response.content


@pytest.mark.django_db
def test_header_says_who_is_signed_in(client: Client) -> None:
    assert b"Sign in" in client.get("/").content
    client.force_login(make_user("alice@players.example"))
    page = client.get("/").content.decode()
    assert "Sign in" not in page.replace("Signed in", "")
    assert "alice@players.example" in page


@pytest.mark.django_db
def test_no_page_needs_inline_script_or_style(client: Client) -> None:
    for address in ("/", "/styleguide/", "/local/mailbox/"):
        page = client.get(address).content.decode()
        assert "<style" not in page
        assert " style=" not in page
        assert "<script>" not in page


@pytest.mark.django_db
def test_mailbox_shows_the_latest_mail_first_and_one_whole(client: Client) -> None:
    for number in (1, 2):
        post_office.send(
            f"player{number}@players.example",
            "desk@vgchub.example",
            subject=f"Mail {number}",
            message="See https://vgchub.example/e/1/",
            html_message="<p onclick='x()'>Hello</p>",
        )
    page = client.get("/local/mailbox/").content.decode()
    assert page.index("Mail 2") < page.index("Mail 1")
    assert "Mail 1" not in client.get("/local/mailbox/?to=player2").content.decode()
    one = Email.objects.get(subject="Mail 1")
    assert 'href="https://vgchub.example/e/1/"' in client.get(f"/local/mailbox/{one.pk}/").content.decode()
    html = client.get(f"/local/mailbox/{one.pk}/html/")
    assert "sandbox" in html["Content-Security-Policy"]
    assert "script-src 'none'" in html["Content-Security-Policy"]
    assert html["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.django_db
def test_styleguide_shows_all_pieces(client: Client) -> None:
    page = client.get("/styleguide/").content.decode()
    for piece in (
        "state-sentence",
        "data-line",
        "data-seat-bar",
        "offer",
        "timeline",
        "notice",
        "badge",
        "countdown",
        "empty",
    ):
        assert f'class="{piece}' in page or f" {piece}" in page
