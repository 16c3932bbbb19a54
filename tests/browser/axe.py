"""axe-core on a page as it stands: what a person with a screen reader or weak sight would stumble over."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from tests.drills.processes import ROOT

SOURCE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# WCAG 2.2 A and AA, and what axe's makers hold to be good practice. What it would fetch beforehand is
# asked for by rules about sound alone.
_RUN = """async (alone) => (await axe.run(document, {
    resultTypes: ["violations"], preload: document.querySelector("audio, video") !== null,
    ...(alone && {runOnly: alone}),
  })).violations.map(
  (found) => [found.id, found.help, found.nodes.map((node) => node.html.slice(0, 160))])"""
# What may be otherwise in the dark, where colours alone are (tests/browser/test_looks.py).
_OF_COLOUR = ["color-contrast", "link-in-text-block"]

_SCHEME = "() => matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'"
# A page as it stands, with its stylesheets written into it: a copy that fetched them again could go
# without one by chance, and links would have the browser's own colours.
_TAKE = """() => {
  const all = [...document.querySelectorAll("link[rel=stylesheet]")];
  const written = ({sheet}) => {
    try {
      return [...(sheet?.cssRules ?? [])].map(({cssText}) => cssText).join("\\n");
    } catch {
      return "";  // what failed is kept as somebody else's
    }
  };
  const copy = document.documentElement.cloneNode(true);
  [...copy.querySelectorAll("link[rel=stylesheet]")].forEach((link, n) => {
    const style = document.createElement("style");
    style.media = link.media;
    style.textContent = written(all[n]);
    link.replaceWith(style);
  });
  const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) : "";
  const lacking = all.filter((link) => !written(link)).map(({href}) => href);
  return [type + copy.outerHTML, lacking];
}"""
_SHOW = """async ([html, address]) => {
  const {hash} = new URL(address);
  history.replaceState(null, "", address.split("#")[0]);
  document.open();
  document.write(html);
  document.close();
  if (document.readyState !== "complete") {
    await new Promise((done) => addEventListener("load", done, {once: true}));
  }
  location.hash = hash;  // what it leads to is shown otherwise
}"""

_missed: list[str] = []
_glasses: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def is_there() -> bool:
    """Whether npm has brought axe-core; `scripts/test` does where there is npm."""
    return SOURCE.is_file()


def check_access(page: Any, *, also_dark: bool = False) -> None:
    """axe finds nothing wrong. Where it is missing, `missed` tells what it did not look at."""
    if not is_there():
        _missed.append(page.url)
        return
    found = violations(page, also_dark=also_dark)
    assert found == [], f"{page.url}: {found}"


def missed() -> list[str]:
    """Returns the pages that nobody looked at since this was asked last."""
    told = _missed[:]
    _missed.clear()
    return told


def violations(page: Any, *, also_dark: bool = False) -> list[Any]:
    """Returns (rule, what it asks, elements) of each rule that the page breaks.

    also_dark: in the dark too, whatever the page itself shows now.
    """
    page.wait_for_load_state("load")
    if page.evaluate("() => matchMedia('(scripting: enabled)').matches"):
        page.evaluate(_source())
        seen = page
    else:
        seen = _copied(page)
    found = seen.evaluate(_RUN, None)
    if also_dark:
        told = page.evaluate(_SCHEME)
        seen.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found += seen.evaluate(_RUN, _OF_COLOUR)
        seen.emulate_media(color_scheme=told, reduced_motion="reduce")
    return found


def _copied(page: Any) -> Any:
    """Returns a copy of a page that may run no script: axe waits, and waiting is script.

    A browser's copies follow each other in one page, where axe is read once: reading it, and a new page,
    take four times as long as what it does.
    """
    parts = urlsplit(page.url)
    glass = _glass(page.context.browser, f"{parts.scheme}://{parts.netloc}/")
    glass.set_viewport_size(page.viewport_size)
    glass.emulate_media(color_scheme=page.evaluate(_SCHEME), reduced_motion="reduce")
    html, lacking = page.evaluate(_TAKE)
    assert lacking == [], f"{page.url} came without {lacking}"
    glass.evaluate(_SHOW, [html, page.url])
    return glass


def _glass(browser: Any, origin: str) -> Any:
    """Returns the page that shows a browser's copies: of an origin, whose addresses it may bear.

    Only what the page looks like: its own scripts stay away, as in the page itself.
    """
    glass = _glasses.get(browser)
    if glass is None:
        glass = _glasses[browser] = browser.new_page()
    if not glass.url.startswith(origin):
        glass.route(
            origin,
            lambda route: route.fulfill(
                body="<!doctype html>", content_type="text/html; charset=utf-8",
                headers={"Content-Security-Policy": "script-src 'none'"},
            ),
        )  # fmt: skip
        glass.goto(origin)
        glass.unroute_all()  # else nothing comes from the browser's cache
        glass.evaluate(_source())
    return glass


@cache
def _source() -> str:
    return SOURCE.read_text("utf-8")
