"""Players who join another tournament, a few each second, from a process of their own."""

import json
import subprocess
import sys
import time
from types import TracebackType
from typing import Any

RATE = 20  # a second


class Joins:
    """Joins go on as long as the `with` lasts."""

    def __enter__(self) -> "Joins":
        argv = [sys.executable, "-u", "-m", "bench.draw_joins"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        self._answer()  # it is ready
        return self

    def p95_ms(self, *, seconds: float = 0) -> float:
        """Of the joins since this was last asked, and so many seconds more."""
        time.sleep(seconds)
        assert self._process.stdin is not None  # noqa: S101  a pipe was asked for
        print(file=self._process.stdin, flush=True)
        p95: float = self._answer()
        return p95

    def _answer(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101
        return json.loads(self._process.stdout.readline())

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()


def main() -> None:
    """Join until ended; a line on stdin is answered with the p95 since the last one."""
    import django  # noqa: PLC0415

    django.setup()
    from threading import Thread  # noqa: PLC0415

    times: list[float] = []
    Thread(target=_join_on, args=(times,), daemon=True).start()
    while len(times) < RATE:
        time.sleep(0.05)
    print(json.dumps("ready"))
    times.clear()
    for _line in sys.stdin:
        took = sorted(times.copy())
        times.clear()
        print(json.dumps(round(took[int(len(took) * 0.95)] * 1000, 1) if took else None))


def _join_on(times: list[float]) -> None:
    from registrations.services import join_queue  # noqa: PLC0415
    from tests.builders import make_player, make_tournament  # noqa: PLC0415

    tournament = make_tournament()
    players = [make_player() for _ in range(200)]
    due = time.perf_counter()
    while True:
        for player in players or [make_player()]:
            due += 1 / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            join_queue(account=player.account, tournament=tournament, player_ids=[player.pk])
            times.append(time.perf_counter() - began)
        players = [make_player() for _ in range(200)]


if __name__ == "__main__":
    main()
