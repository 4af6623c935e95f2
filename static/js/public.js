// A tournament's page: its counters move as the line does. Without a socket they stand still, and nothing else is missing.

import { moveSeats } from "./seats.js";

const BACK_OFF_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const SPREAD_MS = 5000;

const page = document.getElementById("tournament");
let attempts = 0;

function address() {
  const { live, pass } = page.dataset;
  const base = live || `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  return `${base}/live/?pass=${encodeURIComponent(pass)}`;
}

function receive(event) {
  const { kind, head } = JSON.parse(event.data);
  if (kind !== "line") return;
  moveSeats(head.divisions);
  // Another phase reads differently throughout, but a form that is being filled in is not taken away.
  if (head.phase !== page.dataset.phase && !document.querySelector("form:focus-within, form[data-taken]")) {
    page.dataset.phase = head.phase;
    setTimeout(() => location.reload(), Math.random() * SPREAD_MS);
  }
}

function connect() {
  const socket = new WebSocket(address());
  socket.addEventListener("open", () => { attempts = 0; });
  socket.addEventListener("message", receive);
  socket.addEventListener("close", () => {
    const wait = BACK_OFF_MS[Math.min(attempts, BACK_OFF_MS.length - 1)];
    attempts += 1;
    setTimeout(connect, wait / 2 + (Math.random() * wait) / 2);
  });
}

connect();
