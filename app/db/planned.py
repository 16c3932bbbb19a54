"""SELECTs that PostgreSQL plans once in a session, sent past psycopg's cursors.

A cursor, its query and its adapters are made anew for each statement and cost four times what libpq and
the reading of rows do. What a page asks in some fifteen statements is sent here as libpq sends it, on the
session and in the snapshot that psycopg has; rows and errors are psycopg's. For sessions of readers only:
whoever writes in them is nobody's here.
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

PLANS = "plans"
"""Where a reader's connection has its `Plans`, in what SQLAlchemy keeps beside it."""

Told = tuple[bytes | None, int, int]
"""A value as it is sent: its bytes, whether they are text, and of what type it is."""

_TEXT, _BINARY = 0, 1
# PostgreSQL's numbers of types, as psycopg tells them; 0 is of the type that the statement makes of it.
_ANY, _BOOLEAN, _BYTES, _INTEGER = 0, 16, 17, 20
_MOST_INTEGER = 1 << 63
# Some hundred kilobytes of the server's memory for each; what was asked longest ago is forgotten.
_MOST = 150
_PLACE = re.compile(r"%%|%\((\w+)\)s")


class Plans:
    """What one session has planned. For one thread at a time, as the session is.

    is_ahead: whether what is asked now is only put down.
    """

    def __init__(self, driver: Connection[Any]) -> None:
        self._libpq = driver.pgconn
        self._encoding = driver.info.encoding
        self._adapted = Transformer(driver)
        self._names: dict[tuple[bytes, Sequence[int]], bytes] = {}
        self._made = 0
        self.is_ahead = False
        self._expected: dict[_Asked, None] = {}
        self._found: dict[_Asked, list[Any]] = {}

    def fetch(self, sql: str, bound: Mapping[str, Any]) -> list[Any] | None:
        """Returns the rows as psycopg would; None where it is to be asked itself.

        sql, bound: psycopg's text with `%(name)s`, and the values. Raises psycopg's errors.
        """
        text, names = _by_number(sql)
        told: list[Told] = []
        for name in names:
            one = _told(bound[name], self._encoding)
            if one is None:
                return [] if self.is_ahead else None
            told.append(one)
        asked = _Asked(text, tuple(told))
        if self.is_ahead:
            self._expected[asked] = None
            return []
        if asked in self._found:
            return self._found.pop(asked)
        values, kinds, types = asked.apart()
        plan = self._plan(text, types)
        if self._expected:
            self._expected.pop(asked, None)
            return self._fetch_all(asked, plan)
        return self._fetch_one(plan, values, kinds)

    def ask_ahead(self, ask: Callable[[], object]) -> None:
        """Lets what `ask` asks be answered along with the next statement; within, nothing is found."""
        self.is_ahead = True
        try:
            ask()
        finally:
            self.is_ahead = False

    def end(self) -> None:
        """Ends a snapshot: nothing that was asked ahead in it is an answer in the next."""
        self._expected.clear()
        self._found.clear()

    def forget(self) -> None:
        """Forgets every plan, psycopg's too; outside a transaction, after one that failed."""
        self._names.clear()
        self._libpq.exec_(b"DEALLOCATE ALL")

    def _plan(self, text: bytes, types: Sequence[int]) -> bytes:
        """Returns the name of a statement's plan, made if there is none."""
        name = self._names.pop((text, types), None)
        if name is None:
            if len(self._names) >= _MOST:
                oldest = self._names.pop(next(iter(self._names)))
                self._check(self._libpq.exec_(b"DEALLOCATE " + oldest), ExecStatus.COMMAND_OK)
            self._made += 1
            name = b"suxin_%d" % self._made
            self._check(self._libpq.prepare(name, text, types), ExecStatus.COMMAND_OK)
        self._names[(text, types)] = name  # as the newest
        return name

    def _fetch_one(self, plan: bytes, values: Sequence[Any], kinds: Sequence[int]) -> list[Any]:
        return self._read(self._libpq.exec_prepared(plan, values, kinds, _BINARY))

    def _fetch_all(self, asked: _Asked, plan: bytes) -> list[Any]:
        """Fetches this and all that is expected, in one message there and one back."""
        expected, self._expected = self._expected, {}
        sent = [*((one, self._plan(one.text, one.apart()[2])) for one in expected), (asked, plan)]
        libpq = self._libpq
        libpq.enter_pipeline_mode()
        try:
            for one, name in sent:
                values, kinds, _ = one.apart()
                libpq.send_query_prepared(name, values, kinds, _BINARY)
            libpq.pipeline_sync()
            results = self._receive()
        except BaseException:
            # What is still on its way would be taken for the answer to whatever is asked next.
            libpq.finish()
            raise
        libpq.exit_pipeline_mode()
        for (one, _), result in zip(sent, results, strict=False):
            self._found[one] = self._read(result)
        return self._found.pop(asked)

    def _receive(self) -> list[Any]:
        """Returns the results up to the end of the pipeline; others have the interpreter meanwhile."""
        libpq = self._libpq
        results: list[Any] = []
        socket = select.poll()
        while True:
            # More may have to be sent than the system takes at once, while the server has begun to answer.
            is_sending = libpq.flush()
            while not libpq.is_busy():
                result = libpq.get_result()
                if result is None:
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    return results
                results.append(result)
            socket.register(libpq.socket, select.POLLIN | (select.POLLOUT if is_sending else 0))
            socket.poll()
            libpq.consume_input()

    def _read(self, result: Any) -> list[Any]:
        self._check(result, ExecStatus.TUPLES_OK)
        self._adapted.set_pgresult(result)
        rows: list[Any] = self._adapted.load_rows(0, result.ntuples, tuple)
        return rows

    def _check(self, result: Any, expected: ExecStatus) -> None:
        if result.status != expected:
            raise error_from_result(result, self._encoding)


class _Asked(NamedTuple):
    """One statement with its values, as they are sent."""

    text: bytes
    told: tuple[Told, ...]

    def apart(self) -> tuple[Sequence[Any], Sequence[int], Sequence[int]]:
        """Returns its values, how each is sent, and of what type each is."""
        values, kinds, types = zip(*self.told, strict=True) if self.told else ((), (), ())
        return values, kinds, types


@lru_cache(maxsize=1024)
def _by_number(sql: str) -> tuple[bytes, Sequence[str]]:
    """Returns psycopg's text as PostgreSQL has it, and which value its parameters are, `$1` first."""
    places: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        name = found.group(1)
        return "%" if name is None else f"${places.setdefault(name, len(places) + 1)}"

    return _PLACE.sub(place, sql).encode(), tuple(places)


def _told(value: Any, encoding: str) -> Told | None:
    """Returns a value as it is sent; None for what psycopg is to send, or to refuse."""
    kind = type(value)
    if kind is int:
        return (b"%d" % value, _TEXT, _INTEGER) if -_MOST_INTEGER <= value < _MOST_INTEGER else None
    if kind is bytes:
        return value, _BINARY, _BYTES
    if kind is str:
        # Text ends at a zero byte, where it would be cut.
        return None if "\0" in value else (value.encode(encoding), _TEXT, _ANY)
    if kind is bool:
        return b"t" if value else b"f", _TEXT, _BOOLEAN
    if value is None:
        return None, _TEXT, _ANY
    return _told_list(value, encoding) if kind is list else None


def _told_list(values: list[Any], encoding: str) -> Told | None:
    kinds = {*map(type, values)}
    if kinds == {int}:
        return b"{%s}" % b",".join([b"%d" % value for value in values]), _TEXT, _ANY
    if kinds == {str} and not any("\0" in value for value in values):
        quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
        return ('{"' + '","'.join(quoted) + '"}').encode(encoding), _TEXT, _ANY
    return None
