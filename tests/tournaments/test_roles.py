"""Who is an organizer, and of what."""

import pytest
from django.contrib.auth.models import AnonymousUser

from tests.builders import make_organization, make_organizer, make_staff, make_user
from tournaments.queries import organizations_of

pytestmark = pytest.mark.django_db


def test_organizations_of_an_organizer_are_the_own_ones() -> None:
    ours, theirs = make_organization("Ours"), make_organization("Theirs")
    alice, bob = make_organizer(ours), make_organizer(theirs)

    assert list(organizations_of(alice)) == [ours]
    assert list(organizations_of(bob)) == [theirs]


def test_organizations_of_staff_are_all_of_them_and_of_players_none() -> None:
    organization = make_organization()
    make_organizer(organization)

    assert list(organizations_of(make_staff())) == [organization]
    assert list(organizations_of(make_user())) == []
    assert list(organizations_of(AnonymousUser())) == []


def test_organizations_of_a_deactivated_organizer_are_none() -> None:
    alice = make_organizer(make_organization(), make_user(is_active=False))

    assert list(organizations_of(alice)) == []
