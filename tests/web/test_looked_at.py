"""Looks at labels are judged together: in few statements, each as if it came alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import outbox
from app.kit.clock import to_ms
from app.ledger.record import stream_key
from app.oversight import movestore, signstore
from app.oversight.deadlines import Deadlines
from app.oversight.kinds import SCAN_KINDS
from app.trace.scans import CODE_SCANNED
from app.trace.store import load_life
from tests.web.test_statements import counted

TOPIC = "made.up"


def ask(market, streams: list[int], *, topic: str = TOPIC) -> None:
    with market.rooms.database.write() as connection:
        outbox.ask_each(
            connection, streams=streams, topic=topic, payload={}, at_ms=to_ms(market.clock.now())
        )


def waiting(market, topic: str) -> dict[int, int]:
    """Returns by stream how often the messages that are there have failed."""
    told = f"SELECT stream, attempts FROM outbox WHERE topic = '{topic}'"
    with market.rooms.database.read() as connection:
        return {row.stream: row.attempts for row in connection.exec_driver_sql(told)}


def deadlines(market, prepare) -> Deadlines:
    rooms = market.rooms
    return Deadlines(
        rooms.database, rooms.findings, rooms.credit, clock=market.clock, together={TOPIC: prepare}
    )


def test_messages_are_prepared_together_and_each_is_done_or_put_off_for_itself(market):
    told: list[list[int]] = []

    def prepare(messages):
        told.append([message.stream for message in messages])
        return [lambda stream=message.stream: 1 / (stream - 3) for message in messages]

    ask(market, [1, 2, 3, 4])
    assert deadlines(market, prepare).drain() is False
    assert told == [[1, 2, 3, 4]]
    assert waiting(market, TOPIC) == {3: 1}
    market.clock.advance(3_600)
    assert deadlines(market, lambda messages: [bool for _ in messages]).drain() is False
    assert waiting(market, TOPIC) == {}


def test_one_that_cannot_be_prepared_stops_no_other(market):
    done: list[int] = []

    def prepare(messages):
        if any(message.stream == 3 for message in messages):
            raise ValueError(3)
        return [lambda stream=message.stream: done.append(stream) for message in messages]

    ask(market, [1, 2, 3, 4])
    deadlines(market, prepare).drain()
    assert done == [1, 2, 4]
    assert waiting(market, TOPIC) == {3: 1}
    market.clock.advance(3_600)
    deadlines(market, lambda messages: [bool for _ in messages]).drain()


def scan(market, code: str, *devices: int) -> None:
    scans = market.rooms.scans
    for device in devices:
        market.clock.advance(1)
        scans.note(code, scans.device(f"10.0.0.{device}", "phone"))


def test_what_looks_tell_does_not_depend_on_who_was_looked_at_with_them(market, monkeypatch):
    """Goods never sold, sold, a copied label, one that is gone: all in one batch, and each alone."""
    units = market.issue(8)
    for unit in units[1:]:
        market.sell(unit.code)
    market.work()
    rooms = market.rooms
    for n, unit in enumerate(units):
        scan(market, unit.code, *range(1 + 7 * (n == 2)))
    rooms.scans.flush()
    market.tamper("DELETE FROM head WHERE stream = ?", stream_key(units[5].code))
    keys = [stream_key(unit.code) for unit in units]
    watch = rooms.watch._scans

    def read() -> dict:
        with rooms.database.read() as connection:
            together = watch.read(connection, [*keys, 7])
            alone = [watch.read(connection, [key]) for key in keys]
        assert together == {key: one[key] for key, one in zip(keys, alone, strict=True)}
        return together

    together = read()
    assert [len(together[key].scans) for key in keys] == [1, 1, 8, 1, 1, 1, 1, 1]
    with monkeypatch.context() as few:
        few.setattr(signstore, "_MOST_SCANS", 3)
        assert read()[keys[2]].scans == together[keys[2]].scans[:3]
    times = [one.at for one in together[keys[2]].scans]
    assert times == sorted({*times})
    assert {*waiting(market, CODE_SCANNED)} & {*keys} == {*keys}
    with counted(rooms.database) as (found, _):
        rooms.deadlines.drain()
    assert len(found) <= 20, "\n".join(found)
    found = market.ask("GET", "/api/v1/findings?kind=identity&limit=500", token=market.admin)
    codes = {unit.code for unit in units}
    assert {one["stream"] for one in found["items"]} & codes == {units[2].code}
    # Who looked asks to be forgotten, and somebody else looks: what was found is put right.
    for device in range(1, 8):
        rooms.scans.forget(rooms.scans.device(f"10.0.0.{device}", "phone"))
    scan(market, units[2].code, 9)
    rooms.scans.flush()
    rooms.deadlines.drain()
    left = market.ask("GET", "/api/v1/findings?kind=identity&status=open", token=market.admin)
    assert {one["stream"] for one in left["items"]} & codes == set()
    # Never sold: it is looked at once more when a sale could no more come late.
    assert {*waiting(market, CODE_SCANNED)} & {*keys} == {keys[0]}
    market.clock.advance(40 * 86_400)
    rooms.deadlines.drain()


def test_what_was_read_long_ago_closes_nothing_that_was_found_since(market):
    """Of many at once the last is settled much later than read, and others settle it meanwhile."""
    unit = market.one()
    market.sell(unit.code)
    market.work()
    rooms, key = market.rooms, stream_key(unit.code)
    scan(market, unit.code, 1)
    rooms.scans.flush()
    with rooms.database.read() as connection:
        state = load_life(connection, unit.code, "")
        (looks,) = rooms.watch._scans.read(connection, [key]).values()
    scan(market, unit.code, *range(2, 9))
    rooms.scans.flush()
    rooms.deadlines.drain()

    def kinds() -> list[str]:
        asked = f"/api/v1/findings?kind=identity&status=open&stream={unit.code}"
        return [one["kind"] for one in market.ask("GET", asked, token=market.admin)["items"]]

    assert kinds() == ["identity.clone_suspected"]
    rooms.watch._scans.settle(unit.code, state, replace(looks, is_marked=True))
    assert kinds() == ["identity.clone_suspected"]


@pytest.mark.parametrize("count", [0, 1, 300])
def test_dismissals_of_many_goods_are_those_of_each(market, count):
    kind = SCAN_KINDS[0]
    keys = [1_000 * count + n for n in range(count)]
    row = {
        "kind": kind, "stream_name": "01/x", "subject": "", "seq": None, "party": None, "gtin": None,
        "evidence": "{}", "opened_at": 1, "attributed_to": None, "reason": None, "due_at": None,
        "round": 0,
    }  # fmt: skip
    with market.rooms.database.write() as connection:
        for n, key in enumerate(keys):
            status = ("dismissed", "grace", "open")[n % 3]
            closed = n if status == "dismissed" else None
            told = {"id": f"f{key}", "stream": key, "status": status, "closed_at": closed}
            movestore.save(connection, {**row, **told}, at=1, why="found")
            earlier = {"id": f"g{key}", "stream": key, "status": "dismissed", "closed_at": -1}
            movestore.save(connection, {**row, **earlier}, at=1, why="found")
        found = movestore.last_dismissals(connection, keys, SCAN_KINDS)
        assert found == {key: {kind: -1 if n % 3 else n} for n, key in enumerate(keys)}
        assert movestore.streams_with(connection, keys) == {
            key for n, key in enumerate(keys) if n % 3
        }
        connection.exec_driver_sql("DELETE FROM finding_move")
        connection.exec_driver_sql("DELETE FROM finding WHERE stream_name = '01/x'")
