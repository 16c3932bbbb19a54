"""A turn at what costs a process much: one has it, the others wait, but not for ever."""

from __future__ import annotations

import threading
from typing import Final

from app.kit.errors import Overloaded

_PATIENCE_S: Final = 5.0


class OneAtATime:
    """The turn to do one kind of work, so that its memory and time are all that it costs a process.

    busy: the key of what is said to who waits longer than patience_s; they get Overloaded.
    """

    def __init__(self, busy: str, *, patience_s: float = _PATIENCE_S) -> None:
        self._busy = busy
        self._patience_s = patience_s
        self._turn = threading.BoundedSemaphore(1)

    def __enter__(self) -> None:
        if not self._turn.acquire(timeout=self._patience_s):
            raise Overloaded(self._busy, retry_after_s=2)

    def __exit__(self, *_: object) -> None:
        self._turn.release()
