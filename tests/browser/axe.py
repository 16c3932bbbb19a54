"""axe-core on a page as it stands: what a person with a screen reader or weak sight would stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from tests.drills.processes import ROOT

SOURCE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# WCAG 2.2 A and AA, and what axe's makers hold to be good practice.
_RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
  (found) => [found.id, found.help, found.nodes.map((node) => node.html.slice(0, 160))])"""


def is_there() -> bool:
    """Whether npm has brought axe-core; `scripts/test` does where there is npm."""
    return SOURCE.is_file()


def check_access(page: Any) -> None:
    """axe finds nothing wrong. Where it is missing, tests/browser/test_axe.py says so."""
    if is_there():
        found = violations(page)
        assert found == [], f"{page.url}: {found}"


def violations(page: Any) -> list[Any]:
    """Returns (rule, what it asks, elements) of each rule that the page breaks."""
    with _with_script(page) as scripted:
        scripted.evaluate(_source())
        return scripted.evaluate(_RUN)


@contextmanager
def _with_script(page: Any) -> Iterator[Any]:
    """Yields the page, or where it may run no script a copy that may: axe waits, and waiting is script."""
    if page.evaluate("() => matchMedia('(scripting: enabled)').matches"):
        yield page
        return
    is_dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    html = page.content()
    copy = page.context.browser.new_page(
        viewport=page.viewport_size, color_scheme="dark" if is_dark else "light"
    )
    try:
        # Only what the page looks like: its own scripts stay away, as in the page itself.
        copy.route("**/*", lambda route: _only_looks(route, page.url, html))
        copy.goto(page.url)
        yield copy
    finally:
        copy.close()


def _only_looks(route: Any, url: str, html: str) -> None:
    if route.request.url == url.partition("#")[0]:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")
    elif route.request.resource_type == "script":
        route.abort()
    else:
        route.continue_()


@cache
def _source() -> str:
    return SOURCE.read_text("utf-8")
