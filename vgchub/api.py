"""What every endpoint of the API shares: the shape of a refusal, pages of lists, the pages of a list."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

LARGEST = 2**31


class RefusalSerializer(serializers.Serializer[Any]):
    """Every answer that is no success."""

    code = serializers.CharField(help_text="Stable, for programs, such as registration_closed.")
    message = serializers.CharField(help_text="What it is, why, and what to do, for people.")
    data = serializers.DictField(  # type: ignore[assignment]  # the field of that name, as every answer has it
        help_text="Details: fields in error, retry_after in seconds, ..."
    )


def refusals(*statuses: int) -> dict[int, OpenApiResponse]:
    """The documented refusals of an endpoint, for `extend_schema(responses=...)`."""
    words = {
        400: "Malformed",
        401: "Not signed in",
        403: "Not allowed",
        404: "Not found",
        409: "Refused",
        429: "Too fast",
    }
    return {code: OpenApiResponse(RefusalSerializer, words[code]) for code in statuses}


class JsonAlone(DefaultContentNegotiation):
    """For endpoints that answer with JSON and nothing else: nobody need read what else a program would take."""

    def select_renderer(
        self, _request: Request, renderers: Iterable[BaseRenderer], _format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class Pages(LimitOffsetPagination):
    """Lists come 50 at a time, at most 100. What is no number is an error, and not ignored."""

    default_limit = 50
    max_limit = 100

    def get_limit(self, request: Request) -> int:
        return min(self._number(request, self.limit_query_param, self.default_limit, least=1), self.max_limit)

    def get_offset(self, request: Request) -> int:
        return self._number(request, self.offset_query_param, 0, least=0)

    def _number(self, request: Request, name: str, default: int, *, least: int) -> int:
        text = request.query_params.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and least <= int(text) < LARGEST):
            raise serializers.ValidationError({name: [_("A whole number, at least %(least)d.") % {"least": least}]})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            least = 1 if parameter["name"] == self.limit_query_param else 0
            parameter["schema"] |= {"minimum": least, "maximum": LARGEST - 1}
        return parameters
