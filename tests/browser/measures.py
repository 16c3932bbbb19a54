"""What is measured in the page as chromium laid it out: overflow, contrast, headings, labels, targets."""

from __future__ import annotations

from typing import Any

from tests.browser.axe import check_access
from tests.browser.looked import note

_SEEN = r"""
  const visible = (element) => element.checkVisibility({checkVisibilityCSS: true, checkOpacity: true})
    && element.getClientRects().length > 0;
  const told = (element) => element.outerHTML.slice(0, 120);
"""
_FIT = r"""
  const targets = document.querySelectorAll(
    ".button, button, textarea, summary, label.choice, input:not([type=hidden]):not([type=radio])");
  const small = [...targets].filter(visible)
    .filter((t) => t.getBoundingClientRect().height < 44).map(told);
  // A table of many columns may be moved by itself (WCAG 1.4.10 excepts it), as long as it is.
  const moved = (e) => {
    const frame = e.closest("table")?.parentElement;
    return frame && /auto|scroll/.test(getComputedStyle(frame).overflowX);
  };
  const isOutside = ({left, right}) => right > innerWidth + 0.5 || left < -0.5;
  const outside = [...document.body.querySelectorAll("*")]
    .filter((e) => isOutside(e.getBoundingClientRect()) && visible(e) && !moved(e)).map(told);
  // A word of a language that writes them apart stands on one line of the bar.
  const cut = [...document.querySelectorAll(".rail a")].filter(visible).flatMap((a) => {
    const label = a.firstChild;
    return [...label.data.matchAll(/[A-Za-z]+/g)].filter((word) => {
      const range = document.createRange();
      range.setStart(label, word.index);
      range.setEnd(label, word.index + word[0].length);
      return new Set([...range.getClientRects()].map((box) => box.top)).size > 1;
    }).map((word) => word[0]);
  });
  return {
    small, outside, cut,
    width: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth,
  };
"""
_PALE = r"""
  const rgb = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    return parts.length < 4 ? [...parts, 1] : parts;
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map(
      (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(rgb(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !visible(element)) continue;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1) continue;
    const behind = ground(element);
    const [one, two] = [light(over(rgb(style.color), behind)), light(behind)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) pale.push([ratio.toFixed(2), node.textContent.trim().slice(0, 30)]);
  }
  return {pale};
"""
_STRUCTURE = r"""
  const controls = [...document.querySelectorAll("input, textarea, select, button")];
  const nameless = controls.filter((c) => c.type !== "hidden" && c.tagName !== "BUTTON"
    && !c.labels.length && !c.getAttribute("aria-label")).map(told);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  const referred = [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")].flatMap(
    (e) => ["aria-labelledby", "aria-describedby"].flatMap((n) => (e.getAttribute(n) || "").split(" ")));
  return {
    nameless,
    lang: document.documentElement.lang,
    title: document.title,
    headings: [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(visible)
      .map((h) => Number(h.tagName[1])),
    doubled: ids.filter((id, n) => ids.indexOf(id) !== n),
    dangling: referred.filter((id) => id && !document.getElementById(id)),
    // Our own modules alone, each from its file: a page carries no script of its own text.
    scripts: [...document.scripts].filter((s) => s.type !== "module" || s.text
      || !/^\/static\/(verify|camera|desk)-/.test(s.src.replace(location.origin, ""))).map(told),
    images: [...document.images].filter((i) => !i.alt).map(told),
  };
"""


def _read(page: Any, *bodies: str) -> dict[str, Any]:
    """Returns what they measured once the page has come whole; it may run no scripts of its own."""
    page.wait_for_load_state("load")  # what was waited for may stand there before the stylesheets
    parts = ", ".join(f"...(() => {{{body}}})()" for body in bodies)
    told: dict[str, Any] = page.evaluate(f"() => {{{_SEEN} return {{{parts}}}; }}")
    return told


def check_layout(page: Any) -> None:
    """Nothing is wider than the screen, too pale to read, or too small to touch."""
    told = _read(page, _FIT, _PALE)
    _check_fit(page, told)
    assert told["pale"] == [], told["pale"]


def check_fit(page: Any) -> None:
    """Nothing is wider than the screen, or too small to touch: what its colours do not change."""
    _check_fit(page, _read(page, _FIT))


def _check_fit(page: Any, told: dict[str, Any]) -> None:
    at = f"{page.url} at {told['room']} px"
    assert told["width"] <= told["room"], (at, told["width"], told["outside"])
    assert told["outside"] == [], (at, told["outside"])
    assert told["small"] == [], (at, told["small"])
    assert told["cut"] == [], (at, told["cut"])


def check_structure(page: Any, *, lang: str, also_dark: bool = False) -> None:
    """One headline, no level skipped, every control named, every reference met, and axe content.

    also_dark: axe looks at it in the dark too.
    """
    told = _read(page, _STRUCTURE)
    levels = told["headings"]
    assert levels.count(1) == 1
    below = zip(levels, levels[1:], strict=False)
    assert [pair for pair in below if pair[1] > pair[0] + 1] == []
    assert told["lang"] == {"zh": "zh-CN", "en": "en"}[lang]
    assert told["title"]
    for flaw in ("nameless", "doubled", "dangling", "images", "scripts"):
        assert told[flaw] == [], flaw
    check_access(page, also_dark=also_dark)
    note("axe", page)
