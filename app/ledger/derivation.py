"""Tiles derived again from what lies below them, for when a stored one is not what it must be.

Everything above a leaf follows from the leaves, so a damaged or missing tile is never a loss. The
tree's edge, kept beside its root, says which of two contents of a right-edge tile is the true one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from app.ledger import logstore, tilestore
from app.ledger.logstore import LeavesMissing, Log, TreeState
from app.ledger.merkle import HASH_BYTES, Edge, leaf_hash, perfect_subtrees
from app.ledger.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    EntryBundleMalformed,
    ReadTile,
    decode_entries,
    encode_entries,
    split_hashes,
    tile_root,
)

log = structlog.get_logger(__name__)


class TreeUnsound(Exception):
    """Neither the kept edge nor the leaves give the kept root: what came next would be wrong for ever."""


def derive_tile(connection: Connection, log: Log, level: int, index: int, size: int) -> bytes:
    """Returns a tile of a log's tree of `size` leaves as its leaves say. Read-only.

    Up to level 1 from the leaves themselves (at most 65,536), above it from the tiles one level
    down, as stored. Raises LeavesMissing.
    """
    start = index * TILE_WIDTH
    if level <= 0:
        end = min(start + TILE_WIDTH, size)
        entries = logstore.leaf_hashes(connection, log.start + start, log.start + end)
        if len(entries) != end - start:
            raise LeavesMissing(f"between {start} and {end}")
        if level == ENTRIES:
            return encode_entries(list(entries.values()))
        return b"".join(leaf_hash(entry) for entry in entries.values())
    end = min(start + TILE_WIDTH, size >> (TILE_HEIGHT * level))
    if level == 1:
        below = (derive_tile(connection, log, 0, child, size) for child in range(start, end))
    else:
        below = (
            tilestore.load_tile(connection, log, level - 1, child) or b""
            for child in range(start, end)
        )
    return b"".join(tile_root(tile) if tile else b"" for tile in below)


def trusted_edge(connection: Connection, state: TreeState) -> Edge:
    """Returns the right edge that folds to the state's root, from the leaves if the kept one does not.

    Raises TreeUnsound.
    """
    if logstore.is_sound(state):
        return state.edge
    try:
        edge = logstore.edge_of_leaves(connection, state.log, state.size)
    except LeavesMissing as err:
        raise TreeUnsound(f"size {state.size}") from err
    if not logstore.is_sound(replace(state, edge=edge)):
        raise TreeUnsound(f"size {state.size}")
    log.error("log.edge_derived_again", size=state.size)
    return edge


def right_edge_reader(
    connection: Connection, tree: TreeState, edge: Edge, *, on_damage: Callable[[int, int], None]
) -> ReadTile:
    """Returns a reader of the right-edge tiles of a tree that proves each against its true edge.

    One that is missing, short or altered is told to `on_damage` and derived again. Where that does
    not help either it is given as it is stored: the log goes on, and the audit tells.
    """
    place, size = tree.log, tree.size

    def read_tile(level: int, index: int) -> bytes | None:
        stored = tilestore.load_tile(connection, place, level, index)
        width = (size >> (TILE_HEIGHT * max(level, 0))) % TILE_WIDTH
        told = _edge_of_level(size, edge, max(level, 0))
        fits = _bundle_fits if level == ENTRIES else _tile_fits
        if stored is not None and fits(stored, width, told):
            return stored
        try:
            derived = derive_tile(connection, place, level, index, size)
        except LeavesMissing:
            derived = b""
        sound = fits(derived, width, told)
        log.error("log.tile_damaged", level=level, index=index, derived_again=sound)
        on_damage(level, index)
        return derived if sound else stored

    return read_tile


_Fits = Callable[[bytes, int, list[bytes]], bool]


def _tile_fits(data: bytes, width: int, told: list[bytes]) -> bool:
    hashes = split_hashes(data)[:width]
    return len(data) >= width * HASH_BYTES and _subtrees(hashes) == told


def _bundle_fits(data: bytes, width: int, told: list[bytes]) -> bool:
    try:
        entries = decode_entries(data)[:width]
    except EntryBundleMalformed:
        return False
    return len(entries) == width and _subtrees([leaf_hash(entry) for entry in entries]) == told


def _subtrees(hashes: list[bytes]) -> list[bytes]:
    """Returns the roots of the perfect subtrees over neighbouring hashes, largest first."""
    return [
        tile_root(b"".join(hashes[index << level : (index + 1) << level]))
        for level, index in perfect_subtrees(0, len(hashes))
    ]


def _edge_of_level(size: int, edge: Edge, level: int) -> list[bytes]:
    """Returns the part of an edge that lies within the right-edge tile of one level."""
    heights = [height for height in range(size.bit_length())[::-1] if size >> height & 1]
    low = TILE_HEIGHT * level
    return [
        root
        for height, root in zip(heights, edge, strict=True)
        if low <= height < low + TILE_HEIGHT
    ]
