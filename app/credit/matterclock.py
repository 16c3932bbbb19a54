"""What time does to matters, recorded: a promise kept at its term, a listing in effect or over."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from app.credit import matterstore
from app.credit.commitments import Commitments
from app.credit.lists import Lists
from app.credit.matters import Kind
from app.credit.maturing import Maturing
from app.credit.steps import StepRefused
from app.db.engine import Database
from app.kit.clock import Clock

log = structlog.get_logger(__name__)


class MatterClock:
    """`mature` is a loop of the worker. What is shown and what counts does not wait for it."""

    def __init__(
        self, database: Database, commitments: Commitments, lists: Lists, *, clock: Clock
    ) -> None:
        self._commitments = commitments
        self._lists = lists
        self._maturing = Maturing(database, matterstore.MATTER, clock=clock)

    def mature(self) -> bool:
        """Records steps that are due; returns whether there may be more.

        One that cannot be recorded is put off and holds up no other.
        """
        return self._maturing.work(self._move, failed=_move_failed)

    def _move(self, row: Any, _: datetime) -> None:
        # A refused step: somebody took another one in this very moment.
        with suppress(StepRefused):
            if Kind(row.kind) is Kind.COMMITMENT:
                self._commitments.keep(row)
            else:
                self._lists.move(row)


def _move_failed(row: Any, err: Exception) -> None:
    log.error("matter.step_failed", matter=row.id, exc_info=err)
