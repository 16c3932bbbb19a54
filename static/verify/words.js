// The sentences, as the service keeps them in the reader's language, and the parts they are shown in.
const page = document.documentElement;
const version = document.querySelector("script[data-words]")?.dataset.words ?? "";

// In China's time and in the forms of every page: `20 Nov 2026, 21:30`, `2026-11-20 21:30`. The latter
// is how Swedish writes it; Chinese locales differ between browsers.
const clock = new Intl.DateTimeFormat(page.lang === "en" ? "en-GB" : "sv-SE", {
  dateStyle: page.lang === "en" ? "medium" : "short",
  timeStyle: "short",
  timeZone: "Asia/Shanghai",
});

let sentences = {};

// Loads a part of the sentences: "watch" is the little that a scan needs, "check" is all.
export async function loadWords(part) {
  const answer = await fetch(`/verify/words.json?part=${part}&lang=${page.lang}&v=${version}`);
  if (!answer.ok) throw new Error(`no words: ${answer.status}`);
  const told = await answer.json();
  sentences = { ...sentences, ...told }; // after the wait: two parts may be loading
}

// Returns the sentence of a key with its places filled in. Words and modules may come from two releases
// while a service is upgraded: a key without a sentence is shown as it is, and hides no verdict.
export function say(key, params = {}) {
  const isOne = params.count === 1 || params.count === 1n;
  const sentence = (isOne && sentences[`${key}.one`]) || sentences[key] || key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(params[name] ?? whole));
}

// Returns sentences one after the other. Chinese stops carry their own space.
export function saySentences(sentences) {
  return sentences.join(page.lang === "en" ? " " : "");
}

export function sayTime(iso) {
  return clock.format(new Date(iso));
}

// Returns an element. Texts become text, never markup: they may be a forger's.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Returns a link that saves a text as a file, without asking anybody.
export function saveLink(label, name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  return element("a", { class: "button button-wide", href: url, download: name }, label);
}
