"""Addresses of what staff and organizers read about an entry."""

from django.urls import path

from reports import views

urlpatterns = [path("staff/e/<str:public_id>/", views.entry_staff, name="entry_staff")]
