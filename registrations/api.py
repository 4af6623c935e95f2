"""The API of the queue: the same services, the same refusals as the pages."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import TokenAlone
from accounts.models import Player
from lottery.chances import in_draw
from payments.services import start_payment
from registrations import services
from registrations.models import QueueEntry
from registrations.serializers import (
    EntrySerializer,
    JoinSerializer,
    PlayerSerializer,
    StandingSerializer,
    TakeUpSerializer,
    read_join,
    show_entries,
)
from registrations.standing import standings
from registrations.views import joinable
from tournaments.queries import database_now
from vgchub.api import JsonAlone, Pages, refusals
from vgchub.ratelimit import Source


@extend_schema_view(
    get=extend_schema(operation_id="players", responses={200: PlayerSerializer(many=True), **refusals(400, 401)})
)
class Players(ListAPIView[Player]):
    """The account's players."""

    serializer_class = PlayerSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Player]:
        return Player.objects.of(self.request.user).order_by("pk")  # type: ignore[arg-type]


class Join(APIView):
    """Put players of the account into the line of a tournament; repeating it gives the same entries."""

    authentication_classes = (TokenAlone,)
    content_negotiation_class = JsonAlone

    @extend_schema(
        operation_id="join",
        auth=[{"jwtAuth": []}],  # type: ignore[list-item]  # the same token as everywhere
        request=JoinSerializer,
        responses={200: EntrySerializer(many=True), **refusals(400, 401, 404, 409, 429)},
    )
    def post(self, request: Request, slug: str) -> Response:
        given = read_join(request.data)
        entries = services.join_queue(
            account=request.user,  # type: ignore[arg-type]
            tournament=joinable(slug),
            player_ids=list(dict.fromkeys(given["players"])),
            source=Source.of(request),
        )
        return Response(show_entries(entries))


@extend_schema_view(
    get=extend_schema(operation_id="entries", responses={200: EntrySerializer(many=True), **refusals(400, 401)})
)
class Entries(ListAPIView[QueueEntry]):
    """The account's entries, the newest first."""

    serializer_class = EntrySerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[QueueEntry]:
        own = QueueEntry.objects.of(self.request.user)  # type: ignore[arg-type]
        return own.select_related("tournament", "division", "seat").order_by("-number")


class EntryView(APIView):
    """What endpoints of one entry share."""

    documented: ClassVar[dict[Any, Any]] = {200: EntrySerializer, **refusals(401, 404, 409)}

    def own(self, request: Request, public_id: str) -> QueueEntry:
        return services.own_entry(request.user, public_id)  # type: ignore[arg-type]


class Entry(EntryView):
    """One entry, and where it stands now."""

    @extend_schema(operation_id="entry", responses={200: StandingSerializer, **refusals(401, 404)})
    def get(self, request: Request, public_id: str) -> Response:
        entry = self.own(request, public_id)
        (standing,), _head = standings(entry.tournament, [entry], in_draw(entry.tournament, [entry], database_now()))
        return Response(StandingSerializer(standing).data)


class Leave(EntryView):
    """Give up the place, or decline the offer."""

    @extend_schema(operation_id="leave", request=None, responses=EntryView.documented)
    def post(self, request: Request, public_id: str) -> Response:
        entry = services.leave_queue(account=request.user, public_id=public_id)  # type: ignore[arg-type]
        return Response(EntrySerializer(entry).data)


class StepBackIn(EntryView):
    """Return to the old place after a missed offer, once."""

    @extend_schema(operation_id="step_back_in", request=None, responses=EntryView.documented)
    def post(self, request: Request, public_id: str) -> Response:
        entry = services.step_back_in(account=request.user, public_id=public_id)  # type: ignore[arg-type]
        return Response(EntrySerializer(entry).data)


class TakeUp(EntryView):
    """Take up an offer. Where there is a fee, the answer says where to pay it."""

    @extend_schema(operation_id="take_up", request=None, responses={200: TakeUpSerializer, **refusals(401, 404, 409)})
    def post(self, request: Request, public_id: str) -> Response:
        entry = self.own(request, public_id)
        checkout_url = start_payment(account=request.user, public_id=entry.public_id)  # type: ignore[arg-type]
        entry.refresh_from_db()
        return Response(TakeUpSerializer({"entry": entry, "checkout_url": checkout_url}).data)
