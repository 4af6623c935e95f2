// A tournament's page: its counters move as the line does. Without a socket they stand still, and nothing else is missing.

import { moveSeats } from "./seats.js";
import { keepOpen } from "./socket.js";

const SPREAD_MS = 5000;

const page = document.getElementById("tournament");
function receive({ kind, head }) {
  if (kind !== "line") return;
  moveSeats(head.divisions);
  // Another phase reads differently throughout, but a form that is being filled in is not taken away.
  if (head.phase !== page.dataset.phase && !document.querySelector("form:focus-within, form[data-taken]")) {
    page.dataset.phase = head.phase;
    setTimeout(() => location.reload(), Math.random() * SPREAD_MS);
  }
}

keepOpen(() => page.dataset, { receive });
