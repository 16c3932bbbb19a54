"""The turn to write into a SQLite file, taken by one process after the other.

SQLite's own busy handler sleeps and looks again, each time for longer: beside a process that writes all
the time another one looks when it is taken, again and again, until it gives up. So writers wait in the
kernel, at two locks on files beside the database. Whoever wants to write takes the *gate*, then the
*turn*, and gives the gate back: who has just written finds the gate taken by whoever waited longest, and
comes after that one.

It only orders those who take it. That two write at once SQLite alone prevents, also where the locks
cannot be had (a file system without them, a folder in which nothing may be made).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    """For one thread of a process at a time. database: the file; the locks stand beside it."""

    def __init__(self, database: Path) -> None:
        self._paths = tuple(
            database.with_name(f"{database.name}-{name}") for name in ("gate", "turn")
        )
        self._files: tuple[int, ...] | None = None  # opened when first needed

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for the turn and has it until the block ends. Any death gives it back."""
        try:
            gate, turn = self._files or self._open()
        except OSError:  # SQLite says what is wrong with the folder
            yield
            return
        _lock(gate, fcntl.LOCK_EX)
        try:
            _lock(turn, fcntl.LOCK_EX)
        finally:
            _lock(gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            _lock(turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the files of the locks."""
        files, self._files = self._files, None
        for file in files or ():
            os.close(file)

    def _open(self) -> tuple[int, ...]:
        opened: list[int] = []
        try:
            opened.extend(
                os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for path in self._paths
            )
        except OSError:
            for file in opened:
                os.close(file)
            raise
        self._files = tuple(opened)
        return self._files


def _lock(file: int, how: int) -> None:
    with contextlib.suppress(OSError):  # the file system has no such locks
        fcntl.flock(file, how)
