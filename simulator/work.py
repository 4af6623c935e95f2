"""Carrying a request out: once per idempotency key, in one transaction, with the faults that were ordered."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator import clockwork, misbehaviour, rendering
from simulator.context import Context
from simulator.delivery import Courier
from simulator.errors import ApiError, DeclinedError
from simulator.faults import Fault, Faults
from simulator.idempotency import Answer, Keys
from simulator.params import Params
from simulator.rates import Rates
from simulator.settings import Settings
from simulator.store import Json, Store

Endpoint = Callable[..., Json]


@dataclass(kw_only=True)
class Call:
    """A request as read: `ids` are the objects that its address names, `values` its decoded parameters."""

    context: Context
    endpoint: Endpoint
    method: str
    path: str
    ids: list[str]
    values: Json


@dataclass
class Workshop:
    """What all requests share."""

    store: Store
    settings: Settings
    courier: Courier
    keys: Keys
    faults: Faults = field(default_factory=Faults)
    rates: Rates = field(default_factory=Rates)

    def context(self, *, request_id: str | None = None) -> Context:
        return Context(store=self.store, settings=self.settings, request_id=request_id)

    async def answer(self, call: Call) -> tuple[Answer, bool]:
        """The answer, and whether it is a replay of an earlier one; refusals on the way are raised."""
        key = call.context.idempotency_key
        if key is None:
            return await self._carry_out(call), False
        scope = call.context.account
        earlier = self.keys.earlier_answer(scope=scope, key=key, path=call.path, params=call.values)
        if earlier:
            return earlier, True
        self.keys.in_flight.add((scope, key))
        try:
            return await self._carry_out(call), False
        finally:
            self.keys.in_flight.discard((scope, key))

    async def _carry_out(self, call: Call) -> Answer:
        fault = self._fault_of(call)
        delay = self.faults.delay_of(call.path) + (fault.delay_ms / 1000 if fault else 0)
        if delay:
            await asyncio.sleep(delay)
        clockwork.turn(call.context)
        if fault and not fault.fails:
            fault = None
        try:
            if fault and fault.when == "before":
                raise fault.error()
            answer = self._take_effect(call, fault)
        except ApiError as error:
            return self._refuse(call, error)
        finally:
            self.courier.ring()
        if fault and not fault.is_kept:
            raise fault.error()  # done, and kept under the key, but the answer is lost on the way back
        return answer

    def _fault_of(self, call: Call) -> Fault | None:
        """What goes wrong with this request: by order, as it asks itself, or at random."""
        key = call.context.idempotency_key
        asked = self.faults.asked_for(call.path, call.values, (call.context.account, key) if key else None)
        ordered = self.faults.take(call.method, call.path)
        drawn = misbehaviour.fault_of_next(self.store, call.path)
        return ordered or asked or drawn

    def _take_effect(self, call: Call, fault: Fault | None) -> Answer:
        """Everything the request does, and the answer kept under its key, or nothing."""
        with self.store.transaction():
            try:
                answer = _perform(call)
            except DeclinedError as decline:
                answer = _refusal(call, decline)
            if fault and fault.is_kept:
                answer = _refusal(call, fault.refusal())
            self._keep(call, answer)
        return answer

    def _refuse(self, call: Call, error: ApiError) -> Answer:
        answer = _refusal(call, error)
        if error.began:
            self._keep(call, answer)
        return answer

    def _keep(self, call: Call, answer: Answer) -> None:
        key = call.context.idempotency_key
        if key:
            self.keys.keep(answer, scope=call.context.account, key=key, path=call.path, params=call.values)


def _perform(call: Call) -> Answer:
    params = Params(call.values)
    expand = params.texts("expand")
    body = rendering.render(call.context, call.endpoint(call.context, params, *call.ids), expand)
    return Answer(status=200, body=body, request_id=str(call.context.request_id))


def _refusal(call: Call, error: ApiError) -> Answer:
    return Answer(status=error.status, body=error.body(), request_id=str(call.context.request_id))
