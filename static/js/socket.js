// A page's socket, kept open: after a break it comes back with growing pauses and jitter, so that ten thousand don't come at once.

// The longest that each try waits; how long it does is drawn, evenly, so that those who broke off together come back spread out.
const BACK_OFF_MS = [2000, 3000, 5000, 8000, 15000, 30000];

function address({ live, pass }) {
  const base = live || `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  return `${base}/live/?pass=${encodeURIComponent(pass)}`;
}

// `data()` gives the page's current { live, pass }; `receive(message)` gets what comes in; `changed({ open, attempts })` hears of
// each opening and each break.
export function keepOpen(data, { receive, changed = () => {} }) {
  let socket = null;
  let attempts = 0;

  function connect() {
    const mine = new WebSocket(address(data()));
    socket = mine;
    mine.addEventListener("open", () => {
      changed({ open: true, attempts });
      attempts = 0;
    });
    mine.addEventListener("message", (event) => receive(JSON.parse(event.data)));
    mine.addEventListener("close", () => {
      if (mine !== socket) return; // replaced by one with a newer pass
      const wait = BACK_OFF_MS[Math.min(attempts, BACK_OFF_MS.length - 1)];
      attempts += 1;
      changed({ open: false, attempts });
      setTimeout(connect, Math.random() * wait);
    });
  }

  connect();
  return {
    isOpen: () => socket.readyState === WebSocket.OPEN,
    renew() {
      const old = socket;
      connect();
      old.close();
    },
  };
}
