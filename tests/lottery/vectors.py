"""The published vectors: three whole draws, and real rounds of drand. `vectors.json` holds them as they were given."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from lottery.drawing import Division, Entry, Head, Reserve

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())
DRAND: dict[str, Any] = VECTORS["drand"]
DRAWS: dict[str, dict[str, Any]] = {draw["name"]: draw for draw in VECTORS["draws"]}


def revealed_by(draw: dict[str, Any]) -> dict[str, Any]:
    """A vector's entropy as a bundle has it: drand's with the signature of its round."""
    signatures = {known["round"]: known["signature"] for known in DRAND["rounds"]}
    entropy: dict[str, Any] = dict(draw["entropy"])
    return entropy | {"signature": signatures[entropy["round"]]} if entropy["kind"] == "drand" else entropy


def bundle_of(draw: dict[str, Any]) -> dict[str, Any]:
    """A vector as the bundle that is offered for download."""
    same = {name: draw[name] for name in ("manifest", "manifest_sha256", "seed", "ranking", "allocation")}
    return same | {"entropy": revealed_by(draw)}


def divisions_of(manifest: dict[str, Any]) -> tuple[Division, ...]:
    return tuple(
        Division(each["code"], each["seats"], tuple(Reserve(**reserve) for reserve in each["reserved"]))
        for each in manifest["divisions"]
    )


def head_of(manifest: dict[str, Any]) -> Head:
    return Head(
        draw=manifest["draw"],
        tournament=manifest["tournament"],
        kind=manifest["kind"],
        sealed_at=datetime.fromisoformat(manifest["sealed_at"]),
        entropy=manifest["entropy"],
        divisions=divisions_of(manifest),
        supersedes=manifest.get("supersedes"),
    )


def entries_of(manifest: dict[str, Any]) -> list[Entry]:
    return [Entry(**entry) for entry in manifest["entries"]]
