"""People who sign in, as tests have them: a browser without script, accounts, addresses."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.parties.accounts import Place
from tests.asking import plain_client
from tests.web.conftest import SHOP
from tests.web.market import open_market

COOKIE = "suxin_session"
NEW = "四月的端溪 is green again"


_opened: list[httpx.Client] = []


class Browser:
    """A browser without a script: follows forms of pages, keeps cookies, says where a form stood."""

    def __init__(self, market, *, address: str = "") -> None:
        self.market = market
        headers = {"Accept": "text/html", "Accept-Language": "en", "User-Agent": "Tester/1.0"}
        if address:
            headers["X-Forwarded-For"] = address
        self.http = plain_client(base_url=market.url, timeout=20, headers=headers)
        _opened.append(self.http)
        self.page = ""

    def get(self, path: str, status: int = 200) -> httpx.Response:
        answer = self.http.get(path)
        assert answer.status_code == status, f"{answer.status_code} {answer.text[:2000]}"
        self.page = answer.text
        return answer

    def post(self, path: str, status: int = 303, *, csrf: str | None = None, file=None, **fields):
        """Posts a form with the token that the last page had. file: (name, bytes)."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.page)
        if csrf is None and found:
            csrf = found[1]
        data = {**({"csrf": csrf} if csrf else {}), **fields}
        headers = {"Origin": self.market.url, "Sec-Fetch-Site": "same-origin"}
        answer = self.http.post(
            path, data=data, headers=headers, files={"file": file} if file else None
        )
        assert answer.status_code == status, f"{answer.status_code} {answer.text[:2000]}"
        if answer.text:
            self.page = answer.text
        return answer

    def sign_in(self, name: str, password: str, status: int = 303, **more):
        self.get("/sign-in")
        return self.post("/sign-in", status, name=name, password=password, **more)

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get(COOKIE)


@contextmanager
def open_people_market(folder: Path, **changes: Any) -> Iterator[Any]:
    """A market whose visitors may each come from an address of their own; closes their browsers."""
    with open_market(folder, trusted_proxies=("127.0.0.1",), **changes) as running:
        yield running
    while _opened:
        _opened.pop().close()


_names = itertools.count(1)


def make_account(market, role="owner", party=SHOP, *, scopes=(), region=None, owes=False):
    """Makes an account; returns its name and its password, a one-time one where it owes another."""
    name = f"person{next(_names)}"
    accounts = market.rooms.people.accounts
    place = Place(role, party, tuple(scopes), region)
    if owes:
        return name, accounts.create(name, place)
    hashed = accounts.hash_new(NEW, name=name)
    with market.rooms.database.write() as connection:
        accounts.insert(connection, name, hashed, place)
    return name, NEW


def new_name() -> str:
    return f"person{next(_names)}"


_addresses = iter(range(1, 60_000))


def new_browser(market) -> Browser:
    """A browser at an address of its own, since failures of an address are counted."""
    n = next(_addresses)
    return Browser(market, address=f"198.51.{n // 250}.{n % 250 + 1}")


def signed_in(market, *given, **more) -> Browser:
    """A browser in which somebody new has signed in."""
    browser = new_browser(market)
    browser.name, browser.password = make_account(market, *given, **more)
    browser.sign_in(browser.name, browser.password)
    return browser
