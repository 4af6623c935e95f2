"""What organizers do to a running tournament: each action asks on a page, needs its reason, and calls one service."""

import hashlib
from datetime import timedelta
from typing import Any

import pghistory
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from registrations.models import QueueEntry
from registrations.rules import State
from tests.admin.browsing import untouched
from tests.builders import (
    make_division,
    make_entry,
    make_group,
    make_organization,
    make_organizer,
    make_player,
    make_seats,
    make_tournament,
    make_user,
    now,
)
from tournaments.models import Organization, PriorityGroup, Tournament

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours() -> Organization:
    return make_organization("Ours")


@pytest.fixture
def alice(ours: Organization, client: Client) -> Client:
    """Signed in as an organizer of Ours."""
    client.force_login(make_organizer(ours))
    return client


def act(client: Client, row: Any, action: str, **sent: Any) -> Any:
    """Open the action's page, then send it; answers with the page that follows."""
    name = f"{row._meta.app_label}_{row._meta.model_name}"
    there = reverse(f"admin:{name}_{action}", args=[row.pk])
    asked = client.get(there)
    assert asked.status_code == 200
    return client.post(there, sent, follow=True)


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def refused(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["form"].errors)


def actions(client: Client, row: Any) -> list[str]:
    """Titles of the actions that the row's page offers."""
    page = client.get(reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]))
    found: list[str] = []
    for entry in page.context["actions_detail"]:
        found += [str(item["title"]) for item in entry.get("items", [entry])]
    return found


def test_actions_are_offered_when_they_make_sense(alice: Client, ours: Organization) -> None:
    draft = make_tournament(organization=ours, published=False, opens_in=timedelta(days=3))
    announced = make_tournament(organization=ours, opens_in=timedelta(days=3))
    running = make_tournament(organization=ours)
    paused = make_tournament(organization=ours, paused_at=now())
    cancelled = make_tournament(organization=ours, cancelled_at=now())

    assert actions(alice, draft) == ["Publish", "Seats"]
    assert actions(alice, announced) == ["Message", "Seats", "Make it a draft again", "Cancel the tournament"]
    assert actions(alice, running) == [
        "Message",
        "Seats",
        "Pause offers",
        "Extend open offers",
        "Cancel the tournament",
    ]
    assert actions(alice, paused) == [
        "Message",
        "Seats",
        "Resume offers",
        "Extend open offers",
        "Cancel the tournament",
    ]
    assert actions(alice, cancelled) == []


def test_asking_changes_nothing(alice: Client, ours: Organization) -> None:
    draft = make_tournament(organization=ours, published=False, opens_in=timedelta(days=3))

    alice.get(reverse("admin:tournaments_tournament_publish", args=[draft.pk]))

    draft.refresh_from_db()
    assert draft.published_at is None


def test_publish(alice: Client, ours: Organization) -> None:
    draft = make_tournament(organization=ours, published=False, opens_in=timedelta(days=3))

    answer = act(alice, draft, "publish")

    draft.refresh_from_db()
    assert draft.published_at is not None
    assert said(answer) == ["Published. Everybody can see it now."]


def test_publish_opens_the_draw_with_its_commitment(alice: Client, ours: Organization) -> None:
    draft = make_tournament(
        organization=ours, published=False, opens_in=timedelta(days=3), mode="LOTTERY", entropy="COMMIT_REVEAL"
    )

    act(alice, draft, "publish")

    draw = draft.draws.get()
    assert draw.state == "OPEN"
    assert hashlib.sha256(bytes.fromhex(draw.secret)).hexdigest() == draw.commitment


def test_publish_says_what_is_missing(alice: Client, ours: Organization) -> None:
    draft = make_tournament(organization=ours, published=False, seats=0, opens_in=timedelta(days=3))

    answer = act(alice, draft, "publish")

    assert refused(answer) == {"__all__": ["No seats yet: Masters. Give each division seats, or take it off."]}


def test_withdraw(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, opens_in=timedelta(days=3))

    act(alice, tournament, "withdraw", reason="wrong date")

    tournament.refresh_from_db()
    assert tournament.published_at is None


def test_pause_and_resume_give_open_offers_the_paused_time(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours)
    entry = make_entry(tournament, state=State.OFFERED)
    expires_at = entry.offer_expires_at
    assert expires_at is not None

    assert list(refused(act(alice, tournament, "pause"))) == ["reason"]
    act(alice, tournament, "pause", reason="the hall called")
    Tournament.objects.filter(pk=tournament.pk).update(paused_at=now() - timedelta(minutes=30))
    act(alice, tournament, "resume", reason="all is well")

    tournament.refresh_from_db()
    entry.refresh_from_db()
    assert tournament.paused_at is None
    assert entry.offer_expires_at is not None
    assert entry.offer_expires_at >= expires_at + timedelta(minutes=30)


def test_message_is_shown_and_taken_away(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours)

    act(alice, tournament, "write_message", message="We wait for the hall.")
    tournament.refresh_from_db()
    assert tournament.message == "We wait for the hall."

    act(alice, tournament, "write_message", message="")
    tournament.refresh_from_db()
    assert tournament.message == ""


def test_seats_are_added_and_moved_between_kinds(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, seats=10)
    division = tournament.divisions.get()
    group = make_group(tournament)

    answer = act(
        alice,
        tournament,
        "change_seats",
        reason="a larger hall",
        **{f"seats_{division.pk}_open": "9", f"seats_{division.pk}_{group.pk}": "3"},
    )

    assert said(answer) == ["Seats changed: a larger hall"]
    assert division.seats.filter(reserved_for=None).count() == 9
    assert division.seats.filter(reserved_for=group).count() == 3


def test_seats_in_use_stay_and_nothing_else_is_changed(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, seats=2)
    masters, senior = tournament.divisions.get(), make_division(tournament, "senior", seats=2)
    make_entry(tournament, state=State.CONFIRMED)

    answer = act(
        alice,
        tournament,
        "change_seats",
        reason="a smaller hall",
        **{f"seats_{masters.pk}_open": "0", f"seats_{senior.pk}_open": "1"},
    )

    assert "only 1 is free" in str(refused(answer))
    assert (masters.seats.count(), senior.seats.count()) == (2, 2)


def test_seats_need_a_reason_and_a_change(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, seats=2)
    field = f"seats_{tournament.divisions.get().pk}_open"

    assert list(refused(act(alice, tournament, "change_seats", **{field: "3"}))) == ["reason"]
    assert refused(act(alice, tournament, "change_seats", reason="x", **{field: "2"})) == {
        "__all__": ["Nothing was changed."]
    }
    assert list(refused(act(alice, tournament, "change_seats", reason="x", **{field: "-1"}))) == [field]


def test_seats_of_an_old_tab_overwrite_nobody(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, seats=10)
    masters, senior = tournament.divisions.get(), make_division(tournament, "senior", seats=4)
    there = reverse("admin:tournaments_tournament_change_seats", args=[tournament.pk])
    old_tab = untouched(alice.get(there).content.decode())
    make_seats(masters, 5)

    alice.post(there, {**old_tab, f"seats_{senior.pk}_open": "6", "reason": "a larger hall"})
    assert (masters.seats.count(), senior.seats.count()) == (15, 6)

    refusal = alice.post(there, {**old_tab, f"seats_{masters.pk}_open": "11", "reason": "one more"})
    assert list(refused(refusal)) == [f"seats_{masters.pk}_open"]
    assert masters.seats.count() == 15


def test_history_tells_who_and_why(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours)
    act(alice, tournament, "pause", reason="the hall called")

    page = alice.get(reverse("admin:tournaments_tournament_history", args=[tournament.pk]))

    latest = page.context["happenings"][0]
    assert (latest.what, latest.why) == ("pause tournament", "the hall called")
    assert latest.who == ours.memberships.get().account.email
    assert [name for name, _before, _after in latest.changes] == ["paused"]
    assert "the hall called" in page.content.decode()


def test_history_of_an_entry_does_not_tell_the_players_address(alice: Client, ours: Organization) -> None:
    entry = make_entry(make_tournament(organization=ours))
    with pghistory.context(user=entry.player.account_id, service="leave_queue"):
        QueueEntry.objects.filter(pk=entry.pk).update(state=State.LEFT, ended_at=now())

    page = alice.get(reverse("admin:registrations_queueentry_history", args=[entry.pk]))

    assert page.context["happenings"][0].who == "the player"
    assert entry.player.account.email not in page.content.decode()


def test_extend_gives_all_open_offers_more_time(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours)
    entry = make_entry(tournament, state=State.OFFERED)
    before = entry.offer_expires_at
    assert before is not None

    answer = act(alice, tournament, "extend", minutes="15", reason="mail was slow")

    entry.refresh_from_db()
    assert entry.offer_expires_at == before + timedelta(minutes=15)
    assert said(answer) == ["1 open offer lasts 15 minutes longer."]


def test_cancel_needs_the_slug_typed(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours)
    entry = make_entry(tournament)

    refusal = refused(act(alice, tournament, "cancel", reason="the hall burnt down", slug="another"))
    tournament.refresh_from_db()
    assert (list(refusal), tournament.cancelled_at) == (["slug"], None)

    act(alice, tournament, "cancel", reason="the hall burnt down", slug=tournament.slug)
    tournament.refresh_from_db()
    entry.refresh_from_db()
    assert tournament.cancelled_at is not None
    assert entry.state == State.CLOSED


def test_a_page_sent_twice_acts_once(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours)
    entry = make_entry(tournament, state=State.OFFERED)
    before = entry.offer_expires_at
    assert before is not None
    there = reverse("admin:tournaments_tournament_extend", args=[tournament.pk])
    page = untouched(alice.get(there).content.decode())
    sent = {**page, "minutes": "15", "reason": "mail was slow"}

    alice.post(there, sent)
    again = alice.post(there, sent, follow=True)

    entry.refresh_from_db()
    assert entry.offer_expires_at == before + timedelta(minutes=15)
    assert said(again) == ["1 open offer lasts 15 minutes longer.", "This was done already."]
    alice.post(there, {**untouched(alice.get(there).content.decode()), "minutes": "5", "reason": "still slow"})
    entry.refresh_from_db()
    assert entry.offer_expires_at == before + timedelta(minutes=20)


def test_a_refused_page_can_be_sent_again(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, seats=0)
    entry = make_entry(tournament)
    there = reverse("admin:registrations_queueentry_grant", args=[entry.pk])
    page = {**untouched(alice.get(there).content.decode()), "reason": "a place of honour"}

    assert "__all__" in refused(alice.post(there, page))
    make_seats(tournament.divisions.get(), 1)
    alice.post(there, page)

    entry.refresh_from_db()
    assert entry.state == State.OFFERED


def test_grant_offers_a_seat_out_of_order(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, seats=1)
    make_entry(tournament)
    second = make_entry(tournament)

    act(alice, second, "grant", reason="a place of honour")

    second.refresh_from_db()
    assert (second.state, second.grant_reason) == (State.OFFERED, "a place of honour")


def test_grant_is_refused_without_a_free_seat(alice: Client, ours: Organization) -> None:
    entry = make_entry(make_tournament(organization=ours, seats=0))

    assert "__all__" in refused(act(alice, entry, "grant", reason="a place of honour"))


def test_waive_is_for_paid_tournaments_and_needs_a_reason(alice: Client, ours: Organization) -> None:
    entry = make_entry(make_tournament(organization=ours, fee_minor=2500))

    assert actions(alice, entry) == ["Grant a seat", "Waive the fee"]
    assert list(refused(act(alice, entry, "waive"))) == ["reason"]
    act(alice, entry, "waive", reason="judge")

    entry.refresh_from_db()
    assert entry.waiver_reason == "judge"
    assert actions(alice, entry) == ["Grant a seat"]


def test_only_staff_take_somebody_out(alice: Client, ours: Organization) -> None:
    entry = make_entry(make_tournament(organization=ours))
    there = reverse("admin:registrations_queueentry_reject", args=[entry.pk])
    assert alice.post(there, {"reason": "cheats"}).status_code == 403

    dora = Client()
    dora.force_login(make_user(is_staff=True))
    dora.post(there, {"reason": "cheats"})

    entry.refresh_from_db()
    assert entry.state == State.REJECTED


def test_entries_are_only_read(alice: Client, ours: Organization) -> None:
    entry = make_entry(make_tournament(organization=ours))
    there = reverse("admin:registrations_queueentry_change", args=[entry.pk])

    assert actions(alice, entry) == ["Grant a seat"]
    assert alice.post(there, {"state": "CONFIRMED"}).status_code == 403
    assert alice.get(reverse("admin:registrations_queueentry_add")).status_code == 403


@pytest.mark.parametrize("rows", [1, 3])
def test_list_of_entries_costs_the_same_for_one_and_for_three(
    alice: Client, ours: Organization, django_assert_num_queries: Any, rows: int
) -> None:
    tournament = make_tournament(organization=ours)
    for _ in range(rows):
        make_entry(tournament)
    there = reverse("admin:registrations_queueentry_changelist")
    alice.get(there)

    with django_assert_num_queries(5):
        alice.get(there)


def upload(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("members.csv", content, "text/csv")


@pytest.fixture
def veterans(ours: Organization) -> PriorityGroup:
    return make_group(make_tournament(organization=ours), "Veterans", priority=3)


def test_import_adds_members_and_regroups_who_waits(alice: Client, veterans: PriorityGroup) -> None:
    entry = make_entry(veterans.tournament, make_player(player_id="1002"))

    answer = act(
        alice, veterans, "add_members", file=upload(b"\xef\xbb\xbfname;player_id\r\nAsh;1001\r\nMisty;1002\r\n")
    )

    assert said(answer) == ["2 players added, 0 were on the list already; 1 entries regrouped."]
    entry.refresh_from_db()
    assert (entry.group, entry.priority) == (veterans, 3)
    assert said(act(alice, veterans, "add_members", pasted="1001\n1003")) == [
        "1 players added, 1 were on the list already; 0 entries regrouped."
    ]


def test_import_with_bad_lines_imports_nothing_and_names_them(alice: Client, veterans: PriorityGroup) -> None:
    answer = act(alice, veterans, "add_members", file=upload(b"1001\nAsh\n12\n"))

    assert refused(answer) == {
        "file": [
            "Line 2: “Ash” is no Player ID (3 to 16 digits).",
            "Line 3: “12” is no Player ID (3 to 16 digits).",
        ],
        "__all__": ["Nothing was imported. Correct the list and send it again."],
    }
    assert not veterans.members.exists()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "pasted"),
        ({"file": b"player_id\n"}, "file"),
        ({"file": b"1001\n" * 500_000}, "file"),
    ],
    ids=["nothing", "only a header", "too large"],
)
def test_import_refuses_what_holds_nothing_or_too_much(
    alice: Client, veterans: PriorityGroup, sent: dict[str, bytes], field: str
) -> None:
    answer = act(alice, veterans, "add_members", **{name: upload(content) for name, content in sent.items()})

    assert list(refused(answer)) == [field]
    assert not veterans.members.exists()


def test_members_are_taken_off_with_a_reason(alice: Client, veterans: PriorityGroup) -> None:
    act(alice, veterans, "add_members", pasted="1001\n1002")
    entry = make_entry(veterans.tournament, make_player(player_id="1002"), group=veterans, priority=3)

    assert list(refused(act(alice, veterans, "drop_members", pasted="1002"))) == ["reason"]
    answer = act(alice, veterans, "drop_members", pasted="1002", reason="listed by mistake")

    assert said(answer) == ["1 player is off the list; 1 entry regrouped."]
    entry.refresh_from_db()
    assert (entry.group, entry.priority) == (None, 0)
    assert [member.player_id for member in veterans.members.all()] == ["1001"]
