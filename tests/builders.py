"""Rows for tests: `make_*` functions with defaults that are allowed everywhere; what a test cares about, it says."""

import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection

from accounts.models import Player, User
from registrations.models import QueueEntry
from registrations.rules import ENDED, SEATED, State
from tournaments.models import Division, Membership, Organization, PriorityGroup, PriorityMember, Seat, Tournament

Mode = Tournament.Mode

PASSWORD = "a-good-long-password"

# Divisions by birth date; inclusive, without a gap.
BORN: dict[str, tuple[date | None, date | None]] = {
    "junior": (date(2014, 1, 1), None),
    "senior": (date(2010, 1, 1), date(2013, 12, 31)),
    "masters": (None, date(2009, 12, 31)),
}
BIRTH_DATE = {"junior": date(2015, 5, 5), "senior": date(2011, 5, 5), "masters": date(2000, 5, 5)}


def now() -> datetime:
    """The time in full seconds, so that it survives a form and a JSON answer unchanged."""
    return datetime.now(UTC).replace(microsecond=0)


def make_user(email: str = "", *, verified: bool = True, password: str | None = None, **fields: Any) -> User:
    """An account. Without a password it signs in with `client.force_login` only, which spares the hash."""
    fields.setdefault("email_verified_at", now() if verified else None)
    return User.objects.create_user(email or f"{secrets.token_hex(6)}@players.example", password, **fields)


def make_staff(email: str = "", **fields: Any) -> User:
    return make_user(email, is_staff=True, is_superuser=True, **fields)


def make_player(account: User | None = None, *, division: str = "masters", **fields: Any) -> Player:
    """A player old enough for `division`, of a new account unless one is given."""
    player_id = str(secrets.randbelow(10**12) + 10**12)
    defaults = {"display_name": f"Player {player_id[-4:]}", "player_id": player_id, "country": "DE"}
    values = {**defaults, "birth_date": BIRTH_DATE[division], **fields}
    return Player.objects.create(account=account or make_user(), **values)


def make_organization(name: str = "", **fields: Any) -> Organization:
    slug = secrets.token_hex(4)
    values = {
        "name": name or f"Organization {slug}",
        "slug": slug,
        "contact_email": "desk@organizers.example",
        **fields,
    }
    return Organization.objects.create(**values)


def make_organizer(organization: Organization, account: User | None = None) -> User:
    """A member of the organization."""
    account = account or make_user()
    Membership.objects.create(organization=organization, account=account)
    return account


def make_tournament(
    *,
    mode: Mode | str = Mode.FIRST_COME,
    seats: int | dict[str, int] = 4,
    divisions: tuple[str, ...] = ("masters",),
    opens_in: timedelta = timedelta(hours=-1),
    lasts: timedelta = timedelta(days=2),
    published: bool = True,
    **fields: Any,
) -> Tournament:
    """A published tournament that opened an hour ago, with `seats` in each of `divisions` (or a number for each code)."""
    opens_at = now() + opens_in
    closes_at = opens_at + lasts
    slug = secrets.token_hex(4)
    values: dict[str, Any] = {
        "organization": fields.pop("organization", None) or make_organization(),
        "slug": slug,
        "name": f"Tournament {slug}",
        "venue": "Messe Halle 3",
        "city": "Dortmund",
        "country": "DE",
        "time_zone": "Europe/Berlin",
        "mode": mode,
        "prequeue_opens_at": opens_at - timedelta(hours=1) if mode == Mode.FAIR_START else None,
        "opens_at": opens_at,
        "closes_at": closes_at,
        "seals_at": closes_at if mode == Mode.LOTTERY else None,
        "offers_end_at": closes_at + timedelta(days=2),
        "objection_minutes": 0,
        "starts_at": closes_at + timedelta(days=20),
        "ends_at": closes_at + timedelta(days=21),
        "published_at": min(now(), opens_at) - timedelta(days=7) if published else None,
        **fields,
    }
    # What stands still for a draw is made before it does.
    if values.get("drawn_at"):
        values.setdefault("entries_sealed_at", values["drawn_at"])
    stands = {name: values.pop(name) for name in ("draw_opened_at", "entries_sealed_at", "drawn_at") if name in values}
    tournament = Tournament.objects.create(**values)
    numbers = seats if isinstance(seats, dict) else dict.fromkeys(divisions, seats)
    for code, number in numbers.items():
        make_division(tournament, code, seats=number)
    Tournament.objects.filter(pk=tournament.pk).update(**stands)
    tournament.refresh_from_db()
    return tournament


def make_division(tournament: Tournament, code: str = "masters", *, seats: int = 4, **fields: Any) -> Division:
    born_from, born_to = BORN[code]
    values = {"name": Division.Code(code).label, "born_from": born_from, "born_to": born_to, **fields}
    division = Division.objects.create(tournament=tournament, code=code, **values)
    make_seats(division, seats)
    return division


def make_seats(division: Division, number: int, *, reserved_for: PriorityGroup | None = None) -> list[Seat]:
    """Adds seats after those that are there."""
    first = division.seats.count() + 1
    return Seat.objects.bulk_create(
        Seat(division=division, number=first + index, reserved_for=reserved_for) for index in range(number)
    )


def make_group(
    tournament: Tournament,
    name: str = "Veterans",
    *,
    members: tuple[Player, ...] = (),
    reserved: dict[str, int] | None = None,
    **fields: Any,
) -> PriorityGroup:
    """A group that lists `members`, with so many `reserved` seats more by division code."""
    group = PriorityGroup.objects.create(tournament=tournament, name=name, **fields)
    PriorityMember.objects.bulk_create(PriorityMember(group=group, player_id=player.player_id) for player in members)
    for code, number in (reserved or {}).items():
        make_seats(tournament.divisions.get(code=code), number, reserved_for=group)
    return group


def make_entry(
    tournament: Tournament, player: Player | None = None, *, state: State = State.WAITING, **fields: Any
) -> QueueEntry:
    """An entry as the services would have left it in `state`, written directly. Seated ones take the first free seat."""
    division = fields.pop("division", None) or tournament.divisions.get(code="masters")
    number = _next("registrations_arrival_number")
    drawn_later = tournament.is_drawn_mode and tournament.drawn_at is None
    values: dict[str, Any] = {"number": number, "place": None if drawn_later else number, "joined_at": now()}
    if state not in (State.WAITING, State.LEFT):
        values |= {"place": number, "offered_at": now(), "offer_number": _next("registrations_offer_number")}
    if state in SEATED and "seat" not in fields:
        values["seat"] = Seat.objects.free().filter(division=division).order_by("number").first()
    if state == State.OFFERED:
        values |= {"offer_expires_at": now() + timedelta(minutes=10), "hold_until": now() + timedelta(minutes=30)}
    if state in (State.CONFIRMED, State.CANCELLED):
        values["confirmed_at"] = now()
    if state in ENDED:
        values["ended_at"] = now()
    player = player or make_player(division=division.code)
    return QueueEntry.objects.create(
        tournament=tournament, division=division, player=player, state=state, **{**values, **fields}
    )


def _next(sequence: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s)", [sequence])
        number: int = cursor.fetchone()[0]
    return number
