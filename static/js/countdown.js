// Counts down to `data-deadline` by the server's clock, in the words that the server began with, and shrinks the rings beside it.

import { serverNow } from "./clock.js";
import { isFormInUse } from "./forms.js";

const SPREAD_MS = 3000; // everybody's countdown ends at once; their next requests should not
const unit = (name) => new Intl.NumberFormat(document.documentElement.lang || "en", { style: "unit", unit: name, unitDisplay: "short" });
const units = { day: unit("day"), hour: unit("hour"), minute: unit("minute"), second: unit("second") };

export function inWords(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [minutes, hours, days] = [60, 3600, 86400].map((length) => Math.floor(seconds / length));
  if (days) return `${units.day.format(days)} ${units.hour.format(hours % 24)}`;
  if (hours) return `${units.hour.format(hours)} ${units.minute.format(minutes % 60)}`;
  if (minutes) return `${units.minute.format(minutes)} ${units.second.format(seconds % 60)}`;
  return units.second.format(seconds);
}

function tick() {
  const now = serverNow();
  for (const element of document.querySelectorAll("[data-deadline]:not([data-over])")) {
    const left = Date.parse(element.dataset.deadline) - now;
    const words = inWords(left);
    if (element.textContent !== words) element.textContent = words;
    if (left <= 0) over(element);
  }
  for (const ring of document.querySelectorAll("[data-ring-to]")) {
    const [from, to] = [ring.dataset.ringFrom, ring.dataset.ringTo].map((iso) => Date.parse(iso));
    const share = Math.min(1, Math.max(0, (to - now) / (to - from)));
    ring.setAttribute("stroke-dasharray", `${(share * 100).toFixed(2)} 100`);
  }
}

function over(element) {
  element.dataset.over = "yes";
  const shown = element.dataset.reveal && document.getElementById(element.dataset.reveal);
  if (shown) shown.hidden = false;
  element.dispatchEvent(new CustomEvent("countdown:over", { bubbles: true }));
  const then = { reload: reloadPage, send: () => element.closest("form").requestSubmit() }[element.dataset.then];
  if (then) setTimeout(then, Math.random() * SPREAD_MS);
}

const reloadPage = () => isFormInUse() || location.reload();

tick();
setInterval(tick, 250);
