"""Public pages: anybody reads them, signed in or not."""

from django.urls import path

from tournaments import views

urlpatterns = [
    path("", views.home, name="home"),
    path("tournaments/", views.tournaments, name="tournaments"),
    path("t/<slug:slug>/", views.tournament, name="tournament"),
]
