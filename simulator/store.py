"""All state, in one SQLite file (or in memory), so that a restart keeps it.

Objects are kept as the JSON that Stripe would answer, plus private fields whose names begin with `_`.
"""

import json
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    account TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS object_by_kind ON object (kind, account, sequence);
CREATE INDEX IF NOT EXISTS object_by_intent ON object (kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS object_by_charge ON object (kind, json_extract(body, '$.charge'));
CREATE INDEX IF NOT EXISTS session_by_end ON object (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE INDEX IF NOT EXISTS intent_by_authorisation ON object (json_extract(body, '$._authorised_at'))
    WHERE kind = 'payment_intent' AND json_extract(body, '$.status') = 'requires_capture';
CREATE INDEX IF NOT EXISTS object_by_ending ON object (json_extract(body, '$._due_at'))
    WHERE json_extract(body, '$._due_at') IS NOT NULL;
CREATE INDEX IF NOT EXISTS object_by_customer ON object (kind, json_extract(body, '$.customer'));
CREATE INDEX IF NOT EXISTS object_by_source ON object (kind, json_extract(body, '$.source'));
CREATE TABLE IF NOT EXISTS answer (
    scope TEXT NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, request_id TEXT NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (scope, key));
CREATE INDEX IF NOT EXISTS answer_by_age ON answer (created);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    attempts INTEGER NOT NULL, due_at REAL, last_answer TEXT);
CREATE INDEX IF NOT EXISTS delivery_by_event ON delivery (event);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

COLUMNS = {"account", "sequence"}
ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """`pi_` and the like, followed by `length` random letters and digits."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


class Store:
    """One connection, used by one thread; every request is one transaction."""

    def __init__(self, path: str | None = None) -> None:
        self.database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self.database.row_factory = sqlite3.Row
        if path:
            self.database.execute("PRAGMA journal_mode = WAL")
            self.database.execute("PRAGMA synchronous = NORMAL")
        self.database.executescript(SCHEMA)

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def empty(self) -> None:
        """Forget everything, the clock's advance too."""
        for table in ("object", "answer", "delivery", "setting"):
            self.database.execute(f"DELETE FROM {table}")  # noqa: S608 (names from the line above)

    # Settings that outlive a restart: the clock's advance, what the control endpoint was told.

    def setting(self, name: str, default: Any = None) -> Any:
        row = self.database.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else default

    def set_setting(self, name: str, value: Any) -> None:
        self.database.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def now(self) -> int:
        """Seconds since 1970 by the simulator's clock, which the control endpoint can advance."""
        return int(time.time()) + int(self.setting("advanced", 0))

    # Objects

    def add(self, body: Json, *, account: str) -> Json:
        self.database.execute(
            "INSERT INTO object (id, kind, account, body) VALUES (?, ?, ?, ?)",
            (body["id"], body["object"], account, json.dumps(body)),
        )
        return body

    def save(self, body: Json) -> Json:
        self.database.execute("UPDATE object SET body = ? WHERE id = ?", (json.dumps(body), body["id"]))
        return body

    def remove(self, object_id: str) -> None:
        self.database.execute("DELETE FROM object WHERE id = ?", (object_id,))

    def find(self, object_id: str, *, kind: str | None = None, account: str | None = None) -> Json | None:
        row = self.database.execute("SELECT kind, account, body FROM object WHERE id = ?", (object_id,)).fetchone()
        if row is None or (kind or row["kind"]) != row["kind"]:
            return None
        if account is not None and account != row["account"]:
            return None
        return _loaded(row)

    def account_of(self, object_id: str) -> str:
        row = self.database.execute("SELECT account FROM object WHERE id = ?", (object_id,)).fetchone()
        return str(row["account"]) if row else ""

    def place(self, object_id: str) -> int | None:
        """Where an object stands in the order of their making."""
        row = self.database.execute("SELECT sequence FROM object WHERE id = ?", (object_id,)).fetchone()
        return int(row["sequence"]) if row else None

    def select(self, kind: str, where: Mapping[str, Any], *, limit: int = -1, oldest_first: bool = False) -> list[Json]:
        """Objects of a kind, newest first.

        `where` maps a column or a field of the object, maybe with an operator (`customer`, `created >=`, `type in`), to
        a value; for `in` that is a list.
        """
        clauses, values = ["kind = ?"], [kind]
        for condition, value in where.items():
            name, _, operator = condition.partition(" ")
            column = name if name in COLUMNS else f"json_extract(body, '$.{name}')"
            if operator == "in":
                clauses.append(column + " IN (SELECT value FROM json_each(?))")  # noqa: S608 (names are our own)
                values.append(json.dumps(value))
            else:
                clauses.append(f"{column} {operator or '='} ?")
                values.append(value)
        order = f"ORDER BY sequence {'ASC' if oldest_first else 'DESC'} LIMIT {limit}"
        query = f"SELECT body FROM object WHERE {' AND '.join(clauses)} {order}"  # noqa: S608 (names are our own)
        return [_loaded(row) for row in self.database.execute(query, values)]

    def kinds(self) -> dict[str, int]:
        return dict(self.database.execute("SELECT kind, count(*) FROM object GROUP BY kind ORDER BY kind").fetchall())

    # What the clock ends. The indexes hold only what can still end, so that asking before each request costs nothing;
    # SQLite would guess otherwise.

    def sessions_due(self, now: int) -> list[Json]:
        rows = self.database.execute(
            "SELECT body FROM object INDEXED BY session_by_end WHERE kind = 'checkout.session' "
            "AND json_extract(body, '$.status') = 'open' AND json_extract(body, '$.expires_at') <= ?",
            (now,),
        )
        return [_loaded(row) for row in rows]

    def authorisations_due(self, before: int) -> list[Json]:
        """Intents whose card was authorised at that moment or before, and never captured."""
        rows = self.database.execute(
            "SELECT body FROM object INDEXED BY intent_by_authorisation WHERE kind = 'payment_intent' "
            "AND json_extract(body, '$.status') = 'requires_capture' AND json_extract(body, '$._authorised_at') <= ?",
            (before,),
        )
        return [_loaded(row) for row in rows]

    def endings_due(self, now: int) -> list[Json]:
        """Refunds and disputes whose time has come."""
        rows = self.database.execute(
            "SELECT body FROM object INDEXED BY object_by_ending WHERE json_extract(body, '$._due_at') IS NOT NULL "
            "AND json_extract(body, '$._due_at') <= ? ORDER BY sequence",
            (now,),
        )
        return [_loaded(row) for row in rows]


def _loaded(row: sqlite3.Row) -> Json:
    body: Json = json.loads(row["body"])
    return body


def public(body: Json) -> Json:
    """What Stripe would show: without our private fields."""
    return {name: value for name, value in body.items() if not name.startswith("_")}
