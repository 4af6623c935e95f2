"""What every view of payments starts from."""

from django.http import HttpRequest

from accounts.models import User


class SignedInRequest(HttpRequest):
    """What `login_required` promises."""

    user: User
