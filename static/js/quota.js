// /quota with scripts: countdowns tick, the figures are fetched anew without leaving the page, addresses are copied with one tap.
// The key is not here: the browser has a ticket that no script can read.
import { localTimes } from "./local-time.js";

const UNITS = [
  ["d", 86400, "h", 3600],
  ["h", 3600, "min", 60],
  ["min", 60, "s", 1],
];
const A_MOMENT_MS = 2000;

// As gateway/templatetags/amounts.py tells it.
function countdown(seconds) {
  if (seconds <= 0) return "now";
  for (const [unit, size, below, small] of UNITS) {
    if (seconds >= size) {
      const rest = Math.floor((seconds % size) / small);
      return `in ${Math.floor(seconds / size)} ${unit}` + (rest ? ` ${rest} ${below}` : "");
    }
  }
  return `in ${seconds} s`;
}

function tick() {
  for (const element of document.querySelectorAll("[data-countdown]")) {
    const text = countdown(Math.floor((new Date(element.dataset.countdown) - Date.now()) / 1000));
    if (element.textContent !== text) element.textContent = text;
  }
}

// The server renders the page; its figures take the place of those that are shown. What somebody opened stays open.
async function show(address) {
  const shown = document.querySelector("[data-statement]");
  const answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-statement]");
  if (!answer.ok || !fresh) {
    // The ticket has run out, or the link was ended: the server says so on a page of its own.
    window.location.assign(address);
    return;
  }
  const open = new Set([...shown.querySelectorAll("details[open] code.pick")].map((id) => id.textContent));
  shown.replaceChildren(...fresh.childNodes);
  for (const id of shown.querySelectorAll("details code.pick")) {
    if (open.has(id.textContent)) id.closest("details").open = true;
  }
  localTimes(shown);
  tick();
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-refresh], [data-view]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const isView = link.hasAttribute("data-view");
  const address = new URL(link.href);
  link.setAttribute("aria-busy", "true");
  try {
    await show(address);
  } catch {
    // The network is away: what is here stays, and the browser tells it in its own words.
    window.location.assign(address);
    return;
  }
  if (isView) {
    address.hash = "";
    window.history.replaceState(null, "", address);
  }
  const again = [...document.querySelectorAll("[data-refresh], [data-view]")].find(
    (other) => other.textContent === link.textContent,
  );
  again?.focus({ preventScroll: true });
});

for (const button of document.querySelectorAll("[data-copy]")) {
  // Browsers give pages the clipboard over https and on this very machine only.
  button.hidden = !navigator.clipboard;
  const words = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    window.setTimeout(() => {
      button.textContent = words;
    }, A_MOMENT_MS);
  });
}

window.setInterval(tick, 1000);
tick();
