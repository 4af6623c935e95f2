"""Players, the ids they claim, and what the database refuses whatever the code does."""

import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from accounts import services
from accounts.models import Consent, EmailCode, Player, User
from accounts.services import PlayerDetails
from tests.builders import make_entry, make_player, make_staff, make_tournament, make_user, now

TODAY = date(2026, 11, 22)
CLAIMED, VERIFIED, DISPUTED = Player.IdState.CLAIMED, Player.IdState.VERIFIED, Player.IdState.DISPUTED


def details(player_id: str = "4711", **fields: Any) -> PlayerDetails:
    values = {"display_name": "Alice", "birth_date": date(2000, 5, 5), "country": "DE", **fields}
    return PlayerDetails(player_id=player_id, **values)


def create(account: User | None = None, player_id: str = "4711", *, consents: bool = False, **fields: Any) -> Player:
    return services.create_player(
        account=account or make_user(), details=details(player_id, **fields), guardian_consents=consents, today=TODAY
    )


def update(player: Player, changed: PlayerDetails, *, consents: bool = False, in_queue: bool = False) -> Player:
    return services.update_player(
        player=player, details=changed, guardian_consents=consents, today=TODAY, in_queue=lambda _player: in_queue
    )


def state(player: Player) -> str:
    player.refresh_from_db()
    return player.player_id_state


@pytest.mark.django_db
class TestClaims:
    def test_an_id_that_nobody_else_has_is_claimed(self) -> None:
        assert state(create()) == CLAIMED

    def test_an_id_claimed_twice_is_disputed_on_both(self) -> None:
        alice, bob, carol = create(), create(), create(player_id="4712")

        assert (state(alice), state(bob), state(carol)) == (DISPUTED, DISPUTED, CLAIMED)

    def test_a_verified_owner_stays_verified_when_somebody_else_claims_the_id(self) -> None:
        alice = make_player(player_id="4711", player_id_state=VERIFIED)
        bob = create()

        assert (state(alice), state(bob)) == (VERIFIED, DISPUTED)

    def test_a_claim_that_is_withdrawn_ends_the_dispute(self) -> None:
        alice, bob = create(), create()
        services.remove_player(player=bob)

        assert state(alice) == CLAIMED

    def test_a_claim_that_is_corrected_ends_the_dispute_and_may_begin_another(self) -> None:
        alice, bob, carol = create(), create(), create(player_id="4712")
        update(bob, details("4712"))

        assert (state(alice), state(bob), state(carol)) == (CLAIMED, DISPUTED, DISPUTED)

    def test_a_verified_player_who_takes_another_id_is_a_claim_like_any_other(self) -> None:
        alice = make_player(player_id="4711", player_id_state=VERIFIED)
        bob = create()
        update(alice, details("4712"))

        assert (state(alice), state(bob)) == (CLAIMED, CLAIMED)


@pytest.mark.django_db
class TestDisputes:
    def test_staff_verify_the_owner_and_the_history_says_who_and_why(self) -> None:
        alice, bob, staff = create(), create(), make_staff()
        services.resolve_dispute(player_id="4711", owner=alice, by=staff, reason="Showed the card at the desk.")

        assert (state(alice), state(bob)) == (VERIFIED, DISPUTED)
        event = alice.events.order_by("pgh_id").last()  # type: ignore[attr-defined]  # pghistory's
        assert event.pgh_context == {
            "service": "resolve_dispute",
            "by": staff.pk,
            "reason": "Showed the card at the desk.",
        }

    def test_staff_may_change_their_mind(self) -> None:
        alice, bob, staff = create(), create(), make_staff()
        services.resolve_dispute(player_id="4711", owner=alice, by=staff, reason="Card.")
        services.resolve_dispute(player_id="4711", owner=bob, by=staff, reason="The card was forged.")
        assert (state(alice), state(bob)) == (DISPUTED, VERIFIED)

        services.resolve_dispute(player_id="4711", owner=None, by=staff, reason="Both cards were forged.")
        assert (state(alice), state(bob)) == (DISPUTED, DISPUTED)

    def test_a_decision_needs_a_reason(self) -> None:
        alice = create()
        with pytest.raises(services.ReasonMissingError):
            services.resolve_dispute(player_id="4711", owner=alice, by=make_staff(), reason="  ")
        assert state(alice) == CLAIMED


@pytest.mark.django_db
class TestPlayers:
    def test_one_account_adds_an_id_once(self) -> None:
        account = make_user()
        create(account)
        other = create(account, player_id="4712")
        with pytest.raises(services.PlayerAlreadyAddedError):
            create(account)
        with pytest.raises(services.PlayerAlreadyAddedError):
            update(other, details("4711"))

        assert sorted(account.players.values_list("player_id", flat=True)) == ["4711", "4712"]

    def test_an_account_holds_a_bounded_number_of_players(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("accounts.services.players.PLAYERS_PER_ACCOUNT", 2)
        account = make_user()
        create(account, "1001")
        create(account, "1002")
        with pytest.raises(services.TooManyPlayersError):
            create(account, "1003")

    def test_a_child_needs_a_guardian_whose_consent_is_kept(self) -> None:
        account = make_user()
        with pytest.raises(services.GuardianConsentNeededError):
            create(account, birth_date=date(2015, 5, 5))
        assert not account.players.exists()

        player = create(account, birth_date=date(2015, 5, 5), consents=True)
        consent = Consent.objects.get()
        assert (consent.account, consent.player, consent.kind) == (account, player, Consent.Kind.GUARDIAN)
        assert consent.text_version == "2026-11-22"

    @pytest.mark.parametrize(
        ("country", "needed"),
        [("DE", True), ("AT", False), ("JP", True)],  # fifteen years old: 16, 14, unknown and so 16
    )
    def test_the_age_is_that_of_the_players_country(self, country: str, needed: bool) -> None:
        create(birth_date=date(2011, 1, 1), country=country, consents=True)

        assert Consent.objects.exists() is needed

    def test_consent_is_asked_for_when_a_correction_makes_it_needed_and_once_only(self) -> None:
        player = create(birth_date=date(2011, 1, 1), country="AT")
        with pytest.raises(services.GuardianConsentNeededError):
            update(player, details(birth_date=date(2011, 1, 1), country="DE"))
        update(player, details(birth_date=date(2011, 1, 1), country="DE"), consents=True)
        update(player, details(birth_date=date(2011, 1, 1), country="DE", display_name="Ali"))

        assert Consent.objects.count() == 1

    def test_name_and_country_can_be_corrected_any_time_but_what_an_entry_depends_on_cannot(self) -> None:
        player = create()
        updated = update(player, details(display_name="Alicia", country="AT"), in_queue=True)
        assert (updated.display_name, updated.country) == ("Alicia", "AT")

        for changed in (details("4712"), details(birth_date=date(2012, 5, 5))):
            with pytest.raises(services.PlayerInQueueError):
                update(player, changed, in_queue=True)
        player.refresh_from_db()
        assert (player.player_id, player.birth_date) == ("4711", date(2000, 5, 5))

    def test_a_player_who_is_gone_meanwhile_is_not_corrected(self) -> None:
        player = create()
        services.remove_player(player=Player.objects.get(pk=player.pk))
        with pytest.raises(services.PlayerGoneError):
            update(player, details(display_name="Ali"))

    def test_a_new_text_needs_a_new_consent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        player = create(birth_date=date(2015, 5, 5), consents=True)
        monkeypatch.setattr("accounts.rules.GUARDIAN_TEXT_VERSION", "2027-01-01")
        with pytest.raises(services.GuardianConsentNeededError):
            update(player, details(birth_date=date(2015, 5, 5)))
        update(player, details(birth_date=date(2015, 5, 5)), consents=True)

        assert sorted(Consent.objects.values_list("text_version", flat=True)) == ["2026-11-22", "2027-01-01"]

    def test_a_player_with_entries_stays_and_one_without_goes(self) -> None:
        entered, idle = create(), create(player_id="4712")
        make_entry(make_tournament(), entered)
        with pytest.raises(services.PlayerHasEntriesError):
            services.remove_player(player=entered)
        services.remove_player(player=idle)
        services.remove_player(player=idle)  # pressed twice

        assert list(Player.objects.all()) == [entered]

    def test_a_removed_child_takes_the_consent_along(self) -> None:
        player = create(birth_date=date(2015, 5, 5), consents=True)
        services.remove_player(player=player)

        assert not Consent.objects.exists()


def _code(**fields: Any) -> EmailCode:
    moment = now()
    values = {
        "email": "a@players.example",
        "code_hash": "x",
        "sent_at": moment,
        "expires_at": moment + timedelta(days=365),
        "counted_from": moment,
        **fields,
    }
    return EmailCode.objects.create(account=make_user(), **values)


def _verified_twice() -> None:
    make_player(player_id="4711", player_id_state=VERIFIED)
    make_player(player_id="4711", player_id_state=VERIFIED)


def _twice_in_an_account() -> None:
    account = make_user()
    make_player(account, player_id="4711")
    make_player(account, player_id="4711")


def _same_address_in_capitals() -> None:
    make_user("alice@players.example")
    User.objects.create(email="ALICE@players.example")


REFUSED_BY_THE_DATABASE: dict[str, Callable[[], object]] = {
    "player_id_verified_once": _verified_twice,
    "player_id_once_per_account": _twice_in_an_account,
    "player_id_state_known": lambda: make_player(player_id_state="MAYBE"),
    "player_birth_date_plausible": lambda: make_player(birth_date=date(1899, 12, 31)),
    "user_email_unique_in_any_case": _same_address_in_capitals,
    "consent_of_a_guardian_names_the_player": lambda: Consent.objects.create(
        account=make_user(), kind=Consent.Kind.GUARDIAN, text_version="1"
    ),
    "emailcode_has_at_most_5_tries": lambda: _code(tries_left=6),
    "emailcode_times_in_order": lambda: _code(expires_at=now() - timedelta(days=365)),
}


@pytest.mark.django_db
@pytest.mark.parametrize("rule", REFUSED_BY_THE_DATABASE)
def test_the_database_refuses(rule: str) -> None:
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        REFUSED_BY_THE_DATABASE[rule]()


@pytest.mark.django_db
def test_every_rule_of_the_models_is_among_those_that_the_database_was_seen_to_refuse() -> None:
    written = {c.name for model in (User, Player, Consent, EmailCode) for c in model._meta.constraints}

    assert written == set(REFUSED_BY_THE_DATABASE)


@pytest.mark.django_db
def test_the_database_keeps_a_consent_as_it_was_given() -> None:
    consent = services.record_consent(account=make_user())
    with pytest.raises(ProgrammingError, match="Cannot update rows from accounts_consent"), transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(text_version="other")


# --- Two claims at the same moment ---------------------------------------------------------------------------


class Claimer(threading.Thread):
    """Claims an id on a connection of its own."""

    def __init__(self, account: User) -> None:
        super().__init__(daemon=True)
        self.account = account
        self.pid: int | None = None
        self.ready = threading.Event()

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self.pid = cursor.fetchone()[0]
            self.ready.set()
            create(self.account)
        finally:
            connection.close()

    def wait_until_held_up_or_done(self) -> bool:
        """Whether it waits for a lock of somebody else's (true), or went through (false)."""
        assert self.ready.wait(10)
        for _attempt in range(200):
            self.join(0.05)
            if not self.is_alive():
                return False
            with connection.cursor() as cursor:
                cursor.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [self.pid])
                if (row := cursor.fetchone()) and row[0]:
                    return True
        raise AssertionError("It neither waits nor ends.")


def claim_at_once() -> tuple[bool, list[str]]:
    """Bob claims while Alice's claim is not committed yet. Whether he had to wait, and both states."""
    alice, bob = make_user(), make_user()
    claimer = Claimer(bob)
    with transaction.atomic():
        create(alice)
        claimer.start()
        waited = claimer.wait_until_held_up_or_done()
    claimer.join(10)
    return waited, [player.player_id_state for player in Player.objects.all()]


@pytest.mark.django_db(transaction=True)
class TestTwoClaimsAtOnce:
    def test_both_are_flagged(self) -> None:
        assert claim_at_once() == (True, [DISPUTED, DISPUTED])

    def test_without_holding_the_id_neither_is_flagged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The negative control: if this found a dispute, the test above would prove nothing."""
        monkeypatch.setattr("accounts.services.players._hold_ids", lambda *_ids: None)

        assert claim_at_once() == (False, [CLAIMED, CLAIMED])
