"""Addresses of the API, version 1."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from registrations import api as registrations
from tournaments import api as tournaments
from vgchub.api import PairView, RefreshView


class PublicIdConverter(StringConverter):
    """An entry's public id: 24 hex digits."""

    regex = "[0-9a-f]{24}"


register_converter(PublicIdConverter, "public_id")

urlpatterns = [
    path("token/", PairView.as_view(), name="api_token"),
    path("token/refresh/", RefreshView.as_view(), name="api_token_refresh"),
    path("tournaments/", tournaments.TournamentList.as_view(), name="api_tournaments"),
    path("tournaments/<slug:slug>/", tournaments.TournamentDetail.as_view(), name="api_tournament"),
    path("tournaments/<slug:slug>/join/", registrations.Join.as_view(), name="api_join"),
    path("players/", registrations.Players.as_view(), name="api_players"),
    path("entries/", registrations.Entries.as_view(), name="api_entries"),
    path("entries/<public_id:public_id>/", registrations.Entry.as_view(), name="api_entry"),
    path("entries/<public_id:public_id>/leave/", registrations.Leave.as_view(), name="api_leave"),
    path("entries/<public_id:public_id>/step-back-in/", registrations.StepBackIn.as_view(), name="api_step_back_in"),
    path("entries/<public_id:public_id>/take-up/", registrations.TakeUp.as_view(), name="api_take_up"),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema"), name="api_docs"),
]
