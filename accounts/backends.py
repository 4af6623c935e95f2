"""Who is signed in: allauth's way, but that the account of a session is read by a prepared statement, as it is for every page."""

from allauth.account.auth_backends import AuthenticationBackend

from accounts.models import User
from vgchub.postgresql.prepared import Columns, fetch

ACCOUNT = Columns(User, "u")
BY_KEY = f"SELECT {ACCOUNT} FROM accounts_user u WHERE u.id = %(id)s::bigint"  # noqa: S608  names of our own columns


class AccountBackend(AuthenticationBackend):
    def get_user(self, user_id: int) -> User | None:
        user = next(map(ACCOUNT.row, fetch(BY_KEY, {"id": user_id})), None)
        return user if user and self.user_can_authenticate(user) else None
