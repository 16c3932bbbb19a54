"""A count of many digits stands on one line on every phone: a number in two parts is read as two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.phone import opened
from tests.browser.screens import SCREENS
from tests.browser.test_signed_pages import enter
from tests.web.conftest import AUTHORITY
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

# The page's own counts are small in a test, and grow to this in a log of years.
_GROWN = r"""([where, grown]) => [...document.querySelectorAll(where)].map((one) => {
  one.textContent = grown;
  const range = document.createRange();
  range.selectNodeContents(one);
  return new Set([...range.getClientRects()].map((box) => box.top)).size;
})"""


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory) -> Iterator[Any]:
    with open_people_market(tmp_path_factory.mktemp("figures")) as running:
        running.issue()
        running.publish()
        yield running


@pytest.mark.parametrize(
    ("path", "where", "grown"),
    [("/log", ".figures dd", "1,234,567,890"), ("/desk", ".works b", "12345678")],
)
def test_a_count_of_many_digits_is_not_broken(market, chromium, path, where, grown):
    for lang in ("zh", "en"):
        with opened(chromium, lang=lang) as (page, _):
            if path == "/desk":
                enter(page, market, "owner", AUTHORITY)
            page.goto(market.url + path)
            for width, height in SCREENS[:4]:
                page.set_viewport_size({"width": width, "height": height})
                lines = page.evaluate(_GROWN, [where, grown])
                assert lines == [1] * len(lines) != [], (width, lang)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
