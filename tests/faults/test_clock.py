"""A clock that is set back or ahead: no record is dated before the one it follows, none is dragged along."""

from __future__ import annotations

import pytest

from app.ledger import store
from app.ledger.record import stream_key
from tests.faults.life import Life
from tests.ledger.ledgers import OTHER, UNIT

JUMPS = (-0.5, 3, -4, 3600, -3600, 86_400, -86_400 * 2, 0.001, 86_400 * 2)


def test_a_clock_that_jumps(ledger, clock, tried):
    life = Life(ledger).begin()
    refused = []
    for seconds in JUMPS:
        clock.advance(seconds)
        life.faults.clear()
        life.turn()
        life.look()
        refused.append(life.faults.count("ClockBehind"))
        # The log itself never waits for the clock.
        assert set(life.faults) <= {"ClockBehind", "Abandoned"}
    # Up to five seconds are smoothed; beyond that it is refused until the clock has caught up.
    assert [bool(count) for count in refused] == [
        False, False, False, False, True, False, True, True, False,
    ]  # fmt: skip
    life.settle()
    with ledger.database.read() as connection:
        for stream in (UNIT, OTHER):
            rows = connection.exec_driver_sql(
                f"SELECT recorded_at FROM record WHERE stream = {stream_key(stream)} ORDER BY seq"
            ).scalars()
            times = list(rows)
            assert times == sorted(times)
            assert store.load_record(connection, stream, 0) is not None
    tried("the clock jumps", ledger.database.dialect, len(JUMPS))


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_checkpoint_signed_under_a_wrong_clock_is_a_checkpoint(ledger, clock, seconds):
    life = Life(ledger).begin()
    life.turn()
    clock.advance(seconds)
    ledger.publish()
    life.look()
    clock.advance(-seconds)
    life.settle()
