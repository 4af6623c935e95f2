"""Every address of the site."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.urls import include, path, register_converter
from django.urls.converters import StringConverter
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.api import PairView, RefreshView
from registrations import api as registrations
from tournaments import api as tournaments
from vgchub import local_pages, probes
from vgchub.admin import site
from vgchub.shared_pages import shared

handler404 = "vgchub.responses.not_found"
handler429 = "vgchub.responses.too_many_requests"  # allauth's limits answer with it
handler500 = "vgchub.responses.server_error"


# Swagger's page sets styles on its elements.
swagger = csp_update({"style-src": UNSAFE_INLINE})


class PublicIdConverter(StringConverter):
    """The public id of an entry or a draw: 24 hex digits."""

    regex = "[0-9a-f]{24}"


register_converter(PublicIdConverter, "public_id")

api = [
    path("tournaments/<slug:slug>/join/", registrations.Join.as_view(), name="api_join"),  # the hot one
    path("token/", PairView.as_view(), name="api_token"),
    path("token/refresh/", RefreshView.as_view(), name="api_token_refresh"),
    path("tournaments/", shared(tournaments.TournamentList.as_view()), name="api_tournaments"),
    path("tournaments/<slug:slug>/", shared(tournaments.TournamentDetail.as_view()), name="api_tournament"),
    path("players/", registrations.Players.as_view(), name="api_players"),
    path("entries/", registrations.Entries.as_view(), name="api_entries"),
    path("entries/<public_id:public_id>/", registrations.Entry.as_view(), name="api_entry"),
    path("entries/<public_id:public_id>/leave/", registrations.Leave.as_view(), name="api_leave"),
    path("entries/<public_id:public_id>/step-back-in/", registrations.StepBackIn.as_view(), name="api_step_back_in"),
    path("entries/<public_id:public_id>/take-up/", registrations.TakeUp.as_view(), name="api_take_up"),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs/", swagger(SpectacularSwaggerSplitView.as_view(url_name="api_schema")), name="api_docs"),
]

urlpatterns = [
    path("api/v1/", include(api)),
    path("", include("tournaments.urls")),
    path("", include("registrations.urls")),
    path("", include("lottery.urls")),
    path("", include("accounts.urls")),
    path("", include("payments.urls")),
    path("", include("reports.urls")),
    path("admin/", site.urls),
    path("health/live/", probes.live, name="health_live"),
    path("health/ready/", probes.ready, name="health_ready"),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]

if settings.LOCAL_MODE:
    urlpatterns += [
        path("styleguide/", local_pages.styleguide, name="styleguide"),
        path("local/mailbox/", local_pages.mailbox, name="local_mailbox"),
        path("local/mailbox/<int:pk>/", local_pages.mail, name="local_mail"),
        path("local/mailbox/<int:pk>/html/", local_pages.mail_html, name="local_mail_html"),
    ]
