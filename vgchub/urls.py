"""Every address of the site."""

from django.conf import settings
from django.urls import include, path

from vgchub import local_pages
from vgchub.admin import site

handler404 = "vgchub.responses.not_found"
handler429 = "vgchub.responses.too_many_requests"  # allauth's limits answer with it
handler500 = "vgchub.responses.server_error"

urlpatterns = [
    path("", include("tournaments.urls")),
    path("", include("registrations.urls")),
    path("", include("accounts.urls")),
    path("", include("payments.urls")),
    path("api/v1/", include("vgchub.api_urls")),
    path("admin/", site.urls),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]

if settings.LOCAL_MODE:
    urlpatterns += [
        path("styleguide/", local_pages.styleguide, name="styleguide"),
        path("local/mailbox/", local_pages.mailbox, name="local_mailbox"),
        path("local/mailbox/<int:pk>/", local_pages.mail, name="local_mail"),
        path("local/mailbox/<int:pk>/html/", local_pages.mail_html, name="local_mail_html"),
    ]
