"""A market that has traded for a while, made once for all drills; each takes a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.deployment import Deployment, wait_until
from tests.drills.trade import SHOP, STALL, Trade

SHOP_CHAINS, STALL_CHAINS = 13, 3


@pytest.fixture(scope="session")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Trade:
    """A stopped deployment: enough completed chains of the shop to be ranked, a few of the stall."""
    place = Deployment(tmp_path_factory.mktemp("traded") / "market").init().serve()
    try:
        trade = Trade(place).begin()
        trade.complete(SHOP, SHOP_CHAINS)
        trade.complete(STALL, STALL_CHAINS)
        wait_until(lambda: trade.credit(STALL)["completed_chains"] == STALL_CHAINS, "chains count")
        wait_until(lambda: trade.credit(SHOP)["score"] == 705, "five points a day for chains")
        wait_until(lambda: trade.credit(STALL)["score"] == 703, "a point for each chain")
        place.wait_settled()
    finally:
        place.close()
    code, told = place.audit()
    assert (code, told["findings"]) == (0, [])
    return trade


@pytest.fixture
def market(traded: Trade, tmp_path: Path) -> Iterator[Trade]:
    """A copy of the traded deployment, not served yet."""
    place = traded.place.copy_to(tmp_path / "market")
    yield traded.moved_to(place)
    place.close()


@pytest.fixture(scope="module")
def served(traded: Trade, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trade]:
    """A copy that is served as long as the module runs."""
    place = traded.place.copy_to(tmp_path_factory.mktemp("served") / "market").serve()
    yield traded.moved_to(place)
    place.close()
