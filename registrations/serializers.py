"""Entries as the API shows them, and what a join needs."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Player
from registrations.models import QueueEntry
from registrations.rules import State


class PlayerSerializer(serializers.ModelSerializer[Player]):
    """One of the account's players."""

    class Meta:
        model = Player
        fields = ["id", "display_name", "player_id", "player_id_state", "birth_date", "country"]
        read_only_fields = fields


class JoinSerializer(serializers.Serializer[Any]):
    """Which of the account's players join."""

    players = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=20
    )


class EntrySerializer(serializers.ModelSerializer[QueueEntry]):
    """An entry of the account. Times are UTC."""

    id = serializers.CharField(source="public_id", read_only=True)
    tournament = serializers.SlugRelatedField(slug_field="slug", read_only=True)  # type: ignore[var-annotated]
    division = serializers.SlugRelatedField(slug_field="code", read_only=True)  # type: ignore[var-annotated]
    player = serializers.PrimaryKeyRelatedField(read_only=True)  # type: ignore[var-annotated]
    seat = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=[(s.value, s.value) for s in State], read_only=True)

    class Meta:
        model = QueueEntry
        fields = [
            "id", "tournament", "division", "player", "state", "number", "seat", "joined_at", "offered_at",
            "offer_expires_at", "checkout_at", "confirmed_at", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_seat(self, entry: QueueEntry) -> int | None:
        return entry.seat.number if entry.seat else None


# Building the fields takes longer than everything else that a join reads and answers: they are built once.
_join_read, _entry_shown = JoinSerializer(), EntrySerializer()


def read_join(data: Any) -> dict[str, Any]:
    """What `JoinSerializer(data=data).validated_data` is.

    Raises:
        rest_framework.serializers.ValidationError
    """
    given: dict[str, Any] = _join_read.run_validation(data)
    return given


def show_entries(entries: Iterable[QueueEntry]) -> list[dict[str, Any]]:
    """What `EntrySerializer(entries, many=True).data` is."""
    return [_entry_shown.to_representation(entry) for entry in entries]


class StandingSerializer(serializers.Serializer[Any]):
    """An entry with where it stands now."""

    entry = EntrySerializer()
    position = serializers.IntegerField(allow_null=True, help_text="1 is next; null unless it waits in a line.")
    chance = serializers.FloatField(allow_null=True, help_text="Estimated chance of a seat, 0 to 1.")
    minutes = serializers.FloatField(allow_null=True, help_text="Estimated wait at the pace of the last ten minutes.")
    sentence = serializers.CharField(allow_blank=True)


class TakeUpSerializer(serializers.Serializer[Any]):
    """A taken-up offer: confirmed at once where nothing is to be paid, else where to pay."""

    entry = EntrySerializer()
    checkout_url = serializers.URLField(allow_null=True)
