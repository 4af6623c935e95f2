// Adds the reader's own time to every time that the venue's clock shows differently.

function wallClock(date, timeZone) {
  return new Intl.DateTimeFormat("en", { timeZone, dateStyle: "short", timeStyle: "short" }).format(date);
}

export function addOwnTimes(root = document) {
  const page = document.documentElement.lang || "en";
  const language = navigator.language.startsWith(page) ? navigator.language : page; // the reader's order of day and month
  for (const element of root.querySelectorAll("time[data-zone]:not([data-own-shown])")) {
    const date = new Date(element.dateTime);
    element.dataset.ownShown = "yes";
    if (wallClock(date, element.dataset.zone) === wallClock(date)) continue;
    const short = element.dataset.style === "time";
    const day = short ? { second: "2-digit" } : { weekday: "short", day: "numeric", month: "short" };
    const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const own = document.createElement("span");
    own.className = "moment__own";
    own.textContent = element.dataset.own.replace("{time}", new Intl.DateTimeFormat(language, { ...day, ...time }).format(date));
    element.append(" ", own);
  }
}

addOwnTimes();
document.addEventListener("htmx:afterSwap", (event) => addOwnTimes(event.target.parentElement ?? document));
