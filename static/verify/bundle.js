// Evidence bundles (`suxin-evidence/1`): whether what one hands over matches the signed log. The same
// checks in the same order, with the same words, as app/ledger/bundle.py and scripts/verify_bundle.py;
// a test compares their reports over many manipulated bundles. Asks no network, and trusts no server
// beyond the key it is given.
import { decodeBase64, fromHex, hex, utf8 } from "./bytes.js";
import { sha256, verifySignature } from "./crypto.js";
import { checkHeads } from "./heads.js";
import { canonical, parseBody, parseJSON } from "./json.js";
import { readLogs } from "./logs.js";
import { leafHash, verifyInclusion } from "./merkle.js";
import { parseVkeys } from "./note.js";
import { checkWitnesses, parsePolicy } from "./policy.js";
import { Refused, unlessRefused } from "./refused.js";
import { makeReport, remark } from "./report.js";
import { isObject, isText, misshapenPlace, wrongRecordField } from "./shape.js";
import { tellSteps } from "./steps.js";

export const FORMAT = "suxin-evidence/1";

const CHECKED = ["key", "handovers", "checkpoints", "witnesses", "records", "inclusions", "refs", "signatures"];
const UNCHECKED = [
  "pending",
  "refs",
  "signatures",
  "sealed",
  "key",
  "revocation",
  "overdue",
  "completeness",
  "later",
  "view",
  "truth",
];
const NOT_CLAIMED = ["prev", "recorded_at", "refs", "seq", "signed", "source", "via"];
const ZIP = [0x50, 0x4b, 3, 4]; // what zip files begin with
const ZERO_HASH = "0".repeat(64);
// By how much a stream may be ahead of the clock: the times of two streams tell no more.
const MAX_AHEAD_MS = 5000;

// Returns the report on a bundle as it was received. raw: its bytes. vkey: the log's key from
// elsewhere, or several, one a line; null if there is none, and then the best verdict is "unanchored".
// policy: the bytes of a policy file, whose logs are believed beside vkey, and whose quorum each
// checkpoint must bear; null if there is none.
export async function verifyBundle(raw, { vkey = null, policy = null } = {}) {
  const bundle = await unlessRefused(() => parseJSON(raw), undefined);
  if (bundle === undefined) {
    const bytes = new Uint8Array(raw);
    return unreadable(ZIP.every((one, n) => bytes[n] === one) ? "zip" : "not_json");
  }
  if (!isObject(bundle) || bundle.get("format") !== FORMAT) {
    return unreadable("format", "format", { expected: FORMAT });
  }
  const misshapen = misshapenPlace(bundle);
  if (misshapen) return unreadable("shape", misshapen);
  const keys = vkey === null ? [] : await unlessRefused(() => parseVkeys(vkey), null);
  if (keys === null) return unreadable("key_given");
  let asked = null;
  if (policy !== null) {
    try {
      asked = await parsePolicy(policy);
    } catch (err) {
      if (!(err instanceof Refused)) throw err;
      return unreadable("policy_given", "", { line: err.line });
    }
    keys.push(...asked.logs);
    if (!keys.length) return unreadable("policy_logs");
  }
  return new Verification(bundle, keys, asked).report();
}

function unreadable(key, place, params) {
  return makeReport("unreadable", { broken: [remark(key, place, params)] });
}

// One walk through a bundle. What is broken does not end it: all broken places are named.
class Verification {
  constructor(bundle, keys, policy) {
    this.bundle = bundle;
    this.policy = policy;
    this.subject = bundle.get("subject");
    this.keys = keys;
    this.broken = [];
    this.pending = [];
    this.counts = new Map();
    this.checkpoints = new Map(); // by origin; null where it is broken
    this.records = new Map(); // by place in their stream, in the order in which they came
    this.last = new Map();
    this.keyRecords = new Map();
    this.complete = [];
  }

  async report() {
    for (const log of await readLogs(this.bundle, this.keys)) await this.checkCheckpoint(log);
    for (const [n, stream] of this.bundle.get("streams").entries()) {
      for (const [m, item] of stream.get("records").entries()) {
        await this.checkRecord(item, stream.get("stream"), `streams[${n}].records[${m}]`);
      }
    }
    for (const [n, item] of (this.bundle.get("pending") ?? []).entries()) {
      await this.checkRecord(item, null, `pending[${n}]`);
    }
    for (const record of this.records.values()) this.checkRefs(record);
    for (const record of this.records.values()) await this.checkSignature(record);
    await this.checkHeads();
    if (!this.last.has(this.subject)) {
      this.break("subject_missing", "subject", { subject: this.subject });
    } else if (!this.broken.length && !this.isProven()) {
      this.break("nothing_proven", "subject", { subject: this.subject });
    }
    return this.conclude();
  }

  conclude() {
    // Nothing follows from records that are not what was signed.
    const steps = this.broken.length ? null : tellSteps(this.subject, [...this.records.values()]);
    const always = new Set(["later", "view", "truth"]);
    if (steps?.some((one) => one.status === "none")) always.add("overdue");
    if (!this.keys.length) always.add("key");
    if (this.counts.get("checked_signatures")) always.add("revocation");
    if (!this.complete.length) always.add("completeness");
    const verdict = this.keys.length ? "matches" : "unanchored";
    return makeReport(this.broken.length ? "differs" : verdict, {
      subject: this.subject,
      broken: this.broken,
      checked: [...this.counted("checked", CHECKED, new Set()), ...this.complete],
      unchecked: this.counted("unchecked", UNCHECKED, always),
      pending: this.pending,
      steps,
    });
  }

  counted(kind, names, always) {
    const found = [];
    for (const name of names) {
      const key = `${kind}_${name}`;
      const count = this.counts.get(key);
      if (count) found.push(remark(key, "", { count }));
      else if (always.has(name)) found.push(remark(key));
    }
    return found;
  }

  break(key, place, params) {
    this.broken.push(remark(key, place, params));
  }

  count(key) {
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  isProven() {
    return [...this.records.values()].some((r) => r.proven && r.stream === this.subject);
  }

  // ------------------------------------------------------------------------------ checkpoints

  async checkCheckpoint(log) {
    if (log.wrong === "checkpoint_twice") {
      this.break(log.wrong, log.place, { origin: log.origin });
      return;
    }
    this.checkpoints.set(log.origin, null);
    // Whoever's key this is comes first: what somebody else signs is nothing here.
    const foreign = log.key !== null && !log.trust;
    const wrong = foreign ? "key_differs" : log.wrong || (await this.lacksWitnesses(log.note));
    if (wrong) {
      this.break(wrong, log.place, { origin: log.origin });
      return;
    }
    this.checkpoints.set(log.origin, log.checkpoint);
    const own = this.keys.length ? "key" : "checkpoints";
    this.count(log.trust === "handed" ? "checked_handovers" : `checked_${own}`);
  }

  // Returns why the policy, if there is one, is not content with a note; "" if it is.
  async lacksWitnesses(note) {
    if (this.policy === null) return "";
    const check = async () => {
      await checkWitnesses(note, this.policy);
      if (this.policy.quorum !== "none") this.count("checked_witnesses");
      return "";
    };
    return unlessRefused(check, "quorum_missing");
  }

  // ---------------------------------------------------------------------------------- records

  // Checks one record by itself and after the one before it. stream: null if pending.
  async checkRecord(item, stream, place) {
    const body = item.get("body");
    const fields = await unlessRefused(() => parseBody(body), null);
    if (fields === null) {
      this.break("body_form", place);
      return;
    }
    const wrong = wrongRecordField(fields);
    if (wrong) {
      this.break("record_form", place, { field: wrong });
      return;
    }
    const record = {
      place,
      stream: stream ?? fields.get("stream"),
      seq: fields.get("seq"),
      hash: hex(await sha256(utf8(body))),
      fields,
      proven: false,
      pending: stream === null,
    };
    const known = this.find(record.stream, record.seq);
    if (record.pending && known && known.hash === record.hash && record.hash === item.get("hash")) {
      return; // it got its place in the log while the bundle was being made
    }
    const brokenBefore = this.broken.length;
    this.checkPlace(record, item.get("hash"));
    if (record.pending) {
      this.pending.push(remark("pending_record", place, named(record)));
      this.count("unchecked_pending");
    } else {
      if (this.broken.length === brokenBefore) this.count("checked_records");
      await this.checkInclusion(record, item);
    }
    if (fields.has("sealed")) this.count("unchecked_sealed");
    if (!known) this.records.set(placeOf(record.stream, record.seq), record);
    this.last.set(record.stream, record);
    const keyId = fields.get("data").get("key_id");
    if (isText(keyId)) this.noteKeyRecord(record, keyId);
  }

  checkPlace(record, statedHash) {
    const { place, fields } = record;
    const last = this.last.get(record.stream);
    const known = this.find(record.stream, record.seq);
    const expected = last ? last.seq + 1n : 0n;
    if (statedHash !== record.hash) this.break("hash_mismatch", place, named(record));
    if (fields.get("stream") !== record.stream) this.break("stream_mismatch", place, named(record));
    if (known && known.hash !== record.hash) {
      this.break("record_fork", place, named(record));
    } else if (record.stream === this.subject && record.seq !== expected) {
      this.break("seq_gap", place, { expected, ...named(record) });
    } else if (last && record.seq < expected) {
      this.break("seq_order", place, named(record));
    }
    // Where the record before it is not in the bundle, the log alone proves this one.
    const before = this.find(record.stream, record.seq - 1n);
    const link = record.seq === 0n ? ZERO_HASH : (before?.hash ?? fields.get("prev"));
    if (fields.get("prev") !== link) this.break("prev_mismatch", place, named(record));
    if (last && fields.get("recorded_at") < last.fields.get("recorded_at")) {
      this.break("time_falls", place, named(record));
    }
  }

  async checkInclusion(record, item) {
    const index = item.get("leaf_index") ?? null;
    if (index === null) {
      // Else whoever takes an index away could pass a made-up record off as a late one.
      this.break("index_missing", record.place, named(record));
      return;
    }
    const checkpoint = this.checkpoints.get(item.get("log"));
    if (checkpoint === undefined) {
      this.break("checkpoint_missing", record.place, named(record));
      return;
    }
    if (checkpoint === null) return; // already named
    try {
      await verifyInclusion({
        index,
        size: checkpoint.size,
        leaf: await leafHash(fromHex(record.hash)),
        proof: (item.get("inclusion") ?? []).map(decodeBase64),
        root: checkpoint.root,
      });
    } catch (err) {
      if (!(err instanceof Refused)) throw err;
      this.break("not_included", record.place, { index, ...named(record) });
      return;
    }
    record.proven = true;
    this.count("checked_inclusions");
  }

  async checkHeads() {
    const heads = this.bundle.get("heads");
    if (heads === undefined) return;
    const found = await checkHeads(heads, this.subject, (stream, seq) => this.find(stream, seq));
    if (found.complete) {
      this.complete.push(remark("checked_completeness", "", found.complete));
    } else if (found.wrong !== "heads_unproven" || !this.broken.length) {
      // What spoils the proof of the map's record was named where it stands.
      this.break(found.wrong, "heads", found.params);
    }
  }

  find(stream, seq) {
    return this.records.get(placeOf(stream, seq));
  }

  // ------------------------------------------------------------------ references, signatures

  checkRefs(record) {
    for (const [n, ref] of (record.fields.get("refs") ?? []).entries()) {
      const [stream, seq] = [ref.get("stream"), ref.get("seq")];
      const target = this.find(stream, seq);
      if (target && target.hash === ref.get("hash")) {
        if (!record.pending) this.count("checked_refs");
      } else if (!target && record.stream !== this.subject) {
        this.count("unchecked_refs");
      } else {
        const key = target ? "ref_mismatch" : "ref_missing";
        const params = { ref: stream, ref_seq: seq, ...named(record) };
        this.break(key, `${record.place}.refs[${n}]`, params);
      }
    }
  }

  async checkSignature(record) {
    const { fields } = record;
    const signed = fields.get("signed");
    if (signed === undefined) return;
    const actor = fields.get("actor");
    // Only what the log proves counts: else whoever hands over the bundle could add a key or a
    // revocation.
    const keys = this.keysNamed(actor, "signing_key", signed.get("key"));
    if (!keys.length) {
      this.count("unchecked_signatures");
      return;
    }
    const revoked = this.keysNamed(actor, "signing_key_revoked", signed.get("key"));
    const claim = new Map([...fields].filter(([name]) => !NOT_CLAIMED.includes(name)));
    const message = utf8(`suxin-claim/1\n${canonical(claim)}`);
    const fitting = [];
    for (const key of keys) {
      if (await isSignedBy(key, signed.get("value"), message)) fitting.push(key);
    }
    const wrong = judge(timeOf(record), fitting.map(timeOf), revoked.map(timeOf));
    if (wrong) {
      this.break(wrong, `${record.place}.signed`, { actor, ...named(record) });
    } else if (!record.pending) {
      this.count("checked_signatures");
    }
  }

  noteKeyRecord(record, keyId) {
    const name = JSON.stringify([record.stream, record.fields.get("type"), keyId]);
    this.keyRecords.set(name, [...(this.keyRecords.get(name) ?? []), record]);
  }

  keysNamed(actor, type, keyId) {
    const name = JSON.stringify([`party/${actor}`, type, keyId]);
    return (this.keyRecords.get(name) ?? []).filter((record) => record.proven);
  }
}

function placeOf(stream, seq) {
  return `${seq} ${stream}`;
}

function named(record) {
  return { stream: record.stream, seq: record.seq };
}

function timeOf(record) {
  return Date.parse(record.fields.get("recorded_at"));
}

// Returns why no key that fits was in force at `at`, "" if one was. since: when they were registered.
function judge(at, since, revoked) {
  if (!since.length) return "signature_wrong";
  if (Math.min(...since) - at > MAX_AHEAD_MS) return "signature_early";
  return at - Math.min(...revoked) > MAX_AHEAD_MS ? "signature_revoked" : "";
}

async function isSignedBy(keyRecord, signature, message) {
  const publicKey = keyRecord.fields.get("data").get("public_key");
  if (!isText(publicKey)) return false;
  const check = async () => {
    await verifySignature(decodeBase64(publicKey), decodeBase64(signature), message);
    return true;
  };
  return unlessRefused(check, false);
}
