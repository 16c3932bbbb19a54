"""Cursors: opaque, checked, and nobody's way into anything."""

from __future__ import annotations

import base64

import orjson
import pytest

from app.kit.errors import Invalid
from app.web.body import api_router
from app.web.paging import InPage, Page
from tests.sentences import only_error

ROWS = [(n, f"row {n}") for n in range(10)]


def list_page(page: Page) -> tuple[list, str | None]:
    """A store's part, done on a list: rows after the place, one more than asked for."""
    after = page.after(int, str)
    rows = [row for row in ROWS if after is None or row > after]
    return page.cut(rows[: page.limit + 1], lambda row: row)


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 500])
def test_pages_put_together_are_the_list(limit):
    seen, cursor = [], None
    while True:
        rows, cursor = list_page(Page(limit, cursor))
        assert len(rows) <= limit
        seen += rows
        if cursor is None:
            break
    assert seen == ROWS


def forge(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "é", "=", "%%%", forge([1]), forge([2, 1, "a"]), forge([1, "a", 1]),
        forge([1, True, "a"]), forge([1, 2**63, "a"]), forge({"a": 1}), forge(7), forge(None),
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_refused(cursor):
    with pytest.raises(Invalid) as caught:
        Page(5, cursor).after(int, str)
    error = only_error(caught.value)
    assert (error.kind, error.loc) == ("cursor", ("query", "cursor"))


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("limit=0", "range"),
        ("limit=501", "range"),
        ("limit=x", "type"),
        (f"cursor={'x' * 1001}", "length"),
    ],
)
def test_a_limit_is_a_number_up_to_500(start, query, kind):
    router = api_router(tag="probe")

    @router.get("/probe-list")
    def probe_list(page: InPage) -> dict:
        return {"limit": page.limit}

    with start(prepare=lambda app: app.include_router(router)) as running:
        assert running.call("GET", "/api/v1/probe-list").json() == {"limit": 50}
        answer = running.call("GET", f"/api/v1/probe-list?{query}")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["kind"], error["loc"][0]) == (422, kind, "query")
