// Draws the line as people, by the rules of vgchub/pictures.py (a test holds both against each other), and moves it.

const PERSON = 20, GAP = 46, MARGIN = 14;
const HEAD = 5, BESIDE = 2, TAIL = 2, ALL_SHOWN = 16;
const MOVE_MS = 400;

function windows(waiting, position) {
  if (waiting <= ALL_SHOWN) return waiting ? [[1, waiting]] : [];
  const wanted = [[1, HEAD], [waiting - TAIL + 1, waiting]];
  if (position) wanted.splice(1, 0, [Math.max(1, position - BESIDE), Math.min(waiting, position + BESIDE)]);
  const merged = [wanted[0]];
  for (const [first, last] of wanted.slice(1)) {
    const before = merged.at(-1);
    if (first - before[1] <= 3) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

export function linePicture(waiting, position, likely) {
  const people = [], gaps = [];
  let x = MARGIN, last = 0;
  for (const [from, to] of windows(waiting, position)) {
    if (last) {
      gaps.push({ first: last + 1, last: from - 1, x: x + GAP / 2 - PERSON / 2 });
      x += GAP;
    }
    for (let at = from; at <= to; at += 1, x += PERSON) people.push({ at, x, isYou: at === position, isLikely: at <= likely });
    last = to;
  }
  const hasLabel = (at) => at === position || ((at === 1 || at === waiting) && (!position || Math.abs(at - position) > 2));
  return { people, gaps, shade: shade(people, gaps, Math.min(likely, waiting)), labels: people.filter(({ at }) => hasLabel(at)) };
}

function shade(people, gaps, likely) {
  if (!likely) return 0;
  const person = people.find(({ at }) => at === likely);
  if (person) return person.x + PERSON / 2;
  const gap = gaps.find(({ first, last }) => first <= likely && likely <= last);
  const share = (likely - gap.first + 1) / (gap.last - gap.first + 1);
  return Math.floor(gap.x - GAP / 2 + share * GAP);
}

function markup(picture, position, you, format) {
  const person = ({ at, x, isYou, isLikely }) =>
    `<g class="line__person${isYou ? " line__person--you" : isLikely ? " line__person--likely" : ""}" data-at="${at}" transform="translate(${x} 0)">` +
    `<circle cy="38" r="5"></circle><path d="M-7.5 62a7.5 9 0 0 1 15 0z"></path>${isYou ? `<text class="line__you" y="16">${you}</text>` : ""}</g>`;
  const gap = ({ x }) =>
    `<g class="line__gap" transform="translate(${x} 0)"><circle cx="-9" cy="52" r="2"></circle><circle cy="52" r="2"></circle><circle cx="9" cy="52" r="2"></circle></g>`;
  const label = ({ at, x }) =>
    `<text class="line__number${at === position ? " line__number--you" : ""}" x="${x}" y="84">${format(at)}</text>`;
  return (
    (picture.shade ? `<rect class="line__shade" x="2" y="24" width="${picture.shade}" height="46" rx="10"></rect>` : "") +
    picture.people.map(person).join("") + picture.gaps.map(gap).join("") + picture.labels.map(label).join("")
  );
}

// Redraws a figure made by _line.html: drawLine(figure, { waiting: 3420, position: 213, likely: 41 }).
export function drawLine(figure, { waiting, position, likely }) {
  const svg = figure.querySelector("svg");
  const number = new Intl.NumberFormat(document.documentElement.lang || "en");
  const before = Number(svg.querySelector(".line__person--you")?.dataset.at ?? 0);
  svg.innerHTML = markup(linePicture(waiting, position, likely), position, svg.dataset.you, (value) => number.format(value));
  for (const [name, value] of Object.entries({ waiting, likely })) {
    figure.querySelector(`[data-line-count="${name}"]`).textContent = number.format(value);
  }
  figure.querySelector(".line__likely").hidden = !likely;
  if (before > position && !matchMedia("(prefers-reduced-motion: reduce)").matches) walk(svg, Math.min(3, before - position));
}

function walk(svg, steps) {
  for (const person of svg.querySelectorAll(".line__person")) {
    const there = person.getAttribute("transform").match(/-?[\d.]+/)[0];
    person.animate(
      [{ transform: `translateX(${Number(there) + steps * PERSON}px)` }, { transform: `translateX(${there}px)` }],
      { duration: MOVE_MS, easing: "ease-out" },
    );
  }
}
