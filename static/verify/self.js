// "Check it yourself" on the page of a scan: fetches the evidence, checks it here, and shows the
// verdict beside the page's own. Says what it relies on.
import { askBytes } from "./ask.js";
import { verifyBundle } from "./bundle.js";
import { missing } from "./crypto.js";
import { drawLists, sayVerdict, toneOf } from "./draw.js";
import { pinKey, pinnedKeys } from "./memory.js";
import { holdAgainstSeen } from "./samelog.js";
import { servedKey } from "./watch.js";
import { element, loadWords, say, sayTime } from "./words.js";

// Returns what is to be shown. evidence: the bundle's path. said: the page's own verdict in words;
// sound: "yes" where it found nothing altered; tone: of that verdict, `good`, `gap` or `bad`.
export async function checkHere({ evidence, said, sound, tone }) {
  await loadWords("check");
  const lacking = await missing();
  if (lacking) return refusal(`verify.check.missing_${lacking}`);
  const { vkey, relies } = await knownKeys();
  if (vkey === null) return refusal("verify.check.no_key");
  const raw = await askBytes(evidence);
  if (raw === null) return refusal("verify.check.no_evidence");
  const { report, line } = await holdAgainstSeen(await verifyBundle(raw, { vkey }), raw, { vkey });
  return drawBeside(report, { said, sound: sound === "yes", tone, relies, line });
}

function refusal(key) {
  return element("p", { class: "refusal" }, say(key));
}

// Returns the keys that this device knows, one a line, and the sentence on where they are from. The
// first key that it ever saw is remembered.
async function knownKeys() {
  const known = pinnedKeys();
  if (known.length) {
    const at = sayTime(known[0].since);
    const how = known.some((key) => key.how === "pasted") ? "pasted" : "seen";
    const vkey = known.map((key) => key.vkey).join("\n");
    return { vkey, relies: say(`verify.check.relies_${how}`, { at }) };
  }
  const served = await servedKey();
  if (served === null) return { vkey: null, relies: "" };
  const kept = pinKey(served.text, "seen");
  return { vkey: served.text, relies: say(`verify.check.relies_${kept ? "now" : "unkept"}`) };
}

function drawBeside(report, { said, sound, tone, relies, line }) {
  const matches = report.verdict === "matches";
  const rows = [
    ["verify.check.page_says", said, tone],
    ["verify.check.here_says", sayVerdict(report), toneOf(report)],
  ];
  const drawn = document.createDocumentFragment();
  drawn.append(
    element(
      "dl",
      { class: "beside" },
      ...rows.map(([key, words, tone]) =>
        element("div", { class: `beside-${tone}` }, element("dt", {}, say(key)), element("dd", {}, words)),
      ),
    ),
  );
  if (matches !== sound) {
    const key = matches ? "verify.check.page_found_more" : "verify.check.disagree";
    drawn.append(element("p", { class: "refusal" }, say(key)));
  }
  const details = element("details", { class: "check-list" });
  details.append(element("summary", {}, say("verify.check.details")), drawLists(report));
  details.open = !matches;
  drawn.append(element("p", { class: "mute" }, relies), ...(line ? [line] : []), details);
  return drawn;
}
