"""What a reader's session on PostgreSQL has planned gives what psycopg gives, and asks less often."""

from __future__ import annotations

from unittest import mock

import psycopg
import pytest
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    LargeBinary,
    Text,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.exc import DBAPIError, OperationalError

from app.db import planned
from app.db.engine import Database
from app.db.hot import HotSelect, ask_ahead
from app.ledger.store import HEAD

NAMES = HotSelect(select(HEAD.c.name).where(HEAD.c.stream == bindparam("stream")))
ODD = [
    "plain",
    "",
    "溯信 😀",
    "tab\t, line\n, back\\slash, 'quote', \"double\"",
    "\\.",
    "{a,b}",
    "NULL",
]
BLUNT = HotSelect(
    select((bindparam("a", type_=BigInteger) // bindparam("b", type_=BigInteger)).label("n"))
)


@pytest.fixture
def database(postgresql_database_url):
    opened = Database(postgresql_database_url)
    yield opened
    opened.close()


def head(n: int) -> dict[str, object]:
    return {
        "stream": n, "name": f"party/{n}", "seq": n, "hash": bytes(32), "recorded_at": n, "state": b"{}"
    }  # fmt: skip


def given(kind, value):
    """Returns the one value of a SELECT that says what it was asked with."""
    return HotSelect(select(bindparam("value", type_=kind).label("told")))


class Counted:
    """libpq of a session, which counts the messages that are waited for."""

    def __init__(self, libpq):
        self._libpq = libpq
        self.messages = 0

    def __getattr__(self, name):
        if name in ("exec_prepared", "pipeline_sync"):
            self.messages += 1
        return getattr(self._libpq, name)


def counting(connection) -> Counted:
    plans = connection.info[planned.PLANS]
    plans._libpq = Counted(plans._libpq)
    return plans._libpq


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((Text, text) for text in ODD),
        *((BigInteger, n) for n in (0, -1, 2**63 - 1, -(2**63), None)),
        (Boolean, True), (Boolean, False),
        *((LargeBinary, raw) for raw in (b"", b"\0\1\xff\\x00", bytes(range(256)))),
        (ARRAY(Text), ODD), (ARRAY(BigInteger), [3, -1, 2**62]),
        (ARRAY(Text), []), (ARRAY(Text), ["a", None]),
    ],
)  # fmt: skip
def test_a_value_arrives_as_it_is(database, kind, value):
    told = given(kind, value)
    with database.read() as connection:
        for _ in range(3):
            assert told.rows(connection, value=value) == [(value,)]


def test_a_text_with_a_zero_byte_is_refused_and_not_cut(database):
    told = given(Text, "")
    for value in ("before\0after", ["one\0", "two"]):
        kind = given(ARRAY(Text), []) if isinstance(value, list) else told
        with pytest.raises(DBAPIError, match="NUL"), database.read() as connection:
            kind.rows(connection, value=value)


def test_what_is_asked_ahead_comes_with_the_next_answer(database):
    with database.write() as connection:
        connection.execute(insert(HEAD), [head(n) for n in range(1, 6)])
    with database.read() as connection:
        NAMES.rows(connection, stream=9)  # planned
        counted = counting(connection)
        for n in (2, 3, 4):
            ask_ahead(connection, lambda n=n: NAMES.rows(connection, stream=n))
        assert counted.messages == 0
        for n in (1, 2, 3, 4):
            assert NAMES.rows(connection, stream=n) == [(f"party/{n}",)]
            assert counted.messages == 1
        assert NAMES.rows(connection, stream=5) == [("party/5",)]
        assert counted.messages == 2


def test_what_is_asked_ahead_and_then_first_is_asked_once(database):
    with database.read() as connection:
        NAMES.rows(connection, stream=9)
        counted = counting(connection)
        ask_ahead(connection, lambda: NAMES.rows(connection, stream=1))
        assert NAMES.rows(connection, stream=1) == []
        assert counted.messages == 1


@pytest.mark.parametrize("fetched", [True, False])
def test_no_answer_outlives_its_snapshot(database, fetched):
    with database.read() as connection:
        ask_ahead(connection, lambda: NAMES.rows(connection, stream=1))
        if fetched:
            assert NAMES.rows(connection, stream=2) == []
    with database.write() as connection:
        connection.execute(insert(HEAD), [head(1)])
    with database.read() as connection:
        assert NAMES.rows(connection, stream=2) == []
        assert NAMES.rows(connection, stream=1) == [("party/1",)]


def test_an_error_of_what_was_asked_ahead_is_raised_and_the_next_snapshot_has_none(database):
    with database.read() as connection:
        BLUNT.rows(connection, a=1, b=1)
        NAMES.rows(connection, stream=1)
    with pytest.raises(DBAPIError, match="division by zero"), database.read() as connection:
        ask_ahead(connection, lambda: BLUNT.rows(connection, a=1, b=0))
        NAMES.rows(connection, stream=1)
    with database.read() as connection:
        ask_ahead(connection, lambda: BLUNT.rows(connection, a=6, b=2))
        assert NAMES.rows(connection, stream=1) == []
        assert BLUNT.rows(connection, a=6, b=2) == [(3,)]


def test_more_than_the_system_takes_at_once_goes_there_and_back(database):
    long = HotSelect(select(func.repeat(bindparam("text", type_=Text), 2).label("told")))
    texts = [str(n) * 100_000 for n in range(10)]
    with database.read() as connection:
        for text in texts[1:]:
            ask_ahead(connection, lambda text=text: long.rows(connection, text=text))
        for text in texts:
            assert long.rows(connection, text=text) == [(text * 2,)]


def test_a_session_that_was_cut_meanwhile_is_known_as_lost(database, postgresql_database_url):
    with pytest.raises(OperationalError) as told, database.read() as connection:
        NAMES.rows(connection, stream=1)
        (pid,) = connection.exec_driver_sql("SELECT pg_backend_pid()").one()
        with psycopg.connect(postgresql_database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        ask_ahead(connection, lambda: NAMES.rows(connection, stream=2))
        NAMES.rows(connection, stream=1)
    assert told.value.connection_invalidated
    with database.read() as connection:
        assert NAMES.rows(connection, stream=1) == []


def test_a_session_plans_no_more_than_so_many(database):
    """What was asked longest ago is forgotten; what a page asks again and again stays."""
    others = [
        HotSelect(select((bindparam("n", type_=BigInteger) + plus).label("n"))) for plus in range(5)
    ]
    with database.read() as connection, mock.patch.object(planned, "_MOST", 3):
        plans = connection.info[planned.PLANS]
        NAMES.rows(connection, stream=1)
        (kept,) = plans._names.values()
        for plus, other in enumerate(others):
            assert other.rows(connection, n=7) == [(7 + plus,)]
            ask_ahead(connection, lambda: BLUNT.rows(connection, a=4, b=2))
            assert NAMES.rows(connection, stream=1) == []
            assert BLUNT.rows(connection, a=4, b=2) == [(2,)]
        assert others[0].rows(connection, n=1) == [(1,)]
        assert kept in plans._names.values()
        found = connection.exec_driver_sql("SELECT name FROM pg_prepared_statements")
        assert sum(name.startswith("suxin") for name in found.scalars()) == 3


def test_a_session_in_which_a_message_was_broken_off_is_used_no_more(database):
    """Its answers would be taken for those to what is asked next."""
    also = HotSelect(select(HEAD.c.name, HEAD.c.seq).where(HEAD.c.stream == bindparam("stream")))
    is_closed: list[bool] = []
    with pytest.raises(DBAPIError), database.read() as connection:
        NAMES.rows(connection, stream=1)
        also.rows(connection, stream=1)
        plans = connection.info[planned.PLANS]
        ask_ahead(connection, lambda: also.rows(connection, stream=2))
        with (
            mock.patch.object(plans, "_receive", side_effect=MemoryError),
            pytest.raises(MemoryError),
        ):
            NAMES.rows(connection, stream=2)
        is_closed.append(connection.connection.dbapi_connection.closed)
        NAMES.rows(connection, stream=3)
    assert is_closed == [True]
    with database.read() as connection:
        assert NAMES.rows(connection, stream=3) == []


def test_on_sqlite_nothing_is_asked_ahead(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.read() as connection:
        ask_ahead(connection, lambda: pytest.fail("asked"))
    database.close()
