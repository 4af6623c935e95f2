"""Addresses of draws."""

from django.urls import path

from lottery import views

urlpatterns = [
    path("t/<slug:slug>/draw/", views.tournament_draw, name="tournament_draw"),
    path("draws/<public_id:draw_id>/", views.draw, name="draw"),
    path("draws/<public_id:draw_id>/manifest.json", views.manifest, name="draw_manifest"),
    path("draws/<public_id:draw_id>/bundle.json", views.bundle, name="draw_bundle"),
]
