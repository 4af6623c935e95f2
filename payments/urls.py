"""Addresses of the payment pages."""

from django.urls import path

from payments import views

urlpatterns = [
    path("e/<str:public_id>/take-up/", views.take_up, name="take_up"),
    path("e/<str:public_id>/return/", views.payment_return, name="payment_return"),
    path("e/<str:public_id>/checkout-left/", views.checkout_left, name="checkout_left"),
    path("e/<str:public_id>/cancel/", views.cancel, name="cancel"),
]
