// The live page: keeps the place in line true while the line moves.
//
// A text from the socket holds the head of the line (how many stand before each block of 1,024 places) and the bitmaps of the
// blocks that moved. With the own place that gives the exact position, without asking the server. Whatever concerns one entry
// alone arrives as "entry.changed", and the page's part is fetched again.

import { serverNow } from "./clock.js";
import { drawLine } from "./line.js";
import { countOver, moveSeats } from "./seats.js";
import { keepOpen } from "./socket.js";

const BLOCK = 1024;
const REFRESH_WITHOUT_SOCKET_MS = 45000; // and up to half as much more: ten thousand pages ask 180 times a second then
const ASK_EVERY_MS = 3000;
const SPREAD_MS = 300; // of requests about one entry...
const SPREAD_OF_OFFERED_MS = 3000; // ...about all offers, after a break...
// ...and about a draw, which everybody in it hears of in the same moment. The page is true enough meanwhile: what was drawn each is
// told alone, seats first.
const SPREAD_OF_ALL_MS = 40000;

const plainTitle = document.title;
const blocks = new Map();
let socket = null;
let openWith = null;

const root = () => document.getElementById("queue");
const entries = () => [...document.querySelectorAll("[data-entry]")];

export function bitmap(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

const floorMod = (place) => ((place % BLOCK) + BLOCK) % BLOCK;

export function aheadInBlock(bits, place) {
  const end = floorMod(place);
  let count = 0;
  for (let bit = 0; bit < end; bit += 1) count += (bits[bit >> 3] >> (bit & 7)) & 1;
  return count;
}

export function inBlock(bits, place) {
  const bit = floorMod(place);
  return Boolean((bits[bit >> 3] >> (bit & 7)) & 1);
}

export function positionIn(division, bits, priority, place) {
  const lane = division.lanes.find((one) => one.lane === priority);
  const block = lane?.blocks.find(([number]) => number === Math.floor(place / BLOCK));
  return block && inBlock(bits, place) ? block[1] + aheadInBlock(bits, place) + 1 : null;
}

// Abramowitz and Stegun 7.1.26: the error is below 2e-7, far less than a percent shows.
function erfc(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
  return x >= 0 ? tail : 2 - tail;
}

export function chance(position, division) {
  if (!division.deviation) return division.mean >= position ? 1 : 0;
  return 0.5 * erfc((position - 0.5 - division.mean) / (division.deviation * Math.SQRT2));
}

// --- Words: the same sentences that registrations/sentences.py fills in --------------------------------------------

const SUFFIX = { one: "st", two: "nd", few: "rd", other: "th" };
const thousands = new Intl.NumberFormat("en");
const rules = new Intl.PluralRules("en", { type: "ordinal" });
const ordinal = (number) => thousands.format(number) + SUFFIX[rules.select(number)];
const fill = (template, values) => template.replace(/%\((\w+)\)s/g, (_, name) => values[name]).replaceAll("%%", "%");

export function sentence(say, { position, name, division, paused, unlikely }) {
  const open = division.free + division.offered;
  const parts = [fill(position === 1 ? say.first : say.waiting, { position: ordinal(position), division: name })];
  const gone = { 0: say.no_seats, 1: say.sold_out_one }[division.seats] ?? say.sold_out;
  if (!open) parts.push(fill(gone, { seats: thousands.format(division.seats) }));
  else parts.push(open === 1 ? say.open_one : fill(say.open, { open: thousands.format(open) }));
  const share = chance(position, division);
  const minutes = division.offers_in_window ? (position * 10) / division.offers_in_window : null;
  if (paused) parts.push(say.paused);
  else if (share < unlikely) parts.push(fill(open ? say.unlikely : say.unlikely_gone, { percent: Math.max(1, Math.round(share * 100)) }));
  else if (minutes !== null) parts.push(pace(say, minutes));
  return parts.join(" ");
}

function pace(say, minutes) {
  if (minutes >= 90) return fill(say.pace_hours, { hours: Math.round(minutes / 60) });
  const rounded = Math.max(1, Math.round(minutes));
  return rounded === 1 ? say.pace_one : fill(say.pace, { minutes: rounded });
}

// --- The page ------------------------------------------------------------------------------------------------------

function show(text) {
  const { head, blocks: moved } = text;
  for (const [name, packed] of Object.entries(moved)) blocks.set(name, packed);
  clearTimeout(asked.again);
  const say = JSON.parse(document.getElementById("sentences").textContent);
  const unlikely = Number(root().dataset.unlikely);
  for (const element of entries()) showEntry(element, head, say, unlikely);
  moveSeats(head.divisions);
  showNotices(head);
}

function showEntry(element, head, say, unlikely) {
  const { state, division: id, divisionName: name, priority, place, field } = element.dataset;
  const division = head.divisions[id];
  const packed = blocks.get(field);
  if (state !== "WAITING" || place === "" || !division || packed === undefined) return;
  const position = packed ? positionIn(division, bitmap(packed), Number(priority), Number(place)) : null;
  if (position === null) return askWhatBecameOfIt(head);
  countOver(element.querySelector("[data-position]"), position);
  const shown = element.querySelector(".state-sentence__text");
  const stays = Date.parse(element.dataset.until) > serverNow(); // what was drawn, until offers start
  const words = stays ? shown.textContent.trim() : sentence(say, { position, name, division, paused: head.paused, unlikely });
  if (shown.textContent.trim() !== words) shown.textContent = words;
  const likely = Math.min(division.waiting, Math.round(division.mean));
  drawLine(element.querySelector("[data-line]"), { waiting: division.waiting, position, likely });
  speak(position, words);
  document.title = `(${thousands.format(position)}) ${plainTitle}`;
}

function learnBlocks() {
  for (const { dataset } of entries()) if (dataset.block && !blocks.has(dataset.field)) blocks.set(dataset.field, dataset.block);
}

// The line moves on without me: I joined this very second, or a message was sent before this page's socket was open. Who asked a
// moment ago looks once more when the pause is over: the line may not move again.
let asked = { at: -Infinity };

function askWhatBecameOfIt(head) {
  clearTimeout(asked.again);
  const pause = asked.at + ASK_EVERY_MS - performance.now();
  if (pause > 0) {
    asked.again = setTimeout(show, pause, { head, blocks: {} });
    return;
  }
  asked = { at: performance.now() };
  fetchAgain();
}

let asking = { at: Infinity };

function fetchAgain(spread = SPREAD_MS) {
  // htmx swaps the part; a small random wait keeps ten thousand pages from asking in the same moment.
  const wait = Math.random() * spread;
  if (performance.now() + wait >= asking.at) return; // what is asked then says this as well
  clearTimeout(asking.timer);
  const ask = () => {
    asking = { at: Infinity };
    if (root()) window.htmx?.trigger(root(), "entry-changed");
  };
  asking = { at: performance.now() + wait, timer: setTimeout(ask, wait) };
}

function showNotices({ paused, message }) {
  document.getElementById("paused").hidden = !paused;
  const notice = document.getElementById("organizer-message");
  notice.hidden = !message;
  const words = notice.querySelector("p:not(.notice__title)");
  if (words && words.textContent.trim() !== message.trim()) words.textContent = message;
  else if (!words && message) fetchAgain();
}

// Screen readers hear the position at set steps, not at each move: every 10%, and each of the last ten.
let spokenAt = Infinity;

function speak(position, words) {
  if (position === spokenAt || (position > 10 && position > spokenAt * 0.9)) return;
  if (spokenAt !== Infinity) document.getElementById("spoken").textContent = words;
  spokenAt = position;
}

// --- The socket ----------------------------------------------------------------------------------------------------

function receive(message) {
  if (message.kind === "line") show(message);
  else if (message.kind === "draw.bundled") return; // nothing of it stands on this page
  else if (message.kind.startsWith("draw.")) fetchAgain(SPREAD_OF_ALL_MS);
  else if (message.kind === "missed") askWhatWasMissed();
  else fetchAgain();
}

function changed({ open, attempts }) {
  document.getElementById("connection").hidden = open || attempts < 2;
  if (open && attempts) askWhatWasMissed();
}

// After a break, of the socket or of what feeds it: to those in line the greeting says what happened, without a request. Few have an
// offer; the others have time.
function askWhatWasMissed() {
  const kept = entries().map(({ dataset }) => dataset);
  if (kept.every(({ state, place }) => state === "WAITING" && place !== "")) return;
  fetchAgain(kept.some(({ state }) => state === "OFFERED") ? SPREAD_OF_OFFERED_MS : SPREAD_OF_ALL_MS);
}

function connect() {
  openWith = root().dataset.pass;
  if (socket) socket.renew();
  else socket = keepOpen(() => root().dataset, { receive, changed });
}

document.addEventListener("htmx:afterSettle", () => {
  if (!root()) return;
  learnBlocks();
  if (root().dataset.pass !== openWith && placesChanged()) connect();
});

// The pass names the blocks that are wanted; a new one is needed only when an entry stands in a block not known yet.
const placesChanged = () => entries().some(({ dataset }) => dataset.field && !blocks.has(dataset.field));

// An offer whose countdown ends lapses within the second: see what became of it.
document.addEventListener("countdown:over", () => setTimeout(fetchAgain, 1500));

if (root()) {
  learnBlocks();
  connect();
  setInterval(() => {
    if (!socket.isOpen() && !document.hidden) fetchAgain();
  }, REFRESH_WITHOUT_SOCKET_MS * (1 + Math.random() / 2));
}
