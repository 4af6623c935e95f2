// The page of a draw: fetches its part again when the draw moves on, and checks the result in this browser.

import { keepOpen } from "./socket.js";
import { ownResult, verifyBundle } from "./verify.js";

const SPREAD_MS = 8000; // thousands of pages hear of a draw in the same moment
const ASK_EVERY_MS = 20000; // while something is awaited and the socket is away
const SOON_MS = 2000;

const part = () => document.getElementById("draw");
const number = new Intl.NumberFormat(document.documentElement.lang || "en");

// --- What is awaited -----------------------------------------------------------------------------------------------

let asking = null;

function fetchAgain(spread) {
  asking ??= setTimeout(() => {
    asking = null;
    window.htmx?.trigger(part(), "draw-changed");
  }, SOON_MS / 4 + Math.random() * spread);
}

function listen() {
  const socket = keepOpen(() => part().dataset, {
    receive: ({ kind }) => kind.startsWith("draw.") && fetchAgain(SPREAD_MS),
    changed: ({ open, attempts }) => open && attempts && fetchAgain(SPREAD_MS), // what happened meanwhile
  });
  // What a countdown goes to is said by the socket too, unless that is away.
  document.addEventListener("countdown:over", () => fetchAgain(SPREAD_MS));
  setInterval(() => {
    if (part().dataset.awaits && !document.hidden && !socket.isOpen()) fetchAgain(SOON_MS);
  }, ASK_EVERY_MS);
}

if (part().dataset.awaits) listen();

// --- Check it yourself ---------------------------------------------------------------------------------------------

const say = (name) => document.getElementById("check-words").dataset[name];

function made(tag, words, className = "") {
  const element = document.createElement(tag);
  element.textContent = words;
  if (className) element.className = className;
  return element;
}

async function downloaded({ bundle, size }, onProgress) {
  const answer = await fetch(bundle);
  if (!answer.ok) throw new TypeError(`the file's address answers ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const pieces = [];
  let length = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return pieces.join("");
    pieces.push(value);
    length += value.length;
    onProgress(length / Number(size));
  }
}

// That it is this page's draw at all: a sound file of another draw would hold as well.
function isOfThisPage(bundle, { draw, sha256 }) {
  const says = `${bundle.manifest.draw}, ${bundle.manifest_sha256}`;
  const should = `${draw}, ${sha256}`;
  return { field: "page", holds: says === should, says, should };
}

function row({ field, holds, says, should }, labels) {
  const item = document.createElement("li");
  const outcome = holds ? "holds" : holds === false ? "fails" : "unknown";
  item.dataset.field = field;
  item.dataset.outcome = outcome;
  item.append(document.getElementById(`check-${outcome}`).content.cloneNode(true), made("p", labels[field]));
  if (holds) return item;
  const details = document.createElement("details");
  details.open = true;
  details.append(made("summary", holds === null ? should : say("should")));
  if (holds === false) details.append(made("p", should, "hash"));
  details.append(made("p", `${say("says")}: ${says}`, "hash small quiet"));
  item.append(details);
  return item;
}

function showOwn(section, bundle) {
  const found = JSON.parse(document.getElementById("check-own-ids").textContent).map((id) => ownResult(bundle, id));
  const fill = (template, values) => template.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
  const own = section.querySelector(".check__own");
  own.replaceChildren();
  for (const one of found.filter(Boolean)) {
    const values = { id: one.id, place: number.format(one.place), rank: number.format(one.rank), tickets: one.tickets.join(", ") };
    own.append(made("p", fill(say("own"), values)), made("p", fill(say("key"), values), "hash small quiet"));
  }
  own.hidden = !own.childElementCount;
}

function show(section, findings, bundle) {
  const labels = JSON.parse(document.getElementById("check-fields").textContent);
  const list = section.querySelector(".checks");
  list.replaceChildren(...findings.map((finding) => row(finding, labels)));
  list.hidden = false;
  const fails = findings.some(({ holds }) => holds === false);
  const partly = findings.some(({ holds }) => holds === null);
  section.querySelector(".check__words").textContent = say(fails ? "fails" : partly ? "partly" : "holds");
  if (!fails) showOwn(section, bundle);
}

async function check(section) {
  const words = section.querySelector(".check__words");
  const progress = section.querySelector("progress");
  progress.hidden = false;
  words.textContent = say("loading");
  try {
    const text = await downloaded(section.dataset, (share) => (progress.value = share));
    words.textContent = say("checking");
    const chains = JSON.parse(document.getElementById("check-chains").textContent);
    const findings = await verifyBundle(text, { onProgress: (share) => (progress.value = share), chains });
    const hasForm = findings[0].holds;
    const bundle = hasForm ? JSON.parse(text) : null;
    show(section, hasForm ? [isOfThisPage(bundle, section.dataset), ...findings] : findings, bundle);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    words.textContent = say("unreachable"); // what fetch says when there is no connection
  } finally {
    progress.hidden = true;
  }
}

function showButton() {
  for (const button of document.querySelectorAll("[data-check-start]")) button.hidden = false;
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-check-start]");
  if (!button || button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  await check(button.closest("[data-check]")).finally(() => button.removeAttribute("aria-disabled"));
});
document.addEventListener("htmx:afterSettle", showButton);
showButton();
