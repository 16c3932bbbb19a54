"""A small market on a running service: who trades there, with which keys, and the usual moves."""

from __future__ import annotations

import csv
import io
import itertools
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from app.kit.clock import format_time
from app.parties.identity import uscc_check_digit
from app.web.limits import RateLimit
from tests.databases import DATABASES, opened, sqlite_path, stored_values
from tests.fakes import FakeClock
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP, STALL, Service, serving

GTIN = "06901234567892"
PRODUCT = f"01/{GTIN}"
CUSTOMS = "11440100MA4TE5T075"
SUPPLIER = "91441203MA4TE5T08W"
AGGREGATOR = "91440100MA4TE5T093"
RIVAL = STALL
ROLES = {
    SHOP: "merchant",
    RIVAL: "merchant",
    SUPPLIER: "supplier",
    PLATFORM: "platform",
    CARRIER: "carrier",
    AGGREGATOR: "aggregator",
    AUTHORITY: "regulator",
    CUSTOMS: "customs",
}
EVENTS = "/api/v1/events"
SALT = "MmG0qPvlS0fAEJscxxqctbqkx7xT5vhDanvXV6c6jVk="

# A waybill of its own for each dispatch of a process: below are those that tests name.
_numbers, _newcomers = itertools.count(100_000_020), itertools.count()


@dataclass(frozen=True)
class Issued:
    """One line of codes.csv."""

    code: str
    uri: str
    serial: str
    inner: str

    @property
    def path(self) -> str:
        return f"/api/v1/codes/{GTIN}/{self.serial}"


class Market(Service):
    """A service whose parties are verified: `keys[party]` is a token with every scope.

    The shop has registered one product and listed it; the platform may sell for the shop.
    """

    def __init__(self, app: Any, url: str, clock: FakeClock) -> None:
        super().__init__(app, url)
        self.clock = clock
        self.keys: dict[str, str] = {}

    def open(self) -> None:
        for party, role in ROLES.items():
            self.settle(party, role)
        body = {"gtin": GTIN, "name": "端砚文房礼盒", "category": "consumer_goods"}
        self.ask("POST", "/api/v1/products", body, token=self.keys[SHOP], status=201)
        self.mandate(SHOP, PLATFORM, "sale", "dispatch", "listing", "return", "signature")
        self.send(SHOP, PRODUCT, "listing", {"platform": PLATFORM, "title": "端砚礼盒"}, hours=-400)

    def settle(self, party: str, *roles: str, **more: Any) -> str:
        """Registers and verifies a party and gives it a key."""
        self.register(party, *roles, **more)
        body = {"status": "verified", "evidence": "seen"}
        path = f"/api/v1/parties/{party}/verification"
        self.ask("POST", path, body, token=self.admin, status=201)
        self.keys[party] = self.key_of(party)
        return party

    def newcomer(self, *roles: str, **more: Any) -> str:
        """Settles a party without a past and returns its id."""
        # No "T" before the number, so it is none of the parties that are always there.
        first_17 = f"91441200MA4TE5{next(_newcomers):03X}"  # for 4,096 of a process
        return self.settle(first_17 + uscc_check_digit(first_17), *roles or ("merchant",), **more)

    def mandate(self, party: str, agent: str, *types: str, **more: Any) -> str:
        path = f"/api/v1/parties/{party}/mandates"
        body = {"agent": agent, "types": types, **more}
        return self.ask("POST", path, body, token=self.keys[party], status=201)["mandate_id"]

    def ask(
        self, method: str, path: str, json: Any = None, *, status: int = 200, **more: Any
    ) -> Any:
        """Returns the JSON of an answer that must have this status."""
        answer = self.call(method, path, json, **more)
        assert answer.status_code == status, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def at(self, hours: float = 0.0) -> str:
        """Returns a time so many hours from now, as a sender writes it."""
        return format_time(self.clock.now() + timedelta(hours=hours))

    def lot(self, name: str, *, token: str | None = None, **more: Any) -> str:
        """Registers a lot of the shop's and returns its code."""
        body = {"gtin": GTIN, "lot": name, **more}
        made = self.ask("POST", "/api/v1/lots", body, token=token or self.keys[SHOP], status=201)
        return made["code"]

    def order(self, count: int = 1, *, by: str = SHOP, **more: Any) -> str:
        """Orders codes and returns the id of the batch."""
        body = {"gtin": GTIN, "count": count, **more}
        made = self.ask("POST", "/api/v1/codes", body, token=self.keys[by], status=202)
        return made["batch_id"]

    def issue(self, count: int = 1, *, by: str = SHOP, **more: Any) -> list[Issued]:
        """Orders codes, has them made and returns the list."""
        batch = self.order(count, by=by, **more)
        while self.rooms.issuing.issue_some():
            pass
        return self.codes_of(batch, by=by)

    def one(self, **more: Any) -> Issued:
        (unit,) = self.issue(**more)
        return unit

    def codes_of(self, batch: str, *, by: str = SHOP) -> list[Issued]:
        answer = self.call("GET", f"/api/v1/batches/{batch}/codes.csv", token=self.keys[by])
        assert answer.status_code == 200, answer.text
        return [
            Issued(**row) for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
        ]

    def post(
        self,
        by: str | None,
        code: str,
        type: str,
        data: dict[str, Any] | None = None,
        *,
        hours: float | None = None,
        query: str = "",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Sends one event. hours: when it occurred, from now; by None: a consumer."""
        body = {"code": code, "type": type, "data": data or {}, **more}
        if hours is not None:
            body["occurred_at"] = self.at(hours)
        token = None if by is None else self.keys[by]
        return self.call("POST", EVENTS + query, body, token=token, headers=headers or {})

    def send(self, *given: Any, status: int = 201, **more: Any) -> dict[str, Any]:
        """Sends one event that must be taken, and returns the answer."""
        answer = self.post(*given, **more)
        assert answer.status_code == status, f"{answer.status_code} {answer.text}"
        return answer.json()

    def refused(self, *given: Any, **more: Any) -> tuple[int, str, str | None]:
        """Sends one event that must be refused; returns status, slug and reason."""
        return told(self.post(*given, **more))

    def sell(self, code: str, *, hours: float = -3, **more: Any) -> dict[str, Any]:
        """Sells by the shop's own word."""
        return self.send(SHOP, code, "sale", {"region": "440100"}, hours=hours, **more)

    def sell_by_platform(self, code: str, *, hours: float = -3, **more: Any) -> dict[str, Any]:
        """Sells by the platform's word, under the shop's mandate; the answer has a claim token."""
        data = {"platform": PLATFORM, "region": "440100"}
        return self.send(PLATFORM, code, "sale", data, hours=hours, actor=SHOP, **more)

    def dispatch(self, code: str, *, hours: float = -2, **more: Any) -> dict[str, Any]:
        data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
        waybill = f"TEST{next(_numbers):010d}"
        sealed = {"waybill": {"content": {"number": waybill}}}
        return self.send(SHOP, code, "dispatch", data, hours=hours, **{"sealed": sealed, **more})

    def sign(self, code: str, *, hours: float = -1, **more: Any) -> dict[str, Any]:
        return self.send(CARRIER, code, "signature", {"kind": "in_person"}, hours=hours, **more)

    def complete(self, code: str) -> None:
        """Lets a unit live the four steps, each vouched for by whom it befits."""
        self.sell_by_platform(code)
        self.dispatch(code)
        self.sign(code)

    def work(self) -> None:
        """Does what the worker's loops would, until nothing is left."""
        rooms = self.rooms
        while rooms.issuing.issue_some() or rooms.deadlines.raise_due() or rooms.deadlines.drain():
            pass
        while rooms.credit_ledger.mature() or rooms.matter_clock.mature():
            pass
        while rooms.snapshots.take_due() or rooms.deadlines.drain() or rooms.alerts.look():
            pass
        self.publish()
        rooms.scans.flush()
        while rooms.watch.follow() or rooms.deadlines.drain() or rooms.discoveries.mature():
            pass
        while rooms.audits.run_job() or rooms.hooks.follow() or rooms.hooks.send():
            pass

    def publish(self) -> None:
        while self.rooms.sequencer.sequence():
            pass
        self.rooms.publisher.publish()

    def map_heads(self) -> None:
        """Makes the map of all heads that is due, an hour later, and publishes its record."""
        self.clock.advance(3_600)
        self.publish()
        while self.rooms.heads.work():
            pass
        self.publish()

    def stored_bytes(self) -> bytes:
        """Returns all that is stored: SQLite's files as they are, or every row of PostgreSQL."""
        url = self.rooms.database.url
        if not url.startswith("sqlite"):
            return stored_values(url)
        path = sqlite_path(url)
        return path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()

    def tamper(self, statement: str, *values: Any) -> None:
        """Changes the database behind the service's back, its triggers taken away."""
        with opened(self.rooms.database.url, guarded=False) as run:
            (changed,) = run(statement, *values)
            assert changed > 0, "nothing was tampered with"


def told(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Returns status, slug and reason of a problem."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text[:400]
    found = answer.json()
    assert found["status"] == answer.status_code
    return answer.status_code, found["type"].removeprefix("/problems/"), found.get("reason")


@dataclass(frozen=True)
class _Opened:
    """A market that was opened and is closed: its database, and the tokens by party."""

    url: str
    keys_dir: Path
    keys: dict[str, str]


@cache
def _opened() -> _Opened:
    """The first market of this process, opened as everybody opens one; others begin as copies of it."""
    folder = DATABASES.folder()
    settings, clock = _settings(folder), FakeClock()
    url = DATABASES.new(folder)
    with serving(settings, clock=clock, url=url) as (app, address):
        first = Market(app, address, clock)
        with first.client:
            first.open()
    return _Opened(url, settings.keys_dir, first.keys)


@contextmanager
def open_market(folder: Path, *, worker: bool = False, **changes: Any) -> Iterator[Market]:
    """Serves a market in `folder`; worker: with the loops running inside.

    changes: of its settings; none that a log begins with.
    """
    from app.worker import embedded_loops

    begun = _opened()
    settings, clock = _settings(folder, **changes), FakeClock()
    shutil.copytree(begun.keys_dir, settings.keys_dir)
    database_url = DATABASES.copy(begun.url, folder)
    settings = settings.model_copy(update={"database_url": database_url})
    beside = embedded_loops(settings) if worker else nullcontext
    try:
        with serving(settings, clock=clock, beside=beside, url=database_url) as (app, url):
            running = Market(app, url, clock)
            running.settings = settings
            running.keys |= begun.keys
            running.rooms.report_limit = RateLimit(0, monotonic_s=time.monotonic)
            with running.client:
                yield running
    finally:
        DATABASES.drop(database_url)


def _settings(folder: Path, **changes: Any) -> Any:
    from app.config import Settings

    return Settings(data_dir=folder, keys_dir=folder / "keys", anonymous_per_second=0, **changes)
