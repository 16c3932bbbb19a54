// What this device remembers of the log, per web origin: the key it first saw, the last checkpoint of
// each log, and evidence against the operator. Lists only grow unless the reader forgets on purpose.
//
// A browser that refuses to keep anything (private mode) is no error: then nothing is remembered.
const KEYS = "suxin.keys.1";
const LOGS = "suxin.logs.1";
const ALARMS = "suxin.alarms.1";
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

function nameOf(vkey) {
  return vkey.slice(0, vkey.indexOf("+"));
}

// Returns the keys, [{vkey, since, how}]. how: "seen" (the server gave it), "pasted" (the reader
// pinned it) or "handed" (a log whose key was known handed over to it).
export function pinnedKeys() {
  return read(KEYS, Array.isArray, []);
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

// Returns what was last verified of a log: {note, size, root, at, first: {size, at}}, or null.
export function lastSeen(origin) {
  return read(LOGS, isObject, {})[origin] ?? null;
}

export function remember(origin, { note, size, rootText }) {
  const logs = read(LOGS, isObject, {});
  const at = new Date().toISOString();
  const first = logs[origin]?.first ?? { size: String(size), at };
  return write(LOGS, { ...logs, [origin]: { note, size: String(size), root: rootText, at, first } });
}

export function alarms() {
  return read(ALARMS, Array.isArray, []);
}

// Keeps the evidence; the same once only, and the oldest before all, for they tell how it began.
export function keepAlarm(alarm) {
  const kept = alarms();
  const known = kept.some((one) => one.kind === alarm.kind && one.new.note === alarm.new.note);
  if (known || kept.length >= MAX_ALARMS) return true;
  return write(ALARMS, [...kept, alarm]);
}

// Forgets keys, checkpoints and alarms: what the reader asks for on /verify.
export function forget() {
  for (const name of [KEYS, LOGS, ALARMS]) {
    try {
      localStorage.removeItem(name);
    } catch {
      return;
    }
  }
}
