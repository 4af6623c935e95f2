// Checks a draw from its bundle alone, by the specification "vgchub-draw/1": everything is computed anew here, nothing is asked of
// the server, and none of its code is shared.
//
//   verifyBundle(textOrObject, { onProgress, chains }) -> a promise of [{ field, holds, says, should }]
//   ownResult(bundle, id) -> { tickets, key, rank, place, seat, ... }, or null if the id is not in the draw
//
// `holds` is true, false, or null for what can't be checked (`should` says why). `says` is what the bundle says, `should` what it
// has to be. What is no bundle gets the one finding that its form is wrong. `onProgress(share, field)` hears of 0 to 1. `chains`
// are the drand chains besides quicknet whose keys the page knows: [{ hash, public_key, genesis_time, period }].

import { bls12_381, hmac, sha256 } from "./vendor/noble.js";

export const QUICKNET = Object.freeze({
  hash: "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
  public_key:
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451" +
    "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
  genesis_time: 1692803367,
  period: 3,
});

const ALGORITHM = "vgchub-draw/1";
const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
const LEAD_SECONDS = { lottery: 600, opening: 30 }; // between the seal and the round
const MAX_TICKETS = 64;
const SLICE_MS = 12; // of work, before the page gets its turn

// Something is not what it has to be.
class Wrong extends Error {
  constructor(says, should) {
    super(`${says}: ${should}`);
    Object.assign(this, { says, should });
  }
}

// --- Bytes ---------------------------------------------------------------------------------------------------------

const encoder = new TextEncoder();
const ascii = (text) => encoder.encode(text);
const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

const unhex = (text) => Uint8Array.from(text.match(/../g), (digits) => parseInt(digits, 16));

function bigEndian(number, length) {
  const bytes = new Uint8Array(length);
  for (let at = length - 1, rest = BigInt(number); at >= 0; at -= 1, rest >>= 8n) bytes[at] = Number(rest & 255n);
  return bytes;
}

const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

function before(one, other) {
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return one[at] < other[at];
  return false;
}

// --- Canonical JSON (RFC 8785) ---------------------------------------------------------------------------------------

function leaf(value) {
  if (value === null) return "null";
  if (Number.isSafeInteger(value)) return String(value);
  if (typeof value === "string" && /^[\x00-\x7f]*$/.test(value)) return JSON.stringify(value);
  throw new Wrong(`a value ${JSON.stringify(value)}`, "only objects, arrays, ASCII strings, whole numbers and null");
}

const names = (object) => Object.keys(object).sort();

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return leaf(value);
  return `{${names(value).map((name) => `${leaf(name)}:${canonical(value[name])}`).join(",")}}`;
}

// The same in pieces, for what has many thousand items.
function* pieces(value) {
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) yield (at ? "," : "[") + canonical(value[at]);
    yield value.length ? "]" : "[]";
  } else if (typeof value === "object" && value !== null) {
    let separator = "{";
    for (const name of names(value)) {
      yield `${separator}${leaf(name)}:`;
      yield* pieces(value[name]);
      separator = ",";
    }
    yield separator === "{" ? "{}" : "}";
  } else yield leaf(value);
}

// --- Taking turns with the page --------------------------------------------------------------------------------------

let sliceEnds = 0;

// Not by a timer: in a tab in the background those ring once a second.
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      sliceEnds = performance.now() + SLICE_MS;
      resolve();
    };
    port2.postMessage(null);
  });
}

const isOver = () => performance.now() >= sliceEnds;

// --- The form of a bundle --------------------------------------------------------------------------------------------

const plain = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const shown = (value) => {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
};

const that = (should, test) => (value, path) => {
  if (!test(value)) throw new Wrong(`${path} is ${shown(value)}`, should);
};
const text = that("a text", (value) => typeof value === "string");
const count = that("a whole number, 0 or more", (value) => Number.isSafeInteger(value) && value >= 0);
const exactly = (...values) => that(values.join(" or "), (value) => values.includes(value));
const match = (should, pattern) => that(should, (value) => typeof value === "string" && pattern.test(value));
const hash = match("32 bytes in hex", /^[0-9a-f]{64}$/);
const signatureForm = match("48 bytes in hex", /^[0-9a-f]{96}$/);
const entryId = match("the id of an entry, 24 or more hex digits", /^[0-9a-f]{24,}$/);
const time = match("a time in UTC, such as 2026-11-22T19:00:00Z", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const roundNumber = that("the number of a round", (value) => Number.isSafeInteger(value) && value > 0);
const ticketCount = that(`1 to ${MAX_TICKETS}`, (value) => Number.isSafeInteger(value) && value >= 1 && value <= MAX_TICKETS);
const orNull = (form) => (value, path) => value === null || form(value, path);

const list = (form) => (value, path) => {
  if (!Array.isArray(value)) throw new Wrong(`${path} is ${shown(value)}`, "a list");
  value.forEach((item, at) => form(item, `${path}[${at}]`));
};

const pair = (first, second) => (value, path) => {
  if (!Array.isArray(value) || value.length !== 2) throw new Wrong(`${path} is ${shown(value)}`, "a pair");
  first(value[0], `${path}[0]`);
  second(value[1], `${path}[1]`);
};

const object = (members, optional = {}) => (value, path) => {
  if (!plain(value)) throw new Wrong(`${path} is ${shown(value)}`, "an object");
  for (const name of Object.keys(members)) if (!Object.hasOwn(value, name)) throw new Wrong(`${path} has no ${name}`, name);
  for (const name of Object.keys(value)) {
    const form = Object.hasOwn(members, name) ? members[name] : Object.hasOwn(optional, name) && optional[name];
    if (!form) throw new Wrong(`${path} has ${shown(name)}`, `only ${Object.keys(members).join(", ")}`);
    form(value[name], path ? `${path}.${name}` : name);
  }
};

const kinds = (forms) => (value, path) => {
  exactly(...Object.keys(forms))(plain(value) ? value.kind : undefined, `${path}.kind`);
  object({ kind: text, ...forms[value.kind] })(value, path);
};

const NAMED = kinds({ drand: { chain: hash, round: roundNumber }, "commit-reveal": { commitment: hash } });
const REVEALED = kinds({
  drand: { chain: hash, round: roundNumber, randomness: hash, signature: signatureForm },
  "commit-reveal": { secret: hash },
});
const DIVISION = object({ code: text, seats: count, reserved: list(object({ group: text, seats: count })) });
const ENTRY = object({ id: entryId, division: text, group: orNull(text), tickets: ticketCount });
const ALLOCATED = object({ seated: list(pair(entryId, orNull(text))), waitlist: list(entryId) });
const MANIFEST = {
  algorithm: exactly(ALGORITHM),
  draw: text,
  tournament: text,
  kind: exactly(...Object.keys(LEAD_SECONDS)),
  sealed_at: time,
  entropy: NAMED,
  divisions: list(DIVISION),
  entries: list(ENTRY),
};
const BUNDLE = object({
  manifest: object(MANIFEST, { supersedes: text }),
  manifest_sha256: hash,
  entropy: REVEALED,
  seed: hash,
  ranking: list(pair(hash, entryId)),
  allocation: that("an object", plain),
});

function ascending(items, name, path) {
  for (let at = 1; at < items.length; at += 1) {
    const [last, next] = [items[at - 1][name], items[at][name]];
    if (!(last < next)) throw new Wrong(`${path}[${at}].${name} is ${next}`, `after ${last}`);
  }
}

function checkManifest({ divisions, entries, sealed_at: sealedAt }) {
  if (Number.isNaN(Date.parse(sealedAt))) throw new Wrong(`manifest.sealed_at is ${sealedAt}`, "a time");
  ascending(divisions, "code", "manifest.divisions");
  ascending(entries, "id", "manifest.entries");
  for (const { code, seats, reserved } of divisions) {
    const groups = new Set(reserved.map(({ group }) => group));
    if (groups.size < reserved.length) throw new Wrong(`${code} has two reserves of one group`, "one for each group");
    const total = reserved.reduce((sum, reserve) => sum + reserve.seats, 0);
    if (total > seats) throw new Wrong(`${code} has ${seats} seats and reserves ${total}`, `at most ${seats}`);
  }
  const codes = new Set(divisions.map(({ code }) => code));
  const stray = entries.find(({ division }) => !codes.has(division));
  if (stray) throw new Wrong(`entry ${stray.id} is in ${stray.division}`, `one of ${[...codes].join(", ")}`);
}

// That the text says nothing besides: JSON.parse drops all but the last of two members of one name, and takes 1.0 for 1.
async function checkText(text, bundle) {
  let at = 0;
  let same = true;
  for (const piece of pieces(bundle)) {
    same &&= text.startsWith(piece, at);
    at += piece.length;
    if (isOver()) await turn();
  }
  if (same && at === text.length) return;
  const dense = text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
  if (dense.length === at) return;
  throw new Wrong(`${dense.length} characters but for white space`, `${at}, each value once and in its shortest form`);
}

async function form({ given, bundle }) {
  BUNDLE(bundle, "");
  await turn();
  checkManifest(bundle.manifest);
  if (typeof given === "string") await checkText(given, bundle);
  else for (const piece of pieces(bundle)) if (piece && isOver()) await turn();
  return { holds: true, says: ALGORITHM, should: ALGORITHM };
}

// --- The fields, each computed from the manifest and the entropy ------------------------------------------------------

const equal = (says, should) => ({ holds: says === should, says, should });

async function manifestSha256(draw) {
  const digest = sha256.create();
  let waiting = "";
  for (const piece of pieces(draw.manifest)) {
    waiting += piece;
    if (waiting.length < 16384) continue;
    digest.update(ascii(waiting));
    waiting = "";
    if (isOver()) await turn();
  }
  draw.manifestSha256 = digest.update(ascii(waiting)).digest();
  return equal(draw.bundle.manifest_sha256, hex(draw.manifestSha256));
}

function entropy({ bundle, manifest }) {
  const [revealed, named] = [bundle.entropy, manifest.entropy];
  if (revealed.kind !== named.kind) return equal(revealed.kind, named.kind);
  const one = ({ round, chain }) => `round ${round} of ${chain}`;
  if (revealed.kind === "drand") return equal(one(revealed), one(named));
  const committed = (digest) => `a secret whose SHA-256 is ${digest}`;
  return equal(committed(hex(sha256(unhex(revealed.secret)))), committed(named.commitment));
}

function randomness({ bundle }) {
  if (bundle.entropy.kind !== "drand") return null;
  return equal(bundle.entropy.randomness, hex(sha256(unhex(bundle.entropy.signature))));
}

function isSigned({ round, signature }, publicKey) {
  const { G1, G2, shortSignatures } = bls12_381;
  try {
    const [point, key] = [G1.Point.fromHex(signature), G2.Point.fromHex(publicKey)];
    for (const one of [point, key]) {
      one.assertValidity(); // on the curve, and in its group
      if (one.is0()) return false; // zero would sign everything
    }
    return shortSignatures.verify(point, shortSignatures.hash(sha256(bigEndian(round, 8)), DST), key);
  } catch {
    return false; // no point at all
  }
}

function signature({ bundle, chain }) {
  const { kind, signature: says, chain: hash, round } = bundle.entropy;
  if (kind !== "drand") return null;
  if (!chain) return { holds: null, says, should: `not known: this page does not have the key of the chain ${hash}` };
  const holds = isSigned(bundle.entropy, chain.public_key);
  return { holds, says, should: holds ? says : `what the key of the chain ${hash} signs for round ${round}` };
}

// Unless the round came after the seal, a file can't show that nobody knew its value before.
function round({ manifest, chain }) {
  if (manifest.entropy.kind !== "drand" || !chain) return null;
  const iso = (ms) => new Date(ms).toISOString();
  const published = (chain.genesis_time + chain.period * (manifest.entropy.round - 1)) * 1000;
  const earliest = Date.parse(manifest.sealed_at) + LEAD_SECONDS[manifest.kind] * 1000;
  const says = `published at ${iso(published)}`;
  if (published >= earliest) return { holds: true, says, should: `at ${iso(earliest)} or later` };
  const doubt = "Whether somebody knew the value before the entries were sealed can't be told from this file.";
  return { holds: null, says, should: `at ${iso(earliest)} or later. ${doubt}` };
}

function seed(draw) {
  const { kind, chain, round, randomness, secret } = draw.bundle.entropy;
  const revealed =
    kind === "drand"
      ? joined(ascii("drand\0"), unhex(chain), bigEndian(round, 8), unhex(randomness))
      : joined(ascii("secret\0"), unhex(secret));
  draw.seed = sha256(joined(ascii(`${ALGORITHM} seed\0`), draw.manifestSha256, revealed));
  return equal(draw.bundle.seed, hex(draw.seed));
}

const NUMBERS = Array.from({ length: MAX_TICKETS }, (_, number) => bigEndian(number, 4));
const ticketsUnder = (seed) => hmac.create(sha256, seed).update(ascii(`${ALGORITHM} ticket\0`));

// All tickets of an entry. The start is hashed once for all of them.
function tickets(start, { id, tickets: amount }) {
  const own = start.clone().update(ascii(`${id}\0`));
  return NUMBERS.slice(0, amount).map((number) => own.clone().update(number).digest());
}

const smallest = (all) => hex(all.reduce((least, one) => (before(one, least) ? one : least)));

async function keys(draw) {
  const { entries } = draw.manifest;
  const start = ticketsUnder(draw.seed);
  draw.keys = new Map();
  for (const entry of entries) {
    draw.keys.set(entry.id, smallest(tickets(start, entry)));
    if (!isOver()) continue;
    draw.onProgress(draw.keys.size / entries.length, "keys");
    await turn();
  }
  const at = draw.bundle.ranking.findIndex(([key, id]) => draw.keys.get(id) !== key);
  if (at < 0) return { holds: true, says: `${draw.bundle.ranking.length} keys`, should: `${draw.bundle.ranking.length} keys` };
  const [key, id] = draw.bundle.ranking[at];
  return { holds: false, says: `${id}: ${key}`, should: `${id}: ${draw.keys.get(id) ?? "not in the draw"}` };
}

// Where two lists part, or null.
function parting(said, right, name) {
  for (let at = 0; at < Math.max(said.length, right.length); at += 1) {
    const [says, should] = [said, right].map((items) => (at < items.length ? canonical(items[at]) : "nobody"));
    if (says !== should) return { holds: false, says: `${name} ${at + 1}: ${says}`, should: `${name} ${at + 1}: ${should}` };
  }
  return null;
}

async function ranking(draw) {
  draw.order = [...draw.keys].map(([id, key]) => [key, id]);
  await turn();
  // The keys are compared as text, which for hex of one length is the order of the bytes.
  draw.order.sort(([key, id], [otherKey, otherId]) => (key === otherKey ? (id < otherId ? -1 : 1) : key < otherKey ? -1 : 1));
  await turn();
  const ids = (pairs) => pairs.map(([, id]) => id);
  const said = `${draw.order.length} places`;
  return parting(ids(draw.bundle.ranking), ids(draw.order), "place") ?? { holds: true, says: said, should: said };
}

// Down the ranking of a division: a seat reserved for the own group, else an open one, else the waitlist.
function allocated({ seats, reserved }, entries) {
  const left = new Map(reserved.map((reserve) => [reserve.group, reserve.seats]));
  let open = reserved.reduce((rest, reserve) => rest - reserve.seats, seats);
  const [seated, waitlist] = [[], []];
  for (const { id, group } of entries) {
    if (left.get(group)) {
      left.set(group, left.get(group) - 1);
      seated.push([id, group]);
    } else if (open) {
      open -= 1;
      seated.push([id, null]);
    } else waitlist.push(id);
  }
  return { seated, waitlist };
}

async function allocation(draw) {
  const { divisions, entries } = draw.manifest;
  const said = draw.bundle.allocation;
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const ranked = new Map(divisions.map(({ code }) => [code, []]));
  for (const [, id] of draw.order) ranked.get(byId.get(id).division).push(byId.get(id));
  const other = parting(names(said), divisions.map(({ code }) => code), "division");
  if (other) return other;
  for (const division of divisions) {
    await turn();
    ALLOCATED(said[division.code], `allocation.${division.code}`);
    const right = allocated(division, ranked.get(division.code));
    for (const part of ["seated", "waitlist"]) {
      const found = parting(said[division.code][part], right[part], `${division.code}, ${part}`);
      if (found) return found;
    }
  }
  const amount = `${divisions.length} divisions`;
  return { holds: true, says: amount, should: amount };
}

// --- What the page calls ---------------------------------------------------------------------------------------------

const CHECKS = { form, manifest_sha256: manifestSha256, entropy, randomness, signature, round, seed, keys, ranking, allocation };

function parsed(given) {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given);
  } catch {
    throw new Wrong("a text that is no JSON", "the bundle of a draw");
  }
}

async function finding(field, draw) {
  try {
    if (field === "form") draw.bundle = parsed(draw.given);
    draw.manifest = draw.bundle?.manifest;
    const found = await CHECKS[field](draw);
    return found && { field, ...found };
  } catch (wrong) {
    if (wrong instanceof RangeError) return { field, holds: false, says: wrong.message, should: "lists in lists a few deep" };
    if (!(wrong instanceof Wrong)) throw wrong;
    return { field, holds: false, says: wrong.says, should: wrong.should };
  }
}

export async function verifyBundle(given, { onProgress = () => {}, chains = [] } = {}) {
  const draw = { given, onProgress };
  const findings = [];
  for (const field of Object.keys(CHECKS)) {
    await turn();
    onProgress(field === "ranking" || field === "allocation" ? 1 : 0, field);
    const found = await finding(field, draw);
    if (found) findings.push(found);
    if (field !== "form") continue;
    if (!found.holds) break; // the rest would be read out of something else than a bundle
    draw.chain = [QUICKNET, ...chains].find((chain) => chain.hash === draw.bundle.entropy.chain);
  }
  onProgress(1, "");
  return findings;
}

export function ownResult(given, id) {
  const bundle = parsed(given);
  const entry = bundle.manifest.entries.find((one) => one.id === id);
  if (!entry) return null;
  const { division, group } = entry;
  const drawn = tickets(ticketsUnder(unhex(bundle.seed)), entry);
  const { seated, waitlist } = bundle.allocation[division];
  const seat = seated.find(([one]) => one === id);
  const peers = new Set([...seated.map(([one]) => one), ...waitlist]);
  const ranked = bundle.ranking.map(([, one]) => one);
  return {
    id,
    division,
    group,
    tickets: drawn.map(hex),
    key: smallest(drawn),
    rank: ranked.indexOf(id) + 1,
    place: ranked.filter((one) => peers.has(one)).indexOf(id) + 1,
    seat: seat ? (seat[1] === null ? "open" : "reserved") : null,
    waitlist: seat ? null : waitlist.indexOf(id) + 1,
  };
}
