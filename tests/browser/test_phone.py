"""That no page with a flaw gets past whoever opens it, whatever the test then asks."""

from __future__ import annotations

import pytest

from tests.browser.phone import opened

pytestmark = pytest.mark.browser

POLICY = "default-src 'self'; img-src data:"
FLAWS = {
    "a script in the page": ("<script>1</script>", True, "Content Security Policy"),
    "a style in the page": ("<p style='color:red'>x</p>", False, "Content Security Policy"),
    "something from elsewhere": (
        "<img src='https://other.example/x.png'>", False, "Content Security Policy",
    ),
    "a script that fails": ("<script src='/fails.js'></script>", True, "nothingOfTheKind"),
}  # fmt: skip


def show(page, html: str) -> None:
    def answer(route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(body="nothingOfTheKind()", content_type="text/javascript")
        else:
            route.fulfill(
                body=f"<!doctype html><title>x</title>{html}",
                content_type="text/html",
                headers={"Content-Security-Policy": POLICY},
            )

    page.route("**/*", answer)
    page.goto("http://suxin.example/")


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_fails_who_opened_the_page(chromium, flaw):
    html, script, said = FLAWS[flaw]
    with (
        pytest.raises(AssertionError, match=said),
        opened(chromium, script=script) as (page, _),
    ):
        show(page, html)


def test_a_page_without_one_passes_and_what_failed_before_is_what_is_told(chromium):
    with opened(chromium, script=True) as (page, noted):
        show(page, "<p>x</p>")
    assert noted.flaws == []
    with pytest.raises(ZeroDivisionError), opened(chromium) as (page, _):
        show(page, FLAWS["a style in the page"][0])
        raise ZeroDivisionError
