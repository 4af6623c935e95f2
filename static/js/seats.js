// Moves the seat bars: moveSeats({ 12: { confirmed, offered, free, waiting } }) by division id; numbers count over in 200 ms.

const COUNT_OVER_MS = 200;
const BAR = 10000; // as in vgchub/pictures.py

export function countOver(element, to) {
  const number = new Intl.NumberFormat(document.documentElement.lang || "en");
  const from = Number(element.dataset.value ?? element.textContent.replace(/\D/g, ""));
  element.dataset.value = to;
  if (from === to) return;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden) {
    element.textContent = number.format(to);
    return;
  }
  const begun = performance.now();
  const step = (now) => {
    const share = Math.min(1, (now - begun) / COUNT_OVER_MS);
    element.textContent = number.format(Math.round(from + (to - from) * share));
    if (share < 1 && element.dataset.value === String(to)) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

export function moveSeats(divisions) {
  for (const [id, numbers] of Object.entries(divisions)) {
    const bar = document.querySelector(`[data-seat-bar="${id}"]`);
    if (!bar) continue;
    for (const element of bar.querySelectorAll("[data-count]")) {
      const to = numbers[element.dataset.count];
      if (to !== undefined) countOver(element, to);
    }
    const seats = numbers.seats ?? Number(bar.dataset.seats);
    let before = 0;
    for (const part of bar.querySelectorAll("[data-part]")) {
      const count = part.dataset.part === "reserved" ? Math.min(Number(bar.dataset.reserved), numbers.free) : numbers[part.dataset.part];
      const [x, width] = [before, count].map((number) => Math.floor((number * BAR) / (seats || 1)));
      part.setAttribute("x", x);
      part.setAttribute("width", width);
      before += count;
    }
  }
}
