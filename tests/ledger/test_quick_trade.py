"""On a database of real trade, any value of any audited table altered: both ways find the same.

The quick way tells states from frames here, and looks at rows of products and parties; what it passes,
the long way passes, and nothing that nobody touched ever takes the long one.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

import app.db.tables  # noqa: F401 - fills the metadata
from app.bench.market import Market, opened
from app.ledger.auditstore import EVERYTHING
from app.ledger.quick import QuickProof
from app.ledger.treecheck import _TreeCheck, check_tree
from app.oversight.whole_audit import new_audit
from app.trace.plainlife import PlainLives
from app.trace.story import Stories
from tests.ledger.ledgers import runner
from tests.trace.lives import GRACES

TABLES = ["record", "head", "log_leaf", "unsequenced", "tile", "log_state", "sealed_section"]
TABLES += ["product", "lot", "party", "credit_entry", "credit_hold"]
COLUMNS = [
    f"{table}.{column.name}" for table in TABLES for column in SQLModel.metadata.tables[table].c
]
OTHERS = [None, 0, 1, -1, 2**53, "", "x", "é", b"", b"\x00", b"{}", b"null", "AAAA", 1.5]


class Trade:
    """A market with lives of every length; each alteration is undone."""

    def __init__(self, rooms: Any, connection: Any) -> None:
        self.rooms = rooms
        self.connection = connection
        self.run = runner(connection)

    def new_audit(self) -> Any:
        vault = self.rooms.vault
        stories = Stories(vault=vault, log_keys=self.rooms.keyring.logs, graces=GRACES)
        return new_audit(self.connection, vault=vault, stories=stories)

    def both_ways(self) -> list[Any]:
        quick, slow = self.new_audit(), self.new_audit()
        found = [*quick.check_all(), *check_tree(self.connection, [])]
        with mock.patch.object(_TreeCheck, "_prove_clean", return_value=None):
            explained = [*slow.explain_span(EVERYTHING), *check_tree(self.connection, [])]
        assert found == explained
        assert (quick.streams, quick.records) == (slow.streams, slow.records)
        return found

    def alter(self, table: str, column: str, pick: random.Random, value: Any) -> None:
        """Puts a value, or the old one with a byte or digit changed, into a row."""
        rowid = pick.choice([row[0] for row in self.run(f"SELECT rowid FROM {table}")] or [0])
        for (old,) in self.run(f"SELECT {column} FROM {table} WHERE rowid = ?", rowid):
            new = changed(old, pick) if value is ... else value
            with contextlib.suppress(IntegrityError):  # SQLite's own keys take no text
                self.run(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", new, rowid)


def changed(old: Any, pick: random.Random) -> Any:
    match old:
        case bytes() if old:
            at = pick.randrange(len(old))
            return old[:at] + bytes([old[at] ^ 1 << pick.randrange(8)]) + old[at + 1 :]
        case str() if old:
            at = pick.randrange(len(old))
            return old[:at] + pick.choice("0aZ/") + old[at + 1 :]
        case int():
            return old ^ 1 << pick.randrange(8)
    return "x"


@pytest.fixture(scope="module")
def trade(tmp_path_factory: Any) -> Iterator[Trade]:
    with opened(tmp_path_factory.mktemp("trade") / "market") as rooms:
        market = Market(rooms, shops=2, goods=2)
        market.trade(24)
        units = market.issue(market.shops[0], 4)
        market.sell(market.shops[0], units[:3])
        market.sell_signed(market.shops[1], 1)
        reason = [{"reason": "seven days"}]
        market.send(market.shops[0], units[:1], "return", reason)
        market.finish()
        market.issue(market.shops[1], 2)  # wait for their place in the log
        with rooms.database.write() as connection:
            run = runner(connection)
            for name, _ in run("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"):
                run(f"DROP TRIGGER {name}")
            run("PRAGMA defer_foreign_keys = ON")
            yield Trade(rooms, connection)
            connection.rollback()


@pytest.fixture
def undone(trade: Trade) -> Iterator[Trade]:
    savepoint = trade.connection.begin_nested()
    yield trade
    savepoint.rollback()


def test_what_nobody_touched_is_clean_and_mostly_told_in_one_go(undone):
    asked = mock.Mock(wraps=PlainLives.holds)
    told = []
    with (
        mock.patch.object(PlainLives, "holds", lambda *args: told.append(asked(*args)) or told[-1]),
        mock.patch.object(QuickProof, "_is_clean", autospec=True, side_effect=QuickProof._is_clean)
        as parsed,
    ):  # fmt: skip
        audit = undone.new_audit()
        audit.check_key = audit.explain_span = lambda *_: pytest.fail("explained")
        assert list(audit.check_all()) == []
    assert told.count(True) >= 5
    assert parsed.call_count < audit.records / 4
    assert undone.both_ways() == []


@pytest.mark.parametrize("column", COLUMNS)
def test_one_value_altered_is_judged_alike(undone, column):
    table, name = column.split(".")
    pick = random.Random(column)
    for value in (..., ..., *pick.sample(OTHERS, 2)):
        savepoint = undone.connection.begin_nested()
        undone.alter(table, name, pick, value)
        undone.both_ways()
        savepoint.rollback()


@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(COLUMNS), st.sampled_from([..., ..., *OTHERS])),
        min_size=2, max_size=4,
    ),
    st.integers(0, 2**32),
)  # fmt: skip
def test_several_values_altered_are_judged_alike(trade, alterations, seed):
    pick = random.Random(seed)
    savepoint = trade.connection.begin_nested()
    try:
        for column, value in alterations:
            trade.alter(*column.split("."), pick, value)
        trade.both_ways()
    finally:
        savepoint.rollback()


def test_a_state_with_any_byte_altered_is_found(undone):
    unit = "SELECT stream, state FROM head WHERE name LIKE '%/21/%' ORDER BY length(state) DESC"
    (stream, state), *_ = undone.run(unit)
    assert b'"completed"' in state
    places = random.Random(20261125).sample(range(len(state)), 40)
    for at in places:
        savepoint = undone.connection.begin_nested()
        altered = state[:at] + bytes([state[at] ^ 1]) + state[at + 1 :]
        undone.run("UPDATE head SET state = ? WHERE stream = ?", altered, stream)
        (problem,) = undone.both_ways()
        assert problem.evidence == {"column": "head.state"}
        savepoint.rollback()
