"""Idempotency keys: the first answer to a key is kept for a day and given again, as Stripe documents it."""

import hashlib
import json
from dataclasses import dataclass

from simulator.errors import key_in_use, key_mismatch
from simulator.settings import IDEMPOTENCY_KEY_LASTS
from simulator.store import Json, Store


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Json
    request_id: str


class Keys:
    """The keys of one store. `in_flight` lives in memory: what died with the process may be tried again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.in_flight: set[tuple[str, str]] = set()

    def earlier_answer(self, *, scope: str, key: str, path: str, params: Json) -> Answer | None:
        """What was answered to this key before; raises when that was for something else, or is under way."""
        if (scope, key) in self.in_flight:
            raise key_in_use(key)
        row = self.store.database.execute(
            "SELECT * FROM answer WHERE scope = ? AND key = ? AND created > ?",
            (scope, key, self.store.now() - IDEMPOTENCY_KEY_LASTS),
        ).fetchone()
        if row is None:
            return None
        other_key = f"Try using a key other than '{key}' if you meant to execute a different request."
        if row["path"] != path:
            raise key_mismatch(
                "Keys for idempotent requests can only be used for the same endpoint they were first used "
                f"for ('{path}' vs '{row['path']}'). {other_key}"
            )
        if row["fingerprint"] != fingerprint(params):
            raise key_mismatch(
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. {other_key}"
            )
        return Answer(status=row["status"], body=json.loads(row["body"]), request_id=row["request_id"])

    def keep(self, answer: Answer, *, scope: str, key: str, path: str, params: Json) -> None:
        self.store.database.execute(
            "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                scope,
                key,
                path,
                fingerprint(params),
                answer.status,
                json.dumps(answer.body),
                answer.request_id,
                self.store.now(),
            ),
        )


def fingerprint(params: Json) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
