#!/usr/bin/env python3
"""Checks a draw of VGC Hub: recomputes every field of its bundle, and names the first that differs.

    python verify_draw.py bundle.json                                 everything about a draw (bundle.json.gz will do as well)
    python verify_draw.py bundle.json --sha256 91ab...                the same, and that it is the draw whose hash was published
    python verify_draw.py bundle.json --id 5f0c...                    the same, and what the draw made of one entry
    python verify_draw.py --manifest manifest.json --sha256 91ab...   that a sealed manifest is the one whose hash was published

It needs Python 3.9 or newer and nothing else, asks nobody, and writes nothing. Only the signature of a drand round takes a package:
`pip install py_ecc`. Without it, or without the key of a chain other than quicknet (--chain-key), the signature is left unchecked,
and the output says so.

Exit code: 0 if all that could be checked holds, 1 at the first difference, 2 if there was nothing to check (no file, no JSON, wrong
usage).
"""

from __future__ import annotations

import argparse
import gc
import gzip
import hashlib
import io
import json
import re
import sys
import zlib
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import Any, NamedTuple

ALGORITHM = "vgchub-draw/1"
QUICKNET = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
CHAIN_KEYS = {
    QUICKNET: (
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
        "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    )
}
QUICKNET_GENESIS, QUICKNET_PERIOD = 1692803367, 3  # seconds
# Between the seal and the round, lest somebody knows the value when the entries are sealed.
LEADS = {"lottery": (timedelta(minutes=10), "10 minutes"), "opening": (timedelta(seconds=30), "30 seconds")}
SIGNATURE_DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
LARGEST_FILE = 2 * 1024**3  # bytes, unpacked
LARGEST_NUMBER = 2**53 - 1
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)Z", re.ASCII)


class Entry(NamedTuple):
    """An object of the manifest's list of entries. There are many, and so they are kept small."""

    division: Any
    group: Any
    id: Any
    tickets: Any


class DifferenceError(Exception):
    """The bundle says one thing, and it should be another."""

    def __init__(self, path: str, says: object, should: str) -> None:
        super().__init__(f"{path}: it says {shown(says)}, it should be {should}")


class UnreadableError(Exception):
    """There is nothing that could be checked."""


class Nothing:
    """Stands where the other side has something."""


class Malformed:
    """Stands for what JSON may say and a draw may not, so that it differs at its place, whatever should be there."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __str__(self) -> str:
        return self.words


def shown(value: object) -> str:
    """A value in plain ASCII, cut short."""
    if isinstance(value, Nothing):
        return "nothing"
    if isinstance(value, Malformed):
        text = value.words
    else:
        text = json.dumps(value._asdict() if isinstance(value, Entry) else value, default=str)
    return text if len(text) <= 160 else text[:150] + "... (shortened)"


def at(path: str, name: str) -> str:
    """The path of an object's member."""
    return f"{path}.{name}" if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f"{path}[{json.dumps(name)}]"


# Reading


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # it is open() that knows all that can be wrong with a path
            data = file.read(LARGEST_FILE + 1)
        if data.startswith(b"\x1f\x8b"):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST_FILE + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(f"{path!a} can't be read: {reason!s:.200}.") from None
    if len(data) > LARGEST_FILE:
        raise UnreadableError(f"{path!a} is larger than any draw.")
    return data


def members_once(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        return Malformed(f"an object that has the name {shown(twice)} twice")
    if len(found) == 4 and found.keys() == {"division", "group", "id", "tickets"}:
        return Entry(**found)
    return found


def whole_number(digits: str) -> Any:
    if len(digits) > 17 or digits == "-0" or abs(int(digits)) > LARGEST_NUMBER:
        return Malformed(digits)
    return int(digits)


def no_json(text: str) -> Any:
    raise ValueError(f"it says {text}")


def parse(path: str) -> Any:
    try:
        text = read(path).decode("utf-8")
        return json.loads(
            text,
            object_pairs_hook=members_once,
            parse_int=whole_number,
            parse_float=Malformed,
            parse_constant=no_json,
        )
    except ValueError as error:
        raise UnreadableError(f"{path!a} is not JSON: {error!s:.200}.") from None


# Comparing


def compare(path: str, says: Any, should: Any) -> None:
    """Raises DifferenceError at the first place where the two are not the same."""
    if type(says) is type(should) and says == should:
        return
    if isinstance(says, dict) and isinstance(should, dict):
        for name in sorted(says.keys() | should.keys()):
            compare(at(path, name), says.get(name, Nothing()), should.get(name, Nothing()))
    elif type(says) is list and type(should) is list:
        shorter = min(len(says), len(should))
        for index in range(shorter):
            compare(f"{path}[{index}]", says[index], should[index])
        for index in range(shorter, max(len(says), len(should))):
            compare(f"{path}[{index}]", (says[index:] or [Nothing()])[0], (should[index:] or [Nothing()])[0])
    else:
        raise DifferenceError(path, says, shown(should))


def an_object(path: str, value: Any, names: str, optional: str = "") -> dict[str, Any]:
    if type(value) is not dict:
        raise DifferenceError(path, value, f"an object with {names}")
    for name in names.split():
        if name not in value:
            raise DifferenceError(at(path, name), Nothing(), "there")
    for name in value:
        if name not in names.split() and name != optional:
            raise DifferenceError(at(path, name), value[name], "left out")
    return value


def a_list(path: str, value: Any) -> list[Any]:
    if type(value) is not list:
        raise DifferenceError(path, value, "a list")
    return value


def a_text(path: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isascii():
        raise DifferenceError(path, value, "a text in ASCII")
    return value


def a_number(path: str, value: Any, lowest: int, highest: int = LARGEST_NUMBER) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise DifferenceError(path, value, f"a whole number from {lowest} to {highest}")
    return value


def some_bytes(path: str, value: Any, length: int) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", value):
        raise DifferenceError(path, value, f"{length} bytes as lowercase hex")
    return bytes.fromhex(value)


def ascending(path: str, values: list[str]) -> None:
    for index in range(1, len(values)):
        if values[index] <= values[index - 1]:
            raise DifferenceError(f"{path}[{index}]", values[index], f"greater than {shown(values[index - 1])}")


# The manifest


def check_manifest(manifest: Any) -> None:
    """Its form: what is there, of which kind, within which bounds, in which order."""
    an_object("manifest", manifest, "algorithm divisions draw entries entropy kind sealed_at tournament", "supersedes")
    compare("manifest.algorithm", manifest["algorithm"], ALGORITHM)
    for name in ("draw", "tournament", "supersedes"):
        if name in manifest:
            a_text(f"manifest.{name}", manifest[name])
    if manifest["kind"] not in ("lottery", "opening"):
        raise DifferenceError("manifest.kind", manifest["kind"], '"lottery" or "opening"')
    sealing_time(manifest)
    check_named_entropy(manifest["entropy"])
    check_divisions(a_list("manifest.divisions", manifest["divisions"]))
    check_entries(a_list("manifest.entries", manifest["entries"]), {each["code"] for each in manifest["divisions"]})


def sealing_time(manifest: dict[str, Any]) -> datetime:
    says = manifest["sealed_at"]
    try:
        moment = MOMENT.fullmatch(says)[1]  # type: ignore[index]
        form = "%Y-%m-%dT%H:%M:%S.%f" if "." in moment else "%Y-%m-%dT%H:%M:%S"
        return datetime.strptime(moment, form).replace(tzinfo=timezone.utc)
    except (TypeError, ValueError):
        raise DifferenceError("manifest.sealed_at", says, "a time like 2026-11-22T19:00:00Z") from None


def check_named_entropy(entropy: Any) -> None:
    path = "manifest.entropy"
    if isinstance(entropy, dict) and entropy.get("kind") == "drand":
        an_object(path, entropy, "kind chain round")
        some_bytes(f"{path}.chain", entropy["chain"], 32)
        a_number(f"{path}.round", entropy["round"], 1)
    else:
        an_object(path, entropy, "kind commitment")
        compare(f"{path}.kind", entropy["kind"], "commit-reveal")
        some_bytes(f"{path}.commitment", entropy["commitment"], 32)


def check_divisions(divisions: list[Any]) -> None:
    for index, division in enumerate(divisions):
        path = f"manifest.divisions[{index}]"
        an_object(path, division, "code seats reserved")
        a_text(f"{path}.code", division["code"])
        a_number(f"{path}.seats", division["seats"], 0)
        groups = set()
        for number, reserve in enumerate(a_list(f"{path}.reserved", division["reserved"])):
            place = f"{path}.reserved[{number}]"
            an_object(place, reserve, "group seats")
            a_number(f"{place}.seats", reserve["seats"], 0)
            if a_text(f"{place}.group", reserve["group"]) in groups:
                raise DifferenceError(f"{place}.group", reserve["group"], "a group that has no reserve yet")
            groups.add(reserve["group"])
        if open_seats(division) < 0:
            raise DifferenceError(f"{path}.seats", division["seats"], "at least as many as are reserved")
    ascending("manifest.divisions", [division["code"] for division in divisions])


def open_seats(division: dict[str, Any]) -> int:
    return int(division["seats"] - sum(reserve["seats"] for reserve in division["reserved"]))


def check_entries(entries: list[Any], codes: set[str]) -> None:
    is_id = re.compile("[0-9a-f]{24,}").fullmatch
    for index, entry in enumerate(entries):
        path = f"manifest.entries[{index}]"
        if type(entry) is not Entry:
            raise DifferenceError(path, entry, "an object with division group id tickets")
        if not isinstance(entry.id, str) or not is_id(entry.id):
            raise DifferenceError(f"{path}.id", entry.id, "24 or more digits of lowercase hex")
        if not isinstance(entry.division, str) or entry.division not in codes:
            raise DifferenceError(f"{path}.division", entry.division, "one of the draw's divisions")
        if entry.group is not None:
            a_text(f"{path}.group", entry.group)
        a_number(f"{path}.tickets", entry.tickets, 1, 64)
    ascending("manifest.entries", [entry.id for entry in entries])


def manifest_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 of RFC 8785's canonical JSON, which for a manifest of good form is: names sorted, no white space, ASCII."""
    digest = hashlib.sha256()
    before = "{"
    for name in sorted(manifest):
        digest.update(f"{before}{canonical(name)}:".encode("ascii"))
        before = ","
        if name == "entries":
            hash_entries(digest, manifest["entries"])
        else:
            digest.update(canonical(manifest[name]).encode("ascii"))
    digest.update(b"}")
    return digest.hexdigest()


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_entries(digest: Any, entries: list[Entry]) -> None:
    values = {entry.division for entry in entries} | {entry.group for entry in entries}
    quoted = {value: canonical(value) for value in values}
    digest.update(b"[")
    for start in range(0, len(entries), 10000):
        texts = [
            f'{{"division":{quoted[division]},"group":{quoted[group]},"id":"{entry_id}","tickets":{tickets}}}'
            for division, group, entry_id, tickets in entries[start : start + 10000]
        ]
        digest.update((((start and ",") or "") + ",".join(texts)).encode("ascii"))
    digest.update(b"]")


# Entropy and seed


def check_entropy(named: dict[str, Any], entropy: Any) -> bytes:
    """What was revealed against what the manifest named. Returns the bytes that go into the seed."""
    if named["kind"] == "commit-reveal":
        an_object("entropy", entropy, "kind secret")
        compare("entropy.kind", entropy["kind"], named["kind"])
        secret = some_bytes("entropy.secret", entropy["secret"], 32)
        if hashlib.sha256(secret).hexdigest() != named["commitment"]:
            raise DifferenceError("entropy.secret", entropy["secret"], f"what {named['commitment']} is the SHA-256 of")
        return b"secret\0" + secret
    an_object("entropy", entropy, "kind chain round randomness signature")
    for name in ("kind", "chain", "round"):
        compare(f"entropy.{name}", entropy[name], named[name])
    signature = some_bytes("entropy.signature", entropy["signature"], 48)
    compare("entropy.randomness", entropy["randomness"], hashlib.sha256(signature).hexdigest())
    number = int.to_bytes(entropy["round"], 8, "big")
    return b"drand\0" + bytes.fromhex(entropy["chain"]) + number + bytes.fromhex(entropy["randomness"])


def check_signature(entropy: dict[str, Any], chain_key: str | None) -> str:
    """Raises DifferenceError if the chain did not sign this round. Returns why that could not be checked, or an empty text."""
    key = CHAIN_KEYS.get(entropy["chain"], chain_key)
    if key is None:
        return f"the key of the chain {entropy['chain']} is not known here: give it by --chain-key"
    try:
        genuine = is_signed(key, entropy["round"], entropy["signature"])
    except ImportError:
        return "py_ecc is not installed (pip install py_ecc)"
    if not genuine:
        raise DifferenceError("entropy.signature", entropy["signature"], "what the chain signed for this round")
    return ""


def is_signed(key: str, round_number: int, signature: str) -> bool:
    """BLS12-381 with signatures on G1, hashed as RFC 9380 says: e(signature, G2) = e(H(SHA-256(round)), key)."""
    # Present on some machines only, and slow to load.
    curve = import_module("py_ecc.optimized_bls12_381")
    points = import_module("py_ecc.bls.point_compression")
    hashing = import_module("py_ecc.bls.hash_to_curve")
    in_subgroup = import_module("py_ecc.bls.g2_primitives").subgroup_check
    try:
        signed = points.decompress_G1(int(signature, 16))
        public = points.decompress_G2((int(key[:96], 16), int(key[96:], 16)))
    except ValueError:
        return False
    if any(curve.is_inf(point) or not in_subgroup(point) for point in (signed, public)):
        return False
    message = hashlib.sha256(round_number.to_bytes(8, "big")).digest()
    hashed = hashing.hash_to_G1(message, SIGNATURE_DOMAIN, hashlib.sha256)
    return bool(curve.pairing(curve.G2, signed) == curve.pairing(public, hashed))


def published_at(round_number: int) -> datetime | None:
    """When quicknet published a round; None past the calendar's end."""
    try:
        start = datetime.fromtimestamp(QUICKNET_GENESIS, timezone.utc)
        return start + timedelta(seconds=QUICKNET_PERIOD * (round_number - 1))
    except OverflowError:
        return None


# The order and the seats


def ordered(seed: bytes, entries: list[Entry]) -> tuple[list[list[str]], list[Entry]]:
    """The ranking as the bundle has it, `[[key, id], ...]`, and the entries in that order."""
    # A ticket is an HMAC, written out as in RFC 2104: what all tickets begin with is hashed once.
    block = seed + bytes(32)
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + b"vgchub-draw/1 ticket\0")
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    numbers = [b"\0" + number.to_bytes(4, "big") for number in range(64)]

    def ticket(entry_id: bytes, number: bytes) -> bytes:
        within, around = inner.copy(), outer.copy()
        within.update(entry_id + number)
        around.update(within.digest())
        return around.digest()

    keys = []
    for entry in entries:
        entry_id = entry.id.encode("ascii")
        keys.append(min([ticket(entry_id, number) for number in numbers[: entry.tickets]]).hex())
    # Entries are sorted by id and the sort is stable, so that equal keys stay in the order of their ids.
    order = sorted(range(len(entries)), key=keys.__getitem__)
    return [[keys[index], entries[index].id] for index in order], [entries[index] for index in order]


def seats_taken(divisions: list[dict[str, Any]], line: list[Entry]) -> dict[str, dict[str, list[Any]]]:
    """The allocation as the bundle has it: down the line, a seat of the own group's, else an open one, else the waitlist."""
    free = {(each["code"], reserve["group"]): reserve["seats"] for each in divisions for reserve in each["reserved"]}
    free.update({(each["code"], None): open_seats(each) for each in divisions})
    allocation: dict[str, dict[str, list[Any]]] = {each["code"]: {"seated": [], "waitlist": []} for each in divisions}
    for division, group, entry_id, _tickets in line:
        for kind in (group, None):
            if free.get((division, kind), 0) > 0:
                free[division, kind] -= 1
                allocation[division]["seated"].append([entry_id, kind])
                break
        else:
            allocation[division]["waitlist"].append(entry_id)
    return allocation


# The command


def say(outcome: str, field: str, words: object = "") -> None:
    print(f"{outcome:<10} {field:<16} {words}".rstrip())


def verify_manifest(manifest: Any, published: str | None) -> str:
    """Its form, and the hash that was published, where it was given. Returns the hash that it has."""
    check_manifest(manifest)
    say(
        "holds", "manifest", f"{len(manifest['entries'])} entries, {len(manifest['divisions'])} divisions, in good form"
    )
    digest = manifest_hash(manifest)
    if published is not None:
        compare("SHA-256 of the manifest", digest, published.lower())
        say("holds", "published hash", digest)
    return digest


def verify_bundle(
    bundle: Any, published: str | None, chain_key: str | None
) -> tuple[bool, list[Entry], list[list[str]]]:
    """Raises DifferenceError at the first difference. Returns whether nothing was left out, and the line with its keys."""
    an_object("bundle", bundle, "manifest manifest_sha256 entropy seed ranking allocation")
    manifest = bundle["manifest"]
    digest = verify_manifest(manifest, published)
    compare("manifest_sha256", bundle["manifest_sha256"], digest)
    say("holds", "manifest_sha256", digest)
    if published is None:
        say("note", "manifest_sha256", "compare it with the one that you saw before the draw, or give that by --sha256")
    entropy = check_entropy(manifest["entropy"], bundle["entropy"])
    complete = verify_source(manifest, bundle["entropy"], chain_key)
    seed = hashlib.sha256(b"vgchub-draw/1 seed\0" + bytes.fromhex(digest) + entropy)
    compare("seed", bundle["seed"], seed.hexdigest())
    say("holds", "seed", seed.hexdigest())
    ranking, line = ordered(seed.digest(), manifest["entries"])
    compare("ranking", bundle["ranking"], ranking)
    say("holds", "ranking", f"{len(ranking)} keys and their order")
    compare("allocation", bundle["allocation"], seats_taken(manifest["divisions"], line))
    seated = sum(len(seats["seated"]) for seats in bundle["allocation"].values())
    say("holds", "allocation", f"{seated} have a seat, {len(line) - seated} are on a waitlist")
    return complete, line, ranking


def verify_source(manifest: dict[str, Any], entropy: dict[str, Any], chain_key: str | None) -> bool:
    """Says where the randomness came from, and what that is worth. Returns False if a signature was left unchecked."""
    if entropy["kind"] == "commit-reveal":
        say("holds", "entropy", "the secret is the one that was committed to")
        say("note", "entropy", "the organizer knew it, and has to be trusted not to have chosen the entries to fit")
        return True
    say("holds", "entropy", f"round {entropy['round']}, as the manifest named it")
    obstacle = check_signature(entropy, chain_key)
    if obstacle:
        say("UNCHECKED", "signature", obstacle)
    else:
        say("holds", "signature", "the chain signed this round")
    published = published_at(entropy["round"]) if entropy["chain"] == QUICKNET else None
    if published:
        say("note", "entropy", what_time_tells(manifest, published))
    return not obstacle


def what_time_tells(manifest: dict[str, Any], published: datetime) -> str:
    """What a round that was published then is worth to a draw that was sealed when the manifest says."""
    lead, words = LEADS[manifest["kind"]]
    moment = f"{published:%Y-%m-%d %H:%M:%S} UTC"
    if published - sealing_time(manifest) >= lead:
        return f"fair if the hash was public before {moment}"
    return f"the round was public on {moment}, not {words} or more after the sealing: somebody may have known it before"


def own_result(entry_id: str, line: list[Entry], bundle: dict[str, Any], ranking: list[list[str]]) -> None:
    rank = next((index for index, entry in enumerate(line) if entry.id == entry_id), None)
    if rank is None:
        raise DifferenceError("--id", entry_id, "the id of an entry in this draw")
    entry = line[rank]
    seats = bundle["allocation"][entry.division]
    place = 1 + sum(other.division == entry.division for other in line[:rank])
    say("yours", "tickets", entry.tickets)
    say("yours", "key", ranking[rank][0])
    say("yours", "rank", f"{rank + 1} of {len(line)}; in {shown(entry.division)} {place}")
    taken = [kind for seated, kind in seats["seated"] if seated == entry_id]
    if taken:
        say("yours", "seat", "an open one" if taken[0] is None else f"one reserved for {shown(taken[0])}")
    else:
        say("yours", "waitlist", f"{seats['waitlist'].index(entry_id) + 1} of {len(seats['waitlist'])}")


def options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checks a draw of VGC Hub: recomputes every field of its bundle.")
    parser.add_argument("bundle", nargs="?", help="the bundle, as JSON or gzip-compressed JSON")
    parser.add_argument("--id", metavar="ENTRY", help="also say what the draw made of this entry")
    parser.add_argument(
        "--chain-key", metavar="HEX", help="public key of a drand chain other than quicknet (96 bytes, on G2)"
    )
    parser.add_argument("--manifest", metavar="FILE", help="check a sealed manifest instead of a bundle")
    parser.add_argument("--sha256", metavar="HEX", help="the hash that was published for the manifest")
    chosen = parser.parse_args(arguments)
    if (chosen.bundle is None) == (chosen.manifest is None) or (chosen.manifest and not chosen.sha256):
        parser.error("give a bundle, or --manifest with --sha256")
    if chosen.manifest and (chosen.id or chosen.chain_key):
        parser.error("--id and --chain-key go with a bundle")
    for name, digits in (("sha256", 64), ("chain_key", 192)):
        if getattr(chosen, name) and not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", getattr(chosen, name)):
            parser.error(f"--{name.replace('_', '-')} takes {digits} digits of hex")
    return chosen


def run(chosen: argparse.Namespace) -> str:
    """Returns the closing words."""
    if chosen.manifest:
        verify_manifest(parse(chosen.manifest), chosen.sha256)
        return "The manifest is the one with this hash."
    bundle = parse(chosen.bundle)
    complete, line, ranking = verify_bundle(bundle, chosen.sha256, chosen.chain_key)
    if chosen.id:
        own_result(chosen.id, line, bundle, ranking)
    return "Everything holds." if complete else "Everything that was checked holds; the signature was left unchecked."


def main(arguments: list[str] | None = None) -> int:
    chosen = options(arguments)
    gc.disable()  # millions of small lists and not one circle among them: looking for circles would take most of the time
    try:
        print(run(chosen))
    except DifferenceError as difference:
        print(f"DIFFERS    {difference}.")
        return 1
    except (UnreadableError, RecursionError, MemoryError) as error:
        print(
            f"{error}"
            if isinstance(error, UnreadableError)
            else f"The file can't be checked here: {type(error).__name__}."
        )
        return 2
    finally:
        gc.enable()
    return 0


if __name__ == "__main__":
    sys.exit(main())
