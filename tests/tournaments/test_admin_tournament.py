"""An organizer makes a tournament from one page, and is told beside the field what can't be."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import CheckConstraint
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.browsing import untouched
from tests.builders import make_entry, make_group, make_organization, make_organizer, make_tournament, now
from tournaments.forms import FIRST_COME_WARNING, season_divisions
from tournaments.models import Division, Organization, PriorityGroup, Seat, Tournament

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
NEXT_YEAR = now().year + 1  # whenever the tests run, what they type is yet to come
ADD = "/admin/tournaments/tournament/add/"

PAGE = {
    "name": "Rhein Cup",
    "slug": "rhein-cup",
    "game": "Pokémon VGC",
    "format": "",
    "description": "",
    "venue": "Messe Halle 3",
    "city": "Dortmund",
    "country": "DE",
    "time_zone": "Europe/Berlin",
    "starts_at": f"{NEXT_YEAR}-03-20T09:00:00",
    "ends_at": f"{NEXT_YEAR}-03-21T18:00:00",
    "mode": "FAIR_START",
    "prequeue_opens_at": "",
    "opens_at": f"{NEXT_YEAR}-02-06T20:00:00",
    "closes_at": f"{NEXT_YEAR}-02-13T20:00:00",
    "seals_at": "",
    "offers_end_at": f"{NEXT_YEAR}-03-10T20:00:00",
    "entropy": "COMMIT_REVEAL",
    "objection_minutes": "30",
    "releases_reserved": "on",
    "fee_minor": "2500",
    "currency": "eur",
    "refund_until": "",
    "refund_kept_percent": "0",
    "offer_minutes": "10",
    "rush_minutes": "120",
    "late_offer_hours": "48",
    "decline_hours": "24",
    "payment_minutes": "10",
    "offers_per_minute": "1000",
    "offer_batch": "50",
    "max_waiting": "",
    "joins_per_player": "5",
    "joins_per_address": "10",
    "joins_per_address_verified": "3000",
    "join_ceiling": "",
    "emergency_contact": "",
    "divisions-TOTAL_FORMS": "3",
    "divisions-INITIAL_FORMS": "0",
    "groups-TOTAL_FORMS": "0",
    "groups-INITIAL_FORMS": "0",
}
GROUP = {"tickets": "1", "priority": "0", "opens_early_minutes": "0", "countries": "", "division_codes": ""}


def divisions(**seats: str) -> dict[str, str]:
    """The three rows that the page suggests, with the seats typed into them."""
    sent: dict[str, str] = {}
    for index, row in enumerate(season_divisions(now().date())):
        values = {"code": "", "name": "", "born_from": "", "born_to": "", **row}
        sent |= {f"divisions-{index}-{name}": str(value) for name, value in values.items()}
        sent[f"divisions-{index}-seat_number"] = seats.get(row["code"], "")
    return sent


def group(index: int, name: str, **values: str) -> dict[str, str]:
    return {f"groups-{index}-{key}": value for key, value in {**GROUP, "name": name, **values}.items()}


@pytest.fixture
def ours() -> Organization:
    return make_organization("Ours")


@pytest.fixture
def alice(ours: Organization, client: Client) -> Client:
    """Signed in as an organizer of Ours."""
    client.force_login(make_organizer(ours))
    return client


def send(client: Client, ours: Organization, **values: str) -> Any:
    return client.post(ADD, {**PAGE, **divisions(masters="64"), "organization": ours.pk, **values})


def errors(answer: Any) -> dict[str, list[str]]:
    """Field to its errors, of the tournament and of the rows beside it (`group.name`)."""
    assert answer.status_code == 200
    found = dict(answer.context["adminform"].form.errors)
    for inline in answer.context["inline_admin_formsets"]:
        for form in inline.formset.forms:
            found |= {f"{inline.formset.prefix}.{name}": list(texts) for name, texts in form.errors.items()}
    return found


def test_page_suggests_fair_start_divisions_of_the_season_and_warns_of_first_come(alice: Client) -> None:
    page = alice.get(ADD)

    form = page.context["adminform"].form
    assert form["mode"].value() == "FAIR_START"
    assert [row["code"].value() for row in page.context["inline_admin_formsets"][0].formset] == [
        "junior",
        "senior",
        "masters",
    ]
    assert str(FIRST_COME_WARNING) in page.content.decode()


def test_create_from_one_page_with_divisions_seats_and_reserved_seats(alice: Client, ours: Organization) -> None:
    sent = {
        **divisions(masters="64", senior="32"),
        **group(0, "Veterans", reserved_masters="10", reserved_senior="2", tickets="4"),
        "groups-TOTAL_FORMS": "1",
    }
    answer = send(alice, ours, **sent)

    assert answer.status_code == 302
    made = Tournament.objects.get()
    assert made.organization == ours
    assert made.published_at is None
    assert made.opens_at == datetime(NEXT_YEAR, 2, 6, 20, tzinfo=BERLIN)
    assert made.prequeue_opens_at == datetime(NEXT_YEAR, 2, 6, 19, tzinfo=BERLIN)
    assert sorted(made.divisions.values_list("code", flat=True)) == ["masters", "senior"]
    veterans = made.groups.get()
    seats = Seat.objects.filter(division__tournament=made)
    assert seats.count() == 96
    assert seats.filter(division__code="masters", reserved_for=veterans).count() == 10
    assert seats.filter(division__code="senior", reserved_for=veterans).count() == 2


def test_suggested_rows_are_left_out_wherever_they_stand(alice: Client, ours: Organization) -> None:
    suggested = divisions(masters="64")
    moved = {
        name.replace("divisions-1-", "divisions-0-"): value
        for name, value in suggested.items()
        if "divisions-0-" not in name
    }

    answer = alice.post(ADD, {**PAGE, **moved, "organization": ours.pk, "divisions-TOTAL_FORMS": "1"})

    assert answer.status_code == 302
    assert not Tournament.objects.get().divisions.exists()


def test_create_first_come_says_what_it_rewards(alice: Client, ours: Organization) -> None:
    answer = alice.post(
        ADD, {**PAGE, **divisions(masters="64"), "organization": ours.pk, "mode": "FIRST_COME"}, follow=True
    )

    assert str(FIRST_COME_WARNING) in [str(message) for message in answer.context["messages"]]


def test_create_for_another_organization_is_refused(alice: Client, ours: Organization) -> None:
    answer = send(alice, ours, organization=str(make_organization().pk))

    assert list(errors(answer)) == ["organization"]
    assert not Tournament.objects.exists()


# What is typed, and the field that is told. The names in the middle are the constraints of the model that it would break.
IMPOSSIBLE = [
    ({"closes_at": f"{NEXT_YEAR}-02-06T20:00:00"}, "tournament_opens_before_it_closes", "closes_at"),
    ({"offers_end_at": f"{NEXT_YEAR}-02-13T19:00:00"}, "tournament_closes_before_offers_end", "offers_end_at"),
    ({"ends_at": f"{NEXT_YEAR}-03-20T09:00:00"}, "tournament_starts_before_it_ends", "ends_at"),
    ({"offers_end_at": f"{NEXT_YEAR}-03-20T10:00:00"}, "tournament_offers_end_before_it_starts", "offers_end_at"),
    ({"prequeue_opens_at": f"{NEXT_YEAR}-02-06T20:00:00"}, "tournament_waiting_room_opens_first", "prequeue_opens_at"),
    (
        {"mode": "LOTTERY", "seals_at": f"{NEXT_YEAR}-02-13T19:00:00"},
        "tournament_lottery_seals_after_it_closes",
        "seals_at",
    ),
    ({"seals_at": f"{NEXT_YEAR}-02-14T20:00:00"}, "tournament_lottery_seals_after_it_closes", "seals_at"),
    (
        {"mode": "LOTTERY", "prequeue_opens_at": f"{NEXT_YEAR}-02-06T19:00:00"},
        "tournament_waiting_room_is_of_fair_start",
        "prequeue_opens_at",
    ),
    ({"mode": "DICE"}, "tournament_mode_known", "mode"),
    ({"offer_batch": "9"}, "tournament_pace_in_bounds", "offer_batch"),
    ({"offer_batch": "51"}, "tournament_pace_in_bounds", "offer_batch"),
    ({"offers_per_minute": "0"}, "tournament_pace_in_bounds", "offers_per_minute"),
    ({"joins_per_player": "0"}, "tournament_lets_somebody_join", "joins_per_player"),
    ({"joins_per_address": "0"}, "tournament_lets_somebody_join", "joins_per_address"),
    ({"joins_per_address_verified": "0"}, "tournament_lets_somebody_join", "joins_per_address_verified"),
    ({"join_ceiling": "0"}, "tournament_lets_somebody_join", "join_ceiling"),
    ({"offer_minutes": "0"}, "tournament_offers_last", "offer_minutes"),
    ({"payment_minutes": "0"}, "tournament_offers_last", "payment_minutes"),
    ({"late_offer_hours": "0"}, "tournament_offers_last", "late_offer_hours"),
    ({"refund_kept_percent": "101"}, "tournament_keeps_at_most_all", "refund_kept_percent"),
    ({"saves_cards": "on"}, "tournament_saves_cards_for_a_lottery", "saves_cards"),
    ({"currency": "isk", "fee_minor": "2550"}, "", "fee_minor"),
    ({"currency": "ugx"}, "", "currency"),
    ({"mode": "LOTTERY", "saves_cards": "on", "decline_hours": "23"}, "", "decline_hours"),
    ({"mode": "LOTTERY", "saves_cards": "on", "late_offer_hours": "24"}, "", "late_offer_hours"),
    ({"time_zone": "Europe/Entenhausen"}, "", "time_zone"),
    ({"country": "Germany"}, "", "country"),
    ({"refund_until": f"{NEXT_YEAR}-04-01T00:00:00"}, "", "refund_until"),
    ({"slug": ""}, "", "slug"),
    ({"opens_at": "2026-03-29T02:30:00"}, "", "opens_at"),
    ({"opens_at": ""}, "", "opens_at"),
    (
        {"divisions-2-born_from": "2012-01-01", "divisions-2-born_to": "2010-12-31"},
        "division_bounds_in_order",
        "divisions.born_to",
    ),
    ({"divisions-1-seat_number": "8", "divisions-1-born_from": "2000-01-01"}, "", "divisions.born_from"),
    ({"divisions-1-name": "Elders"}, "", "divisions.seat_number"),
    (
        {"groups-TOTAL_FORMS": "1", **group(0, "Veterans", reserved_masters="65")},
        "",
        "groups.reserved_masters",
    ),
    (
        {
            "groups-TOTAL_FORMS": "2",
            **group(0, "Veterans", reserved_masters="40"),
            **group(1, "Hosts", reserved_masters="25"),
        },
        "",
        "groups.reserved_masters",
    ),
    ({"groups-TOTAL_FORMS": "1", **group(0, "Veterans", reserved_junior="1")}, "", "groups.reserved_junior"),
    (
        {"groups-TOTAL_FORMS": "1", **group(0, "Veterans", tickets="65")},
        "prioritygroup_tickets_1_to_64",
        "groups.tickets",
    ),
    ({"groups-TOTAL_FORMS": "1", **group(0, "Veterans", countries="Germany")}, "", "groups.countries"),
    ({"groups-TOTAL_FORMS": "1", **group(0, "Veterans", division_codes="elders")}, "", "groups.division_codes"),
]


@pytest.mark.parametrize(("typed", "constraint", "told"), IMPOSSIBLE, ids=lambda value: str(value)[:60])
def test_impossible_settings_are_refused_beside_the_field(
    alice: Client, ours: Organization, typed: dict[str, str], constraint: str, told: str
) -> None:
    answer = send(alice, ours, **typed)

    found = errors(answer)
    assert list(found) == [told]
    assert "Constraint" not in str(found)
    assert not Tournament.objects.exists()


def test_every_check_of_the_model_has_its_words() -> None:
    checks = {
        constraint.name
        for model in (Tournament, Division, PriorityGroup)
        for constraint in model._meta.constraints
        if isinstance(constraint, CheckConstraint)
    }
    # A fair start gets its waiting room from the form, so that it can't be without.
    filled_in = {"tournament_fair_start_has_a_waiting_room"}
    # Chosen from a list; written by services only.
    never_typed = {"tournament_entropy_known", "tournament_sealed_before_drawn"}

    assert checks - filled_in - never_typed == {constraint for _typed, constraint, _told in IMPOSSIBLE if constraint}


def change(tournament: Tournament) -> str:
    return reverse("admin:tournaments_tournament_change", args=[tournament.pk])


def shown(client: Client, tournament: Tournament) -> dict[str, str]:
    """The tournament's page as a tab holds it."""
    page = client.get(change(tournament))
    assert page.status_code == 200
    return untouched(page.content.decode())


def upcoming(ours: Organization, **fields: Any) -> Tournament:
    return make_tournament(organization=ours, opens_in=timedelta(days=3), **fields)


def test_saving_an_untouched_page_writes_nothing(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours, mode="FAIR_START", divisions=("masters", "senior"))
    make_group(tournament)
    before = Tournament.objects.filter(pk=tournament.pk).values().get()

    answer = alice.post(change(tournament), shown(alice, tournament))

    assert answer.status_code == 302
    assert Tournament.objects.filter(pk=tournament.pk).values().get() == before
    events = apps.get_model("tournaments.TournamentEvent").objects.filter(pgh_obj_id=tournament.pk)
    assert [event.pgh_label for event in events] == ["insert"]


def test_old_tab_does_not_unpause_nor_overwrite_a_colleague(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, mode="FIRST_COME")
    old_tab = shown(alice, tournament)
    Tournament.objects.filter(pk=tournament.pk).update(paused_at=now(), venue="Westfalenhalle", message="Wait a moment")

    answer = alice.post(change(tournament), {**old_tab, "city": "Essen"})

    assert answer.status_code == 302
    tournament.refresh_from_db()
    assert (tournament.city, tournament.venue, tournament.message) == ("Essen", "Westfalenhalle", "Wait a moment")
    assert tournament.paused_at is not None


def test_old_tab_is_told_that_a_colleague_changed_the_same_field(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours)
    old_tab = shown(alice, tournament)
    Tournament.objects.filter(pk=tournament.pk).update(venue="Westfalenhalle")

    refused = alice.post(change(tournament), {**old_tab, "venue": "Grugahalle"})
    same = alice.post(change(tournament), {**old_tab, "venue": "Westfalenhalle"})

    assert list(errors(refused)) == ["venue"]
    assert same.status_code == 302
    tournament.refresh_from_db()
    assert tournament.venue == "Westfalenhalle"


def test_old_tab_is_judged_by_what_the_row_holds_now(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours)
    old_tab = shown(alice, tournament)
    Tournament.objects.filter(pk=tournament.pk).update(closes_at=tournament.opens_at + timedelta(hours=1))
    later = (tournament.opens_at + timedelta(hours=2)).astimezone(BERLIN)

    answer = alice.post(change(tournament), {**old_tab, "opens_at": later.strftime("%Y-%m-%dT%H:%M:%S")})

    assert list(errors(answer)) == ["closes_at"]


def test_state_is_no_field(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, published=False, opens_in=timedelta(days=3))

    state = {f"{name}": f"{NEXT_YEAR}-01-01T00:00:00" for name in Tournament.STATE_FIELDS}
    alice.post(change(tournament), {**shown(alice, tournament), **state, "city": "Essen"})

    tournament.refresh_from_db()
    assert tournament.city == "Essen"
    assert [getattr(tournament, name) for name in Tournament.STATE_FIELDS] == [None] * len(Tournament.STATE_FIELDS)


def test_moving_to_another_time_zone_keeps_the_clock(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours)
    opens_at, starts_at = tournament.opens_at.astimezone(BERLIN), tournament.starts_at.astimezone(BERLIN)

    alice.post(change(tournament), {**shown(alice, tournament), "time_zone": "Asia/Tokyo"})

    tournament.refresh_from_db()
    assert tournament.opens_at == opens_at.replace(tzinfo=ZoneInfo("Asia/Tokyo"))
    assert tournament.starts_at == starts_at.replace(tzinfo=ZoneInfo("Asia/Tokyo"))


def test_lottery_leaves_the_waiting_room_behind(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours, mode="FAIR_START")

    answer = alice.post(change(tournament), {**shown(alice, tournament), "mode": "LOTTERY"})

    assert answer.status_code == 302
    tournament.refresh_from_db()
    assert tournament.prequeue_opens_at is None
    assert tournament.seals_at == tournament.closes_at


def test_rules_are_frozen_once_entries_are_open(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, entropy="DRAND")
    sent = shown(alice, tournament)
    frozen = {
        "mode": "LOTTERY",
        "opens_at": f"{NEXT_YEAR + 3}-01-01T00:00:00",
        "fee_minor": "1",
        "currency": "usd",
        "slug": "x",
    }
    frozen |= {"entropy": "COMMIT_REVEAL", "objection_minutes": "5", "releases_reserved": ""}
    part = {"divisions-0-name": "Elders", "divisions-TOTAL_FORMS": "1", "divisions-INITIAL_FORMS": "1"}

    answer = alice.post(change(tournament), {**sent, **frozen, **part, "venue": "Westfalenhalle"})

    assert answer.status_code == 302
    after = Tournament.objects.get(pk=tournament.pk)
    assert after.venue == "Westfalenhalle"
    for name in (*frozen, "organization_id"):
        assert getattr(after, name) == getattr(tournament, name)
    assert tournament.divisions.get().name == "Masters"


def test_objections_end_before_the_last_offers(alice: Client, ours: Organization) -> None:
    sealed = {
        "mode": "LOTTERY",
        "closes_at": f"{NEXT_YEAR}-03-09T20:00:00",
        "offers_end_at": f"{NEXT_YEAR}-03-10T20:00:00",
    }

    refused = send(alice, ours, **sealed, objection_minutes="1440")
    made = send(alice, ours, **sealed, objection_minutes="1439")

    assert errors(refused) == {
        "objection_minutes": ["The time for objections would go on until after the last offers."]
    }
    assert made.status_code == 302


def test_what_a_draw_uses_is_shown_where_it_has_a_meaning(alice: Client, ours: Organization) -> None:
    shown_in = {mode: shown(alice, make_tournament(organization=ours, mode=mode)) for mode in Tournament.Mode.values}
    pages = {mode: alice.get(change(Tournament.objects.get(mode=mode))).content.decode() for mode in shown_in}

    assert {mode for mode, page in pages.items() if "Where chance comes from" in page} == {"FAIR_START", "LOTTERY"}
    assert {mode for mode, page in pages.items() if "Minutes for objections" in page} == {"LOTTERY"}
    assert {mode for mode, page in pages.items() if "Open reserved seats that nobody can take" in page} == set(pages)


def test_what_is_sealed_or_over_is_not_opened_again(alice: Client, ours: Organization) -> None:
    sealed = make_tournament(organization=ours, mode="LOTTERY", entries_sealed_at=now())
    over = make_tournament(organization=ours, opens_in=timedelta(days=-10), closed_at=now())
    later = {
        "closes_at": f"{NEXT_YEAR + 3}-01-01T00:00:00",
        "offers_end_at": f"{NEXT_YEAR + 3}-01-02T00:00:00",
        "starts_at": f"{NEXT_YEAR + 4}-02-01T00:00:00",
    }
    later |= {"ends_at": f"{NEXT_YEAR + 4}-02-02T00:00:00"}

    for tournament in (sealed, over):
        assert alice.post(change(tournament), {**shown(alice, tournament), **later}).status_code == 302
    after = {tournament: Tournament.objects.get(pk=tournament.pk) for tournament in (sealed, over)}

    assert after[sealed].closes_at == sealed.closes_at
    assert after[sealed].offers_end_at.year == NEXT_YEAR + 3
    assert (after[over].closes_at, after[over].offers_end_at) == (over.closes_at, over.offers_end_at)
    assert after[over].starts_at.year == NEXT_YEAR + 4


def test_a_cancelled_tournament_stays_as_it_was(alice: Client, ours: Organization) -> None:
    tournament = make_tournament(organization=ours, cancelled_at=now())

    answer = alice.post(change(tournament), {"venue": "Westfalenhalle"})

    assert answer.status_code == 403
    assert alice.get(change(tournament)).status_code == 200


def test_division_gets_its_seats_also_later(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours)
    row = {"code": "senior", "name": "Seniors", "born_from": "2010-01-01", "born_to": "2013-12-31", "seat_number": "8"}
    sent = {f"divisions-1-{name}": value for name, value in row.items()}

    answer = alice.post(change(tournament), {**shown(alice, tournament), **sent, "divisions-TOTAL_FORMS": "2"})

    assert answer.status_code == 302
    assert tournament.divisions.get(code="senior").seats.count() == 8


@pytest.mark.parametrize("parts", [1, 3])
def test_page_costs_the_same_for_one_part_and_for_three(
    alice: Client, ours: Organization, django_assert_num_queries: Any, parts: int
) -> None:
    tournament = make_tournament(organization=ours, divisions=("masters", "senior", "junior")[:parts])
    for number in range(parts):
        make_group(tournament, f"Group {number}")
    alice.get(change(tournament))

    with django_assert_num_queries(11):
        alice.get(change(tournament))


def test_saving_holds_the_row(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours)
    sent = shown(alice, tournament)

    with CaptureQueriesContext(connection) as queries:
        alice.post(change(tournament), {**sent, "city": "Essen"})

    sqls = [query["sql"] for query in queries]
    held = [index for index, sql in enumerate(sqls) if 'FOR UPDATE OF "tournaments_tournament"' in sql]
    # Before it stands what pghistory tells the triggers.
    written = [index for index, sql in enumerate(sqls) if 'UPDATE "tournaments_tournament" SET' in sql]
    assert len(written) == 1
    assert held[0] < written[0]
    assert """UPDATE "tournaments_tournament" SET "city" = 'Essen' WHERE""" in sqls[written[0]]


def test_group_with_reserved_seats_is_not_deleted_by_accident(alice: Client, ours: Organization) -> None:
    tournament = upcoming(ours)
    group = make_group(tournament, reserved={"masters": 2})

    kept = alice.post(change(tournament), {**shown(alice, tournament), "groups-0-DELETE": "on"})
    assert kept.status_code == 200
    assert tournament.groups.get() == group

    group.seats.all().delete()
    alice.post(change(tournament), {**shown(alice, tournament), "groups-0-DELETE": "on"})
    assert not tournament.groups.exists()


def test_list_costs_the_same_for_one_and_for_three(
    alice: Client, ours: Organization, django_assert_num_queries: Any
) -> None:
    there = reverse("admin:tournaments_tournament_changelist")
    make_tournament(organization=ours)
    alice.get(there)
    with django_assert_num_queries(5):
        alice.get(there)
    for _ in range(2):
        make_entry(make_tournament(organization=ours))
    with django_assert_num_queries(5):
        alice.get(there)
