"""The browser's verifier: it agrees with the published draws, and sees whatever is changed in a bundle."""

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from lottery import drawing
from lottery.beacon import QUICKNET, Beacon
from lottery.drawing import Division, Entry, Head, Reserve
from tests.lottery.relay import CHAIN, CHAIN_INFO, make_beacon
from tests.lottery.vectors import DRAND, DRAWS, bundle_of, entries_of, head_of

VENDOR = Path(__file__).parents[2] / "static/js/vendor"
FIELDS = [
    "form",
    "manifest_sha256",
    "entropy",
    "randomness",
    "signature",
    "round",
    "seed",
    "keys",
    "ranking",
    "allocation",
]
ONLY_DRAND = {"randomness", "signature", "round"}
ZERO = (bytes([0xC0]) + bytes(47)).hex()
GONE = object()
OUTSIDE = (1 << 383 | 4).to_bytes(48, "big").hex()  # on the curve, not in the group

VERIFY = """async ({ bundles, chains }) => {
  const { verifyBundle } = await import("/static/js/verify.js");
  const found = [];
  for (const bundle of bundles) found.push(await verifyBundle(bundle, { chains }));
  return found;
}"""

Findings = list[dict[str, Any]]


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    page = new_page("desktop")
    page.goto("/")
    return page


def verified(page: Page, *bundles: Any, chains: list[dict[str, Any]] | None = None) -> list[Findings]:
    found: list[Findings] = page.evaluate(VERIFY, {"bundles": bundles, "chains": chains or []})
    return found


def held(findings: Findings) -> dict[str, bool | None]:
    return {finding["field"]: finding["holds"] for finding in findings}


def wrong(findings: Findings) -> list[str]:
    return [finding["field"] for finding in findings if finding["holds"] is False]


def make_bundle(head: Head, entries: list[Entry], entropy: dict[str, Any]) -> str:
    """A whole bundle as the site offers it."""
    manifest = list(drawing.manifest_pieces(head, sorted(entries, key=lambda entry: entry.id)))
    digest = hashlib.sha256(b"".join(manifest)).digest()
    seed = drawing.seed_of(digest, drawing.entropy_bytes(entropy))
    ranking = drawing.rank(seed, entries)
    by_id = {entry.id: entry for entry in entries}

    def ranked_in(division: str) -> list[tuple[str, str | None]]:
        return [(one, by_id[one].group) for _key, one in ranking if by_id[one].division == division]

    result = drawing.Result(head.divisions, digest, entropy, seed)
    return b"".join(drawing.bundle_pieces(result, manifest, ranking, ranked_in)).decode("ascii")


def text_of(name: str) -> str:
    """A published draw as the site offers it."""
    manifest = DRAWS[name]["manifest"]
    return make_bundle(head_of(manifest), entries_of(manifest), bundle_of(DRAWS[name])["entropy"])


def bundle_on(beacon: Beacon, chain: str, *, sealed_at: datetime | None = None) -> str:
    """The small draw of the vectors on another round, with everything that follows from it."""
    manifest = DRAWS["tiny"]["manifest"]
    named: dict[str, str | int] = {"kind": "drand", "chain": chain, "round": beacon.round}
    head = replace(head_of(manifest), entropy=named, sealed_at=sealed_at or head_of(manifest).sealed_at)
    revealed = named | {"randomness": beacon.randomness, "signature": beacon.signature}
    return make_bundle(head, entries_of(manifest), revealed)


def signed_with(signature: str) -> Beacon:
    return Beacon(1000, hashlib.sha256(bytes.fromhex(signature)).hexdigest(), signature)


# --- The published draws ---------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("name", DRAWS)
def test_the_published_draws_hold_field_by_field(name: str, page: Page) -> None:
    bundle = bundle_of(DRAWS[name])
    expected: dict[str, bool | None] = dict.fromkeys(FIELDS, True)
    if bundle["entropy"]["kind"] == "drand":
        expected["round"] = None  # they are on rounds that were published long before they were sealed
    else:
        expected = {field: True for field in FIELDS if field not in ONLY_DRAND}
    assert held(verified(page, bundle)[0]) == expected


@pytest.mark.browser
def test_a_bundle_may_be_text_with_white_space_or_without(page: Page) -> None:
    text = text_of("offline")
    spread = text.replace(",", ",\n  ")
    assert [wrong(found) for found in verified(page, text, spread)] == [[], []]


@pytest.mark.browser
def test_the_own_result_is_that_of_the_published_draw(page: Page) -> None:
    draw = DRAWS["regional"]
    own = page.evaluate(
        """async (bundle) => {
          const { ownResult } = await import("/static/js/verify.js");
          return bundle.manifest.entries.map(({ id }) => ownResult(bundle, id));
        }""",
        bundle_of(draw),
    )
    keys = drawing.Keys(bytes.fromhex(draw["seed"]))
    order = [one for _key, one in draw["ranking"]]
    for entry, result in zip(entries_of(draw["manifest"]), own, strict=True):
        allocation = draw["allocation"][entry.division]
        line = [one for one, _group in allocation["seated"]] + allocation["waitlist"]
        ranked = sorted(line, key=order.index)
        seats = {one: "open" if group is None else "reserved" for one, group in allocation["seated"]}
        assert result == {
            "id": entry.id,
            "division": entry.division,
            "group": entry.group,
            "tickets": [keys.ticket(entry.id, number).hex() for number in range(entry.tickets)],
            "key": keys.of(entry.id, entry.tickets).hex(),
            "rank": order.index(entry.id) + 1,
            "place": ranked.index(entry.id) + 1,
            "seat": seats.get(entry.id),
            "waitlist": None if entry.id in seats else allocation["waitlist"].index(entry.id) + 1,
        }


@pytest.mark.browser
def test_there_is_no_result_of_an_id_that_was_not_drawn(page: Page) -> None:
    ask = 'async (bundle) => (await import("/static/js/verify.js")).ownResult(bundle, "0".repeat(24))'
    assert page.evaluate(ask, bundle_of(DRAWS["tiny"])) is None


# --- Whatever is changed is seen -------------------------------------------------------------------------------------


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a bundle, the lists and objects included."""
    if path:
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            yield from paths(item, (*path, name))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def others(value: Any) -> list[Any]:
    """Values that could stand there instead, the nearest first."""
    match value:
        case str() if re.fullmatch("[0-9a-f]{24,}", value):
            return [
                value[:-1] + ("0" if value[-1] != "0" else "1"),
                "f" * len(value),
                value.upper() + "A",
                value[2:],
                None,
            ]
        case str():
            return [value + "x", "", "junior" if value != "junior" else "masters", 0, None]
        case int():
            return [value + 1, value - 1, value + 0.5, str(value), -value - 1, None, 2**53]
        case None:
            return ["champions", "", 0, False, []]
        case list():
            swapped = [value[1], value[0], *value[2:]] if len(value) > 1 else [*value, None]
            return [value[1:] if value else [None], [*value, *value[-1:]] if value else [[]], swapped, {}, None]
        case _:
            return [value | {"more": 1}, value | {"__proto__": 1}, [], None]


def changed(bundle: dict[str, Any], path: tuple[Any, ...], other: Any) -> dict[str, Any]:
    """The bundle with one of its values changed, or taken away."""
    copy = deepcopy(bundle)
    if other is GONE:
        del at(copy, path[:-1])[path[-1]]
    else:
        at(copy, path[:-1])[path[-1]] = other
    return copy


@pytest.mark.browser
@pytest.mark.parametrize(("name", "amount"), [("tiny", 500), ("offline", 2000), ("regional", 60)])
def test_whatever_is_changed_in_a_bundle_is_seen(name: str, amount: int, page: Page) -> None:
    bundle = bundle_of(DRAWS[name])
    changes = [(path, other) for path in paths(bundle) for other in (*others(at(bundle, path)), GONE)]
    chosen = random.Random(name).sample(changes, min(amount, len(changes)))  # noqa: S311
    found = verified(page, *(json.dumps(changed(bundle, path, other)) for path, other in chosen))
    assert [change for change, findings in zip(chosen, found, strict=True) if not wrong(findings)] == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("path", "other", "field"),
    [
        (("manifest_sha256",), "0" * 64, "manifest_sha256"),
        (("entropy", "round"), 999, "entropy"),
        (("entropy", "randomness"), "0" * 64, "randomness"),
        (("seed",), "0" * 64, "seed"),
        (("ranking", 3, 0), "0" * 64, "keys"),
        (("allocation", "masters", "seated", 0, 1), "champions", "allocation"),
    ],
)
def test_the_first_field_that_is_wrong_is_the_one_that_was_changed(
    path: tuple[Any, ...], other: Any, field: str, page: Page
) -> None:
    bundle = bundle_of(DRAWS["tiny"])
    right = at(bundle, path)
    findings = verified(page, changed(bundle, path, other))[0]
    first = next(finding for finding in findings if finding["holds"] is False)
    assert first["field"] == field
    assert (str(other) in first["says"], str(right if right is not None else "null") in first["should"]) == (True, True)


@pytest.mark.browser
def test_two_in_the_wrong_order_are_seen_with_the_place(page: Page) -> None:
    bundle = bundle_of(DRAWS["tiny"])
    first, second, third, fourth, *rest = bundle["ranking"]
    swapped = bundle | {"ranking": [first, second, fourth, third, *rest]}
    finding = next(one for one in verified(page, swapped)[0] if one["holds"] is False)
    assert (finding["field"], finding["says"].split(":")[0]) == ("ranking", "place 3")


@pytest.mark.browser
@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "7", '"bundle"', "<html>", '{"manifest": {}}', "[" * 100_000 + "]" * 100_000],
    ids=range(9),
)
def test_what_is_no_bundle_is_said_to_be_none(text: str, page: Page) -> None:
    findings = verified(page, text)[0]
    assert held(findings) == {"form": False}
    assert findings[0]["says"]
    assert findings[0]["should"]


@pytest.mark.browser
def test_lists_in_lists_without_end_are_seen(page: Page) -> None:
    text = text_of("offline").replace(
        '{"allocation":{', '{"allocation":{"more":' + "[" * 100_000 + "]" * 100_000 + ",", 1
    )
    assert held(verified(page, text)[0]) == {"form": False}


@pytest.mark.browser
def test_a_text_that_says_a_thing_twice_is_seen_although_the_last_one_is_right(page: Page) -> None:
    text = text_of("offline")
    twice = text.replace('"tickets":1}', '"tickets":2,"tickets":1}', 1)
    otherwise = text.replace('"tickets":1}', '"tickets":1.0}', 1)
    assert [wrong(found) for found in verified(page, text, twice, otherwise)] == [[], ["form"], ["form"]]


# --- drand -----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("signature", [DRAND["rounds"][0]["signature"], ZERO, OUTSIDE, "00" * 48])
def test_a_forged_signature_is_seen_although_all_else_follows_from_it(signature: str, page: Page) -> None:
    bundle = bundle_on(signed_with(signature), QUICKNET.hash)
    assert wrong(verified(page, bundle)[0]) == ["signature"]


@pytest.mark.browser
def test_a_chain_that_the_page_does_not_know_is_left_unchecked_and_said_to_be(page: Page) -> None:
    findings = verified(page, bundle_on(make_beacon(77), CHAIN.hash))[0]
    assert {field for field, holds in held(findings).items() if not holds} == {"signature"}
    finding = next(one for one in findings if one["field"] == "signature")
    assert finding["holds"] is None
    assert "does not have the key" in finding["should"]


@pytest.mark.browser
@pytest.mark.parametrize(("lead", "holds"), [(600, True), (599, None), (-3600, None)])
def test_a_round_counts_as_unknown_at_the_seal_when_it_came_ten_minutes_later(
    lead: int, holds: bool | None, page: Page
) -> None:
    sealed_at = CHAIN.round_published_at(77) - timedelta(seconds=lead)
    bundle = bundle_on(make_beacon(77), CHAIN.hash, sealed_at=sealed_at)
    found = held(verified(page, bundle, chains=[CHAIN_INFO])[0])
    assert found == dict.fromkeys(FIELDS, True) | {"round": holds}


@pytest.mark.browser
def test_zero_is_no_key_although_it_would_sign_zero(page: Page) -> None:
    bundle = bundle_on(signed_with(ZERO), CHAIN.hash)
    chain = CHAIN_INFO | {"public_key": ZERO + "00" * 48}
    assert wrong(verified(page, bundle, chains=[chain])[0]) == ["signature"]


@pytest.mark.browser
def test_no_page_can_put_another_key_in_the_place_of_quicknets(page: Page) -> None:
    bundle = bundle_on(make_beacon(1000), QUICKNET.hash)
    chain = CHAIN_INFO | {"hash": QUICKNET.hash}
    assert wrong(verified(page, bundle, chains=[chain])[0]) == ["signature"]


@pytest.mark.browser
def test_the_browser_has_the_servers_key_of_quicknet(page: Page) -> None:
    known = page.evaluate('async () => ({ ...(await import("/static/js/verify.js")).QUICKNET })')
    assert known == {name: getattr(QUICKNET, name) for name in ("hash", "public_key", "genesis_time", "period")}


# --- Large draws, and how the file is delivered ----------------------------------------------------------------------


def make_large(entries: int, tickets: int) -> str:
    chance = random.Random(entries)  # noqa: S311
    codes = ("junior", "masters", "senior")
    divisions = tuple(Division(code, 700, (Reserve("champions", 20),)) for code in codes)
    secret = bytes(32)
    named = {"kind": "commit-reveal", "commitment": drawing.commitment_of(secret).hex()}
    head = Head("ab" * 12, "large-open", "lottery", datetime(2026, 11, 22, tzinfo=UTC), named, divisions)
    players = [
        Entry(f"{chance.getrandbits(96):024x}", chance.choice(codes), chance.choice((None, "champions")), 1)
        for _ in range(entries)
    ]
    players[: tickets - entries] = [replace(player, tickets=2) for player in players[: tickets - entries]]
    return make_bundle(head, players, {"kind": "commit-reveal", "secret": secret.hex()})


@pytest.mark.browser
def test_fifteen_thousand_tickets_take_two_seconds_at_most_and_the_page_gets_its_turns(page: Page) -> None:
    seconds, holds, shares, ticks = page.evaluate(
        """async (bundle) => {
          const { verifyBundle } = await import("/static/js/verify.js");
          const shares = [];
          let [ticks, found, fastest] = [0, [], Infinity];
          const timer = setInterval(() => { ticks += 1; }, 5);
          for (let run = 0; run < 3; run += 1) {  // other tests run beside this one
            const began = performance.now();
            found = await verifyBundle(bundle, { onProgress: (share) => shares.push(share) });
            fastest = Math.min(fastest, (performance.now() - began) / 1000);
          }
          clearInterval(timer);
          return [fastest, found.map(({ holds }) => holds), shares, ticks];
        }""",
        make_large(10_000, 15_000),
    )
    assert seconds < 2
    assert set(holds) == {True}
    assert min(shares) == 0
    assert max(shares) == 1
    assert sum(0 < share < 1 for share in shares) > 3
    assert ticks > 5


@pytest.mark.browser
def test_the_site_delivers_the_vendored_file_as_it_is_under_a_name_that_the_module_knows(page: Page) -> None:
    module = page.request.get("/static/js/verify.js").text()
    imported = re.search(r'from "(.+?noble\..+?)"', module)
    assert imported is not None
    address = page.evaluate('(name) => new URL(name, new URL("/static/js/verify.js", location)).href', imported[1])
    assert page.request.get(address).body() == (VENDOR / "noble.js").read_bytes()


def test_the_vendored_file_is_the_one_that_its_readme_describes() -> None:
    readme = (VENDOR / "README.md").read_text()
    assert hashlib.sha256((VENDOR / "noble.js").read_bytes()).hexdigest() in readme
    packages = ("@noble/curves", "@noble/hashes", "esbuild")
    told = [re.search(rf"\| {package} \| (\S+) \|", readme) for package in packages]
    assert [
        f"{package}@{version[1]}" in readme for package, version in zip(packages, told, strict=True) if version
    ] == [True] * 3


def test_the_vendored_file_is_delivered_with_its_licence() -> None:
    licence = (VENDOR / "LICENSE").read_text()
    assert "The MIT License" in licence
    assert "noble-curves - MIT License (c) 2022 Paul Miller" in (VENDOR / "noble.js").read_text()
    assert "Paul Miller" in licence
