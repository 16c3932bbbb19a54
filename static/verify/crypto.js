// SHA-256 and Ed25519 by the browser's own WebCrypto, and what is said where it is not there. We bring
// no replacement: a page that cannot check must say so, and never look as if it had.
import { fromHex } from "./bytes.js";
import { Refused } from "./refused.js";

const P = 2n ** 255n - 19n;
const D = ((P - 121665n) * power(121666n, P - 2n)) % P;
const Y_OF_ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
// The y of every point whose order divides 8. Under such a key one signature fits many messages.
const SMALL_ORDER_Y = [0n, 1n, P - 1n, Y_OF_ORDER_8, P - Y_OF_ORDER_8];

// RFC 8032 section 7.1, test 2.
const KNOWN = {
  key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  signature:
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
};

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

// Returns what this browser lacks: "insecure" where the page came by http (browsers then hide
// WebCrypto), "subtle", "ed25519" (it answers wrongly, or not at all), or "" if nothing.
export async function missing() {
  if (!globalThis.crypto?.subtle) return globalThis.isSecureContext === false ? "insecure" : "subtle";
  try {
    const known = [fromHex(KNOWN.key), fromHex(KNOWN.signature)];
    const right = await isSigned(...known, Uint8Array.of(0x72));
    const wrong = await isSigned(...known, Uint8Array.of(0x73));
    return right && !wrong ? "" : "ed25519";
  } catch {
    return "ed25519";
  }
}

// Refuses what is no canonical point of large order.
export function checkPublicKey(publicKey) {
  if (publicKey.length !== 32 || isWeak(publicKey) || !isOnCurve(publicKey)) {
    throw new Refused("public_key");
  }
}

// Returns if `signature` is that of `publicKey` over `message`; refuses otherwise.
export async function verifySignature(publicKey, signature, message) {
  if (publicKey.length !== 32 || isWeak(publicKey)) throw new Refused("public_key");
  // Asked first, because a browser may fail at bytes that are no point in a way of its own.
  const whole = signature.length === 64 && isOnCurve(publicKey);
  if (!whole || !(await isSigned(publicKey, signature, message))) {
    throw new Refused("signature_invalid");
  }
}

async function isSigned(publicKey, signature, message) {
  const key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
}

function isWeak(publicKey) {
  const y = yOf(publicKey);
  return y >= P || SMALL_ORDER_Y.includes(y);
}

// Whether a point has this y: x² = (y² − 1) / (d·y² + 1) must be a square.
function isOnCurve(publicKey) {
  const y = yOf(publicKey);
  const square = (((y * y - 1n) % P) * power((D * y * y + 1n) % P, P - 2n)) % P;
  return power(square, (P - 1n) / 2n) === 1n;
}

function yOf(publicKey) {
  const y = [...publicKey].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return y & (2n ** 255n - 1n);
}

function power(base, exponent) {
  let found = 1n;
  for (base %= P; exponent; exponent >>= 1n) {
    if (exponent & 1n) found = (found * base) % P;
    base = (base * base) % P;
  }
  return found;
}
