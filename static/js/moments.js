// Adds the reader's own time to every time that the venue's clock shows differently.

function inZone(date, timeZone, style) {
  return new Intl.DateTimeFormat("en", { timeZone, ...style }).format(date);
}

export function addOwnTimes(root = document) {
  const page = document.documentElement.lang || "en";
  const language = navigator.language.startsWith(page) ? navigator.language : page; // the reader's order of day and month
  for (const element of root.querySelectorAll("time[data-zone]:not([data-own-shown])")) {
    const date = new Date(element.dateTime);
    element.dataset.ownShown = "yes";
    const differs = (style) => inZone(date, element.dataset.zone, style) !== inZone(date, undefined, style);
    if (!differs({ dateStyle: "short", timeStyle: "short" })) continue;
    // As exact as the venue's time beside it; the day only where it is another one there.
    const exact = element.dataset.style === "time" || date.getSeconds() !== 0;
    const day = differs({ dateStyle: "short" }) ? { weekday: "short", day: "numeric", month: "short" } : {};
    const time = { hour: "2-digit", minute: "2-digit", ...(exact && { second: "2-digit" }), hourCycle: "h23" };
    const own = document.createElement("span");
    own.className = "moment__own";
    own.textContent = element.dataset.own.replace("{time}", new Intl.DateTimeFormat(language, { ...day, ...time }).format(date));
    element.append(" ", own);
  }
}

addOwnTimes();
document.addEventListener("htmx:afterSwap", (event) => addOwnTimes(event.target.parentElement ?? document));
