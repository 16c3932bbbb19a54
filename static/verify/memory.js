// What this device remembers of the log, per web origin: the key it first saw, the last checkpoint of
// each log, and evidence against the operator. Lists only grow unless the reader forgets on purpose.
//
// A browser that refuses to keep anything (private mode) is no error: then nothing is remembered. What
// is not as it was written here (another version, a hand) is passed over, so that it silences no other.
import { decodeBase64 } from "./bytes.js";

const KEYS = "suxin.keys.1";
const LOGS = "suxin.logs.1";
const ALARMS = "suxin.alarms.1";
const DOUBTS = "suxin.doubts.1";
const MAX_ALARMS = 8;

function read(name, isWhole, otherwise) {
  try {
    const kept = JSON.parse(localStorage.getItem(name));
    return isWhole(kept) ? kept : otherwise;
  } catch {
    return otherwise;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const isText = (value) => typeof value === "string";
const isTime = (value) => isText(value) && !Number.isNaN(Date.parse(value));
const isSize = (value) => isText(value) && /^(0|[1-9][0-9]{0,18})$/.test(value);
const isHash = (value) => isText(value) && /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(value);

function isKey(kept) {
  const isNamed = isObject(kept) && isText(kept.vkey) && kept.vkey.indexOf("+") > 0;
  return isNamed && isTime(kept.since) && ["seen", "pasted", "handed"].includes(kept.how);
}

function isSeen(kept) {
  const isSigned = isObject(kept) && isText(kept.note) && isSize(kept.size) && isHash(kept.root);
  return isSigned && isTime(kept.at) && isObject(kept.first) && isSize(kept.first.size) && isTime(kept.first.at);
}

function isAlarm(kept) {
  const isTold = isObject(kept) && isText(kept.kind) && isTime(kept.at) && isObject(kept.new);
  return isTold && isObject(kept.old) && isTime(kept.old.at ?? kept.old.since);
}

function isDoubt(kept) {
  return isObject(kept) && isTime(kept.since) && Number.isSafeInteger(kept.times);
}

// Returns the whole ones of what is kept by name.
function readByName(name, isWhole) {
  return Object.fromEntries(Object.entries(read(name, isObject, {})).filter(([, kept]) => isWhole(kept)));
}

export function nameOf(vkey) {
  return vkey.slice(0, vkey.indexOf("+"));
}

// Returns the keys, [{vkey, since, how}]. how: "seen" (the server gave it), "pasted" (the reader
// pinned it) or "handed" (a log whose key was known handed over to it).
export function pinnedKeys() {
  return read(KEYS, Array.isArray, []).filter(isKey);
}

export function pinnedKey(origin) {
  return pinnedKeys().find((key) => nameOf(key.vkey) === origin) ?? null;
}

// Remembers a key, and says whether this browser did. Only the reader's own act replaces one.
export function pinKey(vkey, how) {
  const others = pinnedKeys().filter((key) => nameOf(key.vkey) !== nameOf(vkey));
  if (how !== "pasted" && pinnedKey(nameOf(vkey))) return true;
  return write(KEYS, [...others, { vkey, since: new Date().toISOString(), how }]);
}

// Forgets a key that is none.
export function dropKey(origin) {
  return write(KEYS, pinnedKeys().filter((key) => nameOf(key.vkey) !== origin));
}

// Returns what was last verified of a log: {note, size, root, at, first: {size, at}}, or null.
export function lastSeen(origin) {
  const logs = readByName(LOGS, isSeen);
  return Object.hasOwn(logs, origin) ? logs[origin] : null;
}

// Returns what was last seen as a tree: {size, root}.
export function treeOf({ size, root }) {
  return { size: BigInt(size), root: decodeBase64(root) };
}

// Forgets what was seen of one log.
export function dropSeen(origin) {
  const { [origin]: dropped, ...others } = readByName(LOGS, isSeen);
  if (dropped !== undefined) write(LOGS, others);
}

export function remember(origin, { note, size, rootText }) {
  const logs = readByName(LOGS, isSeen);
  const at = new Date().toISOString();
  const first = lastSeen(origin)?.first ?? { size: String(size), at };
  return write(LOGS, { ...logs, [origin]: { note, size: String(size), root: rootText, at, first } });
}

export function alarms() {
  return read(ALARMS, Array.isArray, []).filter(isAlarm);
}

// Keeps the evidence; the same once only, and the oldest before all, for they tell how it began.
export function keepAlarm(alarm) {
  const kept = alarms();
  const known = kept.some((one) => one.kind === alarm.kind && one.new.note === alarm.new.note);
  if (known || kept.length >= MAX_ALARMS) return true;
  return write(ALARMS, [...kept, alarm]);
}

// Counts once more that a log was not proven to go on, and returns {since, times}. why: "failed" where the
// service was in error, "behind" where it knew less than this device.
export function keepDoubt(origin, why) {
  const doubts = readByName(DOUBTS, isDoubt);
  const name = `${why} ${origin}`;
  const kept = Object.hasOwn(doubts, name) ? doubts[name] : { since: new Date().toISOString(), times: 0 };
  const doubt = { since: kept.since, times: kept.times + 1 };
  write(DOUBTS, { ...doubts, [name]: doubt });
  return doubt;
}

// It was proven.
export function clearDoubts(origin) {
  const doubts = readByName(DOUBTS, isDoubt);
  const own = Object.keys(doubts).filter((name) => name.slice(name.indexOf(" ") + 1) === origin);
  if (!own.length) return;
  for (const name of own) delete doubts[name];
  write(DOUBTS, doubts);
}

// Forgets keys, checkpoints, doubts and alarms: what the reader asks for on /verify.
export function forget() {
  for (const name of [KEYS, LOGS, ALARMS, DOUBTS]) {
    try {
      localStorage.removeItem(name);
    } catch {
      return;
    }
  }
}
