"""Statements about given rows tell of each what is true, on both databases, however many there are."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Text, bindparam, func, insert, select

from app.db.given import ForEach
from app.ledger.store import HEAD

ODD = ["plain", "", "NULL", "a,b", "{a}", 'quo"te', "back\\slash", "it's", "溯信 😀", " space "]


def head(number: int, name: str, seq: int) -> dict:
    kept = {"hash": bytes(32), "recorded_at": 0, "state": b"{}"}
    return {"stream": number, "name": name, "seq": seq, **kept}


def counted(asked):
    """How many heads of a name stand above the seq that is given, and below the common one."""
    found = select(func.count()).where(
        HEAD.c.name == asked.c.name,
        HEAD.c.seq > asked.c.above,
        HEAD.c.seq < bindparam("below", type_=BigInteger),
    )
    return select(asked.c.n, found.scalar_subquery().label("heads"))


COUNTED = ForEach({"name": Text, "above": BigInteger}, counted)
JOINED = ForEach(
    {"name": Text},
    lambda asked: select(asked.c.n, HEAD.c.seq).join(HEAD, HEAD.c.name == asked.c.name),
)


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 300, 1_001, 2_500])
def test_each_row_is_told_of_in_its_place(database, count):
    given = [(f"name {n}", n % 3) for n in range(count)]
    rows = [
        head(4 * n + seq, name, seq) for n, (name, _) in enumerate(given) for seq in range(n % 4)
    ]
    with database.write() as connection:
        connection.execute(insert(HEAD), [head(-1, "", 2), *rows])
    with database.read() as connection:
        found = [(one, row.heads) for one, row in COUNTED.rows(connection, given, below=3)]
        joined = [
            (name, row.seq) for (name,), row in JOINED.rows(connection, [g[:1] for g in given])
        ]
    expected = [(one, sum(one[1] < seq < 3 for seq in range(n % 4))) for n, one in enumerate(given)]
    assert sorted(found) == sorted(expected)
    assert sorted(joined) == sorted((row["name"], row["seq"]) for row in rows)


def test_texts_are_given_as_they_are_and_twice_where_they_stand_twice(database):
    with database.write() as connection:
        connection.execute(insert(HEAD), [head(n, name, 5) for n, name in enumerate(ODD)])
    given = [(name, 2**62 if name == "plain" else -(2**62)) for name in ODD]
    with database.read() as connection:
        found = [(one, row.heads) for one, row in COUNTED.rows(connection, given * 2, below=9)]
    expected = [(one, int(one[0] != "plain")) for one in given] * 2
    assert sorted(found) == sorted(expected)
