// Checks a Suxin trust badge in the browser, by WebCrypto alone. Copy this file into your own page.
//
// A badge is a signed note: its text is `suxin-badge/1`, a line of JSON (what it says) and nothing more;
// below an empty line stand signatures, `— name base64(key id[4] ‖ Ed25519 signature[64])`.

const FORMAT = "suxin-badge/1";

// Returns what the badge says. Throws an Error whose message says what is wrong.
// told: the JSON of /badge/{party}.json. key: the service's key (vkey), which you took from its
// /log/receipt-key once and keep in your page: a key that comes with the badge proves nothing.
// host: where the page stands, `location.host`.
export async function verifyBadge(told, { key, host, now = new Date() }) {
  const { name, id, publicKey } = parseKey(key);
  const end = told.note.lastIndexOf("\n\n");
  const text = told.note.slice(0, end + 1);
  const lines = told.note.slice(end + 2).split("\n").filter(Boolean);
  const signatures = lines
    .map((line) => line.split(" "))
    .filter(([dash, by]) => dash === "\u2014" && by === name)
    .map(([, , encoded]) => fromBase64(encoded))
    .filter((blob) => blob.slice(0, 4).every((byte, n) => byte === id[n]));
  if (end < 0 || signatures.length !== 1) throw new Error("it is not signed by the key of this page");
  const imported = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  const message = new TextEncoder().encode(text);
  if (!(await crypto.subtle.verify("Ed25519", imported, signatures[0].slice(4), message))) {
    throw new Error("its signature is not valid");
  }
  const [format, line, rest] = text.split("\n");
  if (format !== FORMAT || rest !== "") throw new Error("it is no badge");
  const claim = JSON.parse(line); // only what was signed is read, nothing beside it
  if (claim.domain !== host.toLowerCase()) throw new Error(`it is for ${claim.domain}, not for ${host}`);
  if (!(new Date(claim.expires_at) > now)) throw new Error(`it expired at ${claim.expires_at}`);
  return claim;
}

// Returns the parts of a vkey `name+hex8+base64(type ‖ public key)`; the base64 may hold `+` itself.
function parseKey(vkey) {
  const [, name, hex, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey.trim()) ?? [];
  if (!name) throw new Error("the key of this page is no key");
  const raw = fromBase64(encoded);
  if (raw.length !== 33 || raw[0] !== 1) throw new Error("the key of this page is no Ed25519 key");
  return { name, id: hex.match(/../g).map((pair) => parseInt(pair, 16)), publicKey: raw.slice(1) };
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
