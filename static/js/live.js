// What is marked data-live is fetched anew every few seconds, while the page is looked at.
import { localTimes } from "./local-time.js";

const EVERY_MS = 3000;
let shown = "";

async function refresh() {
  const live = document.querySelector("[data-live]");
  if (document.visibilityState !== "visible" || live.contains(document.activeElement)) {
    return;
  }
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) {
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  const text = fresh?.textContent ?? "";
  if (fresh && text !== shown) {
    shown = text;
    live.replaceChildren(...fresh.childNodes);
    localTimes(live);
  }
}

async function tick() {
  try {
    await refresh();
  } catch {
    // The server is away for a moment: the next look tells.
  }
  setTimeout(tick, EVERY_MS);
}

setTimeout(tick, EVERY_MS);
