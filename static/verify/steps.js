// Which of the four steps a unit's evidence tells: whole records are not yet a whole chain. The same rules
// as app/ledger/bundle_steps.py and scripts/verify_bundle.py. When a step is due no bundle can say.
const STEPS = ["listing", "sale", "dispatch", "signature"];
const UNIT = /^(01\/[0-9]{14})\/21\/[!-~]{1,60}$/;
const SHELF = /^(01\/[0-9]{14})(?:\/10\/[!-~]{1,60})?$/;
// What moves a life, from where to where; anything else leaves it where it is. Goods signed for take the
// carrier's own word after the seller's, and the later signature stands: who may say so the service judged.
const MOVES = new Map(
  Object.entries({
    sale: { registered: "sold", returned: "sold" },
    dispatch: { registered: "in_transit", sold: "in_transit", returned: "in_transit" },
    signature: { registered: "signed", sold: "signed", in_transit: "signed", signed: "signed" },
    refusal: { in_transit: "returned", signed: "returned" },
    return: { sold: "returned", in_transit: "returned", signed: "returned" },
    void: { registered: "void", returned: "void" },
  }),
);

// Returns the four steps of a unit since it was issued or last came back, null of anything else.
// `there`; `pending`, there but not proven yet; `missing`, what is recorded presupposes it; `unneeded`, a
// dispatch of goods that were fetched; `none`, and whether it is due cannot be told.
export function tellSteps(subject, records) {
  const unit = UNIT.exec(subject);
  if (unit === null) return null;
  const chain = records.filter((record) => record.stream === subject);
  const shelf = records.filter((record) => {
    return SHELF.exec(record.stream)?.[1] === unit[1] && record.fields.get("type") === "listing";
  });
  const isProven = (record) => record.proven;
  const proven = new Life(chain.filter(isProven), shelf.filter(isProven));
  const whole = new Life(chain, shelf);
  return STEPS.map((step) => {
    const known = proven.there.get(step);
    const found = known ?? whole.there.get(step);
    const status = found && !known ? "pending" : proven.status(step);
    if (!found) return { step, status };
    return { step, status, stream: found.stream, seq: found.seq, at: found.fields.get("recorded_at") };
  });
}

// Returns what stands beside the verdict, as [key, steps]. That no step is missing is said only of what
// matches.
export function sumUp({ verdict, steps }) {
  const said = [];
  for (const status of ["missing", "pending", "none"]) {
    const named = (steps ?? []).filter((one) => one.status === status).map((one) => one.step);
    if (named.length) said.push([`steps_${status}`, named]);
  }
  return verdict === "matches" && steps !== null && !said.length ? [["steps_whole", []]] : said;
}

// The present life of a unit, told by its records and by listings of its product and lot.
// closed: what the last life lacked, with the latest moment it can be of.
class Life {
  constructor(chain, shelf) {
    this.shelf = shelf;
    this.state = "registered";
    this.holder = "";
    this.listed = null;
    this.there = new Map();
    this.missing = new Set();
    this.closed = new Map();
    for (const record of chain) this.take(record);
    this.lookUp();
  }

  status(step) {
    if (this.there.has(step)) return "there";
    if (this.missing.has(step)) return "missing";
    const fetched = dataOf(this.there.get("signature"), "kind") === "pickup";
    return step === "dispatch" && fetched ? "unneeded" : "none";
  }

  take(record) {
    const kind = record.fields.get("type");
    const to = MOVES.get(kind)?.[this.state];
    if (this.state === "void") return;
    if (kind === "registration" && record.seq === 0n) {
      this.holder = dataOf(record, "issuer") ?? record.fields.get("actor");
    } else if (kind === "acceptance") {
      this.holder = record.fields.get("actor");
    } else if (kind === "listing") {
      this.takeListing(record);
    } else if (kind === "transit" && ["registered", "sold"].includes(this.state)) {
      this.need("dispatch");
    } else if (this.closed.has(kind) && saidAt(record) <= this.closed.get(kind)) {
      this.closed.delete(kind); // the last life's, told late
    } else if (this.missing.has(kind) && ["in_transit", "signed"].includes(this.state)) {
      if (saidAt(record) <= this.latest(kind)) this.note(kind, record);
    } else if (to !== undefined) {
      this.move(kind, record, to);
    }
  }

  takeListing(record) {
    if (isEnded(record)) {
      if (this.listed && sameActor(this.listed, record)) this.listed = null;
      return;
    }
    this.listed = record;
    if (this.missing.has("listing") && offers(record, this.there.get("sale"))) this.note("listing", record);
  }

  move(kind, record, to) {
    if (kind === "dispatch" || kind === "signature") this.need("sale");
    if (kind === "signature" && dataOf(record, "kind") !== "pickup") this.need("dispatch");
    if (STEPS.includes(kind)) {
      this.closed.clear();
      this.note(kind, record);
    } else {
      const at = saidAt(record);
      this.closed.clear();
      for (const step of to === "returned" ? ["sale", "dispatch"] : []) {
        if (this.missing.has(step)) this.closed.set(step, least([at, this.latest(step) || at]));
      }
      this.there.clear();
      this.missing.clear();
    }
    this.state = to;
  }

  note(step, record) {
    this.there.set(step, record);
    this.missing.delete(step);
    if (step !== "sale") return;
    const listing = this.listingOf(record);
    if (listing) this.there.set("listing", listing);
    else this.need("listing");
  }

  need(step) {
    if (!this.there.has(step)) this.missing.add(step);
  }

  // Returns the listing that a sale refers to, else the seller's in the unit's own chain.
  listingOf(sale) {
    const refs = sale.fields.get("refs") ?? [];
    const isReferred = (one) => {
      return refs.some((ref) => ref.get("stream") === one.stream && ref.get("seq") === one.seq);
    };
    const referred = this.shelf.filter(isReferred);
    if (referred.length) return referred.at(-1);
    return this.listed && sameActor(this.listed, sale) ? this.listed : null;
  }

  // Looks for a listing told late, or by which goods are offered that nobody bought yet.
  lookUp() {
    const sale = this.there.get("sale");
    if (sale && this.missing.has("listing")) {
      for (const record of this.shelf) {
        const late = record.fields.get("recorded_at") >= sale.fields.get("recorded_at");
        if (late && offers(record, sale)) this.note("listing", record);
      }
    }
    if (!["registered", "returned"].includes(this.state)) return;
    const live = new Map();
    for (const record of [...this.shelf, ...(this.listed ? [this.listed] : [])]) {
      if (record.fields.get("actor") !== this.holder) continue;
      const place = JSON.stringify([record.stream, placeOf(record)]);
      live.delete(place);
      if (!isEnded(record)) live.set(place, record);
    }
    this.there.clear();
    for (const record of live.values()) this.there.set("listing", record);
  }

  // Returns when a missing step must have occurred by, "" if nothing after it is known.
  latest(step) {
    const later = step === "sale" ? ["dispatch", "signature"] : ["signature"];
    return least(later.filter((name) => this.there.has(name)).map((name) => saidAt(this.there.get(name))));
  }
}

// Whether a listing is the seller's and of a time not after the sale.
function offers(listing, sale) {
  return sameActor(listing, sale) && !isEnded(listing) && saidAt(listing) <= saidAt(sale);
}

function sameActor(one, other) {
  return one.fields.get("actor") === other.fields.get("actor");
}

function isEnded(listing) {
  return dataOf(listing, "ended") === true;
}

function placeOf(listing) {
  return String(dataOf(listing, "platform") || dataOf(listing, "url"));
}

function dataOf(record, name) {
  return record?.fields.get("data").get(name);
}

// Returns what the sender said; canonical times are in order as texts are.
function saidAt(record) {
  const told = record.fields.get("occurred_at");
  return typeof told === "string" ? told : "";
}

// Returns the first of these texts in order, "" of none.
function least(texts) {
  return texts.reduce((one, other) => (other < one ? other : one), texts[0] ?? "");
}
