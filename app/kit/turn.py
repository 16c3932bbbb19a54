"""A turn at what costs a process much: one has it, the others wait, but not for ever."""

from __future__ import annotations

import threading
from typing import Final

from app.kit.errors import Overloaded

_PATIENCE_S: Final = 5.0
_RETRY_S: Final = 2


class OneAtATime:
    """The turn to do one kind of work, so that its memory and time are all that it costs a process.

    busy: the key of what is said to who waits longer than patience_s, or finds `most` waiting already;
    they get Overloaded. most: since each who waits keeps a thread from everybody's pages; None: any.
    """

    def __init__(
        self,
        busy: str,
        *,
        patience_s: float = _PATIENCE_S,
        most: int | None = None,
        retry_after_s: int = _RETRY_S,
    ) -> None:
        self._busy = busy
        self._patience_s = patience_s
        self._retry_after_s = retry_after_s
        self._turn = threading.BoundedSemaphore(1)
        # Of who has the turn and of those who wait.
        self._places = None if most is None else threading.BoundedSemaphore(1 + most)

    def __enter__(self) -> None:
        if self._places is not None and not self._places.acquire(blocking=False):
            raise self._overloaded()
        if not self._turn.acquire(timeout=self._patience_s):
            self._leave()
            raise self._overloaded()

    def __exit__(self, *_: object) -> None:
        # The place first: who comes between the two waits for a moment instead of being refused.
        self._leave()
        self._turn.release()

    def _leave(self) -> None:
        if self._places is not None:
            self._places.release()

    def _overloaded(self) -> Overloaded:
        return Overloaded(self._busy, retry_after_s=self._retry_after_s)
