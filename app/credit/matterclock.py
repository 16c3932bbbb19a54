"""What time does to matters, recorded: a promise kept at its term, a listing in effect or over."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from app.credit import matterstore
from app.credit.commitments import Commitments
from app.credit.lists import Lists
from app.credit.matters import Kind
from app.credit.steps import StepRefused
from app.db.engine import Database
from app.kit.clock import Clock, to_ms

log = structlog.get_logger(__name__)

_BATCH = 200
_PUT_OFF = timedelta(minutes=1)


class MatterClock:
    """`mature` is a loop of the worker. What is shown and what counts does not wait for it."""

    def __init__(
        self, database: Database, commitments: Commitments, lists: Lists, *, clock: Clock
    ) -> None:
        self._database = database
        self._commitments = commitments
        self._lists = lists
        self._clock = clock
        self._passed: tuple[int, str] | None = None
        self._put_off: dict[str, datetime] = {}

    def mature(self) -> bool:
        """Records steps that are due; returns whether there may be more.

        One that cannot be recorded is put off and holds up no other.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            rows = matterstore.due_matters(
                connection, now_ms=to_ms(now), after=self._passed, limit=_BATCH
            )
        for row in rows:
            if self._put_off.get(row.id, now) > now:
                continue
            try:
                if Kind(row.kind) is Kind.COMMITMENT:
                    self._commitments.keep(row)
                else:
                    self._lists.move(row)
            except StepRefused:
                pass  # somebody took another step in this very moment
            except Exception:
                log.exception("matter.step_failed", matter=row.id)
                self._put_off[row.id] = now + _PUT_OFF
            else:
                self._put_off.pop(row.id, None)
        more = len(rows) == _BATCH
        self._passed = (rows[-1].next_at, rows[-1].id) if more else None
        return more
