"""Working off what time moves, a batch at a time: what fails is put off and holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.db.engine import Database
from app.db.lookup import due_rows
from app.kit.clock import Clock, to_ms

_BATCH = 200
_PUT_OFF = timedelta(minutes=1)


class Maturing:
    """A loop's place among the rows of a table with `next_at` and `id`. Of this process alone."""

    def __init__(self, database: Database, table: Any, *, clock: Clock) -> None:
        self._database = database
        self._table = table
        self._clock = clock
        self._passed: tuple[int, str] | None = None
        self._put_off: dict[str, datetime] = {}

    def work(
        self, move: Callable[[Any, datetime], None], *, failed: Callable[[Any, Exception], None]
    ) -> bool:
        """Moves the next rows that are due; returns whether there may be more.

        move: given a row and the time. failed: told of a row whose move raised.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            rows = due_rows(
                connection, self._table, now_ms=to_ms(now), after=self._passed, limit=_BATCH
            )
        for row in rows:
            if self._put_off.get(row.id, now) > now:
                continue
            try:
                move(row, now)
            except Exception as err:  # noqa: BLE001 - told, and tried again
                failed(row, err)
                self._put_off[row.id] = now + _PUT_OFF
            else:
                self._put_off.pop(row.id, None)
        more = len(rows) == _BATCH
        self._passed = (rows[-1].next_at, rows[-1].id) if more else None
        return more
