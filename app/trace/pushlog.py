"""What came of a party's last pushes, and how many were refused because nobody known signed them.

For a look, not for proof: the newest 50 of a party, the newest 50 of which something was refused, so that
good ones do not push it out, and counts of 14 days. Numbers and words of ours: no waybill, no goods, no text
of a push but the states and times in it that nobody understands, cut short. A stranger adds no row but one a
day, and writes none at all beyond 1000 a day.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
import uuid_utils
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, local_day, to_ms
from app.kit.errors import Fault
from app.trace import pushlogstore
from app.trace.kuaidi100 import WORD, Told, shorten
from app.trace.pushes import Pushed
from app.trace.pushoutcomes import UNPROVEN, Outcome, is_untold, outcome_of_items, reason_of

log = structlog.get_logger(__name__)

MOST_KEPT = 50
MOST_REFUSED_KEPT = 50
MOST_FORGED = 1000
DAYS_KEPT = 14
STRANGERS_WAIT = timedelta(minutes=1)
"""What nobody signed is noted so often at most, and takes the place of nothing that is newer than this."""

_MOST_REASONS = 4
# A telephone or a waybill, where a state or a time should be.
_LONG_NUMBER = re.compile(r"(\d{4})\d{3,}")

Forgery = Literal["missing", "wrong", "unformed"]
Write = Callable[[Connection], None]
"""Writes some rows, in whose transaction it is called."""


@dataclass(frozen=True, slots=True)
class PushLine:
    """A push. repeated: known, old news or another's to tell. reasons: by word, the most frequent first.

    unread: what of it could not be read, states, times or places in it, the first few. untimed: the parcel's
    state, where the newest step's time is among them. is_cut: of one of these something is left out, where
    "…" stands.
    """

    at: datetime
    feed: str
    outcome: str
    recorded: int
    repeated: int
    refused: int
    reasons: dict[str, int]
    unread: tuple[str, ...] = ()
    untimed: str = ""
    is_cut: bool = False

    @property
    def shown(self) -> str:
        """What is said of it: `partly` where something was recorded and something could not be read."""
        return "partly" if self.outcome == "recorded" and self.refused else self.outcome

    @property
    def reason(self) -> str | None:
        """Why something was refused, in the word of the contract that says it most often."""
        words = (word for word in self.reasons if word not in ("unknown", "unread"))
        return next(words, None) if self.outcome == "refused" else None


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
        self, party: str, feed: str, results: Sequence[Pushed], *,
        outcome: Outcome | None = None, told: Told | None = None, fault: Fault | None = None,
    ) -> None:  # fmt: skip
        """Keeps what came of a push. Writes `push_taken`.

        outcome: where more is known of it than its items; then told: what it said, and fault: why it could
        not be read or was refused as a whole.
        """
        outcome = outcome or outcome_of_items(results)
        reasons: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        for one in results:
            if one.status == "unknown" or (one.status == "refused" and not is_untold(one)):
                unknown = one.fault is None or one.status == "unknown"
                reasons["unknown" if unknown or one.fault is None else reason_of(one.fault)] += 1
            else:
                counts["recorded" if one.status == "recorded" else "repeated"] += 1
        reasons.update(_beside_items(outcome, results, told, fault))
        note: dict[str, Any] = {"outcome": outcome, "why": dict(reasons.most_common(_MOST_REASONS))}
        unread = _unread(told, fault if outcome == "unreadable" else None)
        if unread:
            note["unread"] = [_shown(word) for word in unread]
        untimed = (told.untimed or "") if outcome == "untimed" and told is not None else ""
        if untimed:
            note["untimed"] = _shown(untimed)
        if any(map(_is_cut, (*unread, untimed))):
            note["cut"] = True
        row = {
            "party": party,
            "id": str(uuid_utils.uuid7()),
            "at": to_ms(self._clock.now()),
            "feed": feed,
            "recorded": counts["recorded"],
            "repeated": counts["repeated"],
            "refused": reasons.total(),
            "reasons": json.dumps(note),
        }
        bounds = {"most": MOST_KEPT, "most_refused": MOST_REFUSED_KEPT}
        self._write(lambda connection: pushlogstore.add_taken(connection, row, **bounds))

    def count_forged(self, party: str, kind: Forgery, *, beside: Write | None) -> None:
        """Counts a push that nobody known signed; beyond MOST_FORGED a day it counts no more.

        beside: what else is kept of it, in the same transaction. Writes `push_forged`.
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
        """Returns what is kept of a party's pushes, the newest first. Read-only."""
        with self._database.read() as connection:
            rows = pushlogstore.taken_of(connection, party)
        return [_line(row) for row in rows]

    def forged(self, party: str) -> list[ForgedDay]:
        """Returns by day what was refused for its signature, the newest first. Read-only."""
        oldest = local_day(self._clock.now()) - timedelta(days=DAYS_KEPT - 1)
        with self._database.read() as connection:
            rows = pushlogstore.forged_of(connection, party, since=oldest.isoformat())
        return [_day(row) for row in rows]


def last_push(
    lines: Sequence[PushLine], noted: PushLine | None, *, since: datetime
) -> PushLine | None:
    """Returns the last push since an address was made, the list's newest. None: there was none.

    noted: of those that nobody signed, which are in no list: one stands only where nothing that was signed
    came within the minute before it.
    """
    newest = next((line for line in lines if line.at >= since), None)
    if newest is None or noted is None:
        return newest or noted
    is_later = noted.outcome in UNPROVEN and noted.at - newest.at >= STRANGERS_WAIT
    return noted if is_later else newest


def _beside_items(
    outcome: Outcome, results: Sequence[Pushed], told: Told | None, fault: Fault | None
) -> list[str]:
    """Returns why something was refused that became no item: all of it, or what could not be read."""
    if outcome in ("untimed", "empty", "unreadable", "unavailable"):
        return [outcome]
    if outcome == "refused" and not results and fault is not None:
        return [reason_of(fault)]
    return ["unread"] if told is not None and told.unread else []


def _unread(told: Told | None, fault: Fault | None) -> tuple[str, ...]:
    """Returns what could not be read. fault: why nothing could; then the places in what was sent."""
    if told is not None:
        return told.unread
    if fault is None:
        return ()
    return tuple(".".join(map(str, one.loc)) for one in fault.errors) or ("param",)


def _shown(word: str) -> str:
    """Returns what may stand in the list: no long numbers, nothing that a line cannot hold."""
    told = shorten(_LONG_NUMBER.sub(r"\1…", word))
    return "".join(char if char.isprintable() else "\ufffd" for char in told)


def _is_cut(word: str) -> bool:
    """Whether the list has less than what came."""
    return len(word) > WORD or _LONG_NUMBER.search(word) is not None


def _line(row: Any) -> PushLine:
    note = json.loads(row.reasons)
    if "outcome" not in note:  # kept before there was more to say than why
        outcome = "refused" if row.refused else "recorded" if row.recorded else "nothing"
        note = {"outcome": outcome, "why": note}
    return PushLine(
        from_ms(row.at), row.feed, note["outcome"], row.recorded, row.repeated, row.refused,
        note["why"], tuple(note.get("unread", ())), note.get("untimed", ""), note.get("cut", False),
    )  # fmt: skip


def _day(row: object) -> ForgedDay:
    names = ("day", "missing", "wrong", "unformed")
    return ForgedDay(**{name: getattr(row, name) for name in names})
