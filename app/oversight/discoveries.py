"""What detectors found, kept: once each, in grace, then open and charged, closed once it is put right.

A detector says what is wrong now; told again, nothing happens. What it no longer says was put right,
and what it says once more is open again. Nothing on continuity is raised or matures on a stream with
an open integrity finding: what looks missing there may be what was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection

from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.ledger.record import stream_key
from app.oversight import movestore, store
from app.oversight.charging import Charges
from app.oversight.finding_rows import (
    CLOSED,
    DISMISSED,
    GRACE,
    OPEN,
    answers_for,
    discovery_id,
    dump,
    gtin_of,
)
from app.oversight.kinds import consequence_of
from app.oversight.raised import note_raised
from app.parties.store import find_party
from app.trace.detectors import Discovery

log = structlog.get_logger(__name__)

_BATCH = 100


class Discoveries:
    """Keeps what detectors found. Whoever calls this owns no transaction."""

    def __init__(self, database: Database, credit: Credit, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._charges = Charges(credit, clock=clock)
        self._grace_ms = int(credit.policy.graces.late_record.total_seconds() * 1_000)
        self._passed = ""  # of this process alone: where `mature` goes on

    def settle(
        self,
        stream: str,
        subject: str,
        found: Sequence[Discovery],
        *,
        kinds: Sequence[str],
        sides: Mapping[str, str] | None = None,
        closing: bool = True,
    ) -> None:
        """Raises what was found on these goods and closes what no longer is, of these kinds alone.

        sides: `seller` and `carrier` for the evidence, so that a regulator can say whose fault it is.
        closing False: only raises, since an alert for people is theirs to close.
        """
        now_ms = to_ms(self._clock.now())
        with self._database.read() as connection:
            broken = bool(store.open_findings(connection, [stream], kind="integrity."))
            before = movestore.living(connection, stream_key(stream), subject, kinds)
            rows = [
                self._row(connection, stream, subject, one, sides or {}, now_ms)
                for one in found
                if not (broken and one.kind.startswith("continuity."))
            ]
            ids = {row["id"] for row in rows}
            known = movestore.find_some(connection, sorted(ids))
        for row in rows:
            # Told again nothing is written, and nobody who writes has to wait.
            if _change(known.get(row["id"]), row) is not None:
                with self._database.write() as connection:
                    # Asked again where nothing can come between.
                    self._keep(connection, store.find_finding(connection, row["id"]), row, now_ms)
        if closing and not broken:
            for row in before:
                if row.id not in ids:
                    self._heal(row, now_ms)

    def mature(self) -> bool:
        """Opens and charges what was not put right within its grace; returns whether there is more."""
        now_ms = to_ms(self._clock.now())
        with self._database.read() as connection:
            rows = movestore.in_grace(connection, now_ms=now_ms, limit=_BATCH, after=self._passed)
        for row in rows:
            try:
                # In this order: an open finding is charged by nobody again.
                self._charges.announce(row, answers_for(row))
                with self._database.write() as connection:
                    known = store.find_finding(connection, row.id)
                    if known is not None and known.status == GRACE:
                        movestore.change(
                            connection, row.id, at=now_ms, why="grace over", status=OPEN
                        )
            except Exception:
                log.exception("finding.not_matured", finding=row.id)
        self._passed = rows[-1].id if len(rows) == _BATCH else ""
        return len(rows) == _BATCH

    def _row(
        self,
        connection: Connection,
        stream: str,
        subject: str,
        found: Discovery,
        sides: Mapping[str, str],
        now_ms: int,
    ) -> dict[str, Any]:
        party = found.party
        if party is not None and find_party(connection, party) is None:
            party = None  # a name that is no party here answers for nothing
        graced = consequence_of(found.kind).rule is not None
        return {
            "id": discovery_id(kind=found.kind, stream=stream, subject=subject, key=found.key),
            "kind": found.kind,
            "stream": stream_key(stream),
            "stream_name": stream,
            "subject": subject,
            "seq": None,
            "party": party,
            "gtin": gtin_of(stream),
            "status": GRACE if graced else OPEN,
            "evidence": dump({**sides, **found.as_data()}),
            "opened_at": now_ms,
            "closed_at": None,
            "attributed_to": None,
            "reason": None,
            "due_at": now_ms + self._grace_ms if graced else None,
            "round": 0,
        }

    @staticmethod
    def _keep(connection: Connection, known: Any | None, row: dict[str, Any], now_ms: int) -> None:
        """Stores a finding that is new, says more now, or was closed and is not any more."""
        changed = _change(known, row)
        if changed is None:
            return
        if known is None:
            note_raised(row["kind"], row["stream_name"])
        kept, why = changed
        movestore.save(connection, kept, at=now_ms, why=why)

    def _heal(self, row: Any, now_ms: int) -> None:
        """Closes a finding that is put right; in notice the charge becomes the smaller one."""
        # In this order: a charge for a closed finding would be met by nobody again.
        if row.status == OPEN:
            self._charges.forgive(row, answers_for(row), late=True, reason="healed")
        with self._database.write() as connection:
            movestore.change(
                connection, row.id, at=now_ms, why="healed",
                status=CLOSED, closed_at=now_ms, reason="healed",
            )  # fmt: skip


def _change(known: Any | None, row: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Returns the row as it is to be stored and why, None where what is `known` says it already."""
    if known is None:
        return row, "found"
    if known.status == DISMISSED or known.attributed_to is not None:
        return None  # a person has decided; more of the same is no new fact
    same = {"opened_at": known.opened_at, "due_at": known.due_at, "round": known.round}
    if known.status == CLOSED:
        # The grace it had is not given twice.
        return {**row, **same, "round": known.round + 1}, "found again"
    if known.evidence != row["evidence"]:
        return {**row, **same, "status": known.status, "party": known.party}, "found"
    return None
