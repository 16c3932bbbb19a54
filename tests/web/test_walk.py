"""The walk through all streams: nothing that a hand did to one stops it before the next."""

from __future__ import annotations

from itertools import count, pairwise
from types import SimpleNamespace

import pytest

from app.ledger.anchor import Anchor
from app.ledger.record import stream_key
from app.oversight import store
from app.oversight.audits import Audits
from tests.ledger.ledgers import runner
from tests.web.conftest import AUTHORITY

F = "/api/v1/findings?limit=500&status=open"

DAMAGES = {
    "a name that is none": "name = '不是名字'",
    "a name of readable bytes": "name = x'3031'",
    "a name that is a number": "name = 42",
    "no name": "name = ''",
    "a state that is no JSON": "state = x'ff'",
    "a state that is no object": "state = '[1]'",
    "a state whose parts are of other kinds": """state = '{"sale":1,"gaps":[],"recalls":"x"}'""",
    "a seq of text": "seq = 'one'",
    "a time of text": "recorded_at = 'yesterday'",
    "a hash of text": "hash = 'none'",
}

_TYPED = pytest.mark.sqlite_only("PostgreSQL keeps the types of its columns")
_OF_ANOTHER_TYPE = {"a seq of text", "a time of text"}


def walk_round(market) -> None:
    """Lets the walk go round once, and counts on no more than its cursor to know that it has."""
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, "audit.walk", -1, 0)
    for _ in range(50):
        market.rooms.audits.walk()
        with market.rooms.database.read() as connection:
            if store.load_cursor(connection, "audit.walk") == -1:
                return
    pytest.fail("the walk did not come round")


def open_findings(market, code: str = "") -> list[dict]:
    found = market.ask("GET", F, token=market.keys[AUTHORITY])["items"]
    return [f for f in found if f["stream"] == code or not code]


@pytest.mark.parametrize(
    "damage",
    [pytest.param(one, marks=[_TYPED] if one in _OF_ANOTHER_TYPE else []) for one in DAMAGES],
)
def test_the_walk_goes_on_past_a_damaged_head_and_finds_what_comes_later(market, damage):
    # In the order in which the walk meets them.
    first, later = sorted(market.issue(2), key=lambda unit: stream_key(unit.code))
    for unit in (first, later):
        market.sell(unit.code)
    market.publish()
    place = stream_key(first.code)
    with market.rooms.database.read() as connection:
        (head,) = runner(connection)("SELECT * FROM head WHERE stream = ?", place)
    market.tamper(f"UPDATE head SET {DAMAGES[damage]} WHERE stream = ?", place)
    body = "UPDATE record SET body = replace(body, ?, ?) WHERE stream = ? AND seq = 1"
    market.tamper(body, "440100", "440300", stream_key(later.code))
    for _ in range(2):
        walk_round(market)
        (found,) = open_findings(market, later.code)
        assert (found["kind"], found["seq"]) == ("integrity.hash_mismatch", 1)
        assert {f["stream"] for f in open_findings(market)} == {first.code, later.code}
    columns = ", ".join(f"{name} = ?" for name in head._mapping)
    market.tamper(f"UPDATE head SET {columns} WHERE stream = ?", *head, place)
    market.tamper(body, "440300", "440100", stream_key(later.code))
    walk_round(market)
    assert open_findings(market) == []


def test_the_walk_looks_at_the_log_although_a_head_is_damaged(market):
    unit = market.one()
    market.publish()
    place = stream_key(unit.code)
    market.tamper("UPDATE head SET name = x'ff00' WHERE stream = ?", place)
    with market.rooms.database.read() as connection:
        ((tile, data),) = connection.exec_driver_sql(
            "SELECT tile_index, data FROM tile WHERE level = 0 ORDER BY tile_index LIMIT 1"
        ).all()
    altered = "UPDATE tile SET data = ? WHERE level = 0 AND tile_index = ?"
    market.tamper(altered, bytes(len(data)), tile)
    walk_round(market)
    assert [f["kind"] for f in open_findings(market, "log")] == ["log.tile_mismatch"]
    market.tamper(altered, data, tile)
    market.tamper("UPDATE head SET name = ? WHERE stream = ?", unit.code, place)
    walk_round(market)
    assert open_findings(market) == []


def test_what_cannot_be_written_about_one_stream_stops_no_later_one(market, monkeypatch):
    """A finding that cannot be kept is tried again in the next round, not for ever in this one."""
    unit = market.one()
    market.sell(unit.code)
    market.publish()
    body = "UPDATE record SET body = replace(body, ?, ?) WHERE stream = ? AND seq = 1"
    market.tamper(body, "440100", "440300", stream_key(unit.code))

    def fail(*_):
        raise OSError("disk full")

    with market.rooms.database.write() as connection:
        store.save_cursor(connection, "audit.walk", -2, 0)
    monkeypatch.setattr(market.rooms.audits, "_take_in", fail)
    with pytest.raises(OSError, match="disk full"):
        market.rooms.audits.walk()
    monkeypatch.undo()
    with market.rooms.database.read() as connection:
        assert store.load_cursor(connection, "audit.walk") != -2, "it had moved on before"
    walk_round(market)
    assert [f["seq"] for f in open_findings(market, unit.code)] == [1]
    market.tamper(body, "440300", "440100", stream_key(unit.code))
    walk_round(market)
    assert open_findings(market) == []


def test_the_walk_takes_little_at_a_time_and_rests_after_a_round(market):
    """A turn of a tenth of a second held up every page that was asked for meanwhile."""
    walk_round(market)
    market.issue(120)
    audits = market.rooms.audits
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, "audit.walk", -1, 0)
    passed, rested = [], 0
    while True:
        with market.rooms.database.read() as connection:
            after = store.load_cursor(connection, "audit.walk")
            left = len(store.next_streams(connection, after, 10_000))
        if passed and after == -1:
            break
        passed.append(left)
        rests: list[float] = []
        audits.walk(rests.append)
        # A rest between two steps of ten, and one more before the next turn: 200 streams a second at most.
        assert len(rests) <= 4
        assert all(0.05 <= one < 5 for one in (*rests, audits.pause_s))
        rested += len(rests)
    assert rested
    assert max(before - now for before, now in pairwise(passed)) <= 50
    assert audits.pause_s == 1.0


def passed_by_one_walk(market, audits) -> int:
    """How many streams one turn of the walk, from the beginning, has behind it."""
    with market.rooms.database.write() as connection:
        store.save_cursor(connection, "audit.walk", -1, 0)
    with market.rooms.database.read() as connection:
        keys = [row.stream for row in store.next_streams(connection, -1, 10_000)]
    audits.walk()
    with market.rooms.database.read() as connection:
        return keys.index(store.load_cursor(connection, "audit.walk")) + 1


def test_a_turn_of_the_walk_ends_a_fortieth_of_a_second_after_it_began(market, monkeypatch):
    market.issue(60)
    hundredths = count()
    late = SimpleNamespace(monotonic=lambda: next(hundredths) / 100)
    monkeypatch.setattr("app.oversight.audits.time", late)
    assert passed_by_one_walk(market, market.rooms.audits) == 30, "ten, at three looks at the clock"


def test_a_turn_of_the_walk_reads_a_quarter_of_what_a_second_may(market):
    market.issue(60)
    rooms = market.rooms
    slow = Audits(
        rooms.database,
        rooms.findings,
        rooms.stories,
        clock=market.clock,
        vault=rooms.vault,
        log_keys=rooms.keyring.logs,
        anchor=Anchor(market.settings.anchor_dir),
        records_per_s=40,
    )
    assert passed_by_one_walk(market, slow) == 10
    # A step of ten streams has more than a turn may: what is too much is rested for.
    assert slow.pause_s >= 10 / 40
