// Whether a bundle's chain ends where the map of all chains' ends says that it ended. The checks of
// app/ledger/bundle_heads.py and app/ledger/headmap.py, in their order.
import { concat, decodeBase64, fromHex, isSame, uint64, utf8 } from "./bytes.js";
import { sha256 } from "./crypto.js";
import { leafHash, nodeHash } from "./merkle.js";
import { unlessRefused } from "./refused.js";
import { HEADS_STREAM, isHash, isSeq, isText, wrongField } from "./shape.js";

const EMPTY = new Uint8Array(32);
const KEY_BITS = 256;
const ASCII = /^[\0-\x7f]*$/;
const MAP_ROOT = { log: isText, root: isHash, size: isSeq, streams: isSeq };

// Returns {complete} with what to say of a chain that is whole, or {wrong, params}. heads: of the right
// shape. find: a record of the bundle by stream and seq.
export async function checkHeads(heads, subject, find) {
  const seq = heads.get("seq");
  const record = find(HEADS_STREAM, seq);
  if (!record) return { wrong: "heads_record_missing", params: { seq } };
  const { fields } = record;
  const told = fields.get("data");
  const ours = fields.get("type") === "map_root" && fields.get("actor") === "system";
  if (!ours || wrongField(told, MAP_ROOT)) return { wrong: "heads_record_form", params: { seq } };
  if (!record.proven) return { wrong: "heads_unproven", params: { seq } };
  const head = heads.get("head");
  const prove = () => isInMap(subject, head, heads.get("siblings"), fromHex(told.get("root")));
  if (!(await unlessRefused(prove, false))) return { wrong: "heads_proof", params: { seq } };
  const at = fields.get("recorded_at");
  const last = find(subject, head.get("seq"));
  if (last?.hash !== head.get("hash")) {
    return { wrong: "tail_hidden", params: { stream: subject, seq: head.get("seq"), at } };
  }
  return { complete: { seq: head.get("seq"), at, size: told.get("size") } };
}

// Whether the map with `root` says that `stream` ended with `head`. Refuses what is no base64.
async function isInMap(stream, head, siblings, root) {
  const hashes = siblings.map(decodeBase64);
  const tooLong = head.get("seq") >= 1n << 64n || hashes.length > KEY_BITS;
  if (!ASCII.test(stream) || tooLong || hashes.some((one) => one.length !== EMPTY.length)) return false;
  if (hashes.length && isSame(hashes[0], EMPTY)) return false; // a leaf beside nothing stands higher up
  const key = await sha256(utf8(`suxin-stream/1\n${stream}`));
  let node = await leafHash(concat(key, uint64(head.get("seq")), fromHex(head.get("hash"))));
  for (const [n, sibling] of hashes.entries()) {
    const depth = hashes.length - 1 - n;
    const right = (key[depth >> 3] >> (7 - (depth & 7))) & 1;
    node = right ? await nodeHash(sibling, node) : await nodeHash(node, sibling);
  }
  return isSame(node, root);
}
