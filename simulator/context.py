"""One request (or one tick of the clock, or one press of Pay) and what it may do with the stored objects."""

from dataclasses import dataclass

from simulator import errors, events
from simulator.settings import Settings
from simulator.store import Json, Store

PLATFORM = "acct_1SimulatorPlatform"


@dataclass(kw_only=True)
class Context:
    """`account` is empty for the platform's own objects, else the connected one that Stripe-Account names."""

    store: Store
    settings: Settings
    account: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None

    def now(self) -> int:
        return self.store.now()

    def get(self, kind: str, object_id: str, *, param: str = "id") -> Json:
        """The object, or Stripe's 404; objects of another account don't exist here."""
        found = self.store.find(object_id, kind=kind, account=self.account)
        if found is None:
            raise errors.missing(kind, object_id, param=param)
        return found

    def add(self, body: Json) -> Json:
        return self.store.add(body, account=self.account)

    def save(self, body: Json) -> Json:
        return self.store.save(body)

    def emit(self, event_type: str, body: Json) -> None:
        """Write the event and queue it for every endpoint that asked for it."""
        events.record(self, event_type, body)
