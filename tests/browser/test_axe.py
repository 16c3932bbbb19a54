"""That axe-core is there, and sees what it is there for; it looks wherever a page's structure is checked."""

from __future__ import annotations

import pytest

from tests.browser import axe
from tests.browser.phone import opened

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not axe.is_there(), reason="npm has not brought axe-core"),
]

PAGE = """<html lang="en"><title>x</title><main><h1>x</h1>{}</main></html>"""
FLAWS = [
    ("", []),
    ("<p style='color:#bbb'>pale</p>", ["color-contrast"]),
    ("<input type='text'>", ["label"]),
    ("<img src='data:,'>", ["image-alt"]),
]


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize(("html", "rules"), FLAWS)
def test_a_flaw_is_seen_whether_the_page_may_run_scripts_or_not(chromium, script, html, rules):
    with opened(chromium, script=script) as (page, _):
        page.route("**/*", lambda route: route.fulfill(
            body=PAGE.format(html), content_type="text/html"))  # fmt: skip
        page.goto("http://suxin.example/")
        assert [found[0] for found in axe.violations(page)] == rules
