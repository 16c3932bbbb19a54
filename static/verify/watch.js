// Every phone a witness: the log that this device is shown must continue the one it was shown before.
//
// An operator who holds database and keys can sign two logs. Whoever compares their checkpoints has
// the proof; this device compares what it is shown today with what it was shown last time. The old
// checkpoint is replaced only by one that is proven to continue it.
import { askText } from "./ask.js";
import { raiseAlarm } from "./fork.js";
import { judgeGrowth, lastSigned } from "./growth.js";
import { clearDoubts, dropKey, dropSeen, keepDoubt, lastSeen, nameOf } from "./memory.js";
import { pinKey, pinnedKey, pinnedKeys, remember, treeOf } from "./memory.js";
import { openNote, parseCheckpoint, parseVkey, splitNote, trimmedLines } from "./note.js";
import { unlessRefused } from "./refused.js";

const QUIET = { state: "quiet" };
const DAY_MS = 86_400_000;
// An honest service is in error, or a copy behind, for a while; and a phone's clock may be set.
const TIMES = 3;
const MOST_TABS = 3;

// Returns {state}: "first", "grew" (with `seen` and `size`), "alarm" (with `alarm`), "behind" (with `seen`
// and `size`) where the service knows less than this device was shown, "unproven" (with `since`) where
// it has failed to prove anything for days, or "quiet" where nothing can be said: no answer, or what
// came is no checkpoint at all.
export async function watchLog() {
  const note = await askText("/log/checkpoint");
  const said = note === null ? null : await unlessRefused(() => readUnverified(note), null);
  if (said === null) return QUIET;
  const pinned = pinnedKey(said.origin);
  if (pinned === null) return meet(note, said);
  const key = await unlessRefused(() => parseVkey(pinned.vkey), null);
  if (key === null) {
    // What was kept is no key; nothing that was ever signed could fit it.
    dropKey(said.origin);
    return meet(note, said);
  }
  const signed = await unlessRefused(() => openNote(note, [key]), null);
  if (signed === null) return alarm("key_changed", note, { pinned, old: lastSeen(said.origin) });
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
    if (judged.verdict === "refused") return renamed(note, known);
    const told = await continueOld(note, judged);
    if (told !== null) return told;
  }
  pinKey(key.text, known.length ? "handed" : "seen");
  return rememberFirst(note, said);
}

// A key that the reader pinned may be another operator's: only what this site itself showed before can
// have been renamed. Nothing is trusted in its place; the reader chose what to trust.
function renamed(note, known) {
  const met = known.filter((key) => key.how !== "pasted" || lastSeen(nameOf(key.vkey)) !== null);
  if (!met.length) return QUIET;
  const pinned = met.at(-1);
  return alarm("renamed", note, { pinned, old: lastSeen(nameOf(pinned.vkey)) });
}

function rememberFirst(note, said) {
  dropSeen(said.origin); // if there is one, it was not signed with the key that is known
  return remember(said.origin, { note, ...said }) ? { state: "first", size: said.size } : QUIET;
}

// tabs: how many others may have looked meanwhile; what they keep is compared with in its turn.
async function compare(note, said, pinned, tabs = MOST_TABS) {
  const old = await lastSigned(said.origin, pinned.vkey);
  if (old === null) return rememberFirst(note, said);
  const seen = treeOf(old);
  const { verdict, proof, failed } = await judgeGrowth(said.origin, seen, said);
  const isSmaller = said.size < seen.size;
  if (verdict === "refused") return alarm("refused", note, { pinned, old });
  if (verdict === "differs") {
    const larger = said.size === seen.size ? "root" : "inconsistent";
    return alarm(isSmaller ? "smaller" : larger, note, { pinned, old, proof });
  }
  if (verdict === "behind") {
    if (lasts(keepDoubt(said.origin, "behind"), DAY_MS)) {
      return alarm(isSmaller ? "smaller" : "refused", note, { pinned, old });
    }
    return isSmaller ? { state: "behind", size: said.size, seen: old } : QUIET;
  }
  if (verdict === "unknown") return failed ? unproven(said.origin) : QUIET;
  clearDoubts(said.origin);
  const kept = lastSeen(said.origin);
  if (kept === null) return QUIET; // forgotten meanwhile
  if (kept.note !== old.note) return tabs ? compare(note, said, pinned, tabs - 1) : QUIET;
  if (!isSmaller) remember(said.origin, { note, ...said });
  return { state: "grew", size: isSmaller ? seen.size : said.size, seen: old };
}

// Returns what to say where the old log, as it ended, is not proven to continue what this device last
// saw of it; null where it is.
async function continueOld(note, { final, number }) {
  const pinned = pinnedKey(final.origin);
  const old = pinned === null ? null : await lastSigned(final.origin, pinned.vkey);
  if (old === null) return null;
  const { verdict, proof, failed } = await judgeGrowth(final.origin, treeOf(old), final, number);
  if (verdict === "continues") return null;
  if (verdict === "differs") return alarm("inconsistent", note, { pinned, old, proof });
  if (verdict === "refused") return alarm("refused", note, { pinned, old });
  return failed ? unproven(final.origin) : QUIET;
}

function unproven(origin) {
  const doubt = keepDoubt(origin, "failed");
  return lasts(doubt, 2 * DAY_MS) ? { state: "unproven", since: doubt.since } : QUIET;
}

function lasts({ since, times }, least_ms) {
  return times >= TIMES && Date.now() - Date.parse(since) >= least_ms;
}

// Returns the key that the service gives now, null where what it gives is none.
export async function servedKey() {
  const told = await askText("/log/key");
  if (told === null) return null;
  return unlessRefused(() => parseVkey(trimmedLines(told)[0]), null);
}

async function alarm(kind, note, { pinned, old, proof }) {
  const now = { key: (await servedKey())?.text ?? null, note };
  return { state: "alarm", alarm: raiseAlarm(kind, { pinned, old, now, proof }) };
}
