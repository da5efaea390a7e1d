// A button with data-copy="id" copies the text of that element. It stays hidden where the browser gives no clipboard: that is over
// plain http, except on this very machine.

const SAID_FOR_MS = 2000;

for (const button of document.querySelectorAll("[data-copy]")) {
  const words = button.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = words;
    }, SAID_FOR_MS);
  });
}
