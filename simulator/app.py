"""The server: the API, the hosted pages, the control endpoint, and two background tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette

from simulator import api, clockwork, control, hosted
from simulator.delivery import Courier
from simulator.idempotency import Keys
from simulator.settings import Settings
from simulator.store import Store
from simulator.work import Workshop


def create_app(settings: Settings) -> Starlette:
    store = Store(settings.data)
    if not store.setting("born"):
        store.set_setting("born", store.now())
    workshop = Workshop(store, settings, Courier(store, settings), Keys(store))
    control.misbehave_from_the_start(workshop)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(workshop.courier.run()), asyncio.create_task(tick(workshop))]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        store.close()

    routes = [*api.routes(workshop), *hosted.routes(workshop), *control.routes(workshop)]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={500: api.broken})


async def tick(workshop: Workshop) -> None:
    """Let time pass, once a second."""
    while True:
        clockwork.turn(workshop.context())
        clockwork.forget_old_answers(workshop.context())
        workshop.courier.ring()
        await asyncio.sleep(1)
