"""Re-verification of the log: leaves against tiles, tiles against the tree, the tree against what was signed.

Every tile is derived again from the leaves, level by level, holding one tile a level and the hashes
of full tiles below the one that grows. A tile that differs is a finding on the log and charges no
merchant; leaves that differ from good tiles are findings on the streams they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select

from app.ledger import logstore
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import edge_append, edge_root, leaf_hash
from app.ledger.record import record_hash
from app.ledger.store import LEAF, RECORD, stream_name
from app.ledger.tiles import (
    ENTRIES,
    TILE_WIDTH,
    encode_entries,
    split_hashes,
    tile_root,
)
from app.ledger.verifier import Problem

Progress = Callable[[int], None]


def check_tree(
    connection: Connection, signed: list[Checkpoint], *, progress: Progress = lambda _: None
) -> Iterator[Problem]:
    """Yields what does not agree in the log. Read-only.

    signed: checkpoints whose signature the caller has verified (the served one, the anchored one).
    progress: told the number of leaves done.
    """
    state = logstore.load_state(connection)
    if state is None:
        return
    waiting = {c.size: c for c in signed}
    edge: tuple[bytes, ...] = ()
    above: dict[int, list[bytes]] = {}
    bad_tiles: list[Problem] = []
    bad_leaves: list[tuple[int, bytes | None]] = []
    wrong_roots: list[Problem] = []

    def note_root(size: int) -> None:
        checkpoint = waiting.pop(size, None)
        if checkpoint is not None and edge_root(size, edge) != checkpoint.root:
            wrong_roots.append(_log_problem("log.checkpoint_mismatch", size=str(size)))

    note_root(0)
    for index in range(-(-state.size // TILE_WIDTH)):
        start = index * TILE_WIDTH
        end = min(start + TILE_WIDTH, state.size)
        entries = logstore.leaf_hashes(connection, start, end)
        stored = _stored(connection, 0, index, end - start)
        hashes = []
        for leaf_index in range(start, end):
            entry = entries.get(leaf_index)
            told = stored[leaf_index - start] if stored else None
            derived = leaf_hash(entry) if entry is not None else told
            if entry is None or derived != told:
                bad_leaves.append((leaf_index, told))
            hashes.append(derived or b"")
        bundle = logstore.load_tile(connection, ENTRIES, index)
        if len(entries) == end - start and bundle != encode_entries(list(entries.values())):
            bad_tiles.append(_tile_problem(ENTRIES, index))
        for size in sorted(s for s in waiting if start < s <= end):
            edge = edge_append(start, edge, hashes[: size - start])
            note_root(size)
            edge = edge_append(size, edge, hashes[size - start :])
            break
        else:
            edge = edge_append(start, edge, hashes)
        if end - start == TILE_WIDTH:
            bad_tiles += _raise(connection, above, 1, tile_root(b"".join(hashes)))
        progress(end)
    for level, hashes in above.items():
        if hashes and len(hashes) % TILE_WIDTH:
            bad_tiles += _compare(connection, level, hashes)
    yield from _judge_leaves(
        connection, state, bad_leaves, sound=edge_root(state.size, edge) == state.root
    )
    yield from bad_tiles
    if not bad_leaves:
        yield from wrong_roots
        if edge_root(state.size, edge) != state.root:
            yield _log_problem("log.state_mismatch", size=str(state.size))
    for size in waiting:
        if size > state.size:
            yield _log_problem("log.checkpoint_ahead", size=str(size), got=str(state.size))


def _judge_leaves(
    connection: Connection,
    state: logstore.TreeState,
    bad: list[tuple[int, bytes | None]],
    *,
    sound: bool,
) -> Iterator[Problem]:
    """Yields problems for leaves that differ from their level-0 tile, on whichever is at fault.

    sound: whether the leaves give the committed root. Then the tiles are at fault, one problem each.
    """
    if not bad:
        return
    if sound:
        for index in sorted({leaf_index // TILE_WIDTH for leaf_index, _ in bad}):
            yield _tile_problem(0, index)
        return
    for leaf_index, told in bad:
        row = connection.execute(
            select(LEAF.c.stream, LEAF.c.seq, LEAF.c.hash, RECORD.c.body)
            .select_from(
                LEAF.outerjoin(
                    RECORD, (RECORD.c.stream == LEAF.c.stream) & (RECORD.c.seq == LEAF.c.seq)
                )
            )
            .where(LEAF.c.leaf_index == leaf_index)
        ).first()
        if row is None:
            yield Problem("log.leaf_missing", None, None, leaf_index)
        elif row.body is not None and leaf_hash(record_hash(bytes(row.body))) == told:
            # The record is what was logged; only the row that names its place was changed.
            yield Problem("log.leaf_altered", None, None, leaf_index)
        else:
            name = stream_name(connection, row.stream) or f"#{row.stream}"
            yield Problem(
                "integrity.leaf_mismatch",
                name,
                row.seq,
                leaf_index,
                {"expected": (told or b"").hex(), "got": leaf_hash(bytes(row.hash)).hex()},
            )


def _raise(
    connection: Connection, above: dict[int, list[bytes]], level: int, node: bytes
) -> list[Problem]:
    """Puts a full tile's hash into the level above, and compares that level's tile when it is full."""
    hashes = above.setdefault(level, [])
    hashes.append(node)
    if len(hashes) % TILE_WIDTH:
        return []
    problems = _compare(connection, level, hashes)
    full = tile_root(b"".join(hashes[-TILE_WIDTH:]))
    return problems + _raise(connection, above, level + 1, full)


def _compare(connection: Connection, level: int, hashes: list[bytes]) -> list[Problem]:
    index = (len(hashes) - 1) // TILE_WIDTH
    derived = b"".join(hashes[index * TILE_WIDTH :])
    if logstore.load_tile(connection, level, index) == derived:
        return []
    return [_tile_problem(level, index)]


def _stored(connection: Connection, level: int, index: int, width: int) -> list[bytes] | None:
    data = logstore.load_tile(connection, level, index)
    if data is None or len(data) != width * 32:
        return None
    return split_hashes(data)


def _tile_problem(level: int, index: int) -> Problem:
    shown = "entries" if level == ENTRIES else str(level)
    return _log_problem("log.tile_mismatch", tile=f"{shown}/{index}")


def _log_problem(kind: str, **evidence: str) -> Problem:
    return Problem(kind, None, None, None, evidence)
