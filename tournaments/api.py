"""The API of tournaments: anybody may read it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import AllowAny

from registrations.queries import seat_summary
from tournaments.models import Tournament
from tournaments.queries import database_now
from tournaments.serializers import TournamentDetailSerializer, TournamentSerializer
from vgchub.api import Pages, refusals


@extend_schema_view(
    get=extend_schema(
        operation_id="tournaments_list", responses={200: TournamentSerializer(many=True), **refusals(400)}
    )
)
class TournamentList(ListAPIView[Tournament]):
    """Published tournaments, the next to start first."""

    permission_classes = [AllowAny]
    authentication_classes = []
    serializer_class = TournamentSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Tournament]:
        return Tournament.objects.published(database_now()).order_by("starts_at", "pk")

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": database_now()}


@extend_schema_view(
    get=extend_schema(operation_id="tournament", responses={200: TournamentDetailSerializer, **refusals(404)})
)
class TournamentDetail(RetrieveAPIView[Tournament]):
    """One tournament with its divisions and their seats now."""

    permission_classes = [AllowAny]
    authentication_classes = []
    serializer_class = TournamentDetailSerializer
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Tournament]:
        return Tournament.objects.published(database_now())

    def get_object(self) -> Tournament:
        self.tournament = super().get_object()
        return self.tournament

    def get_serializer_context(self) -> dict[str, Any]:
        tournament = getattr(self, "tournament", None)  # none while the schema is made
        seats = seat_summary(tournament) if tournament else []
        return {**super().get_serializer_context(), "now": database_now(), "seats": seats}
