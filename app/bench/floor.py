"""What an audit costs in CPython at the least: its checks one upon another, each as plain as it can be.

An upper bound of the ratio that `audit` can reach, and where it comes from. Every stage does all that
the one before it does, over the same rows; the last one only reads what is left. Left out is what has no
plain form: states folded and compared, references, seals, signatures, tiles as they are stored.
"""

from __future__ import annotations

import sqlite3
import time
from binascii import hexlify
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from app.bench.bare import hash_all
from app.bench.figures import Figure, median
from app.bench.processes import BenchFailed
from app.ledger.frame import FrameReader, name_part
from app.ledger.record import ZERO_HASH

STAGES = ("bare", "rows", "links", "columns", "tree", "beside")
"""The ceiling of `audit`; leaf and head of each row read and compared too; sequence, link and head;
every column against the body; two hashes a leaf, and the root against the tree's state; states, rows of
sales, tiles and leaves without a record read, and nothing done with them."""

_FIELDS = ("seq", "type", "actor", "prev")
_ROWS = (
    "SELECT r.stream, r.seq, r.id, r.type, r.actor, r.recorded_at, r.hash, r.body, l.hash, h.name,"
    " h.seq, h.hash FROM record r LEFT JOIN log_leaf l ON l.stream = r.stream AND l.seq = r.seq"
    " JOIN head h ON h.stream = r.stream ORDER BY r.stream, r.seq"
)

_BESIDE = (
    "SELECT stream, state FROM head ORDER BY stream",
    "SELECT * FROM sold_unit ORDER BY stream",
    "SELECT * FROM tile",
    "SELECT stream, seq FROM log_leaf WHERE (stream, seq) NOT IN (SELECT stream, seq FROM record)",
)


def measure_floor(path: Path, runs: int) -> Figure:
    """Measures every stage `runs` times, one after the other, in processor time of this process."""
    taken_us: dict[str, list[float]] = {stage: [] for stage in STAGES}
    count = 0
    for _ in range(runs):
        for stage in STAGES:
            began = time.process_time()
            count = (
                hash_all(f"sqlite:///{path}")
                if stage == "bare"
                else _check_all(path, STAGES.index(stage))
            )
            taken_us[stage].append((time.process_time() - began) * 1e6 / count)
    us = {stage: median(told) for stage, told in taken_us.items()}
    return Figure(
        "audit_floor",
        1e6 / us["beside"],
        "records/s of CPU",
        n=count,
        ceiling=1e6 / us["bare"],
        also={f"{stage}_us": us[stage] for stage in STAGES},
    )


def _check_all(path: Path, upto: int) -> int:
    """Returns how many records there are, all of them checked up to this stage."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(_ROWS)
        count = (_hashed, _linked, _compared)[min(upto, 3) - 1](rows)
        if upto >= STAGES.index("tree"):
            entries = connection.execute("SELECT hash FROM log_leaf ORDER BY leaf_index")
            (told,) = connection.execute("SELECT root FROM log_state").fetchone()
            if _root(entry for (entry,) in entries) != told:
                raise BenchFailed("the root is another")
        if upto >= STAGES.index("beside"):
            for statement in _BESIDE:
                deque(connection.execute(statement), maxlen=0)
    return count


def _hashed(rows: Iterable[tuple[Any, ...]]) -> int:
    count = 0
    for row in rows:
        if not sha256(row[7]).digest() == row[6] == row[8]:
            raise BenchFailed(f"{row[:2]}: its hash")
        count += 1
    return count


def _linked(rows: Iterable[tuple[Any, ...]]) -> int:
    count, link, expected = 0, ZERO_HASH, 0
    for row in rows:
        _, seq, _, _, _, _, hash_, body, entry, _, last, head = row
        if not sha256(body).digest() == hash_ == entry:
            raise BenchFailed(f"{row[:2]}: its hash")
        if seq != expected or hexlify(link) not in body:
            raise BenchFailed(f"{row[:2]}: its link")
        count += 1
        link, expected = hash_, seq + 1
        if seq == last:
            if head != hash_:
                raise BenchFailed(f"{row[:2]}: the head")
            link, expected = ZERO_HASH, 0
    return count


def _compared(rows: Iterable[tuple[Any, ...]]) -> int:
    reader = FrameReader(lambda _ref: True)
    names: Mapping[str, bytes] = _Names()
    count, link, expected = 0, ZERO_HASH, 0
    for row in rows:
        _, seq, id_, type_, actor, at, hash_, body, entry, name, last, head = row
        if not sha256(body).digest() == hash_ == entry:
            raise BenchFailed(f"{row[:2]}: its hash")
        if seq != expected:
            raise BenchFailed(f"{row[:2]}: its place")
        # The link is one of the parts that a body is put together from.
        if reader.read(body, names[name], seq, id_, type_, actor, at, hexlify(link)) is None:
            told = orjson.loads(body)  # what is not that plainly written, one in a hundred
            if [told[k] for k in _FIELDS] != [seq, type_, actor, link.hex()]:
                raise BenchFailed(f"{row[:2]}: its columns")
        count += 1
        link, expected = hash_, seq + 1
        if seq == last:
            if head != hash_:
                raise BenchFailed(f"{row[:2]}: the head")
            link, expected = ZERO_HASH, 0
    return count


class _Names(dict[str, bytes]):
    """Names as records have them; four records in a row have the same."""

    def __missing__(self, name: str) -> bytes:
        self.clear()
        made = self[name] = name_part(name)
        return made


def _root(entries: Iterator[bytes]) -> bytes:
    """Returns the root over all of these (RFC 9162 section 2.1.1), level by level."""
    level = [sha256(b"\x00" + entry).digest() for entry in entries]
    while len(level) > 1:
        left = iter(level)
        above = [sha256(b"\x01" + one + two).digest() for one, two in zip(left, left, strict=False)]
        # What has no partner goes up as it is.
        level = above + level[2 * len(above) :]
    return level[0]
