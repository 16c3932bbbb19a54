"""What came of a party's last pushes, and how many were refused because nobody known signed them.

For a look, not for proof: the newest 50 of a party, and counts of 14 days. Numbers and words of ours alone:
no waybill, no goods, no text of a push. A stranger adds no row but one a day, and writes none at all
beyond 1000 a day.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
import uuid_utils
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, local_day, to_ms
from app.trace import pushlogstore
from app.trace.pushes import Pushed
from app.trace.pushoutcomes import is_untold, reason_of

log = structlog.get_logger(__name__)

MOST_KEPT = 50
MOST_FORGED = 1000
DAYS_KEPT = 14
_MOST_REASONS = 4

Forgery = Literal["missing", "wrong", "unformed"]
Write = Callable[[Connection], None]
"""Writes some rows, in whose transaction it is called."""


@dataclass(frozen=True, slots=True)
class PushLine:
    """A push. repeated: known, old news or another's to tell. reasons: by word, the most frequent first."""

    at: datetime
    feed: str
    recorded: int
    repeated: int
    refused: int
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class ForgedDay:
    """Pushes refused on a day of China's. is_more: beyond what is counted of one day."""

    day: str
    missing: int
    wrong: int
    unformed: int

    @property
    def is_more(self) -> bool:
        """Whether there may have been more than were counted."""
        return self.missing + self.wrong + self.unformed >= MOST_FORGED


class PushLog:
    """Keeps and shows what came of pushes."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep(
        self, party: str, feed: str, results: Sequence[Pushed], *, whole: str = "",
        beside: Write | None = None,
    ) -> None:  # fmt: skip
        """Keeps what came of a push. Writes `push_taken`.

        whole: why all of it was refused, a word. beside: what else is kept of it, in the same transaction.
        """
        reasons: Counter[str] = Counter([whole] if whole else [])
        counts: Counter[str] = Counter(refused=len(reasons))
        for one in results:
            if one.status == "unknown" or (one.status == "refused" and not is_untold(one)):
                counts["refused"] += 1
                unknown = one.fault is None or one.status == "unknown"
                reasons["unknown" if unknown or one.fault is None else reason_of(one.fault)] += 1
            else:
                counts["recorded" if one.status == "recorded" else "repeated"] += 1
        row = {
            "party": party,
            "id": str(uuid_utils.uuid7()),
            "at": to_ms(self._clock.now()),
            "feed": feed,
            **{name: counts[name] for name in ("recorded", "repeated", "refused")},
            "reasons": json.dumps(dict(reasons.most_common(_MOST_REASONS))),
        }
        self._write(
            beside, lambda connection: pushlogstore.add_taken(connection, row, most=MOST_KEPT)
        )

    def count_forged(self, party: str, kind: Forgery, *, beside: Write | None = None) -> None:
        """Counts a push that nobody known signed; beyond MOST_FORGED a day it counts no more.

        beside: as of `keep`. Writes `push_forged`.
        """
        today = local_day(self._clock.now())
        day = today.isoformat()
        with self._database.read() as connection:
            there = pushlogstore.forged_of(connection, party, since=day)
        if any(_day(row).is_more for row in there):
            self._write(beside)
            return
        oldest = (today - timedelta(days=DAYS_KEPT - 1)).isoformat()
        self._write(
            beside,
            lambda connection: pushlogstore.count_forged(
                connection, party, day=day, kind=kind, oldest=oldest
            ),
        )

    def _write(self, *writes: Write | None) -> None:
        """A push that is recorded is answered as such, also where this cannot be kept of it."""
        wanted = [write for write in writes if write is not None]
        if not wanted:
            return
        try:
            with self._database.write() as connection:
                for write in wanted:
                    write(connection)
        except SQLAlchemyError as err:
            log.error("push.not_kept", why=type(getattr(err, "orig", None) or err).__name__)

    def last(self, party: str) -> list[PushLine]:
        """Returns a party's last pushes, the newest first. Read-only."""
        with self._database.read() as connection:
            rows = pushlogstore.taken_of(connection, party, most=MOST_KEPT)
        return [
            PushLine(
                from_ms(row.at), row.feed, row.recorded, row.repeated, row.refused,
                json.loads(row.reasons),
            )
            for row in rows
        ]  # fmt: skip

    def forged(self, party: str) -> list[ForgedDay]:
        """Returns by day what was refused for its signature, the newest first. Read-only."""
        oldest = local_day(self._clock.now()) - timedelta(days=DAYS_KEPT - 1)
        with self._database.read() as connection:
            rows = pushlogstore.forged_of(connection, party, since=oldest.isoformat())
        return [_day(row) for row in rows]


def _day(row: object) -> ForgedDay:
    names = ("day", "missing", "wrong", "unformed")
    return ForgedDay(**{name: getattr(row, name) for name in names})
