// On the page that a scan opens. The page is whole without this; whatever it needs it loads when the
// page can be read, and the check only when somebody asks for it: phones and lines may be poor.
const self = document.getElementById("self");
const told = document.getElementById("self-told");

if (self) {
  self.hidden = false;
  const button = self.querySelector("button");
  button.addEventListener("click", async () => {
    button.disabled = true;
    told.textContent = self.dataset.busy;
    try {
      const { checkHere } = await import("./self.js");
      told.replaceChildren(await checkHere(self.dataset));
    } catch {
      told.textContent = self.dataset.failed;
    }
    button.disabled = false;
  });
}

async function guard() {
  const { missing } = await import("./crypto.js");
  if (await missing()) return;
  const [{ watchLog }, { alarms }, { loadWords, say, sayTime }] = await Promise.all([
    import("./watch.js"),
    import("./memory.js"),
    import("./words.js"),
  ]);
  const seen = await watchLog();
  const known = alarms();
  const shown = seen.state === "alarm" && !known.length ? [seen.alarm] : known;
  if (seen.state === "quiet" && !shown.length) return;
  await loadWords("watch");
  if (shown.length) {
    const { showAlarms } = await import("./alarm.js");
    showAlarms(shown);
  }
  const line = document.getElementById("watch-told");
  if (seen.state === "first") line.textContent = say("verify.watch.first", { count: seen.size });
  if (seen.state === "unproven") {
    line.textContent = say("verify.watch.unproven", { since: sayTime(seen.since) });
  }
  if (seen.state === "behind") {
    const params = { at: sayTime(seen.seen.at), seen: seen.seen.size, count: seen.size };
    line.textContent = say("verify.watch.behind", params);
  }
  if (seen.state === "grew") {
    const { first } = seen.seen;
    const params = { since: sayTime(first.at), first: first.size, count: seen.size };
    line.textContent = say("verify.watch.grew", params);
  }
}

function whenIdle(run) {
  // Failing is silence, and never a word that all is well.
  const safely = () => run().catch(() => undefined);
  if (globalThis.requestIdleCallback) requestIdleCallback(safely, { timeout: 3000 });
  else setTimeout(safely, 300);
}

// Whoever saves data is not asked to spend it unasked.
if (self && !navigator.connection?.saveData) {
  if (document.readyState === "complete") whenIdle(guard);
  else addEventListener("load", () => whenIdle(guard));
}
