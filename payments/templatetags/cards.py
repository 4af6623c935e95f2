"""The card on file of an entry, for the live page."""

from typing import Any

from django import template

from payments.queries import card_on_file as card_of
from payments.services.saving import may_have_card
from registrations.models import QueueEntry
from registrations.rules import State

register = template.Library()


@register.inclusion_tag("payments/_card_on_file.html")
def card_on_file(entry: QueueEntry) -> dict[str, Any]:
    """What can be done with the card, and when it is charged; nothing, without a query, where no cards are wanted."""
    may_ask = may_have_card(entry)
    is_shown = may_ask or (entry.tournament.saves_cards and entry.state == State.OFFERED)
    card = card_of(entry) if is_shown else None
    return {"entry": entry, "tournament": entry.tournament, "card": card, "may_ask": may_ask}
