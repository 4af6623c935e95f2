"""Signing in (allauth's views, the ones this site uses), the own account, and the terms."""

from allauth.account import views as allauth
from django.urls import path, re_path

from accounts import views

urlpatterns = [
    path("accounts/login/", allauth.login, name="account_login"),
    path("accounts/logout/", allauth.logout, name="account_logout"),
    path("accounts/signup/", allauth.signup, name="account_signup"),
    path("accounts/inactive/", allauth.account_inactive, name="account_inactive"),
    path("accounts/login/code/", allauth.request_login_code, name="account_request_login_code"),
    path("accounts/login/code/confirm/", allauth.confirm_login_code, name="account_confirm_login_code"),
    path("accounts/password/change/", allauth.password_change, name="account_change_password"),
    path("accounts/password/set/", allauth.password_set, name="account_set_password"),
    path("accounts/password/reset/", allauth.password_reset, name="account_reset_password"),
    path("accounts/password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        allauth.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "accounts/password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account/", views.account, name="account"),
    path("account/players/add/", views.add_player, name="player_add"),
    path("account/players/<int:pk>/", views.edit_player, name="player_edit"),
    path("account/players/<int:pk>/remove/", views.drop_player, name="player_remove"),
    path("account/email/", views.change_email, name="email_change"),
    path("account/email/code/", views.enter_code, name="email_code"),
    path("account/email/code/new/", views.new_code, name="email_code_new"),
    path("terms/", views.terms, name="terms"),
]
