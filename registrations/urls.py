"""Addresses of the queue's pages."""

from django.urls import path

from registrations import ticket, views

urlpatterns = [
    path("t/<slug:slug>/join/", views.join, name="join"),
    path("t/<slug:slug>/queue/", views.queue, name="queue"),
    path("entries/", views.entries, name="entries"),
    path("e/<str:public_id>/", views.entry, name="entry"),
    path("e/<str:public_id>/leave/", views.leave, name="leave"),
    path("e/<str:public_id>/step-back-in/", views.step_back_in, name="step_back_in"),
    path("e/<str:public_id>/ticket/", ticket.ticket, name="ticket"),
    path("e/<str:public_id>/ticket.ics", ticket.calendar, name="ticket_calendar"),
]
