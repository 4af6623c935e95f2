for (const link of document.querySelectorAll(".cards a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    for (const field of ["number", "expiry", "cvc"]) document.getElementById(field).value = link.dataset[field];
    document.querySelector("form button").focus();
  });
}
for (const form of document.forms) {
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((b) => (b.disabled = true))));
}
addEventListener("pageshow", () => document.querySelectorAll("button").forEach((b) => (b.disabled = false)));
