"""One look after the other takes a tournament from its opening to the published bundle, whatever gets lost between."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app

from lottery import services, tasks
from lottery.models import Draw
from tests.builders import Mode
from tests.lottery.draws import opened, sealed, to_draw

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _jobs_run_at_once() -> Iterator[None]:
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def how_far() -> tuple[str, bool]:
    """The only draw's state, and whether its bundle is published."""
    draw = Draw.objects.get()
    return draw.state, draw.files.filter(name="bundle").exists()


@pytest.mark.parametrize("mode", [Mode.LOTTERY, Mode.FAIR_START])
def test_two_looks_open_seal_draw_and_publish(mode: Mode) -> None:
    to_draw(mode)
    tasks.look()
    assert how_far() == ("OPEN", False)
    tasks.look()
    assert how_far() == ("DRAWN", True)
    tasks.look()
    assert how_far() == ("DRAWN", True)


def test_each_step_is_found_again_when_its_job_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = opened()
    steps: list[tuple[str, Any, Callable[..., bool]]] = [
        ("OPEN", tasks.seal, services.seal_draw),
        ("SEALED", tasks.draw, services.run_draw),
        ("DRAWN", tasks.bundle, services.write_bundle),
    ]
    for state, job, does in steps:
        with monkeypatch.context() as patch:
            patch.setattr(job, "run", lambda _draw_id: None)
            tasks.look()
        assert how_far() == (state, False)
        assert does(draw_id=draw.pk)
    assert how_far() == ("DRAWN", True)


@pytest.mark.parametrize("begun", [opened, sealed])
def test_a_look_goes_on_where_it_was(begun: Callable[[], Draw]) -> None:
    begun()
    tasks.look()
    assert how_far() == ("DRAWN", True)


def test_a_tournament_whose_draw_cannot_be_opened_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = sealed()
    to_draw()

    def fails(tournament_id: int) -> None:
        raise RuntimeError(tournament_id)

    monkeypatch.setattr(services, "open_draw", fails)
    with pytest.raises(RuntimeError):
        tasks.look()
    draw.refresh_from_db()
    assert draw.state == "DRAWN"
