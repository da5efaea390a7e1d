// The pages of one attempt to lend: they go on by themselves, and links can be copied with one tap.

const BETWEEN_MS = 1000;
const AFTER_A_FAILURE_MS = 4000;

const attempt = document.querySelector("[data-watch]");

// The page is rendered by the server; all that is looked for here is whether it would be another one by now.
async function watch() {
  let wait = BETWEEN_MS;
  try {
    const answer = await fetch(attempt.dataset.watch, { headers: { Accept: "application/json" } });
    const isForgotten = answer.status === 404;
    if (isForgotten || (answer.ok && (await answer.json()).state !== attempt.dataset.state)) {
      window.location.reload();
      return;
    }
    if (!answer.ok) {
      wait = AFTER_A_FAILURE_MS;
    }
  } catch {
    // The network is away, or a proxy shows a page of its own: what is here stays.
    wait = AFTER_A_FAILURE_MS;
  }
  window.setTimeout(watch, wait);
}

if (attempt) {
  window.setTimeout(watch, BETWEEN_MS);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  // Browsers give pages the clipboard over https and on this very machine only.
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
