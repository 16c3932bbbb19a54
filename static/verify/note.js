// Signed notes, verifier keys (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint), with
// Ed25519. A signature by a key nobody asked about is ignored; one by a known key that does not fit
// makes the whole note false.
import { concat, decodeBase64, encodeBase64, hex, isSame, utf8 } from "./bytes.js";
import { checkPublicKey, sha256, verifySignature } from "./crypto.js";
import { Refused } from "./refused.js";

const MAX_CHARACTERS = 1_000_000;
const MAX_SIGNATURES = 100;
const MAX_SIZE = 2n ** 63n - 1n;
const ED25519 = 1;
const MARK = "\u2014 ";
const CONTROL = /[\x00-\x09\x0b-\x1f]/;
// What Python's str.isspace says; `\s` differs in three characters.
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const LINE_ENDS = /\r\n|[\n-\r\x1c-\x1e\x85\u2028\u2029]/;
const SPACED_ENDS = new RegExp(`^${SPACE.source}+|${SPACE.source}+$`, "g");
const LONE_SURROGATE = /\p{Cs}/u;

// Returns {name, id, publicKey, text} of `name+hex8+base64`. kind: the signature's type byte, 1 for a
// log, 4 for a witness.
export async function parseVkey(text, kind = ED25519) {
  const [name, id, encoded] = splitKey(text);
  let key;
  try {
    key = decodeBase64(encoded);
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    throw new Refused("note_key", "base64");
  }
  if (key.length !== 33 || key[0] !== kind) throw new Refused("note_key", "kind");
  if (!isKeyName(name)) throw new Refused("note_key", "name");
  checkPublicKey(key.slice(1));
  const digest = await sha256(concat(utf8(`${name}\n`), key));
  if (id !== hex(digest.slice(0, 4))) throw new Refused("note_key", "id");
  return { name, id, publicKey: key.slice(1), text };
}

// Returns the keys of a text that holds one a line; refuses a text without any.
export async function parseVkeys(text) {
  const lines = trimmedLines(text).filter(Boolean);
  if (!lines.length) throw new Refused("note_key", "none");
  const keys = [];
  for (const line of lines) keys.push(await parseVkey(line));
  return keys;
}

export function trimmedLines(text) {
  return text.split(LINE_ENDS).map((line) => line.replace(SPACED_ENDS, ""));
}

export function isSameKey(one, other) {
  return one.name === other.name && one.id === other.id && isSame(one.publicKey, other.publicKey);
}

function splitKey(text) {
  // The first two only: base64 holds `+` itself.
  const first = text.indexOf("+");
  const second = text.indexOf("+", first + 1);
  const id = text.slice(first + 1, second);
  if (first < 0 || second < 0 || !/^[0-9a-f]{8}$/.test(id)) throw new Refused("note_key", "form");
  return [text.slice(0, first), id, text.slice(second + 1)];
}

export function isKeyName(name) {
  return (
    name !== "" &&
    !name.includes("+") &&
    !SPACE.test(name) &&
    !CONTROL.test(name) &&
    !LONE_SURROGATE.test(name)
  );
}

// Returns the text that at least one of `keys` signed; every signature by one of them is checked.
export async function openNote(note, keys) {
  const { text, signatures } = splitNote(note);
  const message = utf8(text);
  let signed = false;
  for (const { name, id, signature } of signatures) {
    const key = keys.find((known) => known.name === name && known.id === id);
    if (key === undefined) continue;
    await verifySignature(key.publicKey, signature, message);
    signed = true;
  }
  if (!signed) throw new Refused("note_unsigned");
  return text;
}

// Returns text and signature lines, unverified: for showing, and for further kinds of signatures.
export function splitNote(note) {
  if (LONE_SURROGATE.test(note)) throw new Refused("note_form", "utf8");
  if (note.length > MAX_CHARACTERS && [...note].length > MAX_CHARACTERS) {
    throw new Refused("note_form", "size");
  }
  if (CONTROL.test(note)) throw new Refused("note_form", "control");
  const blank = note.lastIndexOf("\n\n"); // the last empty line parts them
  if (blank < 0 || blank + 2 === note.length || !note.endsWith("\n")) {
    throw new Refused("note_form", "signatures");
  }
  const lines = note.slice(blank + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) throw new Refused("note_form", "signatures");
  return { text: note.slice(0, blank + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line) {
  const space = line.indexOf(" ", MARK.length);
  const name = line.slice(MARK.length, space < 0 ? undefined : space);
  if (!line.startsWith(MARK) || !isKeyName(name)) throw new Refused("note_form", "signature");
  let blob;
  try {
    blob = decodeBase64(space < 0 ? "" : line.slice(space + 1));
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    throw new Refused("note_form", "signature");
  }
  if (blob.length <= 4) throw new Refused("note_form", "signature");
  return { name, id: hex(blob.slice(0, 4)), signature: blob.slice(4) };
}

// ---------------------------------------------------------------------------------- checkpoints

// Returns {origin, size, root} of a signed text; size is a BigInt. Believed only from an opened note.
export async function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.length < 4 || lines.pop() !== "" || lines.includes("")) {
    throw new Refused("checkpoint_form", "lines");
  }
  const [origin, size, encoded] = lines;
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(size) || BigInt(size) > MAX_SIZE) {
    throw new Refused("checkpoint_form", "size");
  }
  let root;
  try {
    root = decodeBase64(encoded);
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    throw new Refused("checkpoint_form", "root");
  }
  if (root.length !== 32 || (size === "0" && !isSame(root, await sha256(new Uint8Array())))) {
    throw new Refused("checkpoint_form", "root");
  }
  return { origin, size: BigInt(size), root, rootText: encodeBase64(root) };
}
