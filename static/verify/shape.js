// How an evidence bundle and the records in it are built: names and types, before any meaning. The
// tests of app/ledger/bundle_shape.py, in their order.
// What the log says of itself stands in this stream.
export const HEADS_STREAM = "log/heads";

const HASH = /^[0-9a-f]{64}$/;
const TIME =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$/;

export const isText = (value) => typeof value === "string";
export const isInteger = (value) => typeof value === "bigint";
export const isList = (value) => Array.isArray(value);
export const isObject = (value) => value instanceof Map;
export const isSeq = (value) => isInteger(value) && value >= 0n;
export const isHash = (value) => isText(value) && HASH.test(value);
export const has = (fields) => (value) => wrongField(value, fields) === "";
export const each = (test) => (value) => isList(value) && value.every(test);
export const maybe = (test) => (value) => value === null || test(value);

function isTime(value) {
  const found = isText(value) ? TIME.exec(value) : null;
  if (found === null) return false;
  const [year, month, day] = found.slice(1).map(Number);
  // Date moves a day that does not exist on to the next month; Python's years begin at 1.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

const BUNDLE = { subject: isText, streams: isList, checkpoints: isList };
const BUNDLE_OPTIONAL = {
  pending: isList,
  heads: has({ seq: isSeq, head: has({ seq: isSeq, hash: isHash }), siblings: each(isText) }),
};
const CHECKPOINT = { origin: isText, key: isText, note: isText };
const STREAM = { stream: isText, records: isList };
const ITEM = { body: isText, hash: isText };
const ITEM_OPTIONAL = {
  leaf_index: maybe(isInteger),
  log: maybe(isText),
  inclusion: maybe(each(isText)),
};
const RECORD = {
  v: (value) => value === 1n,
  stream: isText,
  seq: isSeq,
  prev: isHash,
  recorded_at: isTime,
  type: isText,
  actor: isText,
  data: isObject,
};
const RECORD_OPTIONAL = {
  refs: each(has({ hash: isHash, seq: isSeq, stream: isText })),
  signed: has({ key: isText, value: isText }),
  sealed: isObject,
};

// Returns the first field that is not as it must be, "" if all are.
export function wrongField(value, needed, optional = {}) {
  if (!isObject(value)) return Object.keys(needed)[0];
  for (const [name, test] of Object.entries(needed)) {
    if (!test(value.get(name))) return name;
  }
  for (const [name, test] of Object.entries(optional)) {
    if (value.has(name) && !test(value.get(name))) return name;
  }
  return "";
}

export function wrongRecordField(fields) {
  return wrongField(fields, RECORD, RECORD_OPTIONAL);
}

// Returns the first place where a bundle is not built as its format says, "" if none.
export function misshapenPlace(bundle) {
  const wrong = wrongField(bundle, BUNDLE, BUNDLE_OPTIONAL);
  if (wrong) return wrong;
  for (const [n, item] of bundle.get("checkpoints").entries()) {
    if (wrongField(item, CHECKPOINT)) return `checkpoints[${n}]`;
  }
  for (const [n, stream] of bundle.get("streams").entries()) {
    if (wrongField(stream, STREAM)) return `streams[${n}]`;
    for (const [m, item] of stream.get("records").entries()) {
      if (wrongField(item, ITEM, ITEM_OPTIONAL)) return `streams[${n}].records[${m}]`;
    }
  }
  for (const [n, item] of (bundle.get("pending") ?? []).entries()) {
    if (wrongField(item, ITEM, ITEM_OPTIONAL)) return `pending[${n}]`;
  }
  return "";
}
