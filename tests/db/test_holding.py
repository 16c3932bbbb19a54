"""Bytes are found in bytes on both databases, as they are."""

import pytest
from sqlalchemy import bindparam, insert, or_, select

from app.db.holding import HoldsBytes
from app.db.hot import HotSelect
from app.ledger.store import FACT

VALUES = [b'{"type":"reply"}', b'{"type":"REPLY"}', b'{"type":"repl_"}', '石质"type"'.encode(), b""]


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([b'"type":"reply"'], [0]),
        ([b'"type":"repl_"', "石".encode()], [2, 3]),
        ([b"%"], []),
        ([b'"type'], [0, 1, 2, 3]),
    ],
)
def test_only_bytes_that_hold_the_others_are_found(database, parts, found):
    with database.write() as connection:
        rows = [{"stream": 7, "key": str(n), "value": one} for n, one in enumerate(VALUES)]
        connection.execute(insert(FACT), rows)
        held = or_(*(HoldsBytes(FACT.c.value, one) for one in parts))
        query = select(FACT.c.key).where(FACT.c.stream == bindparam("stream"), held)
        query = query.order_by(FACT.c.key)
        expected = [str(n) for n in found]
        assert [row.key for row in connection.execute(query, {"stream": 7})] == expected
        assert [row.key for row in HotSelect(query).rows(connection, stream=7)] == expected
