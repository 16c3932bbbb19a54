"""While nobody can write: whoever looks is answered all the same, and what was found follows after."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from app.kit.errors import Overloaded
from app.web.turns import Turns
from tests.web.conftest import SHOP
from tests.web.test_ranking_api import offer, rank, why

HELD_S = 60.0
# A look waits half a second for its report; the rest is for machines that do other things too.
SOON_S = 15.0


@contextmanager
def writer_held(market):
    """Holds what a finding has to wait for."""
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with market.rooms.database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE finding IN SHARE MODE")
            held.set()
            free.wait(HELD_S)

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(hold)
        assert held.wait(10)
        try:
            yield
        finally:
            free.set()
            done.result()


def page(market, unit) -> tuple[float, str]:
    begun = time.monotonic()
    answer = market.call("GET", f"/{unit.code}", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    return time.monotonic() - begun, answer.text


def broken(market, count: int):
    units = market.issue(count)
    sent = [market.sell(unit.code) for unit in units]
    market.publish()
    for one in sent:
        market.tamper("UPDATE record SET body = x'ff' WHERE hash = ?", bytes.fromhex(one["hash"]))
    return units


@pytest.fixture(scope="module")
def patient() -> None:
    """Here it is as in use, where the writer is held."""


def holds(market) -> int:
    return len(market.ask("GET", f"/api/v1/credit/{SHOP}")["holds"])


def integrity(market) -> float:
    (item,) = rank(market, offer(SHOP))
    return why(item)["integrity"]


def test_broken_pages_keep_no_other_page_waiting_and_have_their_effect_after(market):
    before = holds(market)
    intact = market.one()
    found = broken(market, 3)
    page(market, intact)
    with writer_held(market), ThreadPoolExecutor(3) as readers:
        red = [readers.submit(page, market, unit) for unit in found]
        time.sleep(0.1)
        took, text = page(market, intact)
        assert (took < SOON_S, "verdict-intact" in text) == (True, True), took
        for one in red:
            took, text = one.result()
            assert (took < SOON_S, "verdict-broken" in text) == (True, True), took
        took = time.monotonic()
        assert market.ask("GET", f"{found[0].path}")["verdict"] == "broken"
        assert time.monotonic() - took < SOON_S
        assert holds(market) == before
    freed = time.monotonic()
    while (holds(market), integrity(market)) != (
        before + 3,
        0,
    ) and time.monotonic() < freed + SOON_S:
        time.sleep(0.02)
    assert (holds(market), integrity(market)) == (before + 3, 0)
    assert time.monotonic() - freed < SOON_S


def test_with_a_free_writer_the_effect_is_there_when_the_page_is(market, monkeypatch):
    monkeypatch.setattr("app.web.pages.routes.PATIENCE_S", SOON_S)
    before = holds(market)
    (unit,) = broken(market, 1)
    page(market, unit)
    assert holds(market) == before + 1


def test_more_pages_than_may_wait_are_refused_and_the_others_answered():
    free = threading.Event()

    async def ask() -> list[object]:
        turns = Turns(most=3)
        asked = [asyncio.ensure_future(turns.run(lambda: free.wait(10))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await turns.run(lambda: True)
        free.set()
        done = await asyncio.gather(*asked)
        done.append(await turns.run(lambda: True))
        turns.close()
        return done

    assert asyncio.run(ask()) == [True] * 4
