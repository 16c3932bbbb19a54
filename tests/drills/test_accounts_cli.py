"""`suxin accounts` beside a running service: what is done there holds at once for who is signed in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.asking import plain_client
from tests.drills.test_cli import check_refused
from tests.drills.trade import SHOP, Trade


@contextmanager
def enter(place, name: str, password: str) -> Iterator[httpx.Client]:
    """Yields a browser that has signed in."""
    headers = {"Accept": "text/html"}
    with plain_client(base_url=place.url, headers=headers, timeout=60) as browser:
        answer = browser.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text[:2000]
        yield browser


@pytest.mark.slow
def test_an_account_is_added_reset_disabled_and_let_in_again(served: Trade):
    place = served.place
    made = place.suxin("accounts", "add", "zhang.san", "--party", SHOP, "--json")
    told = json.loads(made.out)
    assert (made.code, told["name"]) == (0, "zhang.san")
    with enter(place, "zhang.san", told["password"]) as browser:
        assert "/account/password" in browser.get("/desk").headers["Location"]
    (one,) = json.loads(place.suxin("accounts", "list", "--party", SHOP, "--json").out)
    assert (one["name"], one["role"], one["party"]) == ("zhang.san", "owner", SHOP)
    assert one["seen_at"] is not None
    again = json.loads(place.suxin("accounts", "reset", "zhang.san", "--json").out)
    assert again["password"] != told["password"]
    with enter(place, "zhang.san", again["password"]) as browser:
        assert browser.get("/account/password").status_code == 200
        assert place.suxin("accounts", "disable", "zhang.san").code == 0
        assert browser.get("/account/password").status_code == 303
    check_refused(place.suxin("accounts", "reset", "zhang.san"), "zhang.san")
    assert place.suxin("accounts", "disable", "zhang.san", "--undo").code == 0
    assert "zhang.san" in place.suxin("accounts", "list").out


@pytest.mark.slow
def test_what_cannot_be_is_refused_in_a_sentence(served: Trade):
    suxin = served.place.suxin
    for given in (
        ("add", "Zh 3"),
        ("add", "nobody1", "--party", "91441200MA4TE5T99X"),
        ("add", "nobody1", "--party", SHOP, "--role", "king"),
        ("add", "nobody1", "--party", SHOP, "--role", "operator"),
        ("add", "nobody1", "--party", SHOP, "--role", "staff"),
        ("add", "nobody1", "--party", SHOP, "--region", "441200"),
        ("reset", "nobody1"),
        ("disable", "nobody1"),
    ):
        check_refused(suxin("accounts", *given))
    assert "nobody1" not in suxin("accounts", "list").out
