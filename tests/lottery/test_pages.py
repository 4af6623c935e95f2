"""The public page of a draw, and its files."""

import gzip
import hashlib
import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pghistory
import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Player
from lottery import services
from lottery.models import Draw, DrawFile
from lottery.queries import ranked_in
from registrations.services import confirm_entry, offer_seats, set_seats
from tests.builders import make_entry, make_group, make_organizer, make_player, make_staff, make_user, now
from tests.lottery.draws import drawn, open_for, opened, read, run, seal, sealed, to_draw
from tests.lottery.relay import CHAIN, CHAIN_INFO, Relay
from tests.tournaments.test_pages import text_of
from tournaments.models import Tournament
from tournaments.services import import_members, remove_members

pytestmark = pytest.mark.django_db

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def void(draw: Draw, reason: str = "A player was left out.") -> Draw:
    """Declared void; returns the draw that takes its place."""
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason=reason)
    return services.void_draw(draw_id=draw.pk, by=make_staff())


def streamed(client: Client, url: str, **headers: str) -> bytes:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


# --- Before ---------------------------------------------------------------------------------------------------------


def test_an_open_draw_says_when_it_is_sealed_and_what_the_chances_are(client: Client) -> None:
    draw = opened(entries=8, seats=2, opens_in=-DAY)
    page = text_of(client, draw.get_absolute_url())
    assert "Not drawn yet" in page
    assert "Entries are sealed and drawn in" in page
    assert "8 entries for 2 seats" in page
    assert "25.0%" in page
    assert draw.commitment in page
    assert draw.secret not in page
    assert "the organizer has to be trusted" in page
    assert "Check it yourself" not in page


def test_the_chances_are_told_by_group_and_tickets(client: Client) -> None:
    tournament = to_draw(entries=4, seats=2, opens_in=-DAY)
    group = make_group(tournament, "Veterans & Co", tickets=3)
    make_entry(tournament, group=group)
    page = text_of(client, open_for(tournament).get_absolute_url())
    assert "Veterans &amp; Co, 3 tickets" in page
    assert "Veterans &amp; Co: 3" in page


def test_with_many_reserves_the_chances_are_simulated_and_said_to_be(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lottery.odds.MOST_RESERVES", 0)
    tournament = to_draw(entries=4, seats=2, opens_in=-DAY)
    make_entry(tournament, group=make_group(tournament, reserved={"masters": 1}))
    page = text_of(client, open_for(tournament).get_absolute_url())
    assert "Simulated: these chances come from 2,000 draws that were played, and are about right." in page
    assert "The chances are exact" not in page


def test_a_sealed_draw_of_drand_names_its_round_and_when_it_comes(client: Client) -> None:
    draw = sealed(entropy="DRAND")
    page = text_of(client, draw.get_absolute_url())
    assert "3 entries are sealed" in page
    assert f"Round {draw.round} of drand decides" in page
    assert draw.manifest_sha256 in page
    assert draw.chain in page
    assert "Chance comes from drand" in page
    assert "As the entries are sealed." in page


def test_one_that_follows_a_void_draw_is_sealed_by_hand(client: Client) -> None:
    page = text_of(client, void(sealed()).get_absolute_url())
    assert "Draw 1</a>, declared void by two members of staff, " in page
    assert "seals the entries anew once what went wrong is put right" in page
    assert "A player was left out." in page


def test_one_that_is_sealed_early_counts_down_no_more(client: Client) -> None:
    draw = opened(seals_at=now() + DAY)
    url = draw.get_absolute_url()
    assert "Entries are sealed and drawn in" in text_of(client, url)
    services.begin_sealing(draw_id=draw.pk, by=make_organizer(draw.tournament.organization))
    page = text_of(client, url)
    assert "The entries are being sealed." in page
    assert "Entries are sealed and drawn in" not in page


def test_a_page_without_javascript_refreshes_itself_only_while_something_is_awaited(client: Client) -> None:
    assert 'http-equiv="refresh"' in text_of(client, opened().get_absolute_url())
    assert 'http-equiv="refresh"' in text_of(client, sealed().get_absolute_url())
    assert 'http-equiv="refresh"' not in text_of(client, drawn().get_absolute_url())


# --- Chains -----------------------------------------------------------------------------------------------------------


def test_the_key_of_another_chain_than_quicknet_is_told_with_where_it_comes_from(client: Client, settings: Any) -> None:
    with Relay() as relay:
        settings.DRAND_CHAIN, settings.DRAND_RELAYS = CHAIN_INFO, [relay.url]
        draw = drawn(entropy="DRAND")
    page = text_of(client, draw.get_absolute_url())
    assert f"<span>--chain-key</span> {CHAIN.public_key}</code>" in page
    assert client.get(draw.get_absolute_url()).context["chains"] == [asdict(CHAIN)]
    assert "comes from this site" in page

    settings.DRAND_CHAIN = {}  # and nobody knows its key here any more
    page = text_of(client, draw.get_absolute_url())
    assert "--sha256" in page
    assert "--chain-key" not in page


def test_a_verifier_is_told_no_key_that_it_does_not_need(client: Client) -> None:
    page = text_of(client, drawn().get_absolute_url())
    assert "--sha256" in page
    assert "--chain-key" not in page
    assert "comes from this site" not in page


# --- After ----------------------------------------------------------------------------------------------------------


def test_a_drawn_draw_shows_seats_and_waitlist_in_the_order_drawn(client: Client) -> None:
    draw = drawn(entries=5, seats=2)
    answer = client.get(draw.get_absolute_url())
    lines = answer.context["result"]["part"].lines
    bundle = read(draw, DrawFile.Name.BUNDLE)
    assert [line.public_id for line in lines] == [entry for _key, entry in bundle["ranking"]]
    assert [line.how for line in lines] == ["open", "open", "waitlist", "waitlist", "waitlist"]
    assert [line.waitlist for line in lines] == [None, None, 1, 2, 3]
    page = " ".join(answer.content.decode().split())
    assert "Drawn for a seat: 2; on the waitlist: 3." in page
    assert "The chances" not in page
    assert draw.secret in page
    assert draw.seed in page


@pytest.mark.parametrize("members", [1, 6])
def test_what_each_place_got_is_what_the_bundle_says(client: Client, members: int) -> None:
    tournament = to_draw(entries=12, seats=4)
    group = make_group(tournament, reserved={"masters": 3}, tickets=2)
    for _ in range(members):
        make_entry(tournament, group=group)
    draw = run(seal(open_for(tournament)))
    part = client.get(draw.get_absolute_url()).context["result"]["part"]
    told = read(draw, DrawFile.Name.BUNDLE)["allocation"]["masters"]
    seated = [
        [line.public_id, line.group if line.how == "reserved" else None] for line in part.lines if not line.waitlist
    ]
    assert seated == told["seated"]
    assert part.outcome.seated == len(told["seated"])
    waitlist = [(line.waitlist, line.public_id) for line in part.lines if line.waitlist]
    assert waitlist == list(enumerate(told["waitlist"], start=1))


def test_a_long_result_comes_in_pages_and_an_entry_is_found_by_its_id(client: Client) -> None:
    draw = drawn(entries=120)
    url = draw.get_absolute_url()
    order = [entry for entry, _group in ranked_in(draw, "masters")]
    first = text_of(client, url)
    assert order[24] in first
    assert order[25] not in first
    assert order[119] in text_of(client, f"{url}?division=masters&place=101")
    found = client.get(url, {"entry": order[77].upper()}).context["result"]["part"]
    assert (found.first, found.found) == (76, 78)
    for none in ("nobody", "0" * 24, "%00", "%00" * 24, "f" * 25):
        assert "No entry of this draw has that id." in text_of(client, f"{url}?entry={none}")
    for odd in ("place=x", "place=0", "place=99999999999", "place=-3", "place=²", "division=none"):
        assert order[0] in text_of(client, f"{url}?{odd}") or order[119] in text_of(client, f"{url}?{odd}")


def test_a_draw_of_nobody_has_a_page(client: Client) -> None:
    page = text_of(client, drawn(entries=0).get_absolute_url())
    assert "Nobody entered in this division." in page
    assert "places 1 to 0" not in page


def test_a_void_draw_stays_with_its_reason_and_names_no_one(client: Client) -> None:
    draw = drawn()
    following = void(draw)
    page = text_of(client, draw.get_absolute_url())
    assert "This draw is void" in page
    assert "A player was left out." in page
    assert "by two members of staff" in page
    assert "@players.example" not in page
    assert following.get_absolute_url() in page
    assert draw.seed in page


def test_a_proposal_to_declare_it_void_is_nobodys_business_yet(client: Client) -> None:
    draw = drawn()
    services.propose_void(draw_id=draw.pk, by=make_staff(), reason="Something looks odd.")
    assert "Something looks odd." not in text_of(client, draw.get_absolute_url())


def test_who_was_left_out_is_counted_by_reason(client: Client) -> None:
    tournament = to_draw(entries=2)
    for player in (make_player(make_user(verified=False)), make_player(player_id_state=Player.IdState.DISPUTED)):
        make_entry(tournament, player)
    page = text_of(client, seal(open_for(tournament)).get_absolute_url())
    assert "1: the e-mail address was not proved in time" in page
    assert "1: the Player ID is claimed by more than one account" in page
    assert "They stand behind everybody who is drawn, in order of arrival." in page


def test_nobody_stands_behind_those_of_a_void_draw(client: Client) -> None:
    tournament = to_draw(entries=1)
    make_entry(tournament, make_player(make_user(verified=False)))
    draw = seal(open_for(tournament))
    void(draw)
    page = text_of(client, draw.get_absolute_url())
    assert "1: the e-mail address was not proved in time" in page
    assert "They stand behind" not in page


def test_a_draw_that_was_replaced_is_not_said_to_be_declared_void(client: Client) -> None:
    tournament = to_draw(entries=0, opens_in=DAY)
    open_for(tournament)
    Tournament.objects.filter(pk=tournament.pk).update(entropy="DRAND")
    page = text_of(client, open_for(tournament).get_absolute_url())
    assert "Draw 1</a>, replaced before its entries were sealed, " in page
    assert "declared void" not in page


@pytest.mark.django_db(transaction=True)  # within one transaction, everything would happen at its beginning
def test_what_was_changed_after_entries_had_opened_is_told_with_its_reason(client: Client) -> None:
    tournament = to_draw(entries=2, opens_in=-DAY)
    draw = open_for(tournament)
    set_seats(division_id=tournament.divisions.get().pk, seats=6, by=make_staff(), reason="A larger hall.")
    with pghistory.context(reason="The form was away for an hour."):
        Tournament.objects.filter(pk=tournament.pk).update(seals_at=tournament.closes_at + DAY)
    page = text_of(client, draw.get_absolute_url())
    assert "4 Masters seats" not in page  # the first ones, made before the draw was opened
    assert "though after they had opened" in page
    assert "2 Masters seats were added. <q>A larger hall.</q>" in page
    assert "Entries are sealed " in page
    assert "<q>The form was away for an hour.</q>" in page


def test_a_list_that_was_changed_after_entries_had_opened_is_told_by_how_many(client: Client) -> None:
    tournament = to_draw(entries=2, opens_in=-DAY)
    group = make_group(tournament, "Veterans", tickets=3)
    import_members(group_id=group.pk, player_ids=["1001"], by=make_staff())  # before the draw was opened
    draw = open_for(tournament)
    import_members(group_id=group.pk, player_ids=["1001", "1002", "1003"], by=make_staff())
    import_members(group_id=group.pk, player_ids=["1002"], by=make_staff())  # changes nothing
    remove_members(group_id=group.pk, player_ids=["1003", "9999"], by=make_staff(), reason="Listed by mistake.")
    told = [(what, why) for _at, what, why in client.get(draw.get_absolute_url()).context["changes"]]
    assert told == [
        ("1 player was taken off the list of Veterans.", "Listed by mistake."),
        ("2 players were put on the list of Veterans.", ""),
    ]


# --- Mine -----------------------------------------------------------------------------------------------------------


def test_a_player_sees_the_own_chance_before_and_the_own_place_after(client: Client) -> None:
    tournament = to_draw(entries=3, seats=1)
    entry = make_entry(tournament)
    client.force_login(entry.player.account)
    draw = open_for(tournament)
    before = text_of(client, draw.get_absolute_url())
    assert entry.public_id in before
    assert "Besides you, only those who run the tournament can see which ids are yours" in before
    assert "<strong>25%</strong>" in before
    assert "<strong>25%</strong>" in text_of(client, seal(draw).get_absolute_url())
    run(draw)
    row = draw.entries.get(entry=entry)
    after = text_of(client, draw.get_absolute_url())
    assert f"You drew place {row.division_rank} for 1 Masters seat." in after
    assert row.key is not None
    assert bytes(row.key).hex() in after
    assert "Yours" in after


def test_nobody_sees_whose_ids_are_whose(client: Client) -> None:
    draw = drawn(entries=2)
    client.force_login(make_player().account)
    page = client.get(draw.get_absolute_url())
    assert page.context["mine"] == []
    for entry in draw.tournament.entries.select_related("player"):
        assert entry.player.display_name not in page.content.decode()


def test_who_is_left_out_reads_why(client: Client) -> None:
    tournament = to_draw(entries=1)
    entry = make_entry(tournament, make_player(make_user(verified=False)))
    draw = seal(open_for(tournament))
    client.force_login(entry.player.account)
    assert "because your e-mail address was not proved in time" in text_of(client, draw.get_absolute_url())


@pytest.mark.django_db(transaction=True)  # two draws in one transaction would be one
@pytest.mark.parametrize(
    ("fields", "is_told"),
    [({"offers_end_at": Now()}, True), ({}, False), ({"offers_end_at": Now(), "cancelled_at": Now()}, False)],
    ids=["over", "running", "cancelled"],
)
def test_the_waitlist_is_told_how_far_seats_went_last_time(
    client: Client, fields: dict[str, Any], *, is_told: bool
) -> None:
    earlier = drawn(entries=6, seats=3)
    offer_seats(tournament_id=earlier.tournament_id)
    for entry in earlier.entries.filter(rank__lte=2):  # the third doesn't take it
        confirm_entry(entry_id=entry.entry_id)
    Tournament.objects.filter(pk=earlier.tournament_id).update(**fields)
    tournament = to_draw(entries=5, seats=1, organization=earlier.tournament.organization)
    draw = run(seal(open_for(tournament)))
    last = draw.entries.select_related("entry__player").get(division_rank=5)
    client.force_login(last.entry.player.account)
    page = text_of(client, draw.get_absolute_url())
    assert ("last time, places up to about 2 got a seat" in page) == is_told
    assert f"You drew place {last.division_rank} for 1 Masters seat." in page


def test_offers_of_a_lottery_start_after_the_time_for_objections(client: Client) -> None:
    draw = drawn(entries=2, objection_minutes=30)
    account = draw.entries.select_related("entry__player").get(rank=1).entry.player.account
    client.force_login(account)
    page = text_of(client, draw.get_absolute_url())
    assert "until then the draw can be questioned" in page
    assert "Offers start in" in page


# --- Addresses, files, cost -----------------------------------------------------------------------------------------


def test_the_tournaments_address_leads_to_the_draw_that_stands(client: Client) -> None:
    draw = sealed()
    following = void(draw)
    url = reverse("tournament_draw", args=[draw.tournament.slug])
    assert client.get(url).headers["Location"] == following.get_absolute_url()
    assert client.get(reverse("tournament_draw", args=["no-such"])).status_code == 404


def test_a_drafts_draw_is_for_its_organizers_only(client: Client) -> None:
    draw = opened()
    Tournament.objects.filter(pk=draw.tournament_id).update(published_at=None)
    for url in (draw.get_absolute_url(), reverse("tournament_draw", args=[draw.tournament.slug])):
        assert client.get(url).status_code == 404
    client.force_login(make_organizer(draw.tournament.organization))
    assert client.get(draw.get_absolute_url()).status_code == 200


@pytest.mark.parametrize("name", ["manifest", "bundle"])
def test_files_come_packed_or_plain_and_are_kept_for_ever(client: Client, name: str) -> None:
    draw = drawn()
    url = reverse(f"draw_{name}", args=[draw.public_id])
    plain = streamed(client, url)
    assert gzip.decompress(streamed(client, url, **{"accept-encoding": "br, gzip"})) == plain
    assert json.loads(plain) == read(draw, DrawFile.Name(name))
    answer = client.get(url, headers={"accept-encoding": "gzip"})
    assert int(answer.headers["Content-Length"]) == len(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Vary"].startswith("Accept-Encoding")
    assert "Content-Disposition" not in answer.headers
    again = client.get(url, headers={"accept-encoding": "gzip", "if-none-match": answer.headers["ETag"]})
    assert again.status_code == 304
    saved = client.get(f"{url}?download")
    assert saved.headers["Content-Disposition"] == f'attachment; filename="{name}-{draw.public_id}.json"'


def test_the_manifest_has_the_hash_that_the_page_shows(client: Client) -> None:
    draw = sealed()
    manifest = streamed(client, reverse("draw_manifest", args=[draw.public_id]))
    assert hashlib.sha256(manifest).hexdigest() == draw.manifest_sha256
    assert client.get(reverse("draw_bundle", args=[draw.public_id])).status_code == 404


@pytest.mark.parametrize("entries", [3, 30])
@pytest.mark.parametrize(("make", "first", "again"), [(opened, 16, 8), (sealed, 13, 9), (drawn, 14, 9)])
def test_a_page_costs_the_same_queries_for_three_and_for_thirty(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, make: Any, first: int, again: int, entries: int
) -> None:
    draw = make(entries=entries)
    with django_assert_num_queries(first):
        client.get(draw.get_absolute_url())
    with django_assert_num_queries(again):
        client.get(draw.get_absolute_url())
