"""Organizations, and the groups and lists of their tournaments."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from tournaments.admin.operations import GroupOperations
from tournaments.models import Membership, Organization, PriorityGroup, PriorityMember
from vgchub.admin import ScopedAdmin, ScopedInline, column, reach, site


@admin.register(PriorityGroup, site=site)
class PriorityGroupAdmin(GroupOperations, ScopedAdmin):
    """A group and its list. What decides who belongs to it is changed on the tournament's page."""

    scope = "tournament__organization"
    organizers_may = staff_may = frozenset({"view", "run"})
    list_display = ("name", "tournament", "tickets", "priority", "listed")
    list_filter = ("tournament",)
    list_select_related = ("tournament",)
    search_fields = ("name", "tournament__name")
    ordering = ("tournament", "-priority", "-tickets", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriorityGroup]:
        rows: QuerySet[PriorityGroup] = super().get_queryset(request)
        return rows.annotate(listed_total=Count("members"))

    @column(description=_("On its list"), ordering="listed_total")
    def listed(self, group: Any) -> int:
        count: int = group.listed_total
        return count


@admin.register(PriorityMember, site=site)
class PriorityMemberAdmin(ScopedAdmin):
    scope = "group__tournament__organization"
    list_display = ("player_id", "group", "tournament")
    list_filter = ("group__tournament", "group")
    list_select_related = ("group__tournament",)
    search_fields = ("=player_id",)

    @column(description=_("Tournament"))
    def tournament(self, member: PriorityMember) -> str:
        return member.group.tournament.name


class MembershipInline(ScopedInline, TabularInline):
    """Who runs an organization's tournaments; organizers see their colleagues, staff decide."""

    model = Membership
    autocomplete_fields = ("account",)
    hide_title = True

    def _may(self, request: HttpRequest, act: str, parent: Any) -> bool:  # noqa: ARG002
        return act == "view" or reach(request).is_staff


@admin.register(Organization, site=site)
class OrganizationAdmin(ScopedAdmin):
    scope = ""
    staff_may = frozenset({"view", "add", "change"})
    inlines = (MembershipInline,)
    list_display = ("name", "contact_email")
    search_fields = ("name",)
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        fields = [
            "name",
            "slug",
            "contact_email",
            "legal_name",
            "postal_address",
            "tax_number",
            "tax_name",
            "tax_percent",
        ]
        return [*fields, "stripe_account"] if reach(request).is_staff else fields

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, tuple[str, ...]]:
        return self.prepopulated_fields if obj is None and self.has_add_permission(request) else {}
