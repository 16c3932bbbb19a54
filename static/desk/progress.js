// Brings a page of progress up to date in place, where the page without script loads itself again.
const PAUSE_MS = 2000;

async function look() {
  const there = document.getElementById("progress");
  if (!there?.dataset.running) {
    return;
  }
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.getElementById("progress");
    if (!answer.ok || !now?.dataset.running) {
      location.reload(); // done, or somebody must sign in again
      return;
    }
    there.replaceChildren(...now.childNodes);
  } catch {
    // The network is away; it may be back the next time.
  }
  setTimeout(look, PAUSE_MS);
}

setTimeout(look, PAUSE_MS);
