"""Tiles: the tree cut into squares of eight levels, which anyone can fetch and cache for ever.

C2SP tlog-tiles. Tile (level, index) holds the hashes of 256 neighbouring subtrees of 256^level
leaves each; at the right edge it is partial and holds the first 1 to 255. Only a full tile is
hashed into the level above. Level -1 here stands for entry bundles: the entries themselves.

What is stored under (level, index) is the widest content so far. A tile only ever grows at its end,
so each narrower one that was published is a prefix of it (`cut_tile`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from app.kit.errors import Invalid, NotFound
from app.kit.recent import Recent
from app.ledger.merkle import (
    HASH_BYTES,
    Edge,
    NodeReader,
    consistency_proof,
    fold_edge,
    inclusion_proof,
    leaf_hash,
    node_hash,
    pair_hashes,
    perfect_subtrees,
)

TILE_WIDTH = 256
TILE_HEIGHT = 8
ENTRIES = -1
"""The level that stands for entry bundles."""

MAX_ENTRY_BYTES = 65535
MAX_INDEX = 2**55 - 1

ReadTile = Callable[[int, int], bytes | None]
"""Returns what is stored under (level, index), at its widest; None if there is nothing."""

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-7])/"  # 256^8 leaves are more than a database can count
    r"(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile, and how many hashes or entries of it: 1 to 256."""

    level: int
    index: int
    width: int = TILE_WIDTH


@dataclass(frozen=True, slots=True)
class LevelTiles:
    """A level's tiles at one tree size: `full` of them, then one of width `partial` (0: none)."""

    level: int
    full: int
    partial: int


class TilePathMalformed(NotFound):
    """Not the one spelling of a tile's path; nothing is served there."""


class TileMissing(Invalid):
    """A tile that the tree of this size has is absent or shorter than it must be."""

    def __init__(self, tile: Tile, *, expected: int, got: int) -> None:
        super().__init__(
            "tile_missing", level=tile.level, index=tile.index, expected=expected, got=got
        )
        self.tile = tile


class EntryBundleMalformed(Invalid):
    """These bytes are no sequence of entries with their lengths."""


# --------------------------------------------------------------------------------------- paths


def tile_path(tile: Tile) -> str:
    """Returns the path below the log's prefix: `tile/0/x001/x234/067.p/12`."""
    groups = [f"{tile.index % 1000:03}"]
    rest = tile.index // 1000
    while rest:
        groups.insert(0, f"x{rest % 1000:03}")
        rest //= 1000
    level = "entries" if tile.level == ENTRIES else str(tile.level)
    partial = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str) -> Tile:
    """Returns the tile of a path that is spelt as `tile_path` spells it.

    Raises TilePathMalformed for any other spelling, so that a cache never holds a tile twice.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise TilePathMalformed("tile_path", path=path[:80])
    level = ENTRIES if found["level"] == "entries" else int(found["level"])
    index = int(found["index"].replace("x", "").replace("/", ""))
    width = int(found["width"] or TILE_WIDTH)
    tile = Tile(level, index, width)
    if index > MAX_INDEX or width > TILE_WIDTH or tile_path(tile) != path:
        raise TilePathMalformed("tile_path", path=path[:80])
    return tile


# ------------------------------------------------------------------------- which tiles there are


def published_tiles(size: int) -> tuple[LevelTiles, ...]:
    """Returns what exists at tree size `size`: entry bundles, then tiles from level 0 up."""
    levels: list[LevelTiles] = []
    level, count = 0, size
    while count:
        full, partial = divmod(count, TILE_WIDTH)
        if level == 0:
            levels.append(LevelTiles(ENTRIES, full, partial))
        levels.append(LevelTiles(level, full, partial))
        level, count = level + 1, full
    return tuple(levels)


def tiles_after(size: int, new_size: int) -> Iterator[Tile]:
    """Yields the tiles that growing from `size` to `new_size` creates or widens, level by level."""
    level = ENTRIES
    while True:
        shift = TILE_HEIGHT * max(level, 0)
        before, after = size >> shift, new_size >> shift
        if after == before:
            return
        for index in range(before // TILE_WIDTH, -(-after // TILE_WIDTH)):
            yield Tile(level, index, min(TILE_WIDTH, after - index * TILE_WIDTH))
        level += 1


def cut_tile(stored: bytes | None, tile: Tile) -> bytes:
    """Returns the bytes to serve for `tile` out of what is stored under its level and index.

    A partial tile is served for ever, also when the full one exists: somebody may still hold a
    checkpoint of that size. Raises TileMissing if less is stored than is asked for.
    """
    data = stored or b""
    if tile.level == ENTRIES:
        entries = decode_entries(data)
        if len(entries) < tile.width:
            raise TileMissing(tile, expected=tile.width, got=len(entries))
        return encode_entries(entries[: tile.width])
    if len(data) < tile.width * HASH_BYTES:
        raise TileMissing(tile, expected=tile.width, got=len(data) // HASH_BYTES)
    return data[: tile.width * HASH_BYTES]


# --------------------------------------------------------------------------------------- bundles


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Returns the entry bundle: each entry (at most 65535 bytes) behind its length, u16be."""
    lengths = {*map(len, entries)}
    if len(lengths) == 1:  # as in every log of hashes
        length = lengths.pop().to_bytes(2, "big")
        return length + length.join(entries)
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def decode_entries(data: bytes) -> list[bytes]:
    """Returns the entries of a bundle, at most 256. Raises EntryBundleMalformed."""
    entries: list[bytes] = []
    start = 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2], "big")
        if end > len(data) or start + 2 > len(data):
            raise EntryBundleMalformed("entry_bundle", expected=end, got=len(data))
        entries.append(data[start + 2 : end])
        start = end
    if len(entries) > TILE_WIDTH:
        raise EntryBundleMalformed("entry_bundle", expected=TILE_WIDTH, got=len(entries))
    return entries


# --------------------------------------------------------------------------------------- growing


def append_tiles(
    size: int, entries: Sequence[bytes], read_tile: ReadTile
) -> dict[tuple[int, int], bytes]:
    """Returns the new content of each tile that appending `entries` to a tree of `size` changes.

    Reads at most one tile a level, the one at the right edge, and takes no more of it than `size`
    says. A damaged one is filled up and never refused: the log goes on, the tile stays wrong, and
    the audit finds it.
    """
    if not entries:
        return {}
    changed = _grow(ENTRIES, size, [encode_entries([entry]) for entry in entries], read_tile)
    level, count = 0, size
    hashes = [leaf_hash(entry) for entry in entries]
    while hashes:
        grown = _grow(level, count, hashes, read_tile)
        changed |= grown
        hashes = [
            _root_of_full(data) for data in grown.values() if len(data) == TILE_WIDTH * HASH_BYTES
        ]
        level, count = level + 1, count // TILE_WIDTH
    return changed


def _grow(
    level: int, count: int, added: Sequence[bytes], read_tile: ReadTile
) -> dict[tuple[int, int], bytes]:
    """Returns the tiles of one level, which held `count` items, with `added` behind them."""
    index, width = divmod(count, TILE_WIDTH)
    kept = _kept_part(read_tile(level, index) or b"", Tile(level, index, width)) if width else b""
    grown: dict[tuple[int, int], bytes] = {}
    start = 0
    while start < len(added):
        end = start + TILE_WIDTH - width
        grown[level, index] = kept + b"".join(added[start:end])
        index, width, kept, start = index + 1, 0, b"", end
    return grown


def _kept_part(stored: bytes, tile: Tile) -> bytes:
    if tile.level != ENTRIES:
        return stored[: tile.width * HASH_BYTES].ljust(tile.width * HASH_BYTES, b"\x00")
    try:
        entries = decode_entries(stored)[: tile.width]
    except EntryBundleMalformed:
        entries = []
    return encode_entries(entries + [b""] * (tile.width - len(entries)))


def tile_root(data: bytes) -> bytes:
    """Returns the hash that a full tile (8192 bytes), or an aligned part of one, has above it."""
    nodes = split_hashes(data)
    while len(nodes) > 1:
        nodes = pair_hashes(nodes)
    return nodes[0]


def _root_of_full(data: bytes) -> bytes:
    """Returns a full tile's root, and remembers the nodes on the way: what is new is asked for soon."""
    left, right = split_hashes(_upper_of(data)[-1])
    return node_hash(left, right)


def split_hashes(data: bytes) -> list[bytes]:
    """Returns the hashes of a tile of level 0 or higher."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


# --------------------------------------------------------------------------------------- proofs


def inclusion_proof_from_tiles(index: int, size: int, read_tile: ReadTile) -> list[bytes]:
    """Returns the proof that leaf `index` is in the tree of `size` leaves, from tiles alone.

    Asks for each tile once, for at most two a level. The tree may have grown past `size` since.
    Raises ProofIndexError, TileMissing.
    """
    return inclusion_proof(index, size, node_reader(read_tile))


def consistency_proof_from_tiles(size1: int, size2: int, read_tile: ReadTile) -> list[bytes]:
    """Returns the proof that the tree of `size1` leaves begins that of `size2`, from tiles alone.

    Raises ProofSizesError, TileMissing.
    """
    return consistency_proof(size1, size2, node_reader(read_tile))


def edge_from_tiles(size: int, read_tile: ReadTile) -> Edge:
    """Returns the right edge of the tree of `size` leaves, from tiles alone. Raises TileMissing."""
    read_node = node_reader(read_tile)
    return tuple(read_node(level, index) for level, index in perfect_subtrees(0, size))


def root_from_tiles(size: int, read_tile: ReadTile) -> bytes:
    """Returns the root of the tree of `size` leaves, from tiles alone. Raises TileMissing."""
    return fold_edge(edge_from_tiles(size, read_tile))


def node_reader(read_tile: ReadTile) -> NodeReader:
    """Returns a reader of tree nodes that fetches each tile once and remembers it.

    And each node: proofs of one tree meet again at its right edge and near its top.
    """
    seen: dict[tuple[int, int], TileNodes] = {}
    known: dict[tuple[int, int], bytes] = {}

    def read_node(level: int, index: int) -> bytes:
        node = known.get((level, index))
        if node is None:
            node = known[level, index] = hash_node(level, index)
        return node

    def hash_node(level: int, index: int) -> bytes:
        row, height = divmod(level, TILE_HEIGHT)
        tile_index, offset = divmod(index << height, TILE_WIDTH)
        place = (row, tile_index)
        nodes = seen.get(place)
        if nodes is None:
            nodes = seen[place] = TileNodes(read_tile(row, tile_index) or b"")
        end = offset + (1 << height)
        if len(nodes.data) < end * HASH_BYTES:
            raise TileMissing(Tile(*place), expected=end, got=len(nodes.data) // HASH_BYTES)
        return nodes.at(height, offset)

    return read_node


class TileNodes:
    """The nodes over one tile's hashes: the upper ones are remembered, the few below each hashed again."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._upper: list[bytes] | None = None

    def at(self, height: int, offset: int) -> bytes:
        """Returns the root of the perfect subtree of 2^height hashes from `offset` on."""
        if height < _KEPT_FROM:
            return tile_root(self.data[offset * HASH_BYTES : (offset + (1 << height)) * HASH_BYTES])
        start = (offset >> height) * HASH_BYTES
        return self._kept()[height - _KEPT_FROM][start : start + HASH_BYTES]

    def siblings(self, offset: int) -> list[bytes]:
        """Returns the eight hashes that lead from one hash of a full tile to the tile's root."""
        first = offset >> _KEPT_FROM << _KEPT_FROM
        row = split_hashes(self.data[first * HASH_BYTES : (first + (1 << _KEPT_FROM)) * HASH_BYTES])
        found: list[bytes] = []
        for height in range(_KEPT_FROM):
            if height:
                row = pair_hashes(row)
            found.append(row[(offset - first) >> height ^ 1])
        for height, kept in enumerate(self._kept(), _KEPT_FROM):
            start = (offset >> height ^ 1) * HASH_BYTES
            found.append(kept[start : start + HASH_BYTES])
        return found

    def _kept(self) -> list[bytes]:
        if self._upper is None:
            # By what the tile holds, whatever its place: another content is another tile.
            self._upper = _upper_of(self.data)
        return self._upper


def _upper_of(data: bytes) -> list[bytes]:
    """Returns a tile's nodes from the height on that is kept, a row each."""
    digest = sha256(data).digest()
    rows = _KNOWN.find(digest)
    if rows is None:
        nodes, rows = split_hashes(data), []
        for height in range(1, TILE_HEIGHT):
            nodes = pair_hashes(nodes)
            if height >= _KEPT_FROM:
                rows.append(b"".join(nodes))
        _KNOWN.keep(digest, rows)
    return rows


# Below it a node is at most seven hashes away, above it up to 127.
_KEPT_FROM = 4
# Of the tiles asked for last, by SHA-256 of the tile: a kilobyte each, as many as two million leaves have.
_KNOWN = Recent[bytes, list[bytes]](8_192)
