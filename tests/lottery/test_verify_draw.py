"""The stand-alone verifier: it agrees with every vector, and no tampering gets past it."""

import ast
import gzip
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lottery.beacon import QUICKNET
from lottery.drawing import (
    Division,
    Entry,
    Head,
    Reserve,
    Result,
    bundle_pieces,
    canonical,
    commitment_of,
    entropy_bytes,
    manifest_pieces,
    rank,
    seed_of,
)
from tests.lottery.vectors import DRAND, DRAWS, bundle_of, entries_of

SOURCE = Path(__file__).parents[2] / "static" / "verify_draw.py"
BUNDLES = {name: bundle_of(draw) for name, draw in DRAWS.items()}

every_bundle = pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES.keys())
# Every example writes its own bundle over the last one's.
one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Verify = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_draw", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import_module(
        "py_ecc.bls.hash_to_curve"
    )  # it raises the recursion limit when loaded, which must not happen inside an example
    # A pairing takes a second, and the same few rounds are asked about a thousand times.
    module.is_signed = lru_cache(module.is_signed)  # type: ignore[attr-defined]
    return module


@pytest.fixture
def verify(verifier: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Runs the command on a bundle (or on bytes); returns its exit code and what it printed."""

    def run(bundle: Any, *options: str) -> tuple[int, str]:
        path = tmp_path / "bundle.json"
        path.write_bytes(bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode("ascii"))
        capsys.readouterr()
        code = verifier.main([str(path), *options])
        return code, capsys.readouterr().out

    return run


def last(printed: str) -> str:
    return printed.splitlines()[-1]


def first_difference(verify: Verify, bundle: Any, *options: str) -> str:
    """The path that is named."""
    code, printed = verify(bundle, *options)
    found = re.fullmatch(r"DIFFERS    (.+?): it says .*, it should be .*\.", last(printed))
    assert code == 1, printed
    assert found, printed
    return found[1]


def drawn_again(bundle: dict[str, Any]) -> dict[str, Any]:
    """All that follows from the bundle's manifest and entropy, worked out anew: a forgery without a seam."""
    manifest = bundle["manifest"]
    divisions = tuple(
        Division(each["code"], each["seats"], tuple(Reserve(**reserve) for reserve in each["reserved"]))
        for each in manifest["divisions"]
    )
    digest = hashlib.sha256(canonical(manifest)).digest()
    seed = seed_of(digest, entropy_bytes(bundle["entropy"]))
    entries = {entry.id: entry for entry in entries_of(manifest)}
    ranking = rank(seed, entries.values())
    line = [entries[entry_id] for _key, entry_id in ranking]

    def ranked_in(code: str) -> list[tuple[str, str | None]]:
        return [(entry.id, entry.group) for entry in line if entry.division == code]

    result = Result(divisions, digest, bundle["entropy"], seed)
    drawn: dict[str, Any] = json.loads(b"".join(bundle_pieces(result, [canonical(manifest)], ranking, ranked_in)))
    return drawn


# What holds


@every_bundle
def test_every_vector_holds(verify: Verify, bundle: dict[str, Any]) -> None:
    code, printed = verify(bundle)
    assert (code, last(printed)) == (0, "Everything holds.")
    fields = [line.split()[1] for line in printed.splitlines() if line.startswith("holds")]
    signature = ["signature"] if bundle["entropy"]["kind"] == "drand" else []
    assert fields == ["manifest", "manifest_sha256", "entropy", *signature, "seed", "ranking", "allocation"]


@every_bundle
def test_white_space_order_of_names_and_compression_do_not_matter(verify: Verify, bundle: dict[str, Any]) -> None:
    turned = dict(reversed(bundle.items())) | {"manifest": dict(reversed(bundle["manifest"].items()))}
    assert verify(json.dumps(turned, indent=3).encode())[0] == 0
    assert verify(gzip.compress(canonical(bundle)))[0] == 0


identifiers = st.integers(0, 2**96 - 1).map(lambda number: f"{number:024x}")
players = st.builds(
    Entry,
    identifiers,
    st.sampled_from(["junior", "masters", "senior"]),
    st.sampled_from([None, "champions", "veterans"]),
    st.integers(1, 64),
)


@one_folder
@given(
    field=st.lists(players, max_size=40, unique_by=lambda entry: entry.id),
    seats=st.lists(st.integers(0, 4), min_size=9, max_size=9),
    secret=st.binary(min_size=32, max_size=32),
    supersedes=st.sampled_from([None, "an-earlier-draw"]),
)
def test_whatever_the_site_draws_holds(
    verify: Verify, field: list[Entry], seats: list[int], secret: bytes, supersedes: str | None
) -> None:
    divisions = tuple(
        Division(code, sum(own), (Reserve("champions", own[0]), Reserve("veterans", own[1])))
        for code, own in zip(["junior", "masters", "senior"], [seats[:3], seats[3:6], seats[6:]], strict=True)
    )
    named = {"kind": "commit-reveal", "commitment": commitment_of(secret).hex()}
    head = Head("a-draw", "an-open", "opening", datetime(2026, 6, 10, tzinfo=UTC), named, divisions, supersedes)
    manifest = json.loads(b"".join(manifest_pieces(head, sorted(field, key=lambda entry: entry.id))))
    bundle = drawn_again({"manifest": manifest, "entropy": {"kind": "commit-reveal", "secret": secret.hex()}})
    code, printed = verify(bundle)
    assert code == 0, printed


def test_a_player_sees_the_own_result(verify: Verify) -> None:
    bundle = BUNDLES["regional"]
    allocation = bundle["allocation"]["masters"]
    rank_of = {entry_id: (place, key) for place, (key, entry_id) in enumerate(bundle["ranking"], 1)}
    reserved = next(entry_id for entry_id, group in allocation["seated"] if group == "champions")
    opened = next(entry_id for entry_id, group in allocation["seated"] if group is None)
    expected = {
        reserved: 'yours      seat             one reserved for "champions"',
        opened: "yours      seat             an open one",
        allocation["waitlist"][6]: f"yours      waitlist         7 of {len(allocation['waitlist'])}",
    }
    for entry_id, seat in expected.items():
        code, printed = verify(bundle, "--id", entry_id)
        place, key = rank_of[entry_id]
        assert code == 0
        assert f"yours      key              {key}" in printed
        assert f'yours      rank             {place} of 400; in "masters" ' in printed
        assert seat in printed


def test_an_id_that_is_not_in_the_draw_is_a_failure(verify: Verify) -> None:
    assert first_difference(verify, BUNDLES["tiny"], "--id", "0" * 24) == "--id"


def test_a_bundle_is_held_against_the_hash_that_was_published(verify: Verify) -> None:
    bundle = BUNDLES["tiny"]
    assert verify(bundle, "--sha256", bundle["manifest_sha256"].upper())[0] == 0
    assert first_difference(verify, bundle, "--sha256", "0" * 64) == "SHA-256 of the manifest"


def test_a_sealed_manifest_is_held_against_its_hash(
    verifier: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "manifest.json.gz"
    path.write_bytes(gzip.compress(canonical(BUNDLES["regional"]["manifest"])))
    good = BUNDLES["regional"]["manifest_sha256"]
    assert verifier.main(["--manifest", str(path), "--sha256", good]) == 0
    assert last(capsys.readouterr().out) == "The manifest is the one with this hash."
    assert verifier.main(["--manifest", str(path), "--sha256", "0" * 64]) == 1
    assert last(capsys.readouterr().out).endswith(f'it says "{good}", it should be "{"0" * 64}".')


# Tampering


def other_values(value: Any) -> list[Any]:
    """What a leaf could be made to say instead."""
    if isinstance(value, str):
        flipped = ("0" if value[-1] != "0" else "1") if re.fullmatch(r"[0-9a-f]+", value) else "x"
        return [value[:-1] + flipped, value[:-1], value + "0", value.upper() + " ", "", None, 0, [value]]
    if isinstance(value, int):
        return [value + 1, value - 1, -1, 0 if value else 7, str(value), None, bool(value), 2**53 - 1]
    return ["champions", "", 0, False, [], {}]


def tampered(value: Any) -> Iterator[Any]:
    """Every copy of a JSON value in which one thing is another: a leaf, a member or item gone, added, doubled, or moved."""
    if isinstance(value, dict):
        for name, member in value.items():
            rest = {other: each for other, each in value.items() if other != name}
            yield rest
            yield rest | {name + "x": member}
            yield from ({**value, name: each} for each in tampered(member))
        yield value | {"more": None}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value[:index] + value[index + 1 :]
            yield [*value[:index], item, *value[index:]]
            yield (
                [*value[:index], *value[index + 1 : index + 2], item, *value[index + 2 :]]
                if index + 1 < len(value)
                else []
            )
            yield from ([*value[:index], each, *value[index + 1 :]] for each in tampered(item))
        yield [*value, None]
    else:
        yield from other_values(value)


@pytest.mark.parametrize("name", ["tiny", "offline"])
def test_tampering_with_anything_is_detected(verify: Verify, name: str) -> None:
    count = 0
    for wrong in tampered(BUNDLES[name]):
        if canonical_or_none(wrong) != canonical(BUNDLES[name]):
            first_difference(verify, wrong)
            count += 1
    assert count > 800


def canonical_or_none(value: Any) -> bytes | None:
    try:
        return canonical(value)
    except TypeError:
        return None


@one_folder
@given(st.data())
def test_tampering_with_a_large_draw_is_detected_wherever_it_is(verify: Verify, data: st.DataObject) -> None:
    bundle = deepcopy(BUNDLES["regional"])
    value: Any = bundle
    while True:
        place = data.draw(st.sampled_from(sorted(value)) if isinstance(value, dict) else st.integers(0, len(value) - 1))
        if not isinstance(value[place], dict | list) or not value[place]:
            break
        value = value[place]
    wrong = data.draw(st.sampled_from([each for each in other_values(value[place]) if each != value[place]]))
    value[place] = wrong
    first_difference(verify, bundle)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("manifest.algorithm", "vgchub-draw/2"),
        ("manifest.sealed_at", "2026-11-22T25:00:00Z"),
        ("manifest.kind", "raffle"),
        ("manifest.entropy.round", True),
        ("manifest.divisions[1].code", "junior"),
        ("manifest.divisions[2].seats", -1),
        ("manifest.divisions[0].reserved[0].seats", 2**53 - 1),
        ("manifest.entries[3].tickets", 65),
        ("manifest.entries[3].division", "seniors"),
        ("manifest.entries[3].id", "0" * 24),
        ("manifest_sha256", "0" * 64),
        ("entropy.round", 1001),
        ("entropy.chain", "0" * 64),
        ("entropy.randomness", "0" * 64),
        ("seed", "0" * 64),
        ("ranking[5][0]", "0" * 64),
        ("ranking[7][1]", "0" * 24),
        ("allocation.junior.seated[0][1]", "champions"),
        ("allocation.junior.waitlist[2]", "0" * 24),
    ],
)
def test_the_first_difference_is_named_by_its_path(verify: Verify, path: str, wrong: object) -> None:
    bundle = deepcopy(BUNDLES["tiny"])
    *names, name = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", path)]
    value: Any = bundle
    for step in names:
        value = value[step]
    value[name] = wrong
    named = first_difference(verify, bundle)
    # An order that is wrong shows at the whole item, a reserve too large at the division's seats.
    assert path.startswith(named) or named == "manifest.divisions[0].seats"


def forged(bundle: dict[str, Any], **entropy: object) -> dict[str, Any]:
    """Drawn again from another value, with nothing left that does not fit."""
    wrong = deepcopy(bundle)
    wrong["entropy"] |= entropy
    if signature := entropy.get("signature"):
        wrong["entropy"]["randomness"] = hashlib.sha256(bytes.fromhex(str(signature))).hexdigest()
    return drawn_again(wrong)


def test_another_secret_is_detected_by_the_commitment(verify: Verify) -> None:
    assert first_difference(verify, forged(BUNDLES["offline"], secret="1" * 64)) == "entropy.secret"


def test_another_genuine_round_is_not_the_one_that_was_named(verify: Verify) -> None:
    other = BUNDLES["regional"]["entropy"]
    assert first_difference(verify, forged(BUNDLES["tiny"], **other)) == "entropy.round"


def test_the_signature_of_another_round_is_detected(verify: Verify) -> None:
    signature = BUNDLES["regional"]["entropy"]["signature"]
    assert first_difference(verify, forged(BUNDLES["tiny"], signature=signature)) == "entropy.signature"


@pytest.mark.parametrize("signature", ["c" + "0" * 95, "f" * 96, "8" + "0" * 95])
def test_a_signature_that_is_no_good_point_is_refused(verify: Verify, signature: str) -> None:
    assert first_difference(verify, forged(BUNDLES["tiny"], signature=signature)) == "entropy.signature"


def test_a_signature_outside_the_subgroup_is_refused(verify: Verify) -> None:
    # The pairing can't tell it from the genuine one, and there are many: whoever could choose one would choose the draw.
    curve, points = import_module("py_ecc.optimized_bls12_381"), import_module("py_ecc.bls.point_compression")
    small = curve.multiply(points.decompress_G1(int("8" + "0" * 94 + "4", 16)), curve.curve_order)
    assert not curve.is_inf(small)
    genuine = points.decompress_G1(int(BUNDLES["tiny"]["entropy"]["signature"], 16))
    signature = f"{points.compress_G1(curve.add(genuine, small)):096x}"
    assert first_difference(verify, forged(BUNDLES["tiny"], signature=signature)) == "entropy.signature"


def test_another_chain_is_left_unchecked_without_its_key(verify: Verify) -> None:
    bundle = deepcopy(BUNDLES["tiny"])
    for entropy in (bundle["manifest"]["entropy"], bundle["entropy"]):
        entropy["chain"] = "ab" * 32
    bundle = drawn_again(bundle)
    code, printed = verify(bundle)
    assert code == 0
    assert f"UNCHECKED  signature        the key of the chain {'ab' * 32} is not known here" in printed
    assert last(printed) == "Everything that was checked holds; the signature was left unchecked."
    assert verify(bundle, "--chain-key", DRAND["public_key"])[0] == 0
    assert first_difference(verify, bundle, "--chain-key", "c" + "0" * 191) == "entropy.signature"


def sealed_before_its_round(kind: str, seconds: float) -> dict[str, Any]:
    """The small draw, as if it had been sealed so long before its round came."""
    bundle = deepcopy(BUNDLES["tiny"])
    sealed_at = QUICKNET.round_published_at(bundle["entropy"]["round"]) - timedelta(seconds=seconds)
    bundle["manifest"] |= {"kind": kind, "sealed_at": f"{sealed_at:%Y-%m-%dT%H:%M:%S.%f}Z"}
    return drawn_again(bundle)


@pytest.mark.parametrize(
    ("kind", "seconds", "lead"),
    [
        ("lottery", 600, None),
        ("lottery", 599.5, "10 minutes"),
        ("lottery", -86400, "10 minutes"),
        ("opening", 30, None),
        ("opening", 29.5, "30 seconds"),
    ],
)
def test_a_round_that_came_too_soon_after_the_sealing_is_noted(
    verify: Verify, kind: str, seconds: float, lead: str | None
) -> None:
    code, printed = verify(sealed_before_its_round(kind, seconds))
    assert code == 0
    assert ("fair if the hash was public before 2023-08-23 15:59:24 UTC" in printed) == (lead is None)
    early = f"the round was public on 2023-08-23 15:59:24 UTC, not {lead} or more after the sealing"
    assert (early in printed) == (lead is not None)


def test_without_the_package_the_signature_is_said_to_be_unchecked(
    verify: Verify, verifier: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier.is_signed.cache_clear()
    monkeypatch.setitem(sys.modules, "py_ecc.bls.g2_primitives", None)
    code, printed = verify(BUNDLES["tiny"])
    assert code == 0
    assert "UNCHECKED  signature" in printed
    assert last(printed) == "Everything that was checked holds; the signature was left unchecked."


# Bad input


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"bundle",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"seed": NaN}',
        b'{"seed": Infinity}',
        gzip.compress(b'{"seed": ""}', mtime=0)[:-9],
        b"\x1f\x8b",
        b"\x1f\x8bgarbage",
    ],
)
def test_what_can_not_be_read_gives_one_line(verify: Verify, data: bytes) -> None:
    code, printed = verify(data)
    assert code == 2
    assert len(printed.splitlines()) == 1
    assert "bundle.json" in printed


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ("entropy.round", r'"round":1000', '"round":1000.0'),
        ("entropy.round", r'"round":1000', '"round":1e3'),
        ("manifest.divisions[0].reserved[0].seats", r'"seats":\d+}', '"seats":-0}'),
        ("manifest.entries[0].tickets", r'"tickets":\d+', f'"tickets":{2**53}'),
        ("manifest.entries[0].tickets", r'"tickets":\d+', f'"tickets":{"9" * 100_000}'),
        ("manifest.entries[0]", r'"tickets":\d+', '"tickets":1,"tickets":1'),
        ("allocation.junior", r'"seated":', '"seated":[],"seated":'),
        ("seed", r'"seed":"\w+"', '"seed":1.5'),
        ("bundle", r'"seed":', '"seed":"","seed":'),
    ],
    ids=range(9),
)
def test_what_is_json_but_says_what_no_draw_says_differs_at_its_place(
    verify: Verify, path: str, right: str, wrong: str
) -> None:
    text, count = re.subn(right, wrong, canonical(BUNDLES["tiny"]).decode(), count=1)
    assert count == 1
    assert first_difference(verify, text.encode()) == path


@pytest.mark.parametrize(
    "bundle", [None, True, 3, "bundle", [], {}, [[]], {"manifest": {}}, BUNDLES["tiny"]["manifest"]["entries"][0]]
)
def test_what_is_no_bundle_gives_one_line(verify: Verify, bundle: object) -> None:
    assert first_difference(verify, bundle).startswith("bundle")
    assert len(verify(bundle)[1].splitlines()) == 1


def test_a_file_that_is_not_there_gives_one_line(
    verifier: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "nothing.json", tmp_path, Path("a\0b")):
        assert verifier.main([str(path)]) == 2
        assert len(capsys.readouterr().out.splitlines()) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@one_folder
@given(anything, st.data())
@example("\ud800\x1b[31m\u0661", None)
def test_strange_values_anywhere_never_end_in_a_traceback(
    verify: Verify, strange: Any, data: st.DataObject | None
) -> None:
    for name in ("manifest", "entropy", "seed", "ranking", "allocation", "manifest_sha256"):
        first_difference(verify, BUNDLES["offline"] | {name: strange})
    for name in BUNDLES["offline"]["manifest"]:
        manifest = BUNDLES["offline"]["manifest"] | {name: strange}
        first_difference(verify, BUNDLES["offline"] | {"manifest": manifest})


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a", "--manifest", "b", "--sha256", "0" * 64],
        ["--manifest", "b"],
        ["a", "--sha256", "0"],
        ["a", "--chain-key", "0"],
    ],
)
def test_wrong_usage_is_said(verifier: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        verifier.main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


# The file itself


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a player runs it, without any package that is installed here, on a terminal that knows ASCII only."""
    command = [sys.executable, "-I", "-S", "-B", SOURCE, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={"PYTHONIOENCODING": "ascii"}
    )


def test_it_runs_on_the_standard_library_alone(tmp_path: Path) -> None:
    path = tmp_path / "bündle.json"
    path.write_bytes(canonical(BUNDLES["regional"]))
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "left unchecked" in last(done.stdout)
    path.write_bytes(canonical(BUNDLES["regional"] | {"seed": "0" * 64}))
    done = run(path)
    assert (done.returncode, done.stderr) == (1, "")
    assert last(done.stdout).startswith("DIFFERS    seed: it says")
    done = run(tmp_path / "kein bündel.json")
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
def test_what_is_nested_deeply_gives_one_line(tmp_path: Path, data: bytes) -> None:
    # In a process of its own: py_ecc, once loaded, lets Python recurse until it crashes; the command loads it after reading.
    path = tmp_path / "bundle.json"
    path.write_bytes(data)
    done = run(path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "The file can't be checked here: RecursionError.\n", "")


def test_it_is_written_for_python_3_9_and_shares_nothing_with_the_site() -> None:
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= sys.stdlib_module_names
