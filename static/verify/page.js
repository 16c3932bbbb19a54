// The page /verify. Everything it needs is loaded with it. Asked is only for a bundle by its code, and
// for the proof that a good one is of the log that this device was shown before.
import { askBytes, askJSON } from "./ask.js";
import { showAlarms } from "./alarm.js";
import { verifyBundle } from "./bundle.js";
import { utf8 } from "./bytes.js";
import { missing } from "./crypto.js";
import { drawLists, drawVerdict } from "./draw.js";
import { alarms, forget, pinKey, pinnedKeys } from "./memory.js";
import { parseVkeys } from "./note.js";
import { looksLikePolicy } from "./policy.js";
import { unlessRefused } from "./refused.js";
import { holdAgainstSeen } from "./samelog.js";
import { servedKey } from "./watch.js";
import { element, loadWords, say, sayTime } from "./words.js";

const MAX_BYTES = 64 * 1024 * 1024;

const at = (id) => document.getElementById(id);
const result = at("result");
const given = at("given");
const paste = at("paste");

// The evidence chosen last: its bytes and what to call it.
let chosen = null;
// The key that the service gave when the page was loaded, of use only where none is remembered.
let offered = null;

async function start() {
  await loadWords("check");
  const lacking = await missing();
  if (lacking) {
    at("plain").replaceChildren(say(`verify.check.missing_${lacking}`));
    at("tool").remove();
    return;
  }
  at("plain").hidden = true;
  at("tool").hidden = at("tool").inert = false;
  at("file").addEventListener("change", (event) => readFile(event.target.files[0]));
  at("fetch").addEventListener("submit", fetchByCode);
  at("run").addEventListener("click", run);
  at("pin").addEventListener("click", pin);
  at("forget").addEventListener("click", forgetAll);
  at("given-file").addEventListener("change", async (event) => {
    given.value = (await event.target.files[0]?.text()) ?? "";
  });
  listenForDrops();
  if (!pinnedKeys().length) {
    offered = await servedKey();
    if (offered && pinKey(offered.text, "seen")) offered = null;
  }
  showKeys();
  showAlarms(alarms());
  at("tool").dataset.ready = "yes";
}

// ---------------------------------------------------------------------------------- the evidence

function listenForDrops() {
  const zone = at("drop");
  // Anywhere else a dropped file would replace the page.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("drop-over");
    readFile(event.dataTransfer.files[0]);
  });
  zone.addEventListener("dragenter", () => zone.classList.add("drop-over"));
  zone.addEventListener("dragleave", () => zone.classList.remove("drop-over"));
}

async function readFile(file) {
  if (!file) return;
  if (file.size > MAX_BYTES) {
    tell("verify.check.too_large");
    return;
  }
  paste.value = "";
  const bytes = await file.arrayBuffer().catch(() => null); // moved or deleted since it was chosen
  if (bytes === null) {
    tell("verify.check.failed");
    return;
  }
  chosen = { raw: new Uint8Array(bytes), name: file.name };
  await run();
}

async function fetchByCode(event) {
  event.preventDefault();
  tell("verify.check.fetching");
  const { told, isCode } = await findTyped(at("code").value.trim());
  if (!isCode) {
    tell("verify.check.no_code");
    return;
  }
  const path = told?.links?.evidence;
  const raw = typeof path === "string" ? await askBytes(path) : null;
  if (raw === null) {
    tell("verify.check.no_evidence");
    return;
  }
  paste.value = "";
  chosen = { raw, name: String(told.code) };
  await run();
}

// Returns {told, isCode}: what the service tells of a typed code, null for nothing, and whether it is one
// in any of its forms. Capitals and small letters are apart in
// a serial, so it is asked for as it was typed first; what follows is asked for only where that is no code
// on record, never where the service gave no answer.
async function findTyped(typed) {
  const plain = typed.normalize("NFKC").replaceAll(" ", "");
  let isCode = false;
  for (const code of new Set([typed, plain, plain.toUpperCase()])) {
    const { told, status } = await askJSON(`/api/v1/code?code=${encodeURIComponent(code)}`);
    isCode ||= status !== 422;
    if (told || ![404, 422].includes(status)) return { told, isCode };
  }
  return { told: null, isCode };
}

// ------------------------------------------------------------------------------------------ keys

function showKeys() {
  const known = pinnedKeys();
  const rows = known.map(({ vkey, since, how }) =>
    element(
      "li",
      {},
      element("code", {}, vkey),
      element("span", { class: "mute" }, say(`verify.check.key_${how}`, { at: sayTime(since) })),
    ),
  );
  if (!known.length && offered) {
    const unkept = element("span", { class: "mute" }, say("verify.check.key_unkept"));
    rows.push(element("li", {}, element("code", {}, offered.text), unkept));
  }
  if (!rows.length) rows.push(element("li", { class: "mute" }, say("verify.check.key_none")));
  at("keys").replaceChildren(...rows);
}

// Returns what to check against: the text that was pasted, else the keys that are known.
function against() {
  if (looksLikePolicy(given.value)) return { policy: utf8(given.value) };
  if (given.value.trim()) return { vkey: given.value };
  const known = pinnedKeys().map((key) => key.vkey);
  if (offered) known.push(offered.text);
  return { vkey: known.length ? known.join("\n") : null };
}

async function pin() {
  const keys = await unlessRefused(() => parseVkeys(given.value), null);
  if (keys === null) {
    at("pinned").textContent = say("bundle.key_given");
    return;
  }
  const kept = keys.every((key) => pinKey(key.text, "pasted"));
  at("pinned").textContent = say(kept ? "verify.check.pinned" : "verify.check.key_unkept");
  if (kept) given.value = "";
  showKeys();
}

function forgetAll() {
  forget();
  offered = null;
  showAlarms([]);
  showKeys();
}

// ------------------------------------------------------------------------------------ the verdict

async function run() {
  if (paste.value.trim()) chosen = { raw: utf8(paste.value), name: say("verify.check.pasted") };
  if (chosen === null) {
    tell("verify.check.nothing");
    return;
  }
  tell("verify.check.busy");
  try {
    await check(chosen, against());
  } catch {
    // A mistake of ours must not look like a check that still goes on.
    tell("verify.check.failed");
  }
}

async function check({ raw, name }, given) {
  const { report, line } = await holdAgainstSeen(await verifyBundle(raw, given), raw, given);
  const source = element("p", { class: "mute" }, say("verify.check.of", { name }));
  result.replaceChildren(drawVerdict(report), source, ...(line ? [line] : []), drawLists(report));
  result.scrollIntoView({ block: "nearest" });
}

function tell(key) {
  result.replaceChildren(element("p", { class: "mute" }, say(key)));
}

start();
