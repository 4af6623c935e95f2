"""What a crowd does, as the process that starts it writes it down for the one that plays it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Person:
    """Somebody with an account, who is signed in already."""

    number: int
    player: int
    session: str
    address: str


@dataclass(frozen=True)
class Plan:
    """Times are seconds since 1970, shares 0 to 1 of those who are offered a seat; the rest take it up and pay.

    Everybody opens the tournament's page between `arrive_at` and `join_at`, and joins within `seconds` after `join_at`.
    """

    port: int
    live_port: int
    slug: str
    arrive_at: float
    join_at: float
    seconds: float
    declined: float = 0.1  # of those who pay: their first card is
    declines: float = 0.05  # say no to the offer
    ignores: float = 0.1  # miss it
    returns: float = 0.5  # of those who missed it: step back in, and pay then
    thinks: float = 6.0  # seconds at most before a click, each time
    seed: int = 1

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def write(path: Path, plan: Plan, people: list[Person]) -> None:
    path.write_text(json.dumps({"plan": asdict(plan), "people": [asdict(person) for person in people]}))


def read(path: Path) -> tuple[Plan, list[Person]]:
    found = json.loads(path.read_text())
    return Plan(**found["plan"]), [Person(**person) for person in found["people"]]
