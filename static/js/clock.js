// The server's time, whatever the clock of this device says: the last time the server told, plus what has passed since.

let told = 0; // the server's time in ms, as of...
let at = 0; // ...this moment of performance.now()
let wallAt = 0; // and of this device's clock, only to notice that the device slept

export function sync(serverIso, receivedAt = performance.now()) {
  told = Date.parse(serverIso);
  at = receivedAt;
  wallAt = Date.now() - (performance.now() - receivedAt);
}

export function serverNow() {
  return told ? told + performance.now() - at : Date.now();
}

// A sleeping device stops performance.now() in some browsers: ask the server again after it woke.
async function wake() {
  const slept = Date.now() - wallAt - (performance.now() - at);
  if (document.hidden || !told || Math.abs(slept) < 2000) return;
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    const date = answer.headers.get("Date");
    if (date) sync(date);
  } catch {
    told += slept; // no connection: the device's own clock is the best there is
    at = performance.now();
  }
}

document.addEventListener("visibilitychange", wake);
addEventListener("pageshow", wake);

// What the page was made with counts from when its first byte came. A copy that was kept was made earlier than that: with it the server
// sends the time at which it said that the copy still holds.
const answer = performance.getEntriesByType("navigation")[0];
const sentAt = answer?.serverTiming?.find(({ name }) => name === "clock")?.duration;
const first = sentAt ? new Date(sentAt).toISOString() : document.querySelector("[data-now]")?.dataset.now;
if (first) sync(first, answer?.responseStart);
