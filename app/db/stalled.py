"""Ends transactions whose program stopped with row locks in its hands. PostgreSQL only.

The server ends the session of a program that stands still inside a transaction by itself
(`idle_in_transaction_session_timeout`), but not always. Many rows are sent one behind another without
waiting for answers. In the middle of them the server takes the session for one that works, however long
nothing comes; and behind them psycopg sends a Flush after the Sync, which ends the time-out and begins
no other, until the next statement. Whoever wants one of these rows would wait for as long as the program
sleeps; where its machine is gone, until TCP gives the connection up, which takes hours.

So whoever may lead looks at the sessions of all processes, and ends those that have stood still at
every look for as long as a write transaction may. Who was merely held up connects again. Not those of
`suxin migrate` and `suxin reindex`, which go by other names: somebody watches them.

Known gap: one that stops while a result is on its way to it that fills the buffers of its connection,
since it cannot be told from one that reads slowly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection, text

from app.db.engine import SESSION_PREFIX, Database

log = structlog.get_logger(__name__)

# Sessions of our own role, which needs no privilege. Who has no transaction id has locked no row.
# `state_change` is when the last statement came in or ended, also in the middle of a row of them. A COPY
# is one statement however long its rows take: of one in hand it is how much of it has come (PostgreSQL 14).
_STANDING = text(
    "SELECT pid, application_name AS name, state_change, coalesce(bytes_processed, -1) AS copied "
    "FROM pg_stat_activity AS session LEFT JOIN pg_stat_progress_copy USING (pid) "
    "WHERE session.datname = current_database() AND usename = current_user "
    "AND application_name LIKE :ours AND application_name <> :own "
    "AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL AND state_change IS NOT NULL"
)
_END = text("SELECT pg_terminate_backend(:pid)")


class Stalled:
    """What stood still at the last look, and since when. For one thread at a time."""

    def __init__(
        self, database: Database, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._monotonic_s = monotonic_s
        self._since: dict[tuple[int, Any, int], float] = {}

    def end(self) -> int:
        """Ends the sessions of other processes that stood still for too long; returns how many."""
        now = self._monotonic_s()
        with self._database.read() as connection:
            standing = connection.execute(
                _STANDING, {"ours": f"{SESSION_PREFIX}%", "own": self._database.session_name}
            ).all()
            seen = {(row.pid, row.state_change, row.copied): row for row in standing}
            self._since = {place: self._since.get(place, now) for place in seen}
            over = [
                row
                for place, row in seen.items()
                if now - self._since[place] >= self._database.stalled_after_s
            ]
            for row in over:
                _end(connection, row)
        return len(over)


def _end(connection: Connection, row: Any) -> None:
    connection.execute(_END, {"pid": row.pid})
    log.warning("stalled.cut_off", session=row.name, pid=row.pid, since=str(row.state_change))
