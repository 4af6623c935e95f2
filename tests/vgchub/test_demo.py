"""What `bin/run` finds at its first and at its later starts."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from accounts.models import User
from lottery.models import Draw
from registrations.models import QueueEntry
from registrations.services import join_queue
from tournaments.models import Tournament
from tournaments.queries import database_now
from tournaments.rules import Phase
from vgchub.management.demo import make_demo

pytestmark = pytest.mark.django_db


def test_demo_has_tournaments_in_five_situations() -> None:
    now = database_now()
    make_demo(now)
    phases = {t.slug: t.phase(now + timedelta(seconds=5)) for t in Tournament.objects.all()}
    assert phases == {
        "friday-cup": Phase.ANNOUNCED,
        "city-championship": Phase.OPEN,
        "regional-lottery": Phase.OPEN,
        "sunday-lottery": Phase.OPEN,
        "international": Phase.ANNOUNCED,
    }
    assert Tournament.objects.get(slug="friday-cup").phase(now + timedelta(seconds=61)) == Phase.OPEN


def test_demo_made_again_keeps_everything_and_opens_in_a_minute_again() -> None:
    now = database_now()
    first = make_demo(now - timedelta(seconds=90))
    player = User.objects.get(email="player@demo.example")
    cup = Tournament.objects.get(slug="friday-cup")
    join_queue(account=player, tournament=cup, player_ids=[player.players.get().pk])

    again = make_demo(now)

    assert again == first
    assert set(Tournament.objects.values_list("slug", flat=True)) == {
        "friday-cup", "friday-cup-2", "city-championship", "regional-lottery", "sunday-lottery",
        "international",
    }  # fmt: skip
    assert Tournament.objects.get(slug="friday-cup-2").opens_at == now + timedelta(seconds=60)


def test_demo_opens_the_same_cup_again_while_nobody_entered() -> None:
    make_demo(database_now() - timedelta(seconds=90))
    make_demo(database_now())
    assert Tournament.objects.filter(slug__startswith="friday-cup").count() == 1


def test_demo_prints_logins_that_work() -> None:
    out = StringIO()
    call_command("demo", "--json", stdout=out)
    printed = json.loads(out.getvalue())
    assert printed.pop("crowd_tournament") == "city-championship"
    assert printed.pop("lottery") == "sunday-lottery"
    assert set(printed) == {"player@demo.example", "organizer@demo.example", "staff@demo.example"}
    for email, password in printed.items():
        assert User.objects.get(email=email).check_password(password)


def test_demo_draws_are_open_and_a_dozen_wait_for_the_soonest() -> None:
    make_demo(database_now())
    opened = Draw.objects.filter(state=Draw.State.OPEN).values_list("tournament__slug", flat=True)
    assert set(opened) == {"regional-lottery", "sunday-lottery", "international"}
    assert QueueEntry.objects.filter(tournament__slug="sunday-lottery", place=None).count() == 12


def test_one_more_lottery_is_drawn_when_one_likes() -> None:
    make_demo(database_now())
    out = StringIO()
    call_command("demo", "--lottery=3600", stdout=out)
    lottery = Tournament.objects.get(slug=out.getvalue().strip())
    assert (lottery.slug, lottery.name, lottery.entries.count()) == ("sunday-lottery-2", "Sunday Lottery", 0)
    assert timedelta(minutes=59) < lottery.seals_at - database_now() <= timedelta(hours=1)  # type: ignore[operator]
