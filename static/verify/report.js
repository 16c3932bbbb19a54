// What comes of verifying a bundle: the same object, with the same words in the same order, as
// `suxin verify --json` prints.
export const EXIT_CODES = { matches: 0, differs: 1, unreadable: 2, unanchored: 3 };

const MAX_SHOWN = 160;
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

// Returns one thing to say: which sentence, where in the bundle, and what fills it.
export function remark(key, place = "", params = {}) {
  const kept = Object.entries(params).map(([name, value]) => [name, shown(value)]);
  return { key, place, params: Object.fromEntries(kept) };
}

// Returns what may stand in a message: no control characters, not too long.
export function shown(value) {
  if (typeof value !== "string") return value;
  const chars = [...value].slice(0, MAX_SHOWN);
  return chars.map((char) => (char !== " " && UNPRINTABLE.test(char) ? "\ufffd" : char)).join("");
}

export function makeReport(verdict, { subject = "", ...parts } = {}) {
  const { broken = [], checked = [], unchecked = [], pending = [], steps = null } = parts;
  const exit_code = EXIT_CODES[verdict];
  return { verdict, exit_code, subject: shown(subject), broken, checked, unchecked, pending, steps };
}

// Returns the report as JSON text. Numbers of a bundle are BigInts, which JSON.stringify refuses.
export function stringify(value) {
  if (Array.isArray(value)) return `[${value.map(stringify).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}:${stringify(part)}`);
    return `{${parts.join(",")}}`;
  }
  return typeof value === "bigint" ? value.toString() : JSON.stringify(value);
}
