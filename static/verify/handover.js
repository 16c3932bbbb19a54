// When the log goes on under another name and key: whether the log that this device knows says so
// itself. The service tells its hand-overs as bundles do.
import { askEvidence } from "./ask.js";
import { parseJSON } from "./json.js";
import { readLogs } from "./logs.js";
import { isSameKey, parseVkey } from "./note.js";
import { unlessRefused } from "./refused.js";
import { isObject, misshapenPlace } from "./shape.js";

// Returns {verdict}: "unknown" where no answer came, "refused" where no hand-over leads from a known key
// to this one, else "handed" with the checkpoint at which the last known log ended (`final`), and that
// log's number. known: pinned keys, as memory.js keeps them.
export async function judgeHandover(key, known) {
  const { raw, denied } = await askEvidence("/api/v1/ledger/handovers");
  if (raw === null) return { verdict: denied ? "refused" : "unknown" };
  const bundle = await unlessRefused(() => parseJSON(raw), null);
  // Two parts of a bundle, so that what reads bundles reads them; they are about no code.
  if (!isObject(bundle) || misshapenPlace(new Map([...bundle, ["subject", ""]]))) {
    return { verdict: "unknown" };
  }
  const keys = [];
  for (const { vkey } of known) keys.push(await unlessRefused(() => parseVkey(vkey), null));
  const logs = await readLogs(bundle, keys.filter(Boolean));
  const handed = logs.some((log) => log.trust === "handed" && isSameKey(log.key, key));
  const number = logs.findLastIndex((log) => log.trust === "given" && log.checkpoint !== null);
  if (!handed || number < 0) return { verdict: "refused" };
  return { verdict: "handed", final: logs[number].checkpoint, number };
}
