// Whether evidence is of the very log that this device was shown before. An operator who signs two logs
// could show one in its checkpoints and give evidence from the other: each fits its signature.
import { showAlarms } from "./alarm.js";
import { raiseAlarm } from "./fork.js";
import { judgeGrowth, lastSigned } from "./growth.js";
import { parseJSON } from "./json.js";
import { readLogs } from "./logs.js";
import { alarms, pinnedKey, treeOf } from "./memory.js";
import { parseVkeys } from "./note.js";
import { parsePolicy } from "./policy.js";
import { remark } from "./report.js";
import { element, say, sayTime } from "./words.js";

// Returns {report, line}: the report, no longer a good one where the evidence is of another log; and
// what to say of the comparison, null where the report was not good to begin with. given: what the
// bundle was verified against. Asks the service for proofs where sizes differ.
export async function holdAgainstSeen(report, raw, { vkey = null, policy = null }) {
  if (report.verdict !== "matches") return { report, line: null };
  const keys = vkey === null ? [] : await parseVkeys(vkey);
  if (policy !== null) keys.push(...(await parsePolicy(policy)).logs);
  const broken = [];
  const raised = [];
  let [at, isUnknown, isUnmet] = ["", false, false];
  for (const log of await readLogs(await parseJSON(raw), keys)) {
    const found = await judgeLog(log);
    at = found.at ?? at;
    isUnknown ||= found.verdict === "unknown";
    isUnmet ||= found.verdict === "unmet";
    if (found.alarm) raised.push(found.alarm);
    if (found.verdict === "other") broken.push(remark("other_log", log.place, { at: found.at }));
  }
  if (raised.length) {
    const known = alarms();
    showAlarms(known.length ? known : raised);
  }
  if (broken.length) {
    return { report: { ...report, verdict: "differs", exit_code: 1, broken, steps: null }, line: null };
  }
  const how = isUnknown ? "unknown" : isUnmet ? "unmet" : "same";
  const line = element("p", { class: "log-line" }, say(`verify.check.seen_${how}`, { at }));
  return { report, line };
}

async function judgeLog(log) {
  const pinned = pinnedKey(log.origin);
  const old = pinned === null ? null : await lastSigned(log.origin, pinned.vkey);
  if (old === null) return { verdict: "unmet" };
  const at = sayTime(old.at);
  const now = { key: log.vkey, note: log.note };
  if (pinned.vkey !== log.vkey) {
    // A key that the reader gave is the reader's choice; one that was handed over is the operator's, and
    // a log has one key.
    if (log.trust !== "handed" || pinned.how === "pasted") return { verdict: "unmet" };
    return { verdict: "other", at, alarm: raiseAlarm("key_changed", { pinned, old, now }) };
  }
  const { verdict, proof } = await judgeGrowth(log.origin, treeOf(old), log.checkpoint);
  if (verdict === "continues") return { verdict: "same", at };
  if (verdict === "differs") {
    return { verdict: "other", at, alarm: raiseAlarm("evidence", { pinned, old, now, proof }) };
  }
  const alarm = verdict === "refused" ? raiseAlarm("refused", { pinned, old, now }) : null;
  return { verdict: "unknown", at, alarm };
}
