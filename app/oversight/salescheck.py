"""What was sold, as ranking and credit count it, against what the records say.

A row of a sale (`sold_unit`) is checked where the goods are; see `resoldstore`. One of no goods is looked for
where its seller is, and there the counts by day (`sold_day`) are compared with the rows that they add up. A
seller that is no party has no stream: those are looked for all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from app.ledger.verifier import Problem
from app.trace import resoldstore, soldstore
from app.trace.gaps import Graces
from app.trace.soldstore import day_named

Fields = Mapping[str, Any]

_MOST = 20


def wrong_sales(
    connection: Connection, stream: str, records: Sequence[Fields], graces: Graces
) -> list[str]:
    """Returns the goods of which what was sold is not as recorded."""
    wrong = resoldstore.wrong_at_goods(connection, stream, records, graces)
    return [f"sold_unit.{stream}" + (f"#{subject}" if subject else "") for subject in wrong]


def baseless_sales(connection: Connection, seller: str) -> list[str]:
    """Returns the rows of a seller's sales that are of no goods, and its days that are miscounted.

    Of a day the counts that ranking reads are not those of the rows of what was sold.
    """
    units = resoldstore.without_goods(connection, seller, limit=_MOST)
    apart = soldstore.days_apart(connection, seller, limit=_MOST)
    days = [f"sold_day.{gtin}.{day_named(day)}" for _, gtin, day in apart]
    return [*(f"sold_unit.{unit}" for unit in units), *days]


def check_strangers(connection: Connection) -> Iterator[Problem]:
    """Yields the rows of sales by sellers that are no party, which stand beside no stream. Read-only."""
    sellers = resoldstore.strangers(connection, limit=_MOST)
    wrong = [name for seller in sellers for name in baseless_sales(connection, seller)]
    if wrong:
        yield Problem("index.row_mismatch", None, None, None, {"column": " ".join(wrong[:_MOST])})
