"""How often one may join (design: limits). Generous to people behind one address, not to machines."""

from collections.abc import Sequence

from accounts.models import User
from vgchub.limits import Limit, take

JOINS_PER_PLAYER = 5
JOINS_PER_ADDRESS = 10
JOINS_PER_ADDRESS_BURST = 20
JOINS_PER_ADDRESS_VERIFIED = 3000


def take_join(account: User, player_ids: Sequence[int], prefix: str) -> None:
    """Count one join; `prefix` is the client's address prefix.

    Raises:
        TooManyRequestsError
    """
    limits = [Limit(f"join:player:{pk}", JOINS_PER_PLAYER, 60) for pk in player_ids]
    if account.email_verified_at is None:
        limits += [
            Limit(f"join:address:{prefix}", JOINS_PER_ADDRESS, 60),
            Limit(f"join:burst:{prefix}", JOINS_PER_ADDRESS_BURST, 10),
        ]
    else:
        # A venue or a school shares one address; this only stops a flood.
        limits.append(Limit(f"join:flood:{prefix}", JOINS_PER_ADDRESS_VERIFIED, 60))
    take(limits)
