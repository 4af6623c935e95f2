"""The admin: one site, and one ModelAdmin that keeps an organizer among the rows of the own organizations.

Staff see everything. An organizer (a member of an Organization) sees what `scope`, the path from a model to its organization,
reaches. The site is closed: it holds only what our own admins register on it, so that what other packages bring (dj-stripe's
tables carry the secret key, mails carry sign-in codes) is not on it by accident.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar, TypeVar, cast
from weakref import WeakKeyDictionary

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_update
from django import forms
from django.contrib.admin.utils import get_fields_from_path, unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.sites import UnfoldAdminSite

from accounts.models import User
from tournaments.queries import organizations_of
from vgchub.admin_asking import Asking
from vgchub.admin_history import happenings
from vgchub.forms import ChangedFieldsForm

# unfold's Alpine evaluates attributes and sets inline styles. Only the admin may; the site's own pages may not.
ADMIN_CSP = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}

View = Callable[..., HttpResponseBase]
Method = TypeVar("Method", bound=Callable[..., Any])
Filter = str | tuple[str, type] | type


def column(**options: Any) -> Callable[[Method], Method]:
    """unfold's `display`: how a computed column is headed, sorted and coloured."""
    return cast("Callable[[Method], Method]", display(**options))


def detail_action(**options: Any) -> Callable[[Method], Method]:
    """unfold's `action`: a method that answers under a row's own address, with its button at the top of the row's page."""
    return cast("Callable[[Method], Method]", action(**options))


class AdminRequest(HttpRequest):
    """What the site's `admin_view` promises."""

    user: User


@dataclass
class Reach:
    """What the person behind one request may reach. `known` remembers answers within the request, such as which rows are own."""

    is_staff: bool
    organization_ids: frozenset[int]
    known: dict[tuple[Any, ...], bool] = field(default_factory=dict)


_reach: WeakKeyDictionary[HttpRequest, Reach] = WeakKeyDictionary()


def reach(request: HttpRequest) -> Reach:
    """One query, once a request."""
    if request not in _reach:
        _reach[request] = _reach_of(request.user)
    return _reach[request]


def _reach_of(user: User | AnonymousUser) -> Reach:
    is_staff = user.is_active and user.is_staff
    ids = () if is_staff else organizations_of(user).values_list("pk", flat=True)
    return Reach(is_staff=is_staff, organization_ids=frozenset(ids))


class HubAdminSite(UnfoldAdminSite):
    """Lets in staff and organizers; everybody else is told that it is not for them."""

    index_template = "admin/start.html"
    index_title = _("Start")

    def has_permission(self, request: HttpRequest) -> bool:
        known = reach(request)
        return known.is_staff or bool(known.organization_ids)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        inner: View = csp_update(ADMIN_CSP)(super().admin_view(view, cacheable))

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # Django would show a signed-in player the sign-in page again, and again.
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return inner(request, *args, **kwargs)

        return guarded

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002
        """The site's own sign-in, with its limits and its codes by e-mail, is the only one."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002
        """The site's own page, as for signing in."""
        return redirect("account_change_password")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Without Django's `r/<type>/<id>/`, which sends anybody to the address of any row of any organization."""
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]


site = HubAdminSite(name="admin")


class OwnRowsFilter(RelatedDropdownFilter):
    """A list filter that offers only what its reader may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: "ScopedAdmin") -> list[tuple[Any, str]]:
        return [(row.pk, str(row)) for row in own_choices(field.remote_field.model, request, model_admin.admin_site)]


def own_choices(model: type[Model], request: HttpRequest, admin_site: HubAdminSite) -> QuerySet[Model]:
    """The rows of a related model that may be chosen: what its own admin shows; without an admin, nothing but to staff."""
    if admin_site.is_registered(model):
        rows: QuerySet[Model] = admin_site.get_model_admin(model).own_rows(request)
        return rows
    every = model._default_manager.all()  # noqa: SLF001
    return every if reach(request).is_staff else every.none()


class ScopedChoices:
    """Foreign keys and many-to-many fields offer, and accept, only own rows, and open no windows of their own."""

    admin_site: HubAdminSite

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        kwargs.setdefault("queryset", own_choices(db_field.remote_field.model, request, self.admin_site))
        found: forms.Field | None = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        return found

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        kwargs.setdefault("queryset", own_choices(db_field.remote_field.model, request, self.admin_site))
        found: forms.Field | None = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]
        return found


class ScopedAdmin(ScopedChoices, Asking, ModelAdmin):
    """The ModelAdmin of every registered model.

    What organizers and staff may: "view", "add", "change", "delete", and "run" actions.
    `scope` is the path from the model to its organization ("" on Organization itself); with None only staff see it.
    """

    scope: ClassVar[str | None] = None
    organizers_may: ClassVar[frozenset[str]] = frozenset({"view"})
    staff_may: ClassVar[frozenset[str]] = frozenset({"view"})
    # Columns that no list is narrowed down by: Django takes any own one from the address, so it could be guessed digit by digit.
    secrets: ClassVar[frozenset[str]] = frozenset()

    form = ChangedFieldsForm
    compressed_fields = True
    show_full_result_count = False
    list_filter_submit = True
    list_per_page = 50

    def own_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """What the reader may see at all; everything else is made of this."""
        rows: QuerySet[Any] = super().get_queryset(request)
        known = reach(request)
        if known.is_staff:
            return rows
        if self.scope is None:
            return rows.none()
        return rows.filter(**{f"{self.scope or 'pk'}__in": known.organization_ids})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.own_rows(request)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed and lookup.split("__", maxsplit=1)[0] not in self.secrets

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """What a form is about to change is read under its lock, and so judged by what it will be saved onto."""
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST" and connection.in_atomic_block:
            self.own_rows(request).select_for_update(of=("self",)).get(pk=found.pk)
            found = super().get_object(request, object_id, from_field)
        return found

    def _may(self, request: HttpRequest, act: str, obj: Any = None) -> bool:
        known = reach(request)
        if known.is_staff:
            return act in self.staff_may
        if self.scope is None or act not in self.organizers_may:
            return False
        return obj is None or self._is_own(request, obj)

    def _is_own(self, request: HttpRequest, obj: Any) -> bool:
        # unfold asks with the object's id, as it stands in the address; Django with the object.
        if isinstance(obj, str):
            obj = self.get_object(request, unquote(obj))
        if obj is None or obj.pk is None:
            return obj is not None
        known = reach(request).known
        key = (type(obj), obj.pk)
        if key not in known:
            known[key] = self.own_rows(request).filter(pk=obj.pk).exists()
        return known[key]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete", obj)

    def get_list_filter(self, request: HttpRequest) -> Sequence[Filter]:
        return [self._own_filter(entry) for entry in super().get_list_filter(request)]

    def _own_filter(self, entry: Filter) -> Filter:
        if not isinstance(entry, str):
            return entry
        last = get_fields_from_path(self.model, entry)[-1]
        if last.is_relation:
            return (entry, OwnRowsFilter)
        return (entry, ChoicesDropdownFilter) if last.choices else entry

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        """The address itself, not Django's detour over the content type, which knows no organizations."""
        if obj is None or not self.view_on_site or not hasattr(obj, "get_absolute_url"):
            return None
        address: str = obj.get_absolute_url()
        return address

    @property
    def object_history_template(self) -> str | None:
        return "admin/history.html" if hasattr(self.model, "events") else None

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Of rows that leave events: those, which tell who and why also of what was not done in the admin."""
        row = self.get_object(request, unquote(object_id))
        if row is not None and hasattr(row, "events"):
            extra_context = {**(extra_context or {}), "happenings": happenings(row)}
        answer: HttpResponse = super().history_view(request, object_id, extra_context)
        return answer

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_add_another"] = False
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002
        """Only what was changed in the form: an old tab can't take back what others did since (vgchub.forms)."""
        if change:
            obj.save(update_fields=form.fields_to_save)
        else:
            obj.save()

    def own_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """The object in an action's address, if the reader may "run" actions on it."""
        found = self.own_rows(request).filter(pk=object_id).first() if object_id.isdecimal() else None
        if found is None or not self._may(request, "run", found):
            raise Http404
        return found


class ScopedInline(ScopedChoices):
    """Rows of a parent that the reader reached already: who may view the parent may do here what `may` says."""

    may: ClassVar[frozenset[str]] = frozenset({"view"})
    form = ChangedFieldsForm
    extra = 0

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """In a table a field's label is its column's head, which a screen reader does not read with it."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs.setdefault("aria-label", field.label)
        return field

    def _may(self, request: HttpRequest, act: str, parent: Any) -> bool:  # noqa: ARG002  for those that look at the parent
        return act in self.may and site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete", obj)
