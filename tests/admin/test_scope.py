"""Organizers meet their own organization's rows in the admin and no others, whatever they ask for."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from lottery.models import Draw
from payments.models import Dispute, Payment, Refund, SavedCard
from registrations.models import Notice, QueueEntry
from tests.admin.browsing import untouched
from tests.builders import (
    make_entry,
    make_group,
    make_organization,
    make_organizer,
    make_player,
    make_staff,
    make_tournament,
    make_user,
    now,
)
from tests.lottery.draws import open_for, seal
from tournaments.models import Tournament
from vgchub.admin import ScopedAdmin, site
from vgchub.admin_look import NAVIGATION

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
Registered = tuple[type[Model], ScopedAdmin]
REGISTERED: list[Registered] = sorted(site._registry.items(), key=lambda item: item[0]._meta.label)
SCOPED = [(model, model_admin) for model, model_admin in REGISTERED if model_admin.scope is not None]
FOR_STAFF = [item for item in REGISTERED if item not in SCOPED]
MARK = "Alice's Secret"


class House:
    """Alice's organization with a row of everything, Bob's with nothing; Charlie plays, Dora is staff."""

    def __init__(self) -> None:
        self.ours = make_organization(MARK)
        self.alice = make_organizer(self.ours)
        self.theirs = make_organization("Theirs")
        self.bob = make_organizer(self.theirs)
        self.dora = make_staff()
        player = make_player(display_name=f"{MARK} player")
        self.charlie = player.account
        tournament = make_tournament(organization=self.ours, name=f"{MARK} tournament", fee_minor=2500)
        group = make_group(tournament, f"{MARK} group", members=(player,))
        entry = make_entry(tournament, player, group=group)
        payment = self._payment(entry)
        refund = Refund.objects.create(payment=payment, amount_minor=1, reason=MARK, created_at=now(), due_at=now())
        notice = Notice.objects.create(entry=entry, kind=Notice.Kind.OFFERED, due_at=now())
        card = self._card(entry)
        dispute = self._dispute(payment)
        draw = self._draw()
        rows: list[Any] = [
            self.ours,
            tournament,
            group,
            group.members.get(),
            entry,
            payment,
            refund,
            dispute,
            notice,
            draw,
            card,
        ]
        self.rows: dict[type[Model], Any] = {type(row): row for row in rows}

    def _draw(self) -> Draw:
        raffled = make_tournament(organization=self.ours, name=f"{MARK} lottery", mode="LOTTERY", opens_in=-3 * DAY)
        make_entry(raffled)
        return seal(open_for(raffled))

    @staticmethod
    def _card(entry: QueueEntry) -> SavedCard:
        asked = {"agreed_minor": 2500, "currency": "eur", "failure_code": "x", "failure_message": MARK}
        return SavedCard.objects.create(entry=entry, session_expires_at=now(), created_at=now(), due_at=now(), **asked)

    @staticmethod
    def _dispute(payment: Payment) -> Dispute:
        return Dispute.objects.create(
            payment=payment,
            stripe_id=MARK,
            amount_minor=1,
            currency="eur",
            reason="fraudulent",
            status="needs_response",
            opened_at=now(),
        )

    @staticmethod
    def _payment(entry: QueueEntry) -> Payment:
        return Payment.objects.create(
            entry=entry,
            amount_minor=2500,
            currency="eur",
            session_expires_at=now() + timedelta(minutes=30),
            created_at=now(),
            due_at=now(),
        )


@pytest.fixture
def house() -> House:
    return House()


def signed_in(account: User) -> Client:
    client = Client()
    client.force_login(account)
    return client


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def text(answer: Any) -> str:
    return str(answer.content.decode()).replace("&#x27;", "'")


def label(value: Any) -> str:
    return value[0]._meta.label if isinstance(value, tuple) else str(value)


def test_every_registered_admin_is_scoped_and_each_has_a_row_that_could_leak(house: House) -> None:
    assert [model for model, model_admin in REGISTERED if not isinstance(model_admin, ScopedAdmin)] == []
    assert {model for model, _admin in SCOPED} == set(house.rows)


def test_what_other_packages_register_is_not_on_the_site() -> None:
    ours = {"accounts", "lottery", "payments", "registrations", "tournaments"}

    assert {model._meta.app_label for model, _admin in REGISTERED} == ours


@pytest.mark.parametrize("registered", SCOPED, ids=label)
def test_list_shows_own_rows_only(house: House, registered: Registered) -> None:
    model, _admin = registered

    theirs = signed_in(house.bob).get(address(model, "changelist"))
    ours = signed_in(house.alice).get(address(model, "changelist"))

    assert house.rows[model] in ours.context["cl"].queryset
    assert house.rows[model] not in theirs.context["cl"].queryset
    assert MARK not in text(theirs)


@pytest.mark.parametrize("registered", SCOPED, ids=label)
def test_search_and_filters_offer_own_rows_only(house: House, registered: Registered) -> None:
    model, _admin = registered

    found = signed_in(house.bob).get(address(model, "changelist"), {"q": MARK}).context["cl"]
    shown = signed_in(house.bob).get(address(model, "changelist")).context["cl"]

    assert house.rows[model] not in found.queryset
    for spec in shown.filter_specs:
        assert MARK not in str([str(choice.get("form")) + str(choice.get("display")) for choice in spec.choices(shown)])
        assert MARK not in str(getattr(spec, "lookup_choices", ""))


@pytest.mark.parametrize("page", ["change", "history", "delete"])
@pytest.mark.parametrize("registered", SCOPED, ids=label)
def test_direct_addresses_lead_to_own_rows_only(house: House, registered: Registered, page: str) -> None:
    model, _admin = registered
    row = house.rows[model]
    there = address(model, page, row.pk)

    answer = signed_in(house.bob).get(there)
    sent = signed_in(house.bob).post(there, {"name": "Taken", "post": "yes"})

    assert answer.status_code in (302, 403)
    assert MARK not in text(answer)
    assert sent.status_code in (302, 403)
    assert model.objects.get(pk=row.pk) == row  # type: ignore[attr-defined]
    if page != "delete":
        assert signed_in(house.alice).get(there).status_code == 200


@pytest.mark.parametrize("registered", SCOPED, ids=label)
def test_actions_run_on_own_rows_only(house: House, registered: Registered) -> None:
    model, model_admin = registered
    for action in model_admin._get_base_actions_detail():
        there = reverse(f"admin:{action.action_name}", args=[house.rows[model].pk])
        assert signed_in(house.bob).get(there).status_code == 404
        assert signed_in(house.bob).post(there, {"reason": "because"}).status_code == 404
        assert signed_in(house.alice).get(there).status_code in (200, 403)


def relations() -> Iterator[Any]:
    """Every relation that some form of the admin, inlines included, could offer: (admin or inline, field)."""
    for model, model_admin in REGISTERED:
        for part in [model_admin, *(inline(model, site) for inline in model_admin.inlines)]:
            fields = [*part.model._meta.fields, *part.model._meta.many_to_many]
            for field in fields:
                if field.is_relation:
                    yield pytest.param(part, field, id=f"{type(part).__name__}-{field.name}")


@pytest.mark.parametrize(("part", "field"), list(relations()))
def test_choices_of_relations_are_own_rows(house: House, part: Any, field: Any) -> None:
    request = RequestFactory().get("/admin/")
    request.user = house.bob
    offered = part.formfield_for_dbfield(field, request).queryset
    foreign = [row.pk for row in house.rows.values() if isinstance(row, field.remote_field.model)]

    assert not offered.filter(pk__in=foreign).exists()
    if field.remote_field.model not in house.rows:
        assert list(offered) == []


@pytest.mark.parametrize(("part", "field"), list(relations()))
def test_autocomplete_finds_own_rows_only(house: House, part: Any, field: Any) -> None:
    names = {"app_label": part.model._meta.app_label, "model_name": part.model._meta.model_name}
    answer = signed_in(house.bob).get(reverse("admin:autocomplete"), {**names, "field_name": field.name, "term": ""})

    assert answer.status_code in (200, 403)
    assert MARK not in text(answer)


def test_export_holds_own_rows_only(house: House) -> None:
    columns = ("public_id", "player", "tournament", "division", "state")
    sent = {"format": "0", "resource": "", **dict.fromkeys(columns, "on")}
    public_id = house.rows[QueueEntry].public_id

    theirs = signed_in(house.bob).post(address(QueueEntry, "export"), sent)
    ours = signed_in(house.alice).post(address(QueueEntry, "export"), sent)

    assert ours["Content-Type"] == theirs["Content-Type"] == "text/csv"
    assert public_id in text(ours)
    assert public_id not in text(theirs)


def test_no_address_redirects_to_a_row_by_its_type(house: House) -> None:
    answer = signed_in(house.bob).get(f"/admin/r/1/{house.rows[Tournament].pk}/")

    assert answer.status_code == 404


@pytest.mark.parametrize("registered", REGISTERED, ids=label)
def test_players_and_nobody_get_no_admin(house: House, registered: Registered) -> None:
    model, _admin = registered
    pages = [address(model, "changelist"), address(model, "add"), reverse("admin:index"), reverse("admin:autocomplete")]
    if model in house.rows:
        pages.append(address(model, "change", house.rows[model].pk))
    for page in pages:
        assert signed_in(house.charlie).get(page).status_code == 403
        nobody = Client().get(page)
        assert nobody.status_code == 302
        assert "/login/" in nobody["Location"]


@pytest.mark.parametrize("registered", FOR_STAFF, ids=label)
def test_what_is_for_staff_is_not_for_organizers(house: House, registered: Registered) -> None:
    model, _admin = registered

    assert signed_in(house.alice).get(address(model, "changelist")).status_code == 403
    assert signed_in(house.dora).get(address(model, "changelist")).status_code == 200


@pytest.mark.parametrize("registered", SCOPED, ids=label)
def test_staff_see_every_organization(house: House, registered: Registered) -> None:
    model, _admin = registered
    listed = signed_in(house.dora).get(address(model, "changelist"))

    assert house.rows[model] in listed.context["cl"].queryset
    assert signed_in(house.dora).get(address(model, "change", house.rows[model].pk)).status_code == 200


def test_an_organizer_who_is_one_no_more_loses_the_admin(house: House) -> None:
    alice, bob = signed_in(house.alice), signed_in(house.bob)
    assert alice.get(reverse("admin:index")).status_code == 200

    house.alice.memberships.all().delete()
    house.bob.is_active = False
    house.bob.save(update_fields=["is_active"])

    assert alice.get(reverse("admin:index")).status_code == 403
    assert bob.get(reverse("admin:index")).status_code == 302


def test_organizer_of_two_organizations_sees_both(house: House) -> None:
    make_organizer(house.theirs, house.alice)
    theirs = make_tournament(organization=house.theirs)

    listed = signed_in(house.alice).get(address(Tournament, "changelist"))

    assert set(listed.context["cl"].queryset) == {theirs, *house.ours.tournaments.all()}


def test_rank_is_given_by_superusers_alone() -> None:
    staff, somebody, root = make_user(is_staff=True), make_user(), make_staff()
    sent = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}

    signed_in(staff).post(address(User, "change", somebody.pk), sent)
    signed_in(staff).post(address(User, "change", staff.pk), sent)
    somebody.refresh_from_db()
    staff.refresh_from_db()
    assert [somebody.is_staff, somebody.is_superuser, staff.is_superuser] == [False] * 3

    signed_in(root).post(address(User, "change", somebody.pk), sent)
    somebody.refresh_from_db()
    assert somebody.is_staff


def test_staff_change_an_organization_and_its_members_from_an_old_tab(house: House) -> None:
    there = address(type(house.ours), "change", house.ours.pk)
    dora = signed_in(house.dora)
    old_tab = untouched(text(dora.get(there)))
    type(house.ours).objects.filter(pk=house.ours.pk).update(stripe_account="acct_1")

    answer = dora.post(there, {**old_tab, "contact_email": "new@organizers.example", "memberships-0-role": "OWNER"})

    assert answer.status_code == 302
    house.ours.refresh_from_db()
    assert (house.ours.contact_email, house.ours.stripe_account) == ("new@organizers.example", "acct_1")
    assert house.ours.memberships.get().role == "OWNER"


def test_organizers_do_not_see_the_stripe_account(house: House) -> None:
    there = address(type(house.ours), "change", house.ours.pk)

    assert "stripe_account" not in text(signed_in(house.alice).get(there))
    assert "stripe_account" in text(signed_in(house.dora).get(there))


def test_passwords_are_changed_on_the_sites_own_page(house: House) -> None:
    answer = signed_in(house.alice).get(reverse("admin:password_change"))

    assert answer["Location"] == reverse("account_change_password")


def test_csp_is_relaxed_for_the_admin_alone(house: House) -> None:
    client = signed_in(house.alice)

    admin = client.get(reverse("admin:index"))["Content-Security-Policy"]
    page = client.get("/")["Content-Security-Policy"]

    rules = dict(rule.strip().split(" ", 1) for rule in admin.split(";"))
    assert "'unsafe-eval'" in rules["script-src"]
    assert "'unsafe-inline'" not in rules["script-src"]
    assert "'unsafe-inline'" in rules["style-src"]
    assert "unsafe" not in page


def test_sidebar_groups_what_its_reader_may_see(house: House) -> None:
    def groups(account: User) -> list[str]:
        index = signed_in(account).get(reverse("admin:index"))
        return [str(group["title"]) for group in index.context["sidebar_navigation"]]

    assert groups(house.alice) == ["Tournaments", "Entries", "Money", "Accounts"]
    assert groups(house.dora) == ["Tournaments", "Entries", "Players", "Money", "Accounts"]


def test_sidebar_names_every_registered_model() -> None:
    named = {model for _title, items in NAVIGATION for _name, _icon, model in items}

    assert named == {f"{model._meta.app_label}_{model._meta.model_name}" for model, _admin in REGISTERED}
