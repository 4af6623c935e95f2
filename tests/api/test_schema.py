"""The API against its own schema, by schemathesis: as nobody and as a player, all checks, a fixed seed."""

from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, settings
from rest_framework_simplejwt.tokens import RefreshToken

from tests.builders import make_entry, make_player, make_tournament

# Real transactions: each request of the WSGI application ends its connection, as on a server.
pytestmark = pytest.mark.django_db(transaction=True)

# Public answers come packed, which is HTTP's business and not the schema's.
HEADERS = {"Host": "127.0.0.1", "Accept-Encoding": "identity"}

schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", get_wsgi_application(), headers=HEADERS)
# A zero byte is refused everywhere, and OpenAPI has no short word for it; a parameter that nobody knows is passed over.
schema.config.generation.update(allow_x00=False, allow_extra_parameters=False)

EXAMPLES = settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@EXAMPLES
def test_nobody_finds_what_the_schema_says(case: Any) -> None:
    case.call_and_validate(headers=HEADERS)


@schema.parametrize()
@EXAMPLES
def test_a_player_finds_what_the_schema_says(case: Any) -> None:
    player = make_player()
    make_entry(make_tournament(), player)
    case.call_and_validate(
        headers={**HEADERS, "Authorization": f"Bearer {RefreshToken.for_user(player.account).access_token}"}
    )
