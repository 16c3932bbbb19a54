"""Faults at the n-th write step of a ledger: its database's statements and commits, the files of its keys
and its anchor, and the emptying of SQLite's write-ahead log.

A step either fails before it was done, or is done and then reported as failed. The second is what a
time-out after success looks like, and the reason why an error may not be read as "nothing happened".
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import psycopg

from app.db.engine import Database
from app.ledger import anchor

How = Literal["not persisted", "persisted"]

_STATEMENTS = ("do_execute", "do_executemany", "do_commit")
EMPTYING = "PRAGMA wal_checkpoint(TRUNCATE)"


class Fault:
    """One step that fails. `hit` names it once it has; until then every step is only counted."""

    def __init__(self, number: int, how: How) -> None:
        self.number = number
        self.how = how
        self.hit: str | None = None
        self._passed = 0

    def step(self, name: str, act: Callable[[], Any], error: Callable[[], Exception]) -> Any:
        self._passed += 1
        if self._passed != self.number:
            return act()
        self.hit = name
        if self.how == "persisted":
            act()
        raise error()


@contextmanager
def failing(database: Database, number: int, how: How) -> Iterator[Fault]:
    """Lets the number-th write step (from 1) of this database's writer and of any anchor fail."""
    fault = Fault(number, how)
    dialect, reader = database._writer.dialect, database._reader.dialect
    patches = [
        mock.patch.object(reader, "do_execute", _emptying(fault, reader)),
        *(
            mock.patch.object(dialect, name, _statement(fault, dialect, name))
            for name in _STATEMENTS
        ),
        mock.patch("os.fsync", _file(fault, "fsync", os.fsync)),
        mock.patch.object(Path, "replace", _file(fault, "rename", Path.replace)),
        mock.patch.object(Path, "hardlink_to", _file(fault, "link", Path.hardlink_to)),
        mock.patch.object(anchor, "_write_beside", _file(fault, "write", anchor._write_beside)),
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield fault


def _emptying(fault: Fault, dialect: Any) -> Callable[..., Any]:
    """Of what readers do one thing writes."""
    real, failing_ = dialect.do_execute, _statement(fault, dialect, "do_execute")

    def act(cursor: Any, statement: str, *more: Any) -> Any:
        return (failing_ if statement == EMPTYING else real)(cursor, statement, *more)

    return act


def _statement(fault: Fault, dialect: Any, name: str) -> Callable[..., Any]:
    real = getattr(dialect, name)
    sqlite = dialect.name == "sqlite"

    def error() -> Exception:
        if sqlite:
            return sqlite3.OperationalError("disk I/O error (injected)")
        return psycopg.OperationalError("the connection was cut (injected)")

    def act(*arguments: Any, **more: Any) -> Any:
        told = name if name == "do_commit" else str(arguments[1]).split(None, 3)[:3]
        shown = told if isinstance(told, str) else " ".join(told)
        return fault.step(shown, lambda: real(*arguments, **more), error)

    return act


def _file(fault: Fault, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def act(*arguments: Any) -> Any:
        return fault.step(
            name, lambda: real(*arguments), lambda: OSError(errno.EIO, "injected", name)
        )

    return act
