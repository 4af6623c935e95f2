"""Signing in for programs: JWT pairs, whose refresh tokens are used up once."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenBackendError, TokenError
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.state import token_backend
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import Token
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from accounts.models import User
from vgchub.api import refusals
from vgchub.limits import Limit, take
from vgchub.ratelimit import account_at_address, address_prefix, client_address

SIGN_INS_PER_ACCOUNT = 10
SIGN_INS_PER_ADDRESS = 300


class TokenAlone(JWTAuthentication):
    """The account that the token names, without a query: for a service that looks whether the account may at all.

    Of the account nothing but the key is known.
    """

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]
        try:
            return User(pk=int(validated_token["user_id"]))
        except (KeyError, ValueError) as error:
            raise InvalidToken from error


class PairSerializer(TokenObtainPairSerializer):
    """E-mail and password for a pair; the words for a wrong one don't say which was wrong."""

    default_error_messages = {"no_active_account": _("That e-mail address and password don't belong together.")}


class PairView(TokenObtainPairView):
    """Sign in: an access token for 5 minutes, and a refresh token for the next pair."""

    serializer_class = PairSerializer

    @extend_schema(responses={200: PairSerializer, **refusals(400, 401, 429)})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        email = str(request.data.get("email", "")) if isinstance(request.data, dict) else ""
        take(
            "token",
            [
                Limit("account", account_at_address(request, email), SIGN_INS_PER_ACCOUNT, 300),
                Limit("address", address_prefix(client_address(request)), SIGN_INS_PER_ADDRESS, 60),
            ],
        )
        return super().post(request, *args, **kwargs)


class RefreshSerializer(TokenRefreshSerializer):
    """Rotates. A refresh token that was used before was copied: then every token of the account ends."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            payload = token_backend.decode(attrs["refresh"])
            with transaction.atomic():
                # Of two that come with the same token at once, the second sees that the first has used it up.
                OutstandingToken.objects.select_for_update().filter(jti=payload.get("jti")).first()
                return super().validate(attrs)
        except (TokenBackendError, User.DoesNotExist) as error:
            raise TokenError(_("This refresh token is not valid any more. Sign in again.")) from error
        except TokenError:
            _revoke_if_used_before(payload)
            raise


def _revoke_if_used_before(payload: dict[str, Any]) -> None:
    if BlacklistedToken.objects.filter(token__jti=payload.get("jti")).exists():
        for outstanding in OutstandingToken.objects.filter(user_id=payload["user_id"], blacklistedtoken=None):
            BlacklistedToken.objects.get_or_create(token=outstanding)


class RefreshView(TokenRefreshView):
    """The next pair for a refresh token, which is thereby used up."""

    serializer_class = RefreshSerializer

    @extend_schema(responses={200: RefreshSerializer, **refusals(400, 401)})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().post(request, *args, **kwargs)
