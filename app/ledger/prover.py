"""Proofs that a record is in the signed log, built from tiles and checked before they are given out.

A tile that was damaged must not make sound records look altered: where a proof from tiles fails, it
is tried again with tiles derived from the leaves below them, first at the bottom, then on the whole
path. If one of these leads to the signed root, the tile is at fault and the record is not.

A leaf that cannot be proven is either not what was logged, or it is and the tree around it was
rewritten. The first is said only of a leaf in whose place another is proven.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.errors import Fault, Unavailable
from app.ledger import logstore, tilestore
from app.ledger.checkpoint import Checkpoint
from app.ledger.derivation import derive_tile
from app.ledger.led import LED, Stand
from app.ledger.logstore import LeavesMissing, Log, Published
from app.ledger.merkle import (
    HASH_BYTES,
    ProofSizesError,
    climb,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from app.ledger.note import VerifierKey, encode_base64
from app.ledger.served import load_checkpoint, load_logs
from app.ledger.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    EntryBundleMalformed,
    ReadTile,
    TileNodes,
    consistency_proof_from_tiles,
    decode_entries,
    inclusion_proof_from_tiles,
    node_reader,
    root_from_tiles,
    split_hashes,
)

Standing = Literal["proven", "tile_damaged", "unproven", "pending"]

PROOF_HEADER = "c2sp.org/tlog-proof@v1"

_Place = tuple[int, int]
_MAX_LEVEL = 8  # c2sp.org/tlog-tiles: levels 0 to 7 hold more than can be counted


class TreeDamaged(Unavailable):
    """Neither the tiles nor the leaves give what was signed; the audit says where."""


@dataclass(frozen=True, slots=True)
class InLog:
    """What came of proving a leaf. pending: no signed checkpoint covers it yet.

    tile_damaged: proven, but only past a tile that does not agree. proof: leaf's sibling first.
    origin: of the log that holds it, "" before it has a place in one; index: its place inside that.
    """

    standing: Standing
    proof: tuple[bytes, ...] = ()
    origin: str = ""
    index: int | None = None


class Provers:
    """Proves leaves of all logs inside one snapshot, each against its log's newest checkpoint.

    log_keys: of all logs. newest: a checkpoint to prove against in place of its log's newest one. A
    leaf is named by its position over all logs.
    """

    def __init__(
        self,
        connection: Connection,
        log_keys: Sequence[VerifierKey],
        *,
        newest: Published | None = None,
    ) -> None:
        self._connection = connection
        self._keys = {key.name: key for key in log_keys}
        self._published: dict[str, Published | None] = {}
        self._states, self._published[log_keys[-1].name] = load_logs(connection, log_keys)
        if newest is not None:
            self._published[log_keys[newest.log.number].name] = newest
        self._provers: dict[str, Prover] = {}

    def published(self, origin: str) -> Published | None:
        """Returns the newest signed checkpoint of a log, None where it has none."""
        if origin not in self._published:
            key = self._keys.get(origin)
            found = None if key is None else load_checkpoint(self._connection, key)
            self._published[origin] = found
        return self._published[origin]

    def prove(self, position: int | None, entry: bytes | None) -> InLog:
        """Returns whether `entry` stands at this position of the signed logs. Read-only.

        None: the record has no place in the log yet.
        """
        if position is None or entry is None or not self._states:
            return InLog("pending")
        state, index = logstore.locate(self._states, position)
        prover = self._prover(state.origin)
        found = InLog("pending") if prover is None else prover.prove(index, entry)
        return InLog(found.standing, found.proof, state.origin, index)

    def fetch(self, positions: Iterable[int | None]) -> None:
        """Reads the tiles for the proofs of these leaves at once; None: no place yet. Read-only."""
        if not self._states:
            return
        wanted: dict[str, list[int]] = {}
        for position in positions:
            if position is not None:
                state, index = logstore.locate(self._states, position)
                wanted.setdefault(state.origin, []).append(index)
        for origin, indices in wanted.items():
            prover = self._prover(origin)
            if prover is not None:
                prover.fetch(indices)

    def holds_another(self, position: int, entry: bytes) -> bool:
        """As `Prover.holds_another`."""
        state, index = logstore.locate(self._states, position)
        prover = self._prover(state.origin)
        return prover is not None and prover.holds_another(index, entry)

    def _prover(self, origin: str) -> Prover | None:
        published = self.published(origin)
        if published is None:
            return None
        if origin not in self._provers:
            self._provers[origin] = Prover(self._connection, published)
        return self._provers[origin]


class Prover:
    """Proves leaves of one log against a verified checkpoint, inside one snapshot; tiles are read once."""

    def __init__(self, connection: Connection, published: Published) -> None:
        self._published = published
        self._tiles = _Tiles(connection, published.log, published.size)
        self._read_node = node_reader(self._tiles.load)
        self._full: dict[int, TileNodes] = {}
        self._beside: dict[int, bytes] = {}

    def prove(self, leaf_index: int, entry: bytes) -> InLog:
        """Returns whether `entry` stands at `leaf_index` of the signed log. Read-only."""
        if leaf_index >= self._published.size:
            return InLog("pending")
        self.fetch([leaf_index])
        leaf = leaf_hash(entry)
        proof = self._prove_by_tile(leaf_index, leaf)
        if proof is not None:
            return InLog("proven", proof)
        # One level alone first: a second damage elsewhere must not spoil what is derived above it.
        path = list(self._path(leaf_index))
        for places in ([place for place in path if place[0] == 0], path):
            proof = self._try(
                leaf_index, leaf, {place: self._tiles.derive(*place) for place in places}
            )
            if proof is not None:
                return InLog("tile_damaged", proof)
        return InLog("unproven")

    def fetch(self, leaf_indices: Iterable[int]) -> None:
        """Reads the tiles for these leaves' proofs at once, those that were not read yet. Read-only."""
        self._tiles.fetch(
            place
            for leaf_index in leaf_indices
            if leaf_index < self._published.size
            for place in self._path(leaf_index)
        )

    def holds_another(self, leaf_index: int, entry: bytes) -> bool:
        """Whether the signed log holds something else than `entry` there, by tile or entry bundle.

        Asked of leaves that are unproven. False: nothing is left that tells what it holds; then the
        tree is at fault, and whoever's leaf this is answers for nothing. Read-only.
        """
        index, offset = divmod(leaf_index, TILE_WIDTH)
        for tile in (self._tiles.load(0, index), self._tile_of_entries(index)):
            hashes = split_hashes(tile or b"")
            if offset >= len(hashes) or hashes[offset] == leaf_hash(entry):
                continue
            if self._try(leaf_index, hashes[offset], {(0, index): tile or b""}) is not None:
                return True
        return False

    def _tile_of_entries(self, index: int) -> bytes:
        try:
            entries = decode_entries(self._tiles.load(ENTRIES, index) or b"")
        except EntryBundleMalformed:
            return b""
        return b"".join(leaf_hash(entry) for entry in entries)

    def _prove_by_tile(self, leaf_index: int, leaf: bytes) -> tuple[bytes, ...] | None:
        """Proves a leaf from tiles as stored; from its full tile on by a way that led to the root before."""
        tile, offset = divmod(leaf_index, TILE_WIDTH)
        if (tile + 1) * TILE_WIDTH > self._published.size:
            # At the right edge, where a tile is still filling.
            return self._try(leaf_index, leaf, {})
        nodes = self._full.get(tile)
        if nodes is None:
            nodes = self._full[tile] = TileNodes(self._tiles.load(0, tile) or b"")
        if len(nodes.data) < TILE_WIDTH * HASH_BYTES:
            return None
        inside = nodes.siblings(offset)
        published = self._published
        top = climb(leaf, inside, offset)
        stand = Stand(published.root, published.size, tile, top, self._digest_beside(tile))
        way = LED.find(stand)
        if way is None:
            proof = self._try(leaf_index, leaf, {})
            if proof is not None:
                LED.keep(stand, proof[TILE_HEIGHT:])
            return proof
        return (*inside, *way)

    def _digest_beside(self, tile: int) -> bytes:
        """Returns a digest of the other tiles on the path of a full tile's leaves."""
        above, last = tile // TILE_WIDTH, (self._published.size - 1) // TILE_WIDTH
        if above not in self._beside:
            found = sha256()
            for level, index in self._path(tile * TILE_WIDTH):
                if level or index == last:
                    found.update(sha256(self._tiles.load(level, index) or b"").digest())
            self._beside[above] = found.digest()
        return self._beside[above]

    def _try(
        self, leaf_index: int, leaf: bytes, derived: Mapping[_Place, bytes]
    ) -> tuple[bytes, ...] | None:
        def read_tile(level: int, index: int) -> bytes | None:
            return derived.get((level, index)) or self._tiles.load(level, index)

        try:
            if derived:
                proof = inclusion_proof_from_tiles(leaf_index, self._published.size, read_tile)
            else:
                proof = inclusion_proof(leaf_index, self._published.size, self._read_node)
            verify_inclusion(
                index=leaf_index,
                size=self._published.size,
                leaf_hash=leaf,
                proof=proof,
                root=self._published.root,
            )
        except Fault:
            return None
        return tuple(proof)

    def _path(self, leaf_index: int) -> Iterator[_Place]:
        """Yields the tiles on a leaf's path and on the right edge, from the bottom."""
        level, own, last = 0, leaf_index, self._published.size - 1
        while level == 0 or last:
            own, last = own // TILE_WIDTH, last // TILE_WIDTH
            yield from ((level, index) for index in sorted({own, last}))
            level += 1


def prove_consistency(
    connection: Connection, log: Log, size1: int, size2: int, *, signed: tuple[int, bytes]
) -> list[bytes]:
    """Returns the proof that a log's tree of `size1` leaves begins that of `size2`. Read-only.

    signed: size and root of a tree of this log that is known to be the true one, of at least `size2`
    leaves. What is given out leads to that root. It is therefore true, and can hide no fork: whoever
    kept the root of another tree finds that it does not lead there. A proof as it stands in damaged
    tiles would say the same to whoever kept the right one. Raises ProofSizesError, TreeDamaged.
    """
    if not 0 < size1 <= size2 <= signed[0]:
        raise ProofSizesError("proof_sizes", expected=f"1..{signed[0]}", got=(size1, size2))
    tiles = _Tiles(connection, log, signed[0])
    # As in Prover.prove: as stored, then one level alone derived, then the whole path.
    for levels in ((), (0,), tuple(range(_MAX_LEVEL))):
        try:
            return _anchored_proof(tiles.reader(levels), size1, size2, signed)
        except Fault:
            continue
    raise TreeDamaged("log_damaged")


def prove_to(database: Database, size: int, signed: Checkpoint) -> list[bytes]:
    """Returns the proof that the first `size` leaves begin a signed tree; in a snapshot of its own.

    Read-only. Raises as `prove_consistency`.
    """
    tree = (signed.size, signed.root)
    with database.read() as connection:
        (log,) = [s.log for s in logstore.load_states(connection) if s.origin == signed.origin]
        return prove_consistency(connection, log, size, signed.size, signed=tree)


def _anchored_proof(
    read_tile: ReadTile, size1: int, size2: int, signed: tuple[int, bytes]
) -> list[bytes]:
    def proof(one: tuple[int, bytes], other: tuple[int, bytes]) -> list[bytes]:
        found = consistency_proof_from_tiles(one[0], other[0], read_tile)
        verify_consistency(size1=one[0], root1=one[1], size2=other[0], root2=other[1], proof=found)
        return found

    # Of the smaller trees no signed root is kept; that the signed one goes on from it makes it true.
    smaller = (size1, root_from_tiles(size1, read_tile))
    larger = (size2, root_from_tiles(size2, read_tile))
    proof(larger, signed)
    return proof(smaller, larger)


class _Tiles:
    """The tiles of a log's tree of `size` leaves, as stored or as the leaves say; each is read once."""

    def __init__(self, connection: Connection, log: Log, size: int) -> None:
        self._connection = connection
        self._log = log
        self._size = size
        self._stored: dict[_Place, bytes | None] = {}
        self._derived: dict[_Place, bytes] = {}

    def reader(self, derived: Collection[int]) -> ReadTile:
        """Returns a reader that derives the tiles of these levels, where there are leaves for it."""

        def read_tile(level: int, index: int) -> bytes | None:
            return (level in derived and self.derive(level, index)) or self.load(level, index)

        return read_tile

    def fetch(self, places: Iterable[_Place]) -> None:
        """Reads tiles at once, those that were not read yet."""
        wanted = {place for place in places if place not in self._stored}
        if wanted:
            found = tilestore.load_tiles_at(self._connection, self._log, wanted)
            self._stored |= {place: found.get(place) for place in wanted}

    def load(self, level: int, index: int) -> bytes | None:
        """Returns a tile as stored, or None."""
        place = (level, index)
        if place not in self._stored:
            self._stored[place] = tilestore.load_tile(self._connection, self._log, level, index)
        return self._stored[place]

    def derive(self, level: int, index: int) -> bytes:
        """Returns a tile as its leaves give it, b"" where they do not."""
        place = (level, index)
        if place not in self._derived:
            try:
                tile = derive_tile(self._connection, self._log, level, index, self._size)
            except LeavesMissing:
                tile = b""
            self._derived[place] = tile
        return self._derived[place]


def format_proof(leaf_index: int, proof: Sequence[bytes], note: str) -> str:
    """Returns a `.tlog-proof` file (c2sp.org/tlog-proof): the proof, then the signed checkpoint."""
    hashes = "".join(f"{encode_base64(part)}\n" for part in proof)
    return f"{PROOF_HEADER}\nindex {leaf_index}\n{hashes}\n{note}"
