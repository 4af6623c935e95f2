// A tournament's page: its counters move as the line does. Without a socket they stand still, and nothing else is missing.

import { isFormInUse } from "./forms.js";
import { moveSeats } from "./seats.js";
import { keepOpen } from "./socket.js";

const SPREAD_MS = 5000;

const page = document.getElementById("tournament");
let reloading = null;

function receive({ kind, head }) {
  if (kind !== "line") return;
  moveSeats(head.divisions);
  // Another phase reads differently throughout. If a form is in use by then, the line's next word tries again.
  if (head.phase !== page.dataset.phase) reloading ??= setTimeout(reload, Math.random() * SPREAD_MS);
}

function reload() {
  reloading = null;
  if (!isFormInUse()) location.reload();
}

keepOpen(() => page.dataset, { receive });
