// Proofs of the log's Merkle tree: RFC 9162 section 2.1. Indices and sizes are BigInt. The length of a
// proof follows from index and size alone, so one hash too many or too few is refused before anything
// is hashed.
import { concat, isSame } from "./bytes.js";
import { sha256 } from "./crypto.js";
import { Refused } from "./refused.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export function leafHash(entry) {
  return sha256(concat(LEAF, entry));
}

export function nodeHash(left, right) {
  return sha256(concat(NODE, left, right));
}

// Returns if `proof` proves the leaf at `index` in the tree of `size` with `root`.
export async function verifyInclusion({ index, size, leaf, proof, root }) {
  if (index < 0n || index >= size) throw new Refused("proof_index");
  checkHashes(leaf, root, ...proof);
  const { inner, border } = shape(index, size);
  if (proof.length !== inner + border) throw new Refused("proof_length");
  const found = await chainInner(leaf, proof.slice(0, inner), index);
  checkRoot(root, await chainLeft(found, proof.slice(inner)));
}

// Returns if `proof` proves that the first tree is the beginning of the second. The empty tree begins
// every tree and so proves nothing: size 0 is refused.
export async function verifyConsistency({ size1, size2, root1, root2, proof }) {
  if (size1 <= 0n || size1 > size2) throw new Refused("proof_sizes");
  if (size1 === size2) {
    if (proof.length) throw new Refused("proof_length");
    checkRoot(root2, root1);
    return;
  }
  checkHashes(root1, root2, ...proof);
  const whole = shape(size1 - 1n, size2);
  // Levels over which the old tree's last node is full.
  const shift = bitLength(size1 & -size1) - 1;
  const inner = whole.inner - shift;
  const seeded = size1 === 1n << BigInt(shift) ? 0 : 1; // a perfect old tree is its own seed
  if (proof.length !== seeded + inner + whole.border) throw new Refused("proof_length");
  const seed = seeded ? proof[0] : root1;
  const middle = proof.slice(seeded, seeded + inner);
  const last = proof.slice(seeded + inner);
  const place = (size1 - 1n) >> BigInt(shift);
  let old = seed;
  for (const [level, sibling] of middle.entries()) {
    // What lies right of the old tree was not in it.
    if ((place >> BigInt(level)) & 1n) old = await nodeHash(sibling, old);
  }
  checkRoot(root1, await chainLeft(old, last));
  checkRoot(root2, await chainLeft(await chainInner(seed, middle, place), last));
}

// Returns how many hashes of a proof lie below and above where leaf and right edge part. Above that
// point every sibling is on the left.
function shape(index, size) {
  const inner = bitLength(index ^ (size - 1n));
  const above = (index >> BigInt(inner)).toString(2);
  return { inner, border: above.split("1").length - 1 };
}

function bitLength(value) {
  return value === 0n ? 0 : value.toString(2).length;
}

async function chainInner(seed, proof, place) {
  let node = seed;
  for (const [level, sibling] of proof.entries()) {
    const isRight = (place >> BigInt(level)) & 1n;
    node = isRight ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
  }
  return node;
}

async function chainLeft(seed, proof) {
  let node = seed;
  for (const sibling of proof) node = await nodeHash(sibling, node);
  return node;
}

function checkRoot(expected, got) {
  if (!isSame(expected, got)) throw new Refused("proof_root");
}

function checkHashes(...hashes) {
  if (hashes.some((hash) => hash.length !== 32)) throw new Refused("proof_hash");
}
