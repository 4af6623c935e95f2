"""Addresses of what staff, organizers and Prometheus read."""

from django.urls import path

from reports import views

urlpatterns = [
    path("staff/e/<str:public_id>/", views.entry_staff, name="entry_staff"),
    path("metrics", views.metrics, name="metrics"),
]
