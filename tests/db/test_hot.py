"""Hot reads give what SQLAlchemy gives, on both databases."""

import pytest
from sqlalchemy import bindparam, column, func, insert, select, table, union_all
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from app.db.hot import HotSelect, write_tuples
from app.db.upsert import upsert
from app.ledger.store import FACT, HEAD

HEADS = [
    {
        "stream": n, "name": f"party/{n}", "seq": n, "hash": bytes([n] * 32), "recorded_at": n,
        "state": b"{}",
    }
    for n in range(1, 8)
]  # fmt: skip
SOME = (
    select(HEAD)
    .where(HEAD.c.stream.in_(bindparam("streams", expanding=True)), HEAD.c.seq >= bindparam("seq"))
    .order_by(HEAD.c.stream)
    .limit(bindparam("most"))
)
# A literal of the statement's own, a name for a column, and one bind that stands in two places.
TWICE = union_all(
    select(HEAD.c.name.label("told"), func.count())
    .where(HEAD.c.seq == bindparam("seq"), HEAD.c.name.like("party/%"))
    .group_by(HEAD.c.name),
    select(FACT.c.key, FACT.c.stream).where(FACT.c.stream == bindparam("seq")),
)


@pytest.fixture
def connection(database):
    with database.write() as connection:
        connection.execute(insert(HEAD), HEADS)
        connection.execute(insert(FACT), [{"stream": 3, "key": "k", "value": b"v"}])
        yield connection


@pytest.mark.parametrize("streams", [[], [1], [2, 3, 4], [5, 1, 9, 7, 7], list(range(40))])
@pytest.mark.parametrize("most", [1, 100])
def test_rows_are_what_the_statement_gives(connection, streams, most):
    values = {"streams": streams, "seq": 2, "most": most}
    hot = HotSelect(SOME)
    expected = [tuple(row) for row in connection.execute(SOME, values)]
    for _ in range(2):
        found = hot.rows(connection, **values)
        assert [tuple(row) for row in found] == expected
    assert [row.name for row in found] == [row[1] for row in expected]
    assert all(type(row.hash) is bytes for row in found)
    first = hot.first(connection, **values)
    assert first == (tuple(expected[0]) if expected else None)


def test_one_bind_in_two_places_and_values_of_the_statement(connection):
    found = HotSelect(TWICE).rows(connection, seq=3)
    assert [tuple(row) for row in found] == [("party/3", 1), ("k", 3)]
    assert found[0].told == "party/3"


def test_a_read_sees_its_own_transaction(connection):
    hot = HotSelect(SOME)
    assert hot.rows(connection, streams=[70], seq=0, most=9) == []
    connection.execute(insert(HEAD), [{**HEADS[0], "stream": 70, "name": "party/70"}])
    assert len(hot.rows(connection, streams=[70], seq=0, most=9)) == 1


def test_an_error_is_the_one_that_callers_know(connection):
    nowhere = HotSelect(select(table("nowhere", column("a"))))
    with pytest.raises(DBAPIError):
        nowhere.rows(connection)


ODD = ["plain", "tab\t, line\n, back\\slash, \\N, 'quote'", "", "溯信 😀", "\\."]


@pytest.mark.parametrize("count", [1, 7, 8, 500])
def test_new_rows_are_written_as_they_are_however_many(connection, count):
    rows = [
        (100 + n, ODD[n % 5], n - 3, bytes([n % 256, 0, 92, 78]), n * 2**40, b"")
        for n in range(count)
    ]
    names = ("stream", "name", "seq", "hash", "recorded_at", "state")
    assert write_tuples(connection, insert(HEAD), names, rows) == count
    found = connection.execute(select(HEAD).where(HEAD.c.stream >= 100).order_by(HEAD.c.stream))
    assert [tuple(getattr(row, name) for name in names) for row in found] == rows


@pytest.mark.parametrize("count", [2, 20])
def test_a_row_that_is_there_already_is_told_as_ever(connection, count):
    rows = [(7 + n, f"party/x{n}", 0, bytes(32), 0, b"") for n in range(count)]
    names = ("stream", "name", "seq", "hash", "recorded_at", "state")
    with pytest.raises(IntegrityError), connection.begin_nested():
        write_tuples(connection, insert(HEAD), names, rows)
    assert connection.scalar(select(func.count()).select_from(HEAD)) == len(HEADS)


def test_an_insert_that_minds_what_is_there_is_sent_as_it_is(connection):
    """No COPY would do that."""
    rows = [(n, f"other/{n}", 0, bytes(32), 0, b"") for n in range(1, 20)]
    names = ("stream", "name", "seq", "hash", "recorded_at", "state")
    creation = upsert(connection.dialect.name, HEAD, ("stream",), ())
    assert write_tuples(connection, creation, names, rows) == 19 - len(HEADS)


NOW_AND_THEN = HotSelect(select(func.pg_sleep(bindparam("seconds")).label("slept")))


def test_postgresql_tells_the_first_error_and_not_what_the_transaction_became(
    postgresql_database_url,
):
    """Who waits too long is told so (57014, try again), not that the transaction is aborted (25P02)."""
    from app.db.engine import Database

    database = Database(postgresql_database_url)
    try:
        with pytest.raises(OperationalError) as told, database.read() as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 50")
            NOW_AND_THEN.rows(connection, seconds=5)
        assert told.value.orig.sqlstate == "57014"
        nowhere = HotSelect(select(table("nowhere", column("a"))))
        with pytest.raises(ProgrammingError) as unknown, database.read() as connection:
            nowhere.rows(connection)
        assert unknown.value.orig.sqlstate == "42P01"
    finally:
        database.close()


def test_a_lost_connection_is_known_as_lost_and_the_next_read_has_another(postgresql_database_url):
    from app.db.engine import Database

    database = Database(postgresql_database_url)
    one = HotSelect(select(func.length(bindparam("text", "a")).label("n")))
    try:
        with pytest.raises(DBAPIError) as told, database.read() as connection:
            one.rows(connection)
            (pid,) = connection.exec_driver_sql("SELECT pg_backend_pid()").one()
            with database.write() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            one.rows(connection)
        assert told.value.connection_invalidated
        with database.read() as connection:
            assert one.rows(connection) == [(1,)]
    finally:
        database.close()


@pytest.mark.parametrize("many", [(1, 2), {1, 2}, frozenset({1, 2})])
def test_what_is_many_and_no_list_is_refused(connection, many):
    hot = HotSelect(SOME)
    with pytest.raises(TypeError, match="streams"):
        hot.rows(connection, streams=many, seq=0, most=9)


def test_a_value_that_is_forgotten_is_not_the_one_of_another_time(connection):
    hot = HotSelect(SOME)
    assert hot.rows(connection, streams=[1], seq=0, most=9)
    with pytest.raises(KeyError, match="seq"):
        hot.rows(connection, streams=[1], most=9)


def test_what_the_statement_says_itself_stands_beside_what_is_asked(connection):
    one = HotSelect(
        select(func.length(bindparam("text", "abc")).label("n"), bindparam("more").label("m"))
    )
    assert one.rows(connection, more=1) == [(3, 1)]
    assert one.rows(connection, text="a", more=2) == [(1, 2)]
    assert one.rows(connection, more=3) == [(3, 3)]
