"""Failures counted in the database, so that all processes count together and none forgets at a restart.

A try is counted before it is looked at: guesses made at once are as many as guesses made in turn. What is
counted stands as an HMAC, so that the table is no list of names and addresses.
"""

from __future__ import annotations

import hmac
from datetime import timedelta

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import TooMany
from app.parties import accountstore as store
from app.parties.account_rules import FORGOTTEN_AFTER, Patience

Counted = tuple[str, str, Patience]
"""A kind of thing (`name`, `address`, …), the thing, and how patient we are with it."""

_MS = timedelta(milliseconds=1)


class TriedTooOften(TooMany):
    """Somebody failed too often here, or in this name, and must wait."""


class Throttle:
    """key: 32 bytes under which what is counted is made unreadable."""

    def __init__(self, database: Database, *, clock: Clock, key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._key = key

    def take(self, *counted: Counted) -> None:
        """Counts one more try of each. Writes `sign_in_try`.

        Raises TriedTooOften, and counts nothing, while one of them must wait.
        """
        now_ms = to_ms(self._clock.now())
        with self._database.write() as connection:
            store.forget_tries(connection, before_ms=now_ms - FORGOTTEN_AFTER // _MS)
            for kind, thing, patience in counted:
                self._take(connection, self._digest(kind, thing), patience, now_ms)

    def clear(self, kind: str, thing: str) -> None:
        """Forgets the failures of one. Writes `sign_in_try`."""
        with self._database.write() as connection:
            store.forget_tries(connection, digest=self._digest(kind, thing))

    def give_back(self, kind: str, thing: str) -> None:
        """Takes the last try back: it was none. Writes `sign_in_try`."""
        with self._database.write() as connection:
            store.uncount_try(connection, self._digest(kind, thing))

    def _take(self, connection: Connection, digest: bytes, patience: Patience, now_ms: int) -> None:
        row = store.count_try(connection, digest, now_ms=now_ms)
        if row.until_at > now_ms:
            # Leaves the block: what was counted is rolled back.
            raise TriedTooOften(
                "tried_too_often", retry_after_s=-(-(row.until_at - now_ms) // 1000)
            )
        wait_ms = patience.wait(row.failures) // _MS
        store.set_try(connection, digest, last_at=now_ms, until_at=now_ms + wait_ms)

    def _digest(self, kind: str, thing: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\x00{thing}".encode(), "sha256")
