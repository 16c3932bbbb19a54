// Policy files (c2sp.org/tlog-policy) and the cosignatures that they ask for (c2sp.org/tlog-cosignature,
// type 0x04). A line names only what stands above it, so there are no circles; a name is a member once,
// so nobody counts twice. Names are octets, and only compared.
import { concat, isSame, utf8 } from "./bytes.js";
import { verifySignature } from "./crypto.js";
import { parseVkey, splitNote } from "./note.js";
import { Refused } from "./refused.js";

const MAX_BYTES = 1_000_000;
const MAX_TIME_S = 253_402_300_799n; // the end of the year 9999
const COSIGNER = 4;
const FORBIDDEN = /[\x00-\x08\x0b-\x1f\x7f]/;
const COUNT = /^[1-9][0-9]{0,5}$/;

// Whether a text is meant as a policy file, rather than as keys.
export function looksLikePolicy(text) {
  return /^[ \t]*(?:log|witness|group|quorum)[ \t]/m.test(text);
}

// Returns {logs, witnesses, groups, quorum}. Refuses with the number of the line as `line`.
export async function parsePolicy(raw) {
  const policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: "" };
  const members = new Set();
  const lines = octets(raw.subarray(0, MAX_BYTES)).split("\n");
  for (const [n, line] of lines.entries()) {
    const words = line.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
    if (FORBIDDEN.test(line)) refuse(n + 1);
    if (words[0] === "" || words[0].startsWith("#")) continue;
    if (!(await take(policy, members, words))) refuse(n + 1);
  }
  if (raw.length > MAX_BYTES || !policy.quorum) refuse(lines.length);
  return policy;
}

function refuse(line) {
  const refused = new Refused("policy_given");
  refused.line = line;
  throw refused;
}

// Takes a line into the policy, and returns whether it is one.
async function take(policy, members, words) {
  const isKnown = (name) => policy.witnesses.has(name) || policy.groups.has(name);
  const isFree = (name) => name !== "none" && !isKnown(name);
  const [word, name] = words;
  if (word === "log" && words.length >= 2 && words.length <= 3) {
    const key = await readKey(words[1], 1);
    if (key === null || hasKey(policy.logs, key)) return false;
    policy.logs.push(key);
    return true;
  }
  if (word === "witness" && words.length >= 3 && words.length <= 4 && isFree(name)) {
    const key = await readKey(words[2], COSIGNER);
    if (key === null || hasKey([...policy.witnesses.values()], key)) return false;
    policy.witnesses.set(name, key);
    return true;
  }
  if (word === "group" && words.length > 3 && isFree(name)) {
    const [, , threshold, ...named] = words;
    for (const member of named) {
      if (!isKnown(member) || members.has(member)) return false;
      members.add(member);
    }
    const spelt = new Map([["any", 1], ["all", named.length]]);
    const least = COUNT.test(threshold) ? Number(threshold) : (spelt.get(threshold) ?? 0);
    if (least < 1 || least > named.length) return false;
    policy.groups.set(name, { least, members: named });
    return true;
  }
  if (word === "quorum" && words.length === 2 && !policy.quorum) {
    if (name !== "none" && !isKnown(name)) return false;
    policy.quorum = name;
    return true;
  }
  return false;
}

async function readKey(text, kind) {
  try {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return await parseVkey(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), kind);
  } catch (err) {
    // A TypeError tells that the octets are no UTF-8, and then they are no key's name.
    if (err instanceof Refused || err instanceof TypeError) return null;
    throw err;
  }
}

function hasKey(keys, key) {
  return keys.some((known) => isSame(known.publicKey, key.publicKey));
}

// Returns a text with one character for each byte.
function octets(raw) {
  const parts = [];
  for (let at = 0; at < raw.length; at += 4096) {
    parts.push(String.fromCharCode(...raw.subarray(at, at + 4096)));
  }
  return parts.join("");
}

// Returns if the policy is content with the cosignatures under a note; refuses otherwise, and where one
// of its witnesses' lines is wrong, which makes the whole note false.
export async function checkWitnesses(note, policy) {
  const { text, signatures } = splitNote(note);
  const met = new Map([["none", true]]);
  for (const [name, key] of policy.witnesses) {
    const own = signatures.filter((line) => line.name === key.name && line.id === key.id);
    for (const line of own) await verifyCosignature(text, line.signature, key);
    met.set(name, own.length > 0);
  }
  for (const [name, { least, members }] of policy.groups) {
    met.set(name, members.filter((member) => met.get(member)).length >= least);
  }
  if (!met.get(policy.quorum)) throw new Refused("quorum_missing");
}

async function verifyCosignature(text, blob, key) {
  if (blob.length !== 72) throw new Refused("signature_invalid");
  const time = blob.subarray(0, 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  if (time > MAX_TIME_S) throw new Refused("signature_invalid");
  const message = concat(utf8(`cosignature/v1\ntime ${time}\n`), utf8(text));
  await verifySignature(key.publicKey, blob.slice(8), message);
}
