"""Failures on order, for tests and the curious: late answers, refusals, answers lost after the deed."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from simulator.errors import ApiError
from simulator.store import Json

# Answers of the endpoint itself, which an idempotency key replays; others happen on the way to it or back.
OF_THE_ENDPOINT = {400, 402, 403, 404, 500}


@dataclass(kw_only=True)
class Fault:
    """`path` may hold `*`; `when` is `before` or `after` the request took effect."""

    path: str
    status: int
    times: int = 1
    method: str = "*"
    when: str = "before"
    code: str = ""
    message: str = "The simulator was told to fail this request."

    @property
    def is_kept(self) -> bool:
        return self.status in OF_THE_ENDPOINT

    def error(self) -> ApiError:
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

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that fits, used up by one."""
        for fault in self.waiting:
            if fault.method in {"*", method} and fnmatchcase(path, fault.path):
                fault.times -= 1
                if fault.times == 0:
                    self.waiting.remove(fault)
                return fault
        return None

    def delay_of(self, path: str) -> float:
        return self.delay if fnmatchcase(path, self.delay_path) else 0.0

    def clear(self) -> None:
        self.waiting.clear()
        self.delay, self.delay_path = 0.0, "*"

    def as_json(self) -> list[Json]:
        return [vars(fault).copy() for fault in self.waiting]
