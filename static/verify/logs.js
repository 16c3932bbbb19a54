// The logs of a bundle: which of their checkpoints are to be believed. Believed is what the given keys
// signed. A log goes on from another by two records of log/heads, so whoever trusts one log's key may
// come to trust the next one's or the one before: by a `rotated` record that a believed log proves to
// hold, or by a `continued` record of one that names exactly this size and root.
import { decodeBase64, hex, utf8 } from "./bytes.js";
import { sha256 } from "./crypto.js";
import { parseBody } from "./json.js";
import { leafHash, verifyInclusion } from "./merkle.js";
import { isSameKey, openNote, parseCheckpoint, parseVkey } from "./note.js";
import { Refused, unlessRefused } from "./refused.js";
import { HEADS_STREAM, isInteger, isText, wrongRecordField } from "./shape.js";

// Returns the bundle's checkpoints in order: {place, origin, note, key, checkpoint, wrong, trust}. wrong:
// why it is none, "" where it is one. trust: "given" by who asks (or by nobody, where no key was given),
// "handed" over by another log, or "". A second checkpoint of one log is wrong.
export async function readLogs(bundle, keys) {
  const logs = new Map();
  const found = [];
  for (const [n, item] of bundle.get("checkpoints").entries()) {
    const log = await openLog(item, `checkpoints[${n}]`);
    if (logs.has(log.origin)) log.wrong = "checkpoint_twice";
    else {
      logs.set(log.origin, log);
      const given = log.key !== null && keys.some((key) => isSameKey(key, log.key));
      if (!keys.length || given) log.trust = "given";
    }
    found.push(log);
  }
  const handovers = await readHandovers(bundle);
  for (let more = true; more; ) {
    more = false;
    for (const handover of handovers) more = (await take(logs, handover)) || more;
  }
  return found;
}

async function openLog(item, place) {
  const [origin, vkey, note] = ["origin", "key", "note"].map((name) => item.get(name));
  const log = { place, origin, vkey, note, key: null, checkpoint: null, wrong: "key_form", trust: "" };
  try {
    log.key = await parseVkey(vkey);
    log.wrong = "checkpoint_signature";
    const text = await openNote(note, [log.key]);
    log.wrong = "checkpoint_form";
    const checkpoint = await parseCheckpoint(text);
    log.wrong = "checkpoint_origin";
    if (checkpoint.origin !== origin) return log;
    log.checkpoint = checkpoint;
    log.wrong = "";
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
  }
  return log;
}

async function readHandovers(bundle) {
  const found = [];
  for (const stream of bundle.get("streams")) {
    if (stream.get("stream") !== HEADS_STREAM) continue;
    for (const item of stream.get("records")) {
      const fields = await unlessRefused(() => parseBody(item.get("body")), null);
      if (fields === null || wrongRecordField(fields) || fields.get("stream") !== HEADS_STREAM) continue;
      if (["rotated", "continued"].includes(fields.get("type"))) found.push({ item, fields });
    }
  }
  return found;
}

// Believes the log that a proven hand-over names; returns whether that is new.
async function take(logs, { item, fields }) {
  const data = fields.get("data");
  const named = isText(data.get("origin")) ? logs.get(data.get("origin")) : undefined;
  const holder = isText(item.get("log")) ? logs.get(item.get("log")) : undefined;
  if (!named || named.trust || named.key === null || named.vkey !== data.get("key")) return false;
  if (!holder?.trust || !(await holds(holder, item))) return false;
  // Of a log that has ended no other checkpoint is true than the one that was gone on from.
  if (fields.get("type") === "continued" && !isFinal(named.checkpoint, data)) return false;
  named.trust = "handed";
  return true;
}

export function isFinal(checkpoint, data) {
  const size = data.get("size");
  return (
    checkpoint !== null &&
    isInteger(size) &&
    checkpoint.size === size &&
    hex(checkpoint.root) === data.get("root")
  );
}

// Whether a log's checkpoint proves an item's record.
async function holds(log, item) {
  const index = item.get("leaf_index") ?? null;
  if (log.checkpoint === null || index === null) return false;
  const check = async () => {
    await verifyInclusion({
      index,
      size: log.checkpoint.size,
      leaf: await leafHash(await sha256(utf8(item.get("body")))),
      proof: (item.get("inclusion") ?? []).map(decodeBase64),
      root: log.checkpoint.root,
    });
    return true;
  };
  return unlessRefused(check, false);
}
