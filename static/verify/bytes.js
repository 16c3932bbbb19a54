// Bytes and their texts: UTF-8, hexadecimal, base64 of RFC 4648 section 4 in its one spelling.
import { Refused } from "./refused.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map([...ALPHABET].map((char, value) => [char, value]));
const FORM = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const encoder = new TextEncoder();

export function utf8(text) {
  return encoder.encode(text);
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Returns the bytes of pairs of hexadecimal digits, which the caller has checked.
export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function isSame(one, other) {
  return one.length === other.length && one.every((byte, n) => byte === other[n]);
}

// Returns eight bytes, the largest first. value: BigInt, at most 2^64 - 1.
export function uint64(value) {
  return fromHex(value.toString(16).padStart(16, "0"));
}

export function encodeBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [one, two, three] = [bytes[at], bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
    text += ALPHABET[one >> 2] + ALPHABET[((one & 3) << 4) | (two >> 4)];
    text += at + 1 < bytes.length ? ALPHABET[((two & 15) << 2) | (three >> 6)] : "=";
    text += at + 2 < bytes.length ? ALPHABET[three & 63] : "=";
  }
  return text;
}

// Returns the bytes. Refuses a foreign character, missing padding or stray low bits: one value has
// one spelling, so a signed text cannot be spelt anew. (atob takes all of these.)
export function decodeBase64(text) {
  if (!FORM.test(text)) throw new Refused("base64");
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let at = 0, to = 0; at < text.length; at += 4, to += 3) {
    let four = 0;
    for (let n = 0; n < 4; n += 1) four = (four << 6) | (VALUES.get(text[at + n]) ?? 0);
    bytes.set([four >> 16, (four >> 8) & 255, four & 255].slice(0, bytes.length - to), to);
  }
  if (encodeBase64(bytes) !== text) throw new Refused("base64");
  return bytes;
}
