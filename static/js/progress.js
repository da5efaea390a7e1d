// How far a job is, twice a second; when it is over the page is read anew, as it then tells the result.
const EVERY_MS = 500;
const bar = document.querySelector("progress[data-job]");
const words = document.querySelector("[data-job-words]");

async function look() {
  const answer = await fetch(`/api/jobs/${bar.dataset.job}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) {
    throw new Error(`${answer.status}`);
  }
  const job = await answer.json();
  if (job.state !== "queued" && job.state !== "running") {
    location.reload();
    return;
  }
  bar.max = Math.max(job.total, 1);
  bar.value = job.done;
  words.textContent = `${job.done.toLocaleString()} of ${job.total.toLocaleString()}`;
  setTimeout(look, EVERY_MS);
}

async function begin() {
  try {
    await look();
  } catch {
    // The server is away for a moment: the next look tells.
    setTimeout(begin, 4 * EVERY_MS);
  }
}

if (bar) {
  begin();
}
