// Strict JSON. JSON.parse will not do: it takes the last of two equal keys and rounds large integers,
// and either lets two readers see two records in one text.
//
// Objects become Maps, integers BigInts, other numbers numbers; the rest is as usual.
import { utf8 } from "./bytes.js";
import { Refused } from "./refused.js";

const MAX_NESTING = 900; // as deep as Python's reader goes, about
const MAX_DIGITS = 4300; // as many as Python converts
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\x00-\x1f]*/y;
const SPACE = /[ \t\n\r]*/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const LITERALS = [["true", true], ["false", false], ["null", null]];
const LONE_SURROGATE = /\p{Cs}/u;

// Returns the value of UTF-8 bytes.
export function parseJSON(bytes) {
  let text;
  try {
    // ignoreBOM: a mark at the start is a character like any other, and no JSON.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused("not_utf8");
  }
  return parseText(text);
}

// Returns the value of a text that holds no lone surrogate.
export function parseText(text) {
  return new Reader(text).read();
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.isLone = false;
  }

  read() {
    const value = this.value(0);
    if (this.at !== this.text.length) refuse();
    if (this.isLone) throw new Refused("lone_surrogate");
    return value;
  }

  value(depth) {
    this.space();
    const char = this.text[this.at];
    let value;
    if (char === '"') value = this.string();
    else if (char === "{" || char === "[") {
      if (depth >= MAX_NESTING) refuse();
      value = char === "{" ? this.object(depth) : this.array(depth);
    } else value = this.literalOrNumber();
    this.space();
    return value;
  }

  object(depth) {
    const found = new Map();
    let isDouble = false;
    this.at += 1;
    this.space();
    if (this.take("}")) return found;
    do {
      this.space();
      if (this.text[this.at] !== '"') refuse();
      const name = this.string();
      this.space();
      if (!this.take(":")) refuse();
      isDouble ||= found.has(name);
      found.set(name, this.value(depth + 1));
    } while (this.take(","));
    if (!this.take("}")) refuse();
    if (isDouble) throw new Refused("duplicate_key");
    return found;
  }

  array(depth) {
    const found = [];
    this.at += 1;
    this.space();
    if (this.take("]")) return found;
    do found.push(this.value(depth + 1));
    while (this.take(","));
    if (!this.take("]")) refuse();
    return found;
  }

  string() {
    let found = "";
    this.at += 1;
    for (;;) {
      found += this.match(PLAIN)[0];
      const char = this.text[this.at];
      this.at += 1;
      if (char === '"') break;
      if (char !== "\\") refuse(); // the end, or a raw control character
      found += this.escape();
    }
    if (LONE_SURROGATE.test(found)) this.isLone = true;
    return found;
  }

  escape() {
    const char = this.text[this.at];
    this.at += 1;
    if (char !== "u") {
      if (!Object.hasOwn(ESCAPES, char ?? "")) refuse();
      return ESCAPES[char];
    }
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) refuse();
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  literalOrNumber() {
    for (const [word, value] of LITERALS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    const found = this.match(NUMBER);
    if (found === null) refuse();
    if (found[1] !== undefined || found[2] !== undefined) return Number(found[0]);
    if (found[0].replace("-", "").length > MAX_DIGITS) refuse();
    return BigInt(found[0]);
  }

  space() {
    this.match(SPACE);
  }

  take(char) {
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }
}

function refuse() {
  throw new Refused("not_json");
}

// ------------------------------------------------------------------------------- canonical JSON

const MAX_DEPTH = 8;
const MAX_INTEGER = 2n ** 53n - 1n;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const UNSEEMLY = /[\p{Cc}\p{Cs}]/u;
const UNASSIGNED = /\p{Cn}/u;

// Returns the fields of a record's body. Refuses it unless it is their canonical bytes: RFC 8785 with
// ASCII keys, texts in NFC without control characters, integers below 2^53, no floats, no nulls.
export function parseBody(body) {
  const fields = parseText(body);
  if (!(fields instanceof Map)) throw new Refused("not_object");
  checkCanonical(fields);
  if (canonical(fields) !== body) throw new Refused("not_canonical");
  return fields;
}

// Returns the canonical text of a value inside the subset.
export function canonical(value) {
  if (value instanceof Map) {
    // ASCII keys, so code units sort as code points do.
    const names = [...value.keys()].sort();
    return `{${names.map((name) => `${quote(name)}:${canonical(value.get(name))}`).join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  return typeof value === "string" ? quote(value) : String(value);
}

export function canonicalBytes(value) {
  return utf8(canonical(value));
}

function quote(text) {
  return JSON.stringify(text);
}

// Refuses a value outside the subset. Named as in Python's checks: key, depth, null, float, range, …
export function checkCanonical(value, depth = 0) {
  if (typeof value === "string") checkText(value);
  else if (typeof value === "bigint") {
    if (value > MAX_INTEGER || value < -MAX_INTEGER) throw new Refused("invalid", "range");
  } else if (value instanceof Map || Array.isArray(value)) {
    if (depth >= MAX_DEPTH) throw new Refused("invalid", "depth");
    for (const [name, part] of value.entries()) {
      if (value instanceof Map && !PRINTABLE_ASCII.test(name)) throw new Refused("invalid", "key");
      checkCanonical(part, depth + 1);
    }
  } else if (value === null) throw new Refused("invalid", "null");
  else if (typeof value === "number") throw new Refused("invalid", "float");
}

function checkText(text) {
  if (PRINTABLE_ASCII.test(text)) return;
  if (UNSEEMLY.test(text)) throw new Refused("invalid", "control");
  // Of a text with characters that this browser's Unicode does not know nobody can tell whether it is
  // in NFC; the service takes none in records.
  if (!UNASSIGNED.test(text) && text.normalize("NFC") !== text) throw new Refused("invalid", "nfc");
}
