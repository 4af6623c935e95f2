"""Tournaments as the API shows them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tournaments.models import Tournament
from tournaments.queries import database_now
from tournaments.rules import Phase


class TournamentSerializer(serializers.ModelSerializer[Tournament]):
    """What everybody may know of a tournament. Times are UTC; money is in the currency's smallest unit."""

    phase = serializers.SerializerMethodField()
    paused = serializers.SerializerMethodField()

    class Meta:
        model = Tournament
        fields = [
            "slug", "name", "game", "format", "venue", "city", "country", "time_zone", "starts_at", "ends_at", "mode",
            "prequeue_opens_at", "opens_at", "closes_at", "seals_at", "offers_end_at", "drawn_at", "fee_minor", "currency",
            "refund_until", "refund_kept_percent", "message", "phase", "paused",
        ]  # fmt: skip
        read_only_fields = fields

    def get_phase(self, tournament: Tournament) -> Phase:
        return tournament.phase(database_now() if self.context.get("now") is None else self.context["now"])

    def get_paused(self, tournament: Tournament) -> bool:
        return tournament.paused_at is not None


class DivisionSerializer(serializers.Serializer[Any]):
    """A division with its seats now."""

    code = serializers.CharField(source="division.code")
    name = serializers.CharField(source="division.name")
    born_from = serializers.DateField(source="division.born_from", allow_null=True)
    born_to = serializers.DateField(source="division.born_to", allow_null=True)
    seats = serializers.IntegerField()
    reserved = serializers.IntegerField()
    confirmed = serializers.IntegerField()
    offered = serializers.IntegerField()
    free = serializers.IntegerField()
    waiting = serializers.IntegerField()


class TournamentDetailSerializer(TournamentSerializer):
    """A tournament with its divisions."""

    divisions = serializers.SerializerMethodField()

    class Meta(TournamentSerializer.Meta):
        fields = [*TournamentSerializer.Meta.fields, "divisions"]
        read_only_fields = fields

    @extend_schema_field(DivisionSerializer(many=True))
    def get_divisions(self, _tournament: Tournament) -> list[dict[str, Any]]:
        return [dict(DivisionSerializer(summary).data) for summary in self.context["seats"]]
