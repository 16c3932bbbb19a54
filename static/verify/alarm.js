// The warning that the log is not the one this device knew: loud, in plain words, with the evidence.
import { element, saveLink, say, sayTime } from "./words.js";

// Shows all alarms, the newest first, above everything else on the page.
export function showAlarms(alarms) {
  const main = document.getElementById("main");
  for (const shown of main.querySelectorAll(".notice-alarm")) shown.remove();
  for (const alarm of alarms) main.prepend(drawAlarm(alarm));
}

function drawAlarm(alarm) {
  const name = `suxin-log-${alarm.at.replace(/[^0-9]/g, "").slice(0, 14)}.json`;
  return element(
    "section",
    { class: "notice notice-alarm", role: "alert" },
    element("h2", {}, say(`verify.watch.${alarm.kind}`)),
    element("p", {}, say(`verify.watch.${alarm.kind}.means`, { at: sayTime(alarm.old.at ?? alarm.old.since) })),
    element("p", { class: "notice-do" }, say("verify.watch.do")),
    element("p", {}, say("verify.watch.kept")),
    saveLink(say("verify.watch.save"), name, JSON.stringify(alarm, null, 2)),
    element("p", { class: "notice-by" }, say("verify.watch.found", { at: sayTime(alarm.at) })),
  );
}
