// Whether two signed states are of one log: the smaller must be the beginning of the larger, and only
// the service can prove it. Whoever is honest may be slow, in error, or a copy that lags; none of that
// may look like a fork, and a proof that does not fit is asked for once more before it counts.
import { askJSON } from "./ask.js";
import { decodeBase64, isSame } from "./bytes.js";
import { lastSeen } from "./memory.js";
import { verifyConsistency } from "./merkle.js";
import { openNote, parseCheckpoint, parseVkey } from "./note.js";
import { unlessRefused } from "./refused.js";

const DENIED = [404, 422];

// Returns {verdict}: "continues"; "differs" where it is certain that they are of two logs (`hashes`: the
// proof that does not fit); "refused" where the service has signed both sizes and says that there is no
// proof; "behind" where it has signed less than the larger one itself; "unknown" where nothing can be
// said (`failed`: the service was in error). one, other: {size, root}, both signed. number: of the log,
// null if it has to be asked for.
export async function judgeGrowth(origin, one, other, number = null) {
  const [old, now] = one.size <= other.size ? [one, other] : [other, one];
  if (old.size === now.size) return isSame(old.root, now.root) ? says("continues") : says("differs");
  // The empty log begins every log; there is nothing to prove.
  if (old.size === 0n) return says("continues");
  const first = await askProof(old, now, number);
  if (["continues", "unknown"].includes(first.verdict)) return first;
  if (first.verdict === "differs" && number !== null) return first;
  // Another log may have gone on from this one a moment ago, or the answer is of a copy that lags.
  const log = await findLog(origin);
  if (log === null) return says("unknown");
  if (log.size < now.size && first.verdict === "refused") return says("behind");
  const again = await askProof(old, now, number ?? log.number);
  return again.verdict === "refused" && log.size < now.size ? says("behind") : again;
}

// Returns what was last seen of a log (memory.js), null where nothing was that this key signed: a reader
// may have pinned another since, and what is kept may have been changed.
export async function lastSigned(origin, vkey) {
  const old = lastSeen(origin);
  if (old === null) return null;
  const read = async () => parseCheckpoint(await openNote(old.note, [await parseVkey(vkey)]));
  const said = await unlessRefused(read, null);
  const isSo = said !== null && said.origin === origin && String(said.size) === old.size;
  return isSo && said.rootText === old.root ? old : null;
}

function says(verdict, more = {}) {
  return { verdict, ...more };
}

async function askProof(old, now, number) {
  const log = number === null ? "" : `&log=${number}`;
  const asked = `/api/v1/ledger/consistency?from=${old.size}&to=${now.size}${log}`;
  const { told, status } = await askJSON(asked);
  if (DENIED.includes(status)) return says("refused");
  const hashes = told?.hashes;
  if (!Array.isArray(hashes) || !hashes.every((hash) => typeof hash === "string")) {
    return says("unknown", { failed: status >= 500 });
  }
  const trees = { size1: old.size, size2: now.size, root1: old.root, root2: now.root };
  const check = async () => {
    await verifyConsistency({ ...trees, proof: hashes.map(decodeBase64) });
    return says("continues");
  };
  const proof = { from: String(old.size), to: String(now.size), hashes };
  return unlessRefused(check, says("differs", { proof }));
}

// Returns {number, size} of a log as the service counts its logs, null where it does not say. One that
// it does not know yet has no number and no entries.
async function findLog(origin) {
  const { told, status } = await askJSON("/api/v1/ledger");
  if (status === 404) return { number: null, size: 0n };
  if (!Array.isArray(told?.logs)) return null;
  const number = told.logs.findIndex((log) => log?.origin === origin);
  if (number < 0) return { number: null, size: 0n };
  const { size } = told.logs[number];
  return Number.isSafeInteger(size) ? { number, size: BigInt(size) } : null;
}
