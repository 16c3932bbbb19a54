"""A shop's counter: hands out units that nobody has touched, and shows what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.ledger.keyring import load_keys
from app.ledger.record import stream_key
from app.ledger.vault import Vault
from tests.browser.phone import Noted, opened
from tests.databases import opened as opened_database
from tests.drills.trade import SHOP, Trade, api_path

_addresses = itertools.count(1)


@dataclass
class Counter:
    """sold: units of complete chains, each to be used by one test. shared: two of them, to look at alone.

    unsold: labels on the shelf.
    """

    trade: Trade
    sold: list[str]
    shared: list[str]
    unsold: list[str]
    _handed: list[str] = field(default_factory=list)

    def unit(self) -> str:
        """Returns a unit that was sold, dispatched and signed for; more are made when they run out."""
        if not self.sold:
            self.sold += self.trade.complete(SHOP, 10)
        self._handed.append(self.sold.pop())
        return self._handed[-1]

    def url(self, code: str, lang: str | None = None) -> str:
        return f"{self.trade.place.url}/{code}" + (f"?lang={lang}" if lang else "")

    def events(self, code: str) -> list[dict[str, Any]]:
        """Returns the records of a unit as the API tells them, oldest first."""
        told = self.trade.place.get(f"{api_path(code)}/events", params={"limit": "100"})
        return [one["record"] for one in told["items"]]

    def said(self, code: str) -> list[dict[str, Any]]:
        """Returns what consumers said about a unit."""
        return [one for one in self.events(code) if one["source"] == "consumer"]

    def written(self) -> tuple[int, int]:
        """Returns how many records and reports there are in the whole deployment."""
        return self._ask("SELECT count(*) FROM record")[0][0], len(self.reports())

    def reports(self) -> dict[str, tuple[str | None, dict[str, str]]]:
        """Returns by ticket the code and what was reported and not erased since, opened by the key."""
        vault = Vault(load_keys(self.trade.place.keys_dir).vault_key)
        return {
            ticket: (code, orjson.loads(
                vault.open(place=("report", ticket, "text"), sealed=sealed, wrapped_key=key)[1]
            ))
            for ticket, code, sealed, key in self._ask(
                "SELECT ticket, code, sealed, wrapped_key FROM report WHERE status <> 'erased'"
            )
        }  # fmt: skip

    def looks_written(self, code: str) -> int:
        """Returns how many looks at a unit are in the database already."""
        asked = "SELECT coalesce(sum(loads), 0) FROM scan WHERE stream = ?"
        return int(self._ask(asked, stream_key(code))[0][0])

    def _ask(self, question: str, *values: int) -> list[tuple[Any, ...]]:
        with opened_database(self.trade.place.database_url) as run:
            return list(run(question, *values))


@contextmanager
def phone(browser: Any, *, address: str | None = None, **more: Any) -> Iterator[tuple[Any, Noted]]:
    """Yields a page of a fresh phone that comes from an address of its own."""
    high, low = divmod(next(_addresses), 250)
    given = address or f"198.18.{high}.{low + 1}"  # RFC 2544's, more than one of RFC 5737's holds
    with opened(browser, extra_http_headers={"X-Forwarded-For": given}, **more) as (page, noted):
        yield page, noted
