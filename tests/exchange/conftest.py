"""Two deployments: one keeps its credit at the other, over a real socket; each on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.credit.service import NewEntry
from app.db.engine import Database
from app.exchange.cards import Cards
from app.exchange.port import CreditStore
from app.exchange.remote import HTTPStore
from app.exchange.sender import Backroom, Sender
from app.joining import credit_signer
from app.ledger import logstore
from app.ledger.keyring import create_keys
from app.ledger.store import load_stream
from app.parties.principal import OPERATOR
from app.parties.registration import read_registration
from app.rooms import close_rooms, open_rooms
from tests.databases import DATABASES
from tests.fakes import FakeClock
from tests.web.conftest import SHOP, STALL, Service, serving

# By docs/credit-store.md: an entry, each step of its life, a hold placed or lifted.
SENT = ("credit_entry", "credit_status", "credit_hold", "credit_hold_lifted")


class Wire(httpx.BaseTransport):
    """The way to the store. `fails`: what happens to the next requests, one word each."""

    def __init__(self) -> None:
        self._real = httpx.HTTPTransport(verify=False)  # it is asked on loopback
        self.fails: list[str | httpx.Response] = []
        self.requests: list[httpx.Request] = []
        self.down = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        how = self.fails.pop(0) if self.fails else ""
        if self.down or how == "lost":
            raise httpx.ConnectError("down")
        if isinstance(how, httpx.Response):
            body = httpx.ByteStream(how.content)
            return httpx.Response(how.status_code, headers=how.headers, stream=body)
        answer = self._real.handle_request(request)
        if how == "answer lost":
            answer.read()
            answer.close()
            raise httpx.ReadError("the answer is lost")
        if how == "slow":
            answer.close()
            raise httpx.ReadTimeout("slow")
        return answer

    def close(self) -> None:
        self._real.close()


class Ours:
    """The deployment that sends: its rooms, and what goes to the store when `work` is called."""

    def __init__(self, settings: Settings, clock: FakeClock, url: str) -> None:
        self.settings = settings
        self.clock = clock
        self.rooms = open_rooms(settings, clock=clock)
        self.signer = credit_signer(settings, self.rooms.keyring)
        self.wire = Wire()
        self.remote = HTTPStore(url, self.signer, clock=clock, transport=self.wire)
        self.use(self.remote)

    def use(self, store: CreditStore) -> None:
        """Starts the sending anew, as another process would."""
        given: dict[str, Any] = {"clock": self.clock, "jitter": lambda: 0.5}
        self.sender = Sender(self.rooms.database, store, **given)
        self.cards = Cards(self.rooms.database, store, **given)
        self.backroom = Backroom(self.rooms.database, kind=store.kind, clock=self.clock)

    def register(self, *parties: str) -> None:
        for party in parties:
            told = read_registration(
                uscc=party, exempt=False, name="示例（虚构）", roles=("merchant",)
            )
            self.rooms.parties.register(OPERATOR, told)

    def enter(self, party: str, *keys: str) -> list[str]:
        """Writes an entry a key and returns their ids."""
        rule = "commitment_kept"
        now = self.clock.now()
        return [
            self.rooms.credit.post(NewEntry(party, rule, key, {"record": "00" * 32}, now))
            for key in keys
        ]

    def work(self, *, most: int = 200) -> int:
        """Works until there is nothing to do at once; returns how often."""
        for n in range(most):
            if not self.sender.work():
                return n
        raise AssertionError(f"still not done after {most} turns")

    @property
    def waiting(self) -> int:
        return self.backroom.standing().backlog.waiting

    @property
    def dead(self) -> list[str]:
        return [one.key for one in self.backroom.dead_letters(after=None, limit=500)]

    def changes(self) -> list[tuple[str, str]]:
        """Returns (key, hash) of every change of ours."""
        with self.rooms.database.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT h.name, r.seq, r.hash FROM record r JOIN head h ON h.stream = r.stream "
                f"WHERE r.type IN {SENT}"
            ).all()
        return sorted((f"{name}/{seq}", bytes(hash_).hex()) for name, seq, hash_ in rows)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks first waits for the store as long as a busy machine takes; how long is no rule's matter."""
    monkeypatch.setattr("app.exchange.cards.FIRST_TIMEOUT_S", 30.0)


@pytest.fixture
def theirs(databases: Any, tmp_path: Path, clock: FakeClock) -> Iterator[Service]:
    """The deployment that is the store, served."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    settings = Settings(data_dir=folder, keys_dir=folder / "keys", anonymous_per_second=0)
    with serving(settings, clock=clock) as (app, url):
        service = Service(app, url)
        with service.client:
            yield service


@pytest.fixture
def opened(databases: Any, tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Ours]]:
    """Opens the deployment that sends to a store at this URL."""
    made: list[tuple[Ours, str]] = []

    def open_ours(url: str, **changes: Any) -> Ours:
        folder = tmp_path / f"ours{len(made)}"
        folder.mkdir()
        database_url = DATABASES.new(folder)
        settings = Settings(
            data_dir=folder, keys_dir=folder / "keys", credit_store=url, database_url=database_url,
            base_url=f"http://ours{len(made)}.example", **changes,
        )  # fmt: skip
        create_keys(settings.keys_dir, origin=settings.log_origin)
        database = Database(database_url)
        with database.write() as connection:
            logstore.create_state(connection, settings.log_origin)
        database.close()
        ours = Ours(settings, clock, url if url.startswith("http") else "http://127.0.0.1:9")
        made.append((ours, database_url))
        return ours

    yield open_ours
    for ours, database_url in made:
        ours.sender.close()
        close_rooms(ours.rooms)
        DATABASES.drop(database_url)


@pytest.fixture
def ours(theirs: Service, opened: Callable[..., Ours]) -> Ours:
    """The deployment that sends, let in at the store, with two parties."""
    sender = opened(theirs.url)
    theirs.rooms.receiver.let_in("ours", str(sender.signer.vkey))
    sender.register(SHOP, STALL)
    return sender


def kept(theirs: Service, sender: str = "ours") -> list[tuple[str, str]]:
    """Returns (key, hash) of what the store holds, by its records, each as often as it is there."""
    with theirs.rooms.database.read() as connection:
        names: Sequence[str] = [
            row[0]
            for row in connection.exec_driver_sql(
                f"SELECT name FROM head WHERE substr(name, 1, {len(sender) + 7}) = 'store/{sender}/'"
            )
        ]
        told = [one.fields["data"] for name in names for one in load_stream(connection, name)]
    return sorted(
        (f"{one['record']['stream']}/{one['record']['seq']}", one["hash"]) for one in told
    )
