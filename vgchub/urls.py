"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

handler500 = "vgchub.responses.server_error"

urlpatterns = [
    path("", include("tournaments.urls")),
    path("", include("registrations.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]
