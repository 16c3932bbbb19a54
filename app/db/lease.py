"""Who leads: one process at a time, by a lease in PostgreSQL with a number that only grows.

The row `leader` tells holder, epoch and when the lease ends by the database's own clock, the only one
that all share. It is taken and renewed by compare-and-swap. Taking it writes the new epoch into
`log_state` in the same transaction; whoever extends or serves the log compares that in its own. So a
leader that slept through its lease, however long, finds the next one's number and writes nothing.

SQLite has no lease: its data folder is locked by the one process that serves it.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, Connection, bindparam, literal_column, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Database
from app.db.stalled import Stalled
from app.db.tables import Leader, LogState
from app.kit.errors import Fault

log = structlog.get_logger(__name__)

_LEADER = Leader.__table__  # type: ignore[attr-defined]
_STATE = LogState.__table__  # type: ignore[attr-defined]

_NAME = "log"
# A leader renews, and the others look, this often in a lease, and however long that is, every two
# seconds: nobody waits longer for a leader that ended in order or stepped down.
_LOOKS = 5
_LONGEST_PAUSE_S = 2.0
_LEAST_PAUSE_S = 0.05
# Who stepped down lets others look so often before it tries again: it may be the only one there is.
_BARRED_LOOKS = 2
# A leader that is dead is waited for a lease, and so much longer for what the clocks differ by.
_GRACE_S = 1.0
# Not the time of the transaction's begin: it may have waited for the row since.
_NOW_MS: ColumnElement[int] = literal_column(
    "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
)
_TERM_MS: ColumnElement[int] = bindparam("term_ms")
_TAKE = (
    update(_LEADER)
    .where(_LEADER.c.name == _NAME, _LEADER.c.expires_at <= _NOW_MS)
    .values(holder=bindparam("me"), epoch=_LEADER.c.epoch + 1, expires_at=_NOW_MS + _TERM_MS)
    .returning(_LEADER.c.epoch)
)
_MINE = (
    _LEADER.c.name == _NAME,
    _LEADER.c.holder == bindparam("me"),
    _LEADER.c.epoch == bindparam("mine"),
)
# Also after its end: as long as nobody took it, nothing was done that we do not know.
_RENEW = update(_LEADER).where(*_MINE).values(expires_at=_NOW_MS + _TERM_MS)
_RELEASE = update(_LEADER).where(*_MINE).values(expires_at=0)
_FENCE = update(_STATE).values(epoch=bindparam("new_epoch"))
_STANDING = select(
    _LEADER.c.holder, _LEADER.c.epoch, (_LEADER.c.expires_at - _NOW_MS).label("left_ms")
).where(_LEADER.c.name == _NAME)


class NotLeading(Exception):
    """Another process leads, or leads now; nothing was done."""


class OtherLeads(Fault):
    """Another process leads and goes on to."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who leads. holder: its id, None where nobody does. left_s: seconds until its lease ends.

    where: its host and process, as in `web1:4711`; for the operator alone.
    """

    holder: str | None
    epoch: int
    left_s: float
    where: str = ""


class Lease:
    """This process's hold on the lease. Safe to ask from any thread.

    lease_s: seconds without a renewal after which others take over. id: 8 hex digits, new for each
    start, which is all that the public is told of a process.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._lease_s = lease_s
        self._regular_s = min(lease_s / _LOOKS, _LONGEST_PAUSE_S)
        self._monotonic_s = monotonic_s
        self.id = secrets.token_hex(4)
        self._me = f"{socket.gethostname()}:{os.getpid()}:{database.session_name}:{self.id}"
        # Who changes what we hold, here and in the database, has it: else one thread would write down
        # what another has given up, or forget what another has taken. Not needed to look.
        self._changing = threading.RLock()
        self._pinned = False
        self._stalled = Stalled(database)
        # Replaced as one: (epoch, until when by our own clock), or None while another leads.
        self._held: tuple[int, float] | None = None
        self._pause_s = _LEAST_PAUSE_S
        self._barred_until = float("-inf")

    def leads(self) -> bool:
        """Whether this process held the lease when it last looked, and its time is not over."""
        held = self._held
        return held is not None and self._monotonic_s() < held[1]

    def require(self) -> int:
        """Returns our epoch; takes the lease if it is free. Raises NotLeading.

        What is then written must compare the epoch in its own transaction (app.ledger.logstore).
        """
        held = self._held
        if held is not None and self._monotonic_s() < held[1]:
            return held[0]
        self.renew()
        held = self._held
        if held is None:
            raise NotLeading
        return held[0]

    def renew(self) -> bool:
        """Takes or renews the lease; returns whether this process leads. Writes `leader`."""
        with self._changing:
            return self._renew()

    def _renew(self) -> bool:
        begun = self._monotonic_s()
        if begun < self._barred_until:
            return False
        before = self._held
        values = {"me": self._me, "term_ms": int(self._lease_s * 1000)}
        left_s = self._lease_s
        with self._database.write() as connection:
            # Whoever stands still with the lock is cut off meanwhile, by the server or by `keep`.
            connection.execute(text(f"SET LOCAL lock_timeout = {int(self._lease_s * 250)}"))
            epoch = None if before is None else before[0]
            if epoch is not None:
                renewed = connection.execute(_RENEW, {**values, "mine": epoch})
                epoch = epoch if renewed.rowcount == 1 else None
            if epoch is None and not self._pinned:
                epoch = connection.execute(_TAKE, values).scalar()
                if epoch is not None:
                    connection.execute(_FENCE, {"new_epoch": epoch})
            if epoch is None:
                left_s = read_standing(connection).left_s
        self._held = None if epoch is None else (epoch, begun + self._lease_s)
        # A follower is there at the very moment at which the lease would end.
        at_end = left_s + _LEAST_PAUSE_S
        self._pause_s = self._regular_s if epoch is not None else min(self._regular_s, at_end)
        if (before is None) != (epoch is None) or (before and before[0] != epoch):
            log.info("lease.taken" if epoch is not None else "lease.lost", me=self._me, epoch=epoch)
        return epoch is not None

    @contextmanager
    def held(self, *, waiting: Callable[[Standing], object] = lambda _: None) -> Iterator[int]:
        """Leads while the block runs, under the one epoch that it yields; lets others lead after it.

        Waits for a leader that is dead, a lease at most, and tells `waiting` whom for. Lost inside the
        block the lease is not taken again: whatever asks for it then raises NotLeading, so that nobody
        led in between. Raises OtherLeads.
        """
        self._wait(waiting)
        self._pinned = True
        ending = threading.Event()

        def renew() -> None:
            while not ending.wait(self.pause_s()):
                self.keep()

        renewing = threading.Thread(target=renew, name="lease", daemon=True)
        renewing.start()
        try:
            yield self.require()
        finally:
            ending.set()
            renewing.join()
            self._pinned = False
            self.release()

    def _wait(self, waiting: Callable[[Standing], object]) -> None:
        until: float | None = None
        while True:
            self.keep()
            if self.leads():
                return
            with self._database.read() as connection:
                standing = read_standing(connection)
            now_s = self._monotonic_s()
            if until is None:
                until = now_s + max(self._lease_s, standing.left_s) + _GRACE_S
            if now_s >= until:
                raise OtherLeads("other_leads", holder=standing.holder or "-", where=standing.where)
            waiting(standing)
            time.sleep(self.pause_s())

    def keep(self) -> bool:
        """Renews, and bears a database that does not answer. Returns False: there is never more.

        And ends the sessions that stand still with their locks: one may have the lock that we need,
        or one that keeps everybody from recording.
        """
        try:
            self.renew()
        except SQLAlchemyError as err:  # among them that no connection came free
            self._pause_s = self._regular_s / 2
            log.warning("lease.not_renewed", me=self._me, error=_said(err))
        try:
            self._stalled.end()
        except SQLAlchemyError as err:
            log.warning("lease.not_looked", me=self._me, error=_said(err))
        return False

    def pause_s(self) -> float:
        """Returns in how many seconds to look again."""
        return max(self._pause_s, _LEAST_PAUSE_S)

    def release(self) -> None:
        """Lets others take over at once, at an orderly end. Writes `leader`."""
        with self._changing:
            held, self._held = self._held, None
            if held is None:
                return
            try:
                with self._database.write() as connection:
                    connection.execute(_RELEASE, {"me": self._me, "mine": held[0]})
            except SQLAlchemyError as err:
                log.warning("lease.not_released", me=self._me, error=_said(err))

    def step_down(self) -> None:
        """Gives the lease up and lets others try first: this process cannot do what a leader must.

        Nobody else may be there, and what was in its way may pass: so only for a few seconds.
        """
        with self._changing:
            self._barred_until = self._monotonic_s() + _BARRED_LOOKS * self._regular_s
            self.release()


def _said(err: SQLAlchemyError) -> str:
    return repr(getattr(err, "orig", None) or err)


def read_standing(connection: Connection) -> Standing:
    """Returns who leads by the database's clock. PostgreSQL only. Read-only."""
    row = connection.execute(_STANDING).first()
    if row is None or row.left_ms <= 0:
        return Standing(None, 0 if row is None else row.epoch, 0.0)
    where = ":".join(row.holder.split(":")[:2])
    return Standing(row.holder.rpartition(":")[2], row.epoch, row.left_ms / 1000, where)
