"""What the store elsewhere says of a party's score: read through a copy that tells its age.

Whoever asks is never made to wait for a store that is down: he gets the copy, and how old it is. The
copy is kept in the database, so that it is there after a restart and for every process. Only where
there is none yet does the first one who asks wait, FIRST_TIMEOUT_S at most.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from app.credit import exchangestore as store
from app.db.engine import Database
from app.exchange.breaker import Breaker
from app.exchange.port import CreditStore, StoreDown
from app.kit.clock import Clock, from_ms, to_ms

log = structlog.get_logger(__name__)

FRESH_S = 30
"""A copy that is older is fetched anew, beside the answer."""
STALE_S = 300
"""A copy that is older is called stale."""
FIRST_TIMEOUT_S = 2.0
_TIMEOUT_S = 10.0
_MOST_WANTED = 1_000


@dataclass(frozen=True, slots=True)
class RemoteCard:
    """card None: the store has never told. as_of, age_s: when it was asked last, and seconds since."""

    card: Mapping[str, Any] | None
    as_of: datetime | None
    age_s: int | None
    stale: bool


class Cards:
    """The copies. Safe to ask from any thread; `refresh` is a loop of every process."""

    def __init__(
        self,
        database: Database,
        remote: CreditStore,
        *,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._database = database
        self._remote = remote
        self._clock = clock
        self._jitter = jitter
        # Guarded by _lock: both.
        self._lock = threading.Lock()
        self._breaker = Breaker()
        self._wanted: OrderedDict[str, None] = OrderedDict()

    def read(self, party: str) -> RemoteCard:
        """Returns what the store said of a party, and how long ago. May write `credit_card`."""
        kept = self._load(party)
        if kept is None and self._lets():
            self._fetch(party, timeout_s=FIRST_TIMEOUT_S)
            kept = self._load(party)
        if kept is None:
            self._want(party)
            return RemoteCard(None, None, None, stale=True)
        card, at_ms = kept
        age_s = max(0, to_ms(self._clock.now()) - at_ms) // 1000
        if age_s >= FRESH_S:
            self._want(party)
        # An empty copy says that the store knew nothing of the party.
        return RemoteCard(card or None, from_ms(at_ms), age_s, stale=age_s >= STALE_S)

    def refresh(self) -> bool:
        """Fetches one copy that was asked for; returns whether there may be more. Writes `credit_card`."""
        if not self._lets():
            return False
        with self._lock:
            if not self._wanted:
                return False
            party, _ = self._wanted.popitem(last=False)
        return self._fetch(party, timeout_s=_TIMEOUT_S)

    def _load(self, party: str) -> tuple[dict[str, Any], int] | None:
        with self._database.read() as connection:
            return store.load_card(connection, party)

    def _lets(self) -> bool:
        with self._lock:
            return self._breaker.lets(to_ms(self._clock.now()))

    def _want(self, party: str) -> None:
        with self._lock:
            self._wanted[party] = None
            if len(self._wanted) > _MOST_WANTED:
                self._wanted.popitem(last=False)

    def _fetch(self, party: str, *, timeout_s: float) -> bool:
        try:
            card = self._remote.read_card(party, timeout_s=timeout_s)
        except StoreDown as err:
            now_ms = to_ms(self._clock.now())
            with self._lock:
                self._breaker = self._breaker.failed(now_ms, jitter=self._jitter())
            log.warning("credit.card_unread", why=err.why)
            self._want(party)
            return False
        with self._lock:
            self._breaker = self._breaker.answered()
        with self._database.write() as connection:
            now_ms = to_ms(self._clock.now())
            store.keep_card(connection, party, card or {}, fetched_at_ms=now_ms)
        return True
