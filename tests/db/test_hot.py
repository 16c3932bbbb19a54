"""Hot reads give what SQLAlchemy gives, on both databases."""

import pytest
from sqlalchemy import bindparam, column, func, insert, select, table, union_all
from sqlalchemy.exc import DBAPIError

from app.db.hot import HotSelect
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
