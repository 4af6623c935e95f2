"""Reads of accounts that deserve a name."""

from accounts import rules
from accounts.models import Consent, Player


def guardian_consented(player: Player) -> bool:
    """Whether a guardian agreed to today's text for this player."""
    return player.consents.filter(kind=Consent.Kind.GUARDIAN, text_version=rules.GUARDIAN_TEXT_VERSION).exists()
