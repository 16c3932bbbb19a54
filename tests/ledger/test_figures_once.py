"""Figures are counted once, whoever counts at the same moment; on both databases."""

from __future__ import annotations

import threading
from contextlib import closing, suppress

import pytest

from app.db.engine import Database
from app.oversight import figurestore, store
from app.oversight.figures import CURSOR, Figures
from tests.ledger.ledgers import SHOP

PATIENCE_S = 1.0


class Together:
    """A place where two threads wait for each other, and no longer than a moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self._barrier = threading.Barrier(2)
        plain = getattr(figurestore, name)

        def meet(*args):
            found = plain(*args) if name == "new_records" else None
            with suppress(threading.BrokenBarrierError):  # the other waits for us, in the database
                self._barrier.wait(PATIENCE_S)
            return found if name == "new_records" else plain(*args)

        monkeypatch.setattr(figurestore, name, meet)


def recorded(ledger) -> int:
    with ledger.database.read() as connection:
        rows = figurestore.by_region(connection, since="")
        return sum(int(row[3]) for row in rows if row[2] == "records")


@pytest.mark.parametrize("before", [0, 4])
def test_two_who_count_the_same_records_count_them_once(ledger, monkeypatch, before):
    if before:
        ledger.grow(before)
        Figures(ledger.database, clock=ledger.clock).follow()
    ledger.grow(5)
    with monkeypatch.context() as patched:
        Together(patched, "new_records")
        Together(patched, "add")
        threads = []
        with closing(Database(ledger.url)) as other:
            for database in (ledger.database, other):
                figures = Figures(database, clock=ledger.clock)
                threads.append(threading.Thread(target=figures.follow))
                threads[-1].start()
            for thread in threads:
                thread.join()
    assert recorded(ledger) == before + 5
    with ledger.database.read() as connection:
        assert store.load_cursor(connection, CURSOR) == before + 5 - 1
        assert {row[0] for row in connection.exec_driver_sql("SELECT party FROM month_figure")} == {
            SHOP
        }


def test_who_counts_while_figures_are_forgotten_leaves_none_behind(ledger, monkeypatch):
    ledger.grow(3)
    figures = Figures(ledger.database, clock=ledger.clock)
    figures.follow()
    ledger.grow(4)
    counting = threading.Event()
    plain = figurestore.add

    def slowly(connection, counts):
        counting.set()
        forgetting.join(PATIENCE_S)  # it waits for us, where the database has several writers
        plain(connection, counts)

    def forget() -> None:
        counting.wait()
        with closing(Database(ledger.url)) as other, other.write() as connection:
            figurestore.forget(connection, CURSOR)

    forgetting = threading.Thread(target=forget)
    monkeypatch.setattr(figurestore, "add", slowly)
    forgetting.start()
    figures.follow()
    forgetting.join()
    monkeypatch.setattr(figurestore, "add", plain)
    while figures.follow():
        pass
    assert recorded(ledger) == 7
