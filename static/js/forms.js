// Says at once that a press was taken, and sends each form once. Every POST can be repeated safely; this spares the repeating.

const RELEASE_AFTER_MS = 15000;

function take(form, button) {
  form.dataset.taken = "yes";
  if (!button) return;
  button.setAttribute("aria-disabled", "true");
  if (button.dataset.taken) {
    button.dataset.label = button.textContent;
    button.style.minWidth = `${button.offsetWidth}px`; // nothing jumps
    button.textContent = button.dataset.taken;
  }
}

export function release(form) {
  delete form.dataset.taken;
  for (const button of form.querySelectorAll("[aria-disabled='true']")) {
    button.removeAttribute("aria-disabled");
    if (button.dataset.label) button.textContent = button.dataset.label;
  }
}

// While somebody fills in a form, or waits for what it answers, the page must not be loaded again: the words, or the answer, would be lost.
export const isFormInUse = () => Boolean(document.querySelector("form:focus-within, form[data-taken]"));

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.taken) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  take(form, event.submitter ?? form.querySelector("button[type='submit'], button:not([type])"));
  setTimeout(() => release(form), RELEASE_AFTER_MS);
}, true);

// Back in the browser shows the page as it was left: with its buttons usable.
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form[data-taken]").forEach(release);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest?.("form[data-taken]");
  if (form) release(form);
});
