"""The map of heads derived once more: whether the last recorded root is that of the log's records.

By a path of its own: from the leaves and the heads' names, sorted outside of memory, folded by a
builder that shares nothing with the pages but the two hashes. The pages, which prove themselves
against the recorded root, then say of which streams the two disagree: a chain whose end was taken out
of records, leaves and heads alike still stands in the map.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from app.ledger import headstore, logstore
from app.ledger.bundle_shape import is_map_root
from app.ledger.headmap import Leaf, RootBuilder, map_key
from app.ledger.headpages import PageDamaged, read_all
from app.ledger.record import has_key, record_hash, stream_key
from app.ledger.store import StoredRecord, as_bytes, stream_name
from app.ledger.verifier import Problem, read_record

# Of a log that was exchanged nearly every stream is another; the first ones say enough.
MOST_STREAMS = 100

_BATCH = 5_000
_CACHE_KIB = 2 * 1024  # as much again is taken by the sort


@dataclass(frozen=True, slots=True)
class _Derived:
    """A stream's head by the log. place: stream key, which finds its name again."""

    leaf: Leaf
    place: int


def check_heads(
    connection: Connection,
    *,
    is_known: Callable[[str], bool] = lambda _: False,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Problem]:
    """Yields where the last recorded map and the log disagree. Read-only but for a temporary file.

    is_known: whether something was found on a stream already, which then explains this too.
    progress: told the number of leaves done. Memory does not grow with the log.
    """
    record = headstore.last_map_root(connection)
    data = None if record is None else _data_of(record)
    if record is None or data is None:
        return  # none yet, or an altered record, which is found where it stands
    states = {state.origin: state for state in logstore.load_states(connection)}
    if data["log"] not in states:
        yield Problem("log.heads_mismatch", None, None, record.leaf_index, {"log": data["log"]})
        return
    end = states[data["log"]].log.start + data["size"]
    root = bytes.fromhex(data["root"])
    with closing(sqlite3.connect("")) as file:  # SQLite's own temporary file
        _sort(connection, file, end, progress)
        builder = RootBuilder()
        for derived in _sorted(file):
            builder.add(derived.leaf)
        derived_root = builder.root()
        same = (derived_root, builder.leaves) == (root, data["streams"])
        try:
            # In any case: a page that was changed shows only by reading it.
            named = _compare(connection, file, record, root)
        except PageDamaged as damaged:
            yield Problem("log.heads_mismatch", None, None, None, {"page": damaged.place})
            named = []
        if same:
            return
        for found in named:
            if "stream" not in found.evidence or not is_known(found.evidence["stream"]):
                yield found
    if not named:
        evidence = {"size": str(data["size"]), "expected": root.hex(), "got": derived_root.hex()}
        yield Problem("log.heads_mismatch", None, None, record.leaf_index, evidence)


def is_explained(problem: Problem, streams: Collection[str | None]) -> bool:
    """Whether a map's problem is one of a stream on which something was found already."""
    return problem.kind == "log.heads_mismatch" and problem.evidence.get("stream", "") in streams


def _data_of(record: StoredRecord) -> dict[str, Any] | None:
    if record.entry != record_hash(record.body):
        return None
    fields = read_record(record.body)
    if fields is None or not is_map_root(fields["data"]):
        return None
    data: dict[str, Any] = fields["data"]
    return data


def _sort(
    connection: Connection,
    file: sqlite3.Connection,
    end: int,
    progress: Callable[[int], None],
) -> None:
    """Puts the heads of the leaves before a place into the file, some of them several times."""
    file.executescript(
        f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA temp_store = FILE;"
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
        "CREATE TABLE leaf (key BLOB, seq INTEGER, hash BLOB, place INTEGER)"
    )
    batch: dict[bytes, tuple[int, bytes, int]] = {}
    lost: dict[int, bytes | None] = {}
    for done, row in enumerate(headstore.named_leaves(connection, end), start=1):
        key = _key_of(connection, row, lost)
        seq: Any = row.seq
        if key is not None and isinstance(seq, int):
            known = batch.get(key)
            if known is None or known[0] < seq:
                batch[key] = (seq, as_bytes(row.hash), row.stream)
        if len(batch) >= _BATCH:
            _put(file, batch)
            batch = {}
            progress(done)
    _put(file, batch)


def _key_of(connection: Connection, row: Any, lost: dict[int, bytes | None]) -> bytes | None:
    """Returns the map's key of a leaf row, None where nothing tells its stream's name.

    lost: keys of streams that needed a search, kept for their other leaves.
    """
    name = row.name
    if has_key(name, row.stream):
        return map_key(name)
    if row.stream not in lost:
        told = _told_name(connection, row.stream)
        lost[row.stream] = None if told is None else map_key(told)
    return lost[row.stream]


def _told_name(connection: Connection, place: int) -> str | None:
    """Returns a stream's name as its first sound record tells it: its head is gone or was altered."""
    for body in headstore.first_bodies(connection, place):
        fields = read_record(body)
        if fields is not None and stream_key(fields["stream"]) == place:
            name: str = fields["stream"]
            return name
    return None


def _put(file: sqlite3.Connection, batch: dict[bytes, tuple[int, bytes, int]]) -> None:
    rows = ((key, *rest) for key, rest in batch.items())
    file.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?)", rows)


def _sorted(file: sqlite3.Connection) -> Generator[_Derived, None, None]:
    # SQLite takes the other columns from the row that has the maximum.
    query = "SELECT key, max(seq), hash, place FROM leaf GROUP BY key ORDER BY key"
    with closing(file.execute(query)) as rows:
        for key, seq, hash_, place in rows:
            yield _Derived(Leaf(key, seq, hash_), place)


def _compare(
    connection: Connection, file: sqlite3.Connection, record: StoredRecord, root: bytes
) -> list[Problem]:
    """Returns the first streams of which pages and log disagree; none without the pages of this map.

    Raises PageDamaged.
    """
    maps = headstore.load_maps(connection)
    kept = next((one for one in maps if one.seq == record.seq and one.root == root), None)
    if kept is None:
        return []
    stored = read_all(load=headstore.page_loader(connection, kept.version), root=root)
    with closing(_sorted(file)) as derived:
        return list(islice(_differing(connection, derived, stored), MOST_STREAMS))


def _differing(
    connection: Connection, derived: Iterator[_Derived], stored: Iterator[Leaf]
) -> Iterator[Problem]:
    ours, theirs = next(derived, None), next(stored, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours.leaf.key < theirs.key):
            assert ours is not None
            yield _problem(_name(connection, ours), None, ours.leaf)
            ours = next(derived, None)
        elif ours is None or theirs.key < ours.leaf.key:
            yield _problem(None, theirs, None)
            theirs = next(stored, None)
        else:
            if ours.leaf != theirs:
                yield _problem(_name(connection, ours), theirs, ours.leaf)
            ours, theirs = next(derived, None), next(stored, None)


def _name(connection: Connection, derived: _Derived) -> str:
    name = stream_name(connection, derived.place)
    if has_key(name, derived.place):
        return name
    return _told_name(connection, derived.place) or f"#{derived.place}"


def _problem(stream: str | None, mapped: Leaf | None, logged: Leaf | None) -> Problem:
    """Returns the problem of a stream; where the log knows nothing of it, only its key can be told."""
    evidence = {"stream": stream} if stream is not None else {}
    if mapped is not None and stream is None:
        evidence["key"] = mapped.key.hex()
    evidence["expected"] = _shown(mapped)
    evidence["got"] = _shown(logged)
    return Problem("log.heads_mismatch", None, None, None, evidence)


def _shown(leaf: Leaf | None) -> str:
    return "none" if leaf is None else f"{leaf.seq} {leaf.hash.hex()}"
