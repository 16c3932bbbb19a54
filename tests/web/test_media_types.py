"""What a call that refuses a media type says that it takes, for every call of the description."""

from __future__ import annotations

import pytest

from tests.web.conftest import SHOP
from tests.web.market import told

WRONG = [(None, b""), ("application/json", b"{}"), ("text/csv", b"a,b")]


def taking(market, media_type: str) -> list[tuple[str, str]]:
    """Returns the calls whose body is of this media type, by method and path."""
    paths = market.ask("GET", "/openapi.json")["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if media_type in operation.get("requestBody", {}).get("content", {})
    ]


@pytest.mark.parametrize(("given", "content"), WRONG)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_call_that_takes_a_file_says_how_it_is_sent(market, given, content, lang):
    calls = taking(market, "multipart/form-data")
    assert {("POST", f"/api/v1/{kind}/import") for kind in
            ("products", "lots", "shipments", "events")} < set(calls)  # fmt: skip
    for method, path in calls:
        headers = {"Accept-Language": lang} | ({"Content-Type": given} if given else {})
        answer = market.call(
            method, path, token=market.keys[SHOP], content=content, headers=headers
        )
        assert told(answer)[:2] == (415, "unsupported-media-type"), path
        said = answer.json()["detail"]
        assert "multipart/form-data" in said, path
        assert " file" in said, path
        assert "application/json" not in said, path


def test_every_call_that_takes_json_says_so(market):
    calls = taking(market, "application/json")
    assert ("POST", "/api/v1/carriers/push") in calls
    for method, path in calls:
        answer = market.call(method, path.replace("{", "").replace("}", ""),
                             token=market.keys[SHOP], content=b"a,b",
                             headers={"Content-Type": "text/csv"})  # fmt: skip
        if answer.status_code == 415:
            assert "application/json" in answer.json()["detail"], path
