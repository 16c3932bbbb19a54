// Every phone a witness: the log that this device is shown must continue the one it was shown before.
//
// An operator who holds database and keys can sign two logs. Whoever compares their checkpoints has
// the proof; this device compares what it is shown today with what it was shown last time. The old
// checkpoint is replaced only by one that is proven to continue it.
import { askText } from "./ask.js";
import { decodeBase64 } from "./bytes.js";
import { keepAlarm, lastSeen, pinKey, pinnedKey, pinnedKeys, remember } from "./memory.js";
import { verifyConsistency } from "./merkle.js";
import { openNote, parseCheckpoint, parseVkey, splitNote, trimmedLines } from "./note.js";
import { unlessRefused } from "./refused.js";

const QUIET = { state: "quiet" };

// Returns {state}: "first", "grew" (with `seen` and `size`), "alarm" (with `alarm`), or "quiet" where
// nothing can be said: no answer, or what came is no checkpoint at all.
export async function watchLog() {
  const note = await askText("/log/checkpoint");
  const said = note === null ? null : await unlessRefused(() => readUnverified(note), null);
  if (said === null) return QUIET;
  const pinned = pinnedKey(said.origin);
  if (pinned === null) return meet(note, said);
  const key = await unlessRefused(() => parseVkey(pinned.vkey), null);
  if (key === null) return QUIET;
  const signed = await unlessRefused(() => openNote(note, [key]), null);
  if (signed === null) return alarm("key_changed", note, said, pinned);
  return compare(note, said, pinned);
}

async function readUnverified(note) {
  return parseCheckpoint(splitNote(note).text);
}

// A log that this device has not met. Trusted on first use, and said so.
async function meet(note, said) {
  const key = await servedKey();
  if (key === null || key.name !== said.origin) return QUIET;
  if ((await unlessRefused(() => openNote(note, [key]), null)) === null) return QUIET;
  const known = pinnedKeys();
  if (known.length) {
    // Another log than the one we know; only then is it worth loading what proves a hand-over.
    const { judgeHandover } = await import("./handover.js");
    const judged = await judgeHandover(key, known);
    if (judged.verdict === "unknown") return QUIET;
    if (judged.verdict === "refused") return alarm("renamed", note, said, known.at(-1));
    const continues = await continuesOld(judged);
    if (continues === null) return QUIET;
    if (!continues) return alarm("inconsistent", note, said, known.at(-1));
  }
  pinKey(key.text, known.length ? "handed" : "seen");
  return remember(said.origin, { note, ...said }) ? { state: "first", size: said.size } : QUIET;
}

async function compare(note, said, pinned) {
  const old = lastSeen(said.origin);
  if (old === null) {
    return remember(said.origin, { note, ...said }) ? { state: "first", size: said.size } : QUIET;
  }
  const size = BigInt(old.size);
  if (said.size < size) return alarm("smaller", note, said, pinned);
  let hashes = [];
  if (size === said.size) {
    if (old.root !== said.rootText) return alarm("root", note, said, pinned);
  } else if (size > 0n) {
    hashes = await askProof(size, said.size);
    if (hashes === null) return QUIET;
  }
  // The empty log begins every log; there is nothing to prove.
  const proof = { size1: size, size2: said.size, root1: decodeBase64(old.root), root2: said.root };
  if (size > 0n && !(await isConsistent(proof, hashes))) {
    return alarm("inconsistent", note, said, pinned, hashes);
  }
  remember(said.origin, { note, ...said });
  return { state: "grew", size: said.size, seen: old };
}

// Whether the old log, as it ended, continues what this device last saw of it; null where no proof came.
async function continuesOld({ final, number }) {
  const old = lastSeen(final.origin);
  if (old === null || old.size === "0") return true;
  const size = BigInt(old.size);
  let hashes = [];
  if (size < final.size) {
    hashes = await askProof(size, final.size, `&log=${number}`);
    if (hashes === null) return null;
  }
  const trees = { size1: size, size2: final.size, root1: decodeBase64(old.root), root2: final.root };
  return isConsistent(trees, hashes);
}

async function isConsistent(trees, hashes) {
  const check = async () => {
    await verifyConsistency({ ...trees, proof: hashes.map(decodeBase64) });
    return true;
  };
  return unlessRefused(check, false);
}

// Returns the proof's hashes as the service gives them, null where it gives none.
async function askProof(from, to, log = "") {
  const told = await askText(`/api/v1/ledger/consistency?from=${from}&to=${to}${log}`);
  try {
    const { hashes } = JSON.parse(told);
    return Array.isArray(hashes) && hashes.every((hash) => typeof hash === "string") ? hashes : null;
  } catch {
    return null;
  }
}

// Returns the key that the service gives now, null where what it gives is none.
export async function servedKey() {
  const told = await askText("/log/key");
  if (told === null) return null;
  return unlessRefused(() => parseVkey(trimmedLines(told)[0]), null);
}

async function alarm(kind, note, said, pinned, hashes = undefined) {
  const old = lastSeen(said.origin) ?? lastSeen(pinned.vkey.slice(0, pinned.vkey.indexOf("+")));
  const told = {
    format: "suxin-fork/1",
    kind,
    at: new Date().toISOString(),
    old: { key: pinned.vkey, since: pinned.since, note: old?.note ?? null, at: old?.at ?? null },
    new: { key: (await servedKey())?.text ?? null, note },
    ...(hashes && { proof: { from: old.size, to: String(said.size), hashes } }),
  };
  keepAlarm(told);
  return { state: "alarm", alarm: told };
}
