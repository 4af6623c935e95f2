"""Addresses of the payment pages."""

from django.urls import path

from payments.views import cards, paying, receipts

urlpatterns = [
    path("e/<str:public_id>/take-up/", paying.take_up, name="take_up"),
    path("e/<str:public_id>/return/", paying.payment_return, name="payment_return"),
    path("e/<str:public_id>/checkout-left/", paying.checkout_left, name="checkout_left"),
    path("e/<str:public_id>/card/", cards.card, name="card"),
    path("e/<str:public_id>/card/return/", cards.card_return, name="card_return"),
    path("e/<str:public_id>/card/remove/", cards.card_remove, name="card_remove"),
    path("e/<str:public_id>/receipt/", receipts.receipt, name="receipt"),
    path("e/<str:public_id>/cancel/", paying.cancel, name="cancel"),
]
