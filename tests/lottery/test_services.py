"""From entries to places: what opening, sealing, drawing and voiding do."""

import pytest

from lottery.models import DrawFile
from registrations.models import QueueEntry
from registrations.services import offer_seats
from tests.lottery.draws import drawn, read

pytestmark = pytest.mark.django_db


def test_a_lottery_is_sealed_drawn_and_offered_down_its_order() -> None:
    draw = drawn(seats=2, entries=5)
    bundle = read(draw, DrawFile.Name.BUNDLE)
    order = [public_id for _key, public_id in bundle["ranking"]]
    line = QueueEntry.objects.in_line().values_list("public_id", flat=True)
    assert list(line) == order
    assert offer_seats(tournament_id=draw.tournament_id) == 2
    offered = QueueEntry.objects.filter(offered_at__isnull=False).order_by("offer_number")
    assert [entry.public_id for entry in offered] == order[:2]
