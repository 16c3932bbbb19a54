"""That axe-core is there, and sees what it is there for; it looks wherever a page's structure is checked."""

from __future__ import annotations

import pytest

from tests.browser import axe
from tests.browser.phone import opened

pytestmark = pytest.mark.browser
is_there = pytest.mark.skipif(not axe.is_there(), reason="npm has not brought axe-core")

PAGE = """<html lang="en"><title>x</title><main><h1>x</h1>{}</main></html>"""
FLAWS = [
    ("", []),
    ("<p style='color:#bbb'>pale</p>", ["color-contrast"]),
    ("<input type='text'>", ["label"]),
    ("<img src='data:,'>", ["image-alt"]),
]


# Too pale in the dark, or where an address leads to it.
DARK = "<style>@media (prefers-color-scheme: dark) { p { color: #bbb } }</style><p>pale</p>"
LED_TO = "<style>#x { display: none } #x:target { display: block; color: #bbb }</style><p id='x'>pale</p>"

every = pytest.mark.parametrize("script", [True, False])


def show(page, html: str, address: str = "http://suxin.example/") -> None:
    page.route("**/*", lambda route: route.fulfill(
        body=PAGE.format(html), content_type="text/html"))  # fmt: skip
    page.goto(address)


def rules(page, **more) -> list[str]:
    return [found[0] for found in axe.violations(page, **more)]


@is_there
@every
@pytest.mark.parametrize(("html", "broken"), FLAWS)
def test_a_flaw_is_seen_whether_the_page_may_run_scripts_or_not(chromium, script, html, broken):
    with opened(chromium, script=script) as (page, _):
        show(page, html)
        assert rules(page) == broken


@is_there
@every
def test_what_is_pale_in_the_dark_alone_is_seen_and_the_page_stays_light(chromium, script):
    with opened(chromium, script=script) as (page, _):
        show(page, DARK)
        assert rules(page) == []
        assert rules(page, also_dark=True) == ["color-contrast"]
        assert page.evaluate("matchMedia('(prefers-color-scheme: light)').matches")
        page.emulate_media(color_scheme="dark")
        assert rules(page) == ["color-contrast"]


@is_there
@every
def test_what_an_address_leads_to_is_seen(chromium, script):
    with opened(chromium, script=script) as (page, _):
        show(page, LED_TO)
        assert rules(page) == []
        page.goto("http://suxin.example/#x")
        assert rules(page) == ["color-contrast"]


SHEET = "http://suxin.example/pale.css"
STYLED = f"<link rel=stylesheet href={SHEET}><p>pale</p>"


@is_there
def test_a_copy_fetches_no_stylesheet(chromium):
    """It may fail by chance; then colours would be the browser's own: links too dark for a dark page."""
    with opened(chromium) as (page, _):
        show(page, FLAWS[0][0])
        rules(page)  # there is a glass from here on
        glass, asked = axe._glass(chromium, page.url), []
        glass.route(SHEET, lambda route: (asked.append(route), route.abort()))
        show(page, STYLED)
        give(page, body="p { color: #bbb }", content_type="text/css")
        page.reload()
        assert rules(page) == ["color-contrast"]
        glass.unroute(SHEET)
        assert asked == []


@is_there
def test_a_page_that_came_without_its_stylesheet_is_not_looked_at(chromium):
    with opened(chromium) as (page, _):
        show(page, STYLED)
        give(page, status=404)
        page.reload()
        with pytest.raises(AssertionError, match=r"came without .*pale\.css"):
            rules(page)


def give(page, **answer) -> None:
    page.route(SHEET, lambda route: route.fulfill(**answer))


def test_where_axe_is_missing_it_is_told_what_nobody_looked_at(chromium, monkeypatch, tmp_path):
    monkeypatch.setattr(axe, "SOURCE", tmp_path / "axe.min.js")
    with opened(chromium) as (page, _):
        show(page, FLAWS[1][0])
        axe.check_access(page)
    assert axe.missed() == ["http://suxin.example/"]
    assert axe.missed() == []
