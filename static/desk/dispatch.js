// The packing table: label, waybill, next; or units into a case, where there is no waybill. Without this
// the form does the same, a page for each.
// What is scanned goes off at once under an id of its own, so that nobody waits for the network; what was
// refused stays on the page until it is taken up again or dropped, also when the page is loaded anew.
// What a case's page says of the case is asked for anew after each unit.

const form = document.getElementById("dispatch");
const told = document.getElementById("dispatch-told");
const words = form.dataset;
const [failedBox, doneBox] = drawOutcomes(document.getElementById("outcomes"));
const { code, sending } = form.elements;
// A case asks for no waybill: then the label alone is enough.
const waybill = form.elements.waybill ?? { value: "-", focus() {} };
const single = !form.elements.waybill;

// By account: on one phone several people sign in, and what one of them sends is no other's to see.
const KEPT = `suxin-failed ${words.account} ${new URL(form.action).pathname}`;
const SHOWN = 10;
const FIELDS = ["code", "waybill", "carrier", "order", "to", "sending"];
// A symbol that was seen so lately is still the same look at the same thing.
const STILL_MS = 1500;

// A Digital Link, or GTIN and what follows it, or the SSCC of a case, as a scanner or decoder gives them.
const LABEL = /(^|\/)0[01]\/\d{8,18}|^(\](d2|C1|Q3))?\x1d?\(?(01\)?\d{14}\(?(10|11|17|21|22)|00\)?\d{18}$)/;
const WAYBILL = /^[A-Z0-9-]{8,32}$/i;

const sent = new Set();
let done = 0;

function part(id, title, ...inside) {
  const section = document.createElement("section");
  section.id = id;
  section.className = "block";
  section.hidden = true;
  section.setAttribute("aria-labelledby", `${id}-title`);
  const heading = document.createElement("h2");
  heading.id = `${id}-title`;
  heading.textContent = title;
  const list = document.createElement("ul");
  list.className = "waits";
  section.append(heading, ...inside, list);
  return section;
}

// Puts what was refused and what was done, both still empty and hidden, in their place.
function drawOutcomes(place) {
  const tally = document.createElement("p");
  const unit = document.createElement("small");
  tally.className = "tally";
  unit.dataset.one = place.dataset.one;
  unit.dataset.many = place.dataset.many;
  tally.append(document.createElement("b"), " ", unit);
  const drawn = [part("failed", place.dataset.failed), part("done", place.dataset.done, tally)];
  place.replaceWith(...drawn);
  return drawn;
}

// --- saying so -----------------------------------------------------------------------------------

let sound = null;

function beep(good) {
  try {
    sound ??= new AudioContext();
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    tone.frequency.value = good ? 880 : 220;
    volume.gain.value = 0.15;
    tone.connect(volume).connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + (good ? 0.09 : 0.35));
  } catch {
    // A device without sound says it by words alone.
  }
  navigator.vibrate?.(good ? 40 : [90, 60, 90]);
}

function say(text, good) {
  told.textContent = text;
  told.className = good ? "told" : "refusal";
}

function row(list, text, about, href = "") {
  const item = document.createElement("li");
  const first = document.createElement("span");
  first.textContent = text;
  const second = document.createElement("span");
  second.className = "mute about";
  const place = document.createElement(href ? "a" : "code");
  place.textContent = about;
  if (href) {
    place.href = href;
    place.className = "inline";
  }
  second.append(place);
  item.append(first, second);
  list.prepend(item);
  return item;
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "plain-button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

// --- what was refused ----------------------------------------------------------------------------

let failed = [];

function keep() {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(failed));
  } catch {
    // Then it is on the page alone.
  }
}

function drawFailed() {
  const list = failedBox.querySelector("ul");
  list.replaceChildren();
  for (const one of failed) {
    const item = row(list, one.reason, one.code);
    const acts = document.createElement("span");
    acts.className = "about card-acts";
    acts.append(
      button(words.again, () => {
        drop(one);
        // Under the id that it had: if it was recorded after all, it counts once.
        ready(one);
      }),
      button(words.drop, () => drop(one)),
    );
    item.append(acts);
  }
  failedBox.hidden = failed.length === 0;
}

function drop(one) {
  failed = failed.filter((other) => other !== one);
  keep();
  drawFailed();
}

function ready(one) {
  // As it was sent, order and carrier too: under one id there is one parcel.
  for (const name of FIELDS) if (form.elements[name]) form.elements[name].value = one[name] ?? "";
  code.focus();
}

// --- sending -------------------------------------------------------------------------------------

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const text = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  return [8, 12, 16, 20].reduceRight((made, at) => `${made.slice(0, at)}-${made.slice(at)}`, text);
}

async function ask(body) {
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
  } catch {
    return { ok: false, message: words.offline };
  }
  try {
    return await answer.json();
  } catch {
    return { ok: false, message: words.stale }; // a page: somebody must sign in again
  }
}

// --- what is in the case -------------------------------------------------------------------------

const live = [...document.querySelectorAll("[data-live]")];
let asked = 0;
let drawn = 0;

// Draws what the case holds as the service draws it. Where that cannot be had, what stands there is no
// longer so, and is hidden until it can.
async function drawCase() {
  if (!live.length) return;
  const mine = ++asked;
  let page = null;
  try {
    const lang = form.elements.lang ? `?lang=${form.elements.lang.value}` : "";
    const answer = await fetch(form.action + lang);
    if (answer.ok) page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    // No network.
  }
  if (mine < drawn) return; // a later look was quicker
  drawn = mine;
  for (const place of live) {
    const now = page?.getElementById(place.id);
    place.hidden = !now;
    if (now) redraw(place, now);
  }
}

// What was typed there meanwhile stays, and so does the place of who is typing.
function redraw(place, now) {
  for (const field of place.querySelectorAll("input[id]")) {
    const same = now.querySelector(`#${field.id}`);
    if (same) same.value = field.value;
  }
  const at = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(...now.childNodes);
  if (at) document.getElementById(at)?.focus();
}

async function send() {
  const body = new URLSearchParams(new FormData(form));
  const parcel = {};
  for (const name of FIELDS) if (form.elements[name]) parcel[name] = form.elements[name].value;
  // The next parcel may come while this one is on its way.
  code.value = "";
  if (!single) waybill.value = form.elements.order.value = "";
  sending.value = newId();
  code.focus();
  const answer = await ask(body);
  beep(answer.ok);
  say(answer.message, answer.ok);
  // What was said of these goods before is old news, whichever way it went now.
  failed = failed.filter((other) => other.code !== parcel.code);
  if (answer.ok) {
    sent.add(parcel.code);
    done += 1;
    doneBox.hidden = false;
    doneBox.querySelector("b").textContent = done;
    const unit = doneBox.querySelector("small");
    unit.textContent = done === 1 ? unit.dataset.one : unit.dataset.many;
    const list = doneBox.querySelector("ul");
    row(list, answer.message, answer.code, answer.page);
    while (list.children.length > SHOWN) list.lastElementChild.remove();
    drawCase();
  } else {
    failed.push({ ...parcel, reason: answer.message });
  }
  keep();
  drawFailed();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

// A scanner ends what it types with Enter: from the label on to the waybill, from there it goes off.
code.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !code.value.trim() || waybill.value.trim()) return;
  event.preventDefault();
  waybill.focus();
});

try {
  failed = JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
} catch {
  failed = [];
}
drawFailed();

// --- the camera ----------------------------------------------------------------------------------

const box = document.getElementById("camera");
const hint = document.getElementById("camera-told");
const seen = new Map();

function isNew(text) {
  const now = performance.now();
  const before = seen.get(text);
  seen.set(text, now);
  if (seen.size > 100) seen.delete(seen.keys().next().value);
  return before === undefined || now - before > STILL_MS;
}

function take(text) {
  if (!isNew(text)) return;
  if (sent.has(text)) return; // it came into view again
  if (LABEL.test(text)) code.value = text;
  else if (WAYBILL.test(text) && code.value.trim()) waybill.value = text;
  else {
    seen.delete(text); // a waybill before its label: it is taken once the label is there
    return;
  }
  hint.textContent = code.value.trim() && !waybill.value.trim() ? box.dataset.waybill : box.dataset.label;
  if (code.value.trim() && waybill.value.trim()) form.requestSubmit();
}

if (navigator.mediaDevices?.getUserMedia) {
  const { cameraIn } = await import(`${box.dataset.modules}/camera.js`);
  const camera = cameraIn(box, {
    looking: "label",
    look: async ({ all }, video) => {
      for (const text of await all(video).catch(() => [])) {
        if (camera.isOn()) take(text);
      }
    },
    stopped: () => camera.say(""),
  });
} else box.classList.add("camera-none");
