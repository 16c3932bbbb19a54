"""The map of heads at many streams: first map, an hour's changes, proofs, and deriving it again.

The log is filled past the recorder, whose speed is measured elsewhere, with true records and tiles.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Connection

from app.bench.figures import Figure, percentile
from app.bench.market import opened
from app.bench.plan import Plan
from app.bench.processes import BenchFailed, run_alone
from app.db.upsert import upsert_rows
from app.kit.clock import to_ms
from app.kit.memory import peak_memory_mb
from app.ledger import headmaker, headstore, logstore, store, tilestore
from app.ledger.derivation import right_edge_reader
from app.ledger.headcheck import check_heads
from app.ledger.headmaker import HeadsMaps
from app.ledger.headproof import prove_head
from app.ledger.logstore import Waiting
from app.ledger.merkle import edge_append, edge_root, leaf_hash
from app.ledger.prover import Provers
from app.ledger.record import ZERO_HASH, Claim, record_body, record_hash, stream_key
from app.ledger.tiles import append_tiles
from app.web.deps import Rooms

_STREAMS = 1_000_000
_SHARE_CHANGED = 100
_PROOFS = 1_000
_FIRST_PIECE = 16_384
_CHUNK = 10_000
_TIMEOUT_S = 7_200


def measure_heads_map(plan: Plan) -> Figure:
    """Measures how many changed streams a second enter a map of very many, once."""
    count = plan.count(_STREAMS)
    folder = plan.folder("heads_map")
    plan.tell(f"heads_map: a log of {count} streams and its first map")
    made = run_alone("heads", folder, count, timeout_s=_TIMEOUT_S)
    plan.tell("heads_map: deriving it again")
    checked = run_alone("heads_check", folder, timeout_s=_TIMEOUT_S)
    if checked["problems"]:
        raise BenchFailed(f"{checked['problems']:.0f} problems in a map that nobody touched")
    return Figure(
        "heads_map",
        made["changed"] / made["update_s"],
        "streams/s",
        n=count,
        p50_ms=percentile(made["proof_ms"], 0.5),
        p99_ms=percentile(made["proof_ms"], 0.99),
        memory_mb=made["memory_mb"],
        also={
            "first_map_s": made["first_s"],
            "changed": float(made["changed"]),
            "update_s": made["update_s"],
            "longest_write_ms": made["write_ms"],
            "rows": float(made["rows"]),
            "pages_mb": made["bytes"] / 1e6,
            "siblings": float(made["siblings"]),
            "audit_s": checked["seconds"],
            "audit_memory_mb": checked["memory_mb"],
        },
    )


def make_maps(folder: Path, count: int) -> dict[str, Any]:
    """Fills a log with `count` streams, maps them, lets a hundredth move on, and maps them again."""
    dice = random.Random(1)  # the same streams each time
    with opened(folder) as rooms:
        _fill(rooms, ((_name(n), 0, ZERO_HASH) for n in range(count)))
        # In larger pieces than a service takes: nobody else waits for the writer here.
        with mock.patch.object(headmaker, "_PIECE", _FIRST_PIECE):
            first_s, _ = _make(rooms)
        changed = sorted(dice.sample(range(count), max(1, count // _SHARE_CHANGED)))
        with rooms.database.read() as connection:
            heads = store.load_heads(connection, map(_name, changed))
        _fill(rooms, ((name, 1, head.hash) for name, head in heads.items()))
        update_s, write_ms = _make(rooms)
        while rooms.sequencer.sequence():
            pass
        rooms.publisher.publish()
        memory_mb = peak_memory_mb()
        proof_ms, siblings = _prove(rooms, [dice.randrange(count) for _ in range(_PROOFS)])
        with rooms.database.read() as connection:
            rows, size = headstore.measure_pages(connection)
    return {
        "first_s": first_s,
        "changed": len(changed),
        "update_s": update_s,
        "write_ms": write_ms,
        "proof_ms": proof_ms,
        "siblings": siblings,
        "rows": rows,
        "bytes": size,
        "memory_mb": memory_mb,
    }


def check_maps(folder: Path) -> dict[str, float]:
    """Derives the last map again, as an audit does."""
    with opened(folder) as rooms, rooms.database.read() as connection:
        began = time.perf_counter()
        problems = list(check_heads(connection))
        taken_s = time.perf_counter() - began
    return {"seconds": taken_s, "problems": len(problems), "memory_mb": peak_memory_mb()}


def _name(number: int) -> str:
    return f"01/09521234543213/21/{number:012d}"


def _make(rooms: Rooms) -> tuple[float, float]:
    """Makes the map that is due; returns the seconds, and the longest write transaction in ms."""
    while rooms.sequencer.sequence():
        pass  # the last map's record
    rooms.publisher.publish()
    timed = _Timed(rooms.database)
    maps = HeadsMaps(
        timed,  # type: ignore[arg-type] # reads and writes as the database does
        rooms.recorder,
        log_key=rooms.keyring.log.vkey,
        clock=rooms.clock,
        interval_s=0,
    )
    before = _recorded(rooms)
    began = time.perf_counter()
    while _recorded(rooms) == before:
        maps.work()
    return time.perf_counter() - began, timed.longest_ms


def _recorded(rooms: Rooms) -> int:
    """Returns the version of the newest map that is recorded, 0 where none is."""
    with rooms.database.read() as connection:
        maps = headstore.load_maps(connection)
    return next((one.version for one in maps if one.seq is not None), 0)


class _Timed:
    """A database whose write transactions are timed."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.longest_ms = 0.0

    def read(self) -> AbstractContextManager[Connection]:
        reading: AbstractContextManager[Connection] = self._database.read()
        return reading

    @contextmanager
    def write(self) -> Iterator[Connection]:
        began = time.perf_counter()
        with self._database.write() as connection:
            yield connection
        self.longest_ms = max(self.longest_ms, (time.perf_counter() - began) * 1000)


def _prove(rooms: Rooms, numbers: Iterable[int]) -> tuple[list[float], int]:
    taken_ms, longest = [], 0
    for number in numbers:
        began = time.perf_counter()
        with rooms.database.read() as connection:
            provers = Provers(connection, rooms.keyring.logs)
            proof = prove_head(connection, _name(number), provers)
        taken_ms.append((time.perf_counter() - began) * 1000)
        if proof is None or proof.leaf is None:
            raise BenchFailed(f"{_name(number)} is not in the map")
        longest = max(longest, len(proof.siblings))
    return taken_ms, longest


def _fill(rooms: Rooms, places: Iterator[tuple[str, int, bytes]]) -> None:
    """Puts a record at each place (stream, seq, prev) into records, heads and log."""
    while chunk := list(islice(places, _CHUNK)):
        with rooms.database.write() as connection:
            _append(connection, rooms, chunk)


def _append(connection: Connection, rooms: Rooms, places: Sequence[tuple[str, int, bytes]]) -> None:
    now = rooms.clock.now()
    records, waiting = [], []
    for stream, seq, prev in places:
        claim = Claim(stream, str(uuid.uuid4()), "notice", "system", now, {"text": "示例"}, {})
        body = record_body(
            claim, seq=seq, prev=prev, recorded_at=now, source="system", via=None, refs=(),
            signed=None,
        )  # fmt: skip
        waiting.append(Waiting(stream_key(stream), seq, record_hash(body)))
        records.append(
            {
                "stream": waiting[-1].stream,
                "seq": seq,
                "id": uuid.UUID(claim.id).bytes,
                "type": claim.type,
                "actor": claim.actor,
                "recorded_at": to_ms(now),
                "hash": waiting[-1].hash,
                "body": body,
            }
        )
    store.insert_rows(connection, store.RECORD, records)
    heads = [
        {"stream": w.stream, "name": stream, "seq": w.seq, "hash": w.hash, "recorded_at": to_ms(now),
         "state": b"{}"}
        for w, (stream, _, _) in zip(waiting, places, strict=True)
    ]  # fmt: skip
    upsert_rows(connection, store.HEAD, heads, keys=("stream",))
    before = logstore.load_state(connection)
    assert before is not None, "it was set up"
    entries = [w.hash for w in waiting]
    size = before.size + len(entries)
    edge = edge_append(before.size, before.edge, [leaf_hash(entry) for entry in entries])
    after = replace(before, size=size, root=edge_root(size, edge), edge=edge)
    logstore.move_state(connection, before, after)
    logstore.insert_leaves(connection, before.end, waiting)
    read_tile = right_edge_reader(connection, before, before.edge, on_damage=lambda *_: None)
    tilestore.save_tiles(connection, before.log, append_tiles(before.size, entries, read_tile))
