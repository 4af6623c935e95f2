"""Every mail in both its forms: the same words as text and as HTML, with one button."""

import re
from html import unescape

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from post_office.models import Email

from registrations.models import Notice, QueueEntry
from registrations.rules import State
from registrations.services.notices import send_due_notices
from tests.builders import make_entry, make_player, make_staff, make_tournament, make_user
from tests.lottery.draws import opened, run, seal
from tests.lottery.test_mails import mails, make_all, void
from tests.registrations.test_notices import STANDING, due
from vgchub.templatetags.mails import mail_parts

pytestmark = pytest.mark.django_db

KINDS = Notice.Kind
OF_DRAWS = {KINDS.SEALED, KINDS.LEFT_OUT, KINDS.DRAWN, KINDS.DRAW_VOID}  # tests/lottery/test_mails.py


def mail_of(kind: Notice.Kind, entry: QueueEntry) -> Email:
    due(entry, kind)
    send_due_notices()
    return Email.objects.get()


def words(html: str) -> str:
    """What a reader of the HTML sees, without its shape."""
    body = html[html.index("<body") :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_every_kind_of_mail_is_looked_at() -> None:
    assert set(STANDING) | OF_DRAWS == set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OF_DRAWS])
def test_both_forms_say_the_same_and_the_main_link_is_a_button(kind: Notice.Kind) -> None:
    player = make_player(make_user("ash@players.example"), display_name="Ash <b>O'Hara</b>")
    entry = make_entry(make_tournament(fee_minor=2500), player, state=STANDING[kind])

    mail = mail_of(kind, entry)

    shown = words(mail.html_message)
    for part in mail_parts(mail.message):
        assert " ".join(part.text.split()) in shown
    assert "<b>" not in mail.html_message
    links = re.findall(r'href="([^"]+)"', mail.html_message)
    assert links
    assert all(link.startswith(settings.SITE_URL) for link in links)
    assert mail.html_message.count("display:inline-block") == 1
    for form in (mail.subject, mail.message, mail.html_message):
        assert "{" not in form.replace("{ color-scheme", "").split("<body", 1)[-1]
        assert "None" not in form


def test_mails_of_draws_have_a_button_too() -> None:
    draw = opened()
    make_entry(draw.tournament, make_player(make_user(verified=False)))
    seal(draw)
    make_all()
    drawn = mails()
    void(run(seal(opened())))
    make_all()
    found = {mail.pk: mail for mail in [*drawn, *mails()]}
    assert len({mail.subject for mail in found.values()}) >= 3
    for mail in found.values():
        assert mail.html_message.count("display:inline-block") == 1
        for part in mail_parts(mail.message):
            assert " ".join(part.text.split()) in words(mail.html_message)


def test_a_confirmed_seat_that_was_paid_has_a_receipt_and_a_free_or_waived_one_has_none() -> None:
    paid = make_entry(make_tournament(fee_minor=2500), state=State.CONFIRMED)
    assert reverse("receipt", args=[paid.public_id]) in mail_of(KINDS.CONFIRMED, paid).message
    Email.objects.all().delete()
    free = make_entry(make_tournament(), state=State.CONFIRMED)
    assert "receipt" not in mail_of(KINDS.CONFIRMED, free).message
    Email.objects.all().delete()
    tournament, staff = make_tournament(fee_minor=2500), make_staff()
    waived = make_entry(tournament, state=State.CONFIRMED, waived_by=staff, waiver_reason="A helper.")
    assert "receipt" not in mail_of(KINDS.CONFIRMED, waived).message


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Hello.", ["text"]),
        ("Go:\n{site}/a", ["button"]),
        ("Hello.\n\nGo:\n{site}/a\n\nOr:\n{site}/b", ["text", "button", "link"]),
        ("Go:\nhttps://elsewhere.example/a", ["text"]),
        ("Go:\n{site}.evil.example/a", ["text"]),
        ("{site}/a", ["text"]),
        ("The list:\n\n    0123\n\nThat is all.", ["text", "quote", "text"]),
        ("One.\n\n\n\nTwo.\n", ["text", "text"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_its_paragraphs(text: str, kinds: list[str]) -> None:
    assert [part.kind for part in mail_parts(text.format(site=settings.SITE_URL))] == kinds


def test_what_does_not_fit_on_a_button_stands_before_it() -> None:
    lead = "This entry was left out of the void draw; it takes part in the new one if that is put right before"
    html = render_to_string(
        "registrations/mail/mail.html", {"subject": "Void", "text": f"{lead}:\n{settings.SITE_URL}/t/"}
    )
    assert f"{lead}:" in words(html)
    assert "Open the page" in words(html)


def test_markup_in_a_mail_is_text() -> None:
    text = f"<script>x</script> & co:\n{settings.SITE_URL}/a\n\n    <i>why</i>\n\nBy <u>Ash</u>:\n{settings.SITE_URL}/b"
    html = render_to_string("registrations/mail/mail.html", {"subject": "<s>Hi</s>", "text": text})
    for tag in ("<script>", "<i>", "<u>", "<s>"):
        assert tag not in html
