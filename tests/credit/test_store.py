"""Counting whole chains: of many sellers at once, and no further than is asked."""

import pytest
from sqlalchemy import insert

from app.credit import store
from app.db.hot import HotSelect
from app.trace.soldstore import SOLD

MOST = 3


def sold(number: int, seller: str, **more) -> dict:
    row = dict.fromkeys((c.name for c in SOLD.columns if c.nullable), None)
    row |= {c.name: 0 for c in SOLD.columns if not c.nullable}
    return row | {"stream": number, "seller": seller, "gtin": "0", "completed_at": 5} | more


@pytest.mark.parametrize("sellers", [0, 1, 5, 64, 65, 150])
def test_each_seller_is_counted_up_to_the_most_and_all_in_few_statements(
    database, monkeypatch, sellers
):
    names = [f"seller-{n}" for n in range(sellers)]
    rows = [
        sold(1_000 * n + unit, name)
        for n, name in enumerate(names)
        for unit in range(n % (MOST + 2))
    ]
    rows += [sold(900_000 + n, name, completed_at=None) for n, name in enumerate(names)]
    rows.append(sold(999_999, ""))  # what fills a statement up is nobody
    with database.write() as connection:
        connection.execute(insert(SOLD), rows)
    asked: list[HotSelect] = []
    real = HotSelect.rows

    def counted(self, connection, **values):
        asked.append(self)
        return real(self, connection, **values)

    monkeypatch.setattr(HotSelect, "rows", counted)
    with database.read() as connection:
        some = store.completed_counts(connection, names, now_ms=9, most=MOST)
        round_trips = len(asked)
        whole = store.completed_counts(connection, names, now_ms=9)

    assert some == {name: min(n % (MOST + 2), MOST) for n, name in enumerate(names)}
    assert {name: min(whole.get(name, 0), MOST) for name in names} == some
    assert round_trips == (1 if sellers else 0)
