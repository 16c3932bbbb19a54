"""A running service on a fresh database, asked over a real socket as programs ask it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.asking import plain_client
from tests.databases import DATABASES, Databases

SHOP = "91441200MA4TE5T00Q"
STALL = "92441202MA4TE5T01M"
PLATFORM = "91441204MA4TE5T02Q"
AUTHORITY = "11441200007000001C"
CARRIER = "91440000MA4TE5T04E"
# Argon2's least. How strong a deployment's hashes are is told by tests/web/test_sign_in.py.
QUICK = {"memory_kib": 8, "passes": 1}


class Service:
    """A running service: `call` asks it, `admin` is the operator's token, `app` the app itself."""

    def __init__(self, app, url: str) -> None:
        self.app = app
        self.url = url
        self.admin = app.state.rooms.keys.create_admin().token
        self.client = plain_client(base_url=url, timeout=20)

    @property
    def rooms(self):
        return self.app.state.rooms

    def call(
        self, method: str, path: str, json: Any = None, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        headers = {"Accept-Language": "en", **more.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if json is not None:
            more["json"] = json
        return self.client.request(method, path, headers=headers, **more)

    def register(self, uscc: str = SHOP, *roles: str, token: str | None = None, **more: Any) -> str:
        body = {"uscc": uscc, "name": "示例（虚构）", "roles": roles or ("merchant",), **more}
        answer = self.call("POST", "/api/v1/parties", body, token=token or self.admin)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def key_of(self, party: str, *scopes: str) -> str:
        """Returns a new token of a party, with every scope unless some are named."""
        body = {
            "scopes": scopes
            or ["parties", "products", "codes", "events", "credit", "ranking", "audit"]
        }
        answer = self.call("POST", f"/api/v1/parties/{party}/keys", body, token=self.admin)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def count_rows(self) -> dict[str, int]:
        """Returns how many rows every table has, to see that a refusal wrote nothing."""
        from sqlmodel import SQLModel

        with self.rooms.database.read() as connection:
            return {
                name: connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar()
                for name in SQLModel.metadata.tables
            }


@pytest.fixture(autouse=True, scope="module")
def patient() -> Iterator[None]:
    """Who looks waits for what the look reports as long as a busy machine takes to write it.

    Fixtures of a module look, too. How long that is in use is told by tests/web/test_busy_writer.py.
    """
    with pytest.MonkeyPatch.context() as patched:
        for room in ("app.oversight.reporting", "app.web.pages.routes"):
            patched.setattr(f"{room}.PATIENCE_S", 20.0)
        yield


@pytest.fixture
def settings(databases: Databases, tmp_path: Path):
    from app.config import Settings

    return Settings(data_dir=tmp_path, keys_dir=tmp_path / "keys", anonymous_per_second=0)


@pytest.fixture
def start(databases: Databases, settings) -> Callable[..., Any]:
    """Starts a service with changed settings, as a context manager."""

    @contextmanager
    def started(prepare: Callable[[Any], None] = lambda _: None, **changes: Any):
        chosen = settings.model_copy(update=changes)
        with serving(chosen, prepare=prepare) as (app, url):
            running = Service(app, url)
            with running.client:
                yield running

    return started


@pytest.fixture
def service(start) -> Iterator[Service]:
    with start() as running:
        yield running


@pytest.fixture(scope="module")
def market(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A market for all tests of a module; what the worker would do is done by `market.work()`."""
    from tests.web.market import open_market

    with open_market(tmp_path_factory.mktemp("market")) as running:
        yield running


@pytest.fixture(scope="module")
def live(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A market for all tests of a module with the worker's loops running inside."""
    from tests.web.market import open_market

    folder = tmp_path_factory.mktemp("live")
    with open_market(folder, worker=True) as running:
        yield running


@pytest.fixture
def phone(market: Any) -> Iterator[httpx.Client]:
    """A consumer's browser without script, which asks for pages in English."""
    headers = {"Accept": "text/html", "Accept-Language": "en", "User-Agent": "Tester/1.0"}
    with plain_client(base_url=market.url, timeout=20, headers=headers) as browser:
        yield browser


@pytest.fixture
def damaged(market: Any) -> Iterator[Any]:
    """A unit of the shop's whose sale was altered behind the service's back."""
    from tests.web.test_audits_api import audit

    unit = market.one()
    sent = market.sell(unit.code)
    market.publish()
    statement = "UPDATE record SET body = replace(body, ?, ?) WHERE hash = ?"
    place = bytes.fromhex(sent["hash"])
    market.tamper(statement, "440100", "440300", place)
    yield unit
    market.tamper(statement, "440300", "440100", place)
    audit(market, {"code": unit.code})


@contextmanager
def serving(
    settings: Any,
    *,
    clock: Any = None,
    prepare: Callable[[Any], None] = lambda _: None,
    beside: Callable[[Any], Any] = nullcontext,
    url: str | None = None,
) -> Iterator[tuple[Any, str]]:
    """Serves an app on a fresh database, or on the one at `url`; yields the app and its address."""
    from app.db.engine import Database
    from app.ledger import logstore
    from app.ledger.keyring import create_keys
    from app.main import create_app
    from app.parties.passwords import Passwords
    from app.rooms import open_rooms

    database_url = url or DATABASES.new(settings.data_dir)
    settings = settings.model_copy(update={"database_url": database_url})
    create_keys(settings.keys_dir, origin=settings.log_origin)
    database = Database(settings.database_url)
    with database.write() as connection:
        logstore.create_state(connection, settings.log_origin)
    database.close()
    rooms = (
        None if clock is None else open_rooms(settings, clock=clock, passwords=Passwords(**QUICK))
    )
    app = create_app(settings, rooms=rooms, beside=beside)
    prepare(app)
    try:
        with _serve(app) as address:
            yield app, address
    finally:
        if url is None:
            DATABASES.drop(database_url)


@contextmanager
def _serve(app) -> Iterator[str]:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", proxy_headers=False, lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        time.sleep(0.005)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()
