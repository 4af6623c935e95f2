"""Failures on order, for tests and the curious: late answers, refusals, answers lost before or after the deed."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from simulator.errors import ApiError
from simulator.store import Json

# Answers of the endpoint itself, which an idempotency key replays; others happen on the way to it or back.
OF_THE_ENDPOINT = {400, 402, 403, 404, 500}
METADATA = "simulate_timeout"


class UnansweredError(Exception):
    """The client gets no answer: `how` is `close` (the connection) or `hang`."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


@dataclass(kw_only=True)
class Fault:
    """One of `status`, `silence` (`close` or `hang`) and `delay_ms`.

    `path` may hold `*`; `when` is `before` or `after` the request took effect.
    """

    path: str
    status: int = 0
    silence: str = ""
    delay_ms: int = 0
    times: int = 1
    method: str = "*"
    when: str = "before"
    code: str = ""
    message: str = "The simulator was told to fail this request."

    def check(self) -> "Fault":
        """Itself, or a ValueError that says what can't be."""
        if self.when not in {"before", "after"} or self.times < 1:
            raise ValueError("when is before or after, times at least 1")
        if self.silence not in {"", "close", "hang"} or (self.status and not 400 <= self.status <= 599):
            raise ValueError("status is 400 to 599, silence close or hang")
        if not (self.status or self.silence or self.delay_ms > 0) or (self.status and self.silence):
            raise ValueError("one of status, silence and delay_ms")
        return self

    @property
    def fails(self) -> bool:
        """Else it is only late."""
        return bool(self.status or self.silence)

    @property
    def is_kept(self) -> bool:
        return self.status in OF_THE_ENDPOINT

    def error(self) -> Exception:
        return UnansweredError(self.silence) if self.silence else self.refusal()

    def refusal(self) -> ApiError:
        kind = "api_error" if self.status >= 500 else "invalid_request_error"
        if self.status == 402:
            kind = "card_error"
        code = self.code or ("rate_limit" if self.status == 429 else "")
        return ApiError(self.status, self.message, code=code, kind=kind, began=self.is_kept)


@dataclass
class Faults:
    """The failures still to come, and how late to answer. In memory: a restart forgets them."""

    waiting: list[Fault] = field(default_factory=list)
    delay: float = 0.0  # seconds
    delay_path: str = "*"
    silenced: set[tuple[str, str]] = field(default_factory=set)

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that fits, used up by one."""
        for fault in self.waiting:
            if fault.method in {"*", method} and fnmatchcase(path, fault.path):
                fault.times -= 1
                if fault.times == 0:
                    self.waiting.remove(fault)
                return fault
        return None

    def asked_for(self, path: str, values: Json, key: tuple[str, str] | None) -> Fault | None:
        """What the request's own `metadata[simulate_timeout]` asks for: once for each idempotency key."""
        metadata = values.get("metadata")
        wanted = metadata.get(METADATA) if isinstance(metadata, dict) else None
        if wanted not in {"done", "not_done"} or key in self.silenced:
            return None
        if key:
            self.silenced.add(key)
        return Fault(path=path, silence="close", when="after" if wanted == "done" else "before")

    def delay_of(self, path: str) -> float:
        return self.delay if fnmatchcase(path, self.delay_path) else 0.0

    def clear(self) -> None:
        self.waiting.clear()
        self.silenced.clear()
        self.delay, self.delay_path = 0.0, "*"

    def as_json(self) -> list[Json]:
        return [vars(fault).copy() for fault in self.waiting]
