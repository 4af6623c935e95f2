"""Demo data: what a newcomer finds after the first `bin/run`. Making it again keeps what is there and renews what is over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.utils.crypto import salted_hmac

from accounts.models import Consent, Player, User
from lottery.services import open_draw
from registrations.services import join_queue, set_seats
from tournaments.models import Division, Membership, Organization, PriorityGroup, Tournament

TERMS_VERSION = "demo"
BOUNDS: dict[str, tuple[date | None, date | None]] = {
    "junior": (date(2015, 1, 1), None),
    "senior": (date(2011, 1, 1), date(2014, 12, 31)),
    "masters": (None, date(2010, 12, 31)),
}
SOON = "sunday-lottery"
ENTRANTS = ("Aiko", "Bruno", "Chiara", "Deniz", "Emil", "Fatima", "Goran", "Hanna", "Ines", "Jonas", "Kofi", "Leila")


@dataclass(frozen=True)
class Demo:
    """Who can sign in, which tournament a crowd may play on, and the lottery that is drawn soon."""

    logins: dict[str, str]
    crowd_tournament: str
    lottery: str


def make_demo(now: datetime) -> Demo:
    """Accounts, and tournaments in five situations: one opens in a minute, one is open, one takes lots, one draws them soon, one
    is announced.
    """
    organization = _organization()
    player = _account("player@demo.example")
    organizer = _account("organizer@demo.example")
    _account("staff@demo.example", is_staff=True, is_superuser=True)
    Membership.objects.get_or_create(organization=organization, account=organizer)
    Player.objects.get_or_create(
        account=player,
        player_id="4200001",
        defaults={"display_name": "Robin", "birth_date": date(2000, 2, 29), "country": "DE"},
    )
    _opens_in_a_minute(organization, now)
    crowd = _renewed("city-championship", now, lambda slug: _paid(organization, slug, now))
    _renewed("regional-lottery", now, lambda slug: _lottery(organization, slug, now))
    lottery = _renewed(SOON, now, lambda slug: _drawn_soon(organization, slug, now, timedelta(minutes=3)))
    _renewed("international", now, lambda slug: _announced(organization, slug, now))
    for tournament in Tournament.objects.filter(organization=organization, draw_opened_at=None, closes_at__gt=now):
        open_draw(tournament_id=tournament.pk)
    logins = {
        user.email: _password(user.email)
        for user in User.objects.filter(email__endswith="@demo.example").order_by("pk")
    }
    return Demo(logins, crowd.slug, lottery.slug)


def make_lottery(now: datetime, draws_in: timedelta) -> Tournament:
    """One more small lottery, which nobody has entered yet, drawn when you like."""
    return _drawn_soon(_organization(), _next_slug(SOON), now, draws_in, seats=2, entrants=())


def _organization() -> Organization:
    organization, _ = Organization.objects.get_or_create(
        slug="demo-league", defaults={"name": "Demo League", "contact_email": "desk@demo.example"}
    )
    return organization


def _password(email: str) -> str:
    """Random with the secret key of this installation, and the same at every start."""
    return salted_hmac("vgchub.demo", email).hexdigest()[:12]


def _account(email: str, **fields: Any) -> User:
    existing = User.objects.filter(email=email).first()
    if existing:
        return existing
    return _verified(User.objects.create_user(email, _password(email), **fields))


def _verified(user: User) -> User:
    """With the proved address and the consent that come from signing up."""
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    User.objects.filter(pk=user.pk).update(email_verified_at=user.joined_at)
    Consent.objects.create(account=user, kind=Consent.Kind.TERMS, text_version=TERMS_VERSION)
    return user


def _renewed(name: str, now: datetime, make: Callable[[str], Tournament]) -> Tournament:
    """The latest tournament of this name if it is not over; else a new one, numbered on."""
    made = Tournament.objects.filter(slug__startswith=name).order_by("-pk")
    return made.filter(closes_at__gt=now, cancelled_at=None).first() or make(_next_slug(name))


def _next_slug(name: str) -> str:
    made = Tournament.objects.filter(slug__startswith=name).count()
    return f"{name}-{made + 1}" if made else name


def _opens_in_a_minute(organization: Organization, now: datetime) -> Tournament:
    """Always one that is about to open: the last one again if nobody has entered it yet."""
    opens_at = now + timedelta(seconds=60)
    made = Tournament.objects.filter(slug__startswith="friday-cup").order_by("-pk")
    latest = made.first()
    if latest and not latest.entries.exists() and latest.cancelled_at is None:
        Tournament.objects.filter(pk=latest.pk).update(
            opens_at=opens_at, closes_at=opens_at + timedelta(days=2), offers_end_at=opens_at + timedelta(days=3)
        )
        return latest
    count = made.count() + 1
    return _tournament(
        organization,
        "friday-cup" if count == 1 else f"friday-cup-{count}",
        {"masters": 16, "senior": 8},
        name=f"Friday Cup {count}",
        mode=Tournament.Mode.FIRST_COME,
        description="Free. Registration opens a minute after the site has started.",
        opens_at=opens_at,
        lasts=timedelta(days=2),
        published_at=now - timedelta(days=1),
    )


def _paid(organization: Organization, slug: str, now: datetime) -> Tournament:
    return _tournament(
        organization,
        slug,
        {"masters": 64},
        name="City Championship",
        mode=Tournament.Mode.FIRST_COME,
        description="Open now. Offers last a minute here, so that you see the line move.",
        opens_at=now - timedelta(minutes=1),
        lasts=timedelta(days=3),
        published_at=now - timedelta(days=3),
        fee_minor=2500,
        refund_until=now + timedelta(days=5),
        refund_kept_percent=0,
        offer_minutes=1,
        payment_minutes=3,
    )


def _lottery(organization: Organization, slug: str, now: datetime) -> Tournament:
    tournament = _tournament(
        organization,
        slug,
        {"junior": 24, "senior": 40, "masters": 200},
        name="Regional Championship",
        mode=Tournament.Mode.LOTTERY,
        description="A lottery: everybody who enters in time takes part in the draw.",
        opens_at=now - timedelta(days=1),
        lasts=timedelta(days=6),
        published_at=now - timedelta(days=7),
        fee_minor=4500,
        refund_until=now + timedelta(days=20),
        refund_kept_percent=20,
    )
    veterans = PriorityGroup.objects.create(
        tournament=tournament, name="Experienced players", tickets=2, min_championship_points=200
    )
    masters = tournament.divisions.get(code="masters")
    set_seats(division_id=masters.pk, seats=10, by=None, reason="Demo data", group_id=veterans.pk)
    return tournament


def _drawn_soon(
    organization: Organization,
    slug: str,
    now: datetime,
    draws_in: timedelta,
    *,
    seats: int = 4,
    entrants: Sequence[str] = ENTRANTS,
) -> Tournament:
    """With a dozen who have entered, so that there is something to draw."""
    tournament = _tournament(
        organization,
        slug,
        {"masters": seats},
        name="Sunday Lottery",
        mode=Tournament.Mode.LOTTERY,
        description="Free. Entries close a few minutes after the site has started, and the draw follows at once.",
        opens_at=now - timedelta(hours=1),
        lasts=timedelta(hours=1) + draws_in,
        published_at=now - timedelta(days=1),
        objection_minutes=0,
    )
    open_draw(tournament_id=tournament.pk)
    for name in entrants:
        player = _entrant(name)
        join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])
    return tournament


def _entrant(name: str) -> Player:
    """Somebody made up; nobody can sign in as them."""
    email = f"{name.lower()}@players.demo.example"
    account = User.objects.filter(email=email).first() or _verified(User.objects.create_user(email, None))
    number = 4300001 + ENTRANTS.index(name)
    player, _ = Player.objects.get_or_create(
        account=account,
        player_id=str(number),
        defaults={"display_name": name, "birth_date": date(2001, 5, 5), "country": "DE"},
    )
    return player


def _announced(organization: Organization, slug: str, now: datetime) -> Tournament:
    opens_at = (now + timedelta(days=14)).replace(minute=0, second=0, microsecond=0)
    return _tournament(
        organization,
        slug,
        {"junior": 60, "senior": 140, "masters": 500},
        name="International Championship",
        mode=Tournament.Mode.FAIR_START,
        description="Announced. Everybody who is in the waiting room at the opening has the same chance.",
        opens_at=opens_at,
        prequeue_opens_at=opens_at - timedelta(hours=1),
        lasts=timedelta(days=7),
        published_at=now - timedelta(hours=1),
        fee_minor=6000,
        refund_until=opens_at + timedelta(days=14),
        refund_kept_percent=10,
    )


def _tournament(
    organization: Organization, slug: str, seats: dict[str, int], *, opens_at: datetime, lasts: timedelta, **fields: Any
) -> Tournament:
    closes_at = opens_at + lasts
    starts_at = (closes_at + timedelta(days=16)).replace(hour=8, minute=0, second=0, microsecond=0)
    is_lottery = fields["mode"] == Tournament.Mode.LOTTERY
    tournament = Tournament.objects.create(
        organization=organization,
        slug=slug,
        format="Double battles, best of three",
        venue="Hall 3",
        city="Dortmund",
        country="DE",
        time_zone="Europe/Berlin",
        opens_at=opens_at,
        closes_at=closes_at,
        seals_at=closes_at if is_lottery else None,
        offers_end_at=closes_at + timedelta(days=1 if not is_lottery else 7),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=34),
        emergency_contact="+49 231 555 0100",
        **fields,
    )
    for code, number in seats.items():
        born_from, born_to = BOUNDS[code]
        division = Division.objects.create(
            tournament=tournament, code=code, name=str(Division.Code(code).label), born_from=born_from, born_to=born_to
        )
        set_seats(division_id=division.pk, seats=number, by=None, reason="Demo data")
    return tournament
