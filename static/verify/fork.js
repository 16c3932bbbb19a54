// What is kept where the log is not the one that this device knew: both signed states, to be shown to
// others. kind: what was found, as the sentences of verify.watch name it.
import { keepAlarm } from "./memory.js";

// Keeps the evidence and returns it. pinned: the key that this device knows. old: what it last saw of
// that log, or null. now: {key, note} of what it was shown, key null where none was given. proof: the one
// that does not fit, if that is what was found.
export function raiseAlarm(kind, { pinned, old, now, proof = undefined }) {
  const alarm = {
    format: "suxin-fork/1",
    kind,
    at: new Date().toISOString(),
    old: { key: pinned.vkey, since: pinned.since, note: old?.note ?? null, at: old?.at ?? null },
    new: now,
    ...(proof && { proof }),
  };
  keepAlarm(alarm);
  return alarm;
}
