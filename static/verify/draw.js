// A report as people read it: the verdict, what was checked, what was not, the first broken place.
import { sumUp } from "./steps.js";
import { element, say, sayTime, saySentences } from "./words.js";

const SEALS = { differs: "broken", unreadable: "unproven", unanchored: "unproven" };
const TONES = { differs: "broken", unreadable: "unknown", unanchored: "incomplete" };
// Of what matches: as whole as its steps are.
const WHOLE = {
  good: { seal: "intact", tone: "intact" },
  gap: { seal: "incomplete", tone: "incomplete" },
  open: { seal: "open", tone: "unknown" },
};

// Returns the verdict in words, and beside it what its steps are.
export function sayVerdict(report) {
  const steps = sumUp(report).map(([key, named]) => say(`bundle.${key}`, { steps: sayNames(named) }));
  return saySentences([say(`bundle.verdict_${report.verdict}`), ...steps]);
}

// Returns how good what was found is: `bad` where it does not match, `gap` where a step is missing, `open`
// where one is not there and may be due or not, `good` where none is missing.
export function toneOf(report) {
  if (report.verdict !== "matches") return "bad";
  const [[key]] = [...sumUp(report), ["steps_whole"]];
  return { steps_missing: "gap", steps_whole: "good" }[key] ?? "open";
}

// Returns the verdict's card with its seal, which the page holds ready as a template.
export function drawVerdict(report) {
  const whole = WHOLE[toneOf(report)];
  const named = whole?.seal ?? SEALS[report.verdict];
  const seal = document.querySelector(`template[data-seal="${named}"]`);
  const words = element("div", { class: "verdict-words" }, element("h2", {}, sayVerdict(report)));
  if (report.subject) words.append(element("p", {}, element("code", {}, report.subject)));
  const [first] = report.broken;
  if (first) words.append(element("p", {}, sayRemark(first)));
  const tone = `verdict verdict-${whole?.tone ?? TONES[report.verdict]}`;
  return element("section", { class: tone }, seal.content.cloneNode(true), words);
}

// Returns the lists below a verdict.
export function drawLists(report) {
  const drawn = document.createDocumentFragment();
  if (report.steps !== null) {
    const items = report.steps.map((one) => element("li", {}, sayStep(one)));
    drawn.append(
      element("h3", {}, say("bundle.heading_steps")),
      element("ul", { class: "remarks remarks-steps" }, ...items),
    );
  }
  for (const name of ["broken", "checked", "unchecked", "pending"]) {
    if (!report[name].length) continue;
    const items = report[name].map((found) => {
      const place = name === "broken" && found.place ? element("code", {}, found.place) : null;
      return element("li", {}, sayRemark(found), place && " ", place);
    });
    drawn.append(
      element("h3", {}, say(`bundle.heading_${name}`)),
      element("ul", { class: `remarks remarks-${name}` }, ...items),
    );
  }
  return drawn;
}

function sayRemark(found) {
  return say(`bundle.${found.key}`, found.params);
}

function sayStep(one) {
  const at = one.at === undefined ? "" : sayTime(one.at);
  return say(`bundle.step_is_${one.status}`, { ...one, at, step: say(`bundle.step_${one.step}`) });
}

function sayNames(steps) {
  const quoted = steps.map((step) => say("bundle.steps_quote", { step: say(`bundle.step_${step}`) }));
  return quoted.join(say("bundle.steps_join"));
}
