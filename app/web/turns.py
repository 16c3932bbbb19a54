"""Turns: work for Python, done by a few threads of its own in the order of asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from app.kit.errors import Overloaded

Result = TypeVar("Result")

_AT_ONCE = 2
# Some seconds' work: who would wait longer is told so instead.
_MOST_WAITING = 256


class Turns:
    """Asked on the event loop only, so that its count needs no lock.

    at_once: 2, so that one computes while the other waits for the database; 1 where nobody waits for
    it, since two that only compute take Python from each other, and both are late. most: who may wait.
    watch: called when a turn is taken or over.
    """

    def __init__(self, *, at_once: int = _AT_ONCE, most: int = _MOST_WAITING) -> None:
        self._threads = ThreadPoolExecutor(at_once, "page")
        self._at_once = at_once
        self._most = most
        self._asked = 0
        self.watch: Callable[[], None] = lambda: None

    @property
    def is_free(self) -> bool:
        """Whether work would begin at once."""
        return self._asked < self._at_once

    def check_room(self, waiting: int = 0) -> None:
        """Raises Overloaded where no more may wait. waiting: who does so elsewhere."""
        if self._asked + waiting >= self._most:
            raise Overloaded("pages_busy", retry_after_s=1)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Returns what the work returns when its turn has come. Raises Overloaded."""
        self.check_room()
        self._asked += 1
        running = asyncio.get_running_loop().run_in_executor(
            self._threads, copy_context().run, work
        )
        running.add_done_callback(self._done)
        self.watch()
        # Counted until it ends, also where nobody waits for it any more.
        return await asyncio.shield(running)

    def close(self) -> None:
        """Returns when all turns that were taken are over."""
        self._threads.shutdown()

    def _done(self, _running: object) -> None:
        self._asked -= 1
        self.watch()
