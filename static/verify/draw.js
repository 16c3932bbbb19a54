// A report as people read it: the verdict, what was checked, what was not, the first broken place.
import { element, say } from "./words.js";

const SEALS = { matches: "intact", differs: "broken", unreadable: "unproven", unanchored: "unproven" };
const TONES = { matches: "intact", differs: "broken", unreadable: "unknown", unanchored: "incomplete" };

export function sayVerdict(report) {
  return say(`bundle.verdict_${report.verdict}`);
}

// Returns the verdict's card with its seal, which the page holds ready as a template.
export function drawVerdict(report) {
  const seal = document.querySelector(`template[data-seal="${SEALS[report.verdict]}"]`);
  const words = element("div", { class: "verdict-words" }, element("h2", {}, sayVerdict(report)));
  if (report.subject) words.append(element("p", {}, element("code", {}, report.subject)));
  const [first] = report.broken;
  if (first) words.append(element("p", {}, sayRemark(first)));
  const tone = `verdict verdict-${TONES[report.verdict]}`;
  return element("section", { class: tone }, seal.content.cloneNode(true), words);
}

// Returns the lists below a verdict.
export function drawLists(report) {
  const drawn = document.createDocumentFragment();
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
