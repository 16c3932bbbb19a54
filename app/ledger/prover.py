"""Proofs that a record is in the signed log, built from tiles and checked before they are given out.

A tile that was damaged must not make sound records look altered: where a proof from tiles fails, the
same proof is tried once more with the tiles on its path derived again from the leaves below them. If
that one leads to the signed root, the tile is at fault and the record is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from app.kit.errors import Fault
from app.ledger import logstore
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from app.ledger.tiles import (
    TILE_WIDTH,
    inclusion_proof_from_tiles,
    tile_root,
)

Standing = Literal["proven", "tile_damaged", "unproven", "pending"]


@dataclass(frozen=True, slots=True)
class InLog:
    """What came of proving a leaf. pending: no signed checkpoint covers it yet.

    tile_damaged: proven, but only past a tile that does not agree. proof: leaf's sibling first.
    """

    standing: Standing
    proof: tuple[bytes, ...] = ()


class Prover:
    """Proves leaves against one verified checkpoint, inside one snapshot; tiles are read once."""

    def __init__(self, connection: Connection, checkpoint: Checkpoint) -> None:
        self._connection = connection
        self.checkpoint = checkpoint
        self._tiles: dict[tuple[int, int], bytes | None] = {}

    def prove(self, leaf_index: int, entry: bytes) -> InLog:
        """Returns whether `entry` stands at `leaf_index` of the signed log. Read-only."""
        size = self.checkpoint.size
        if leaf_index >= size:
            return InLog("pending")
        proof = self._try(leaf_index, entry, derived={})
        if proof is not None:
            return InLog("proven", proof)
        proof = self._try(leaf_index, entry, derived=self._derive_path(leaf_index))
        if proof is not None:
            return InLog("tile_damaged", proof)
        return InLog("unproven")

    def _try(
        self, leaf_index: int, entry: bytes, *, derived: dict[tuple[int, int], bytes]
    ) -> tuple[bytes, ...] | None:
        def read_tile(level: int, index: int) -> bytes | None:
            return derived.get((level, index)) or self._tile(level, index)

        leaf = leaf_hash(entry)
        try:
            proof = inclusion_proof_from_tiles(leaf_index, self.checkpoint.size, read_tile)
            verify_inclusion(
                index=leaf_index,
                size=self.checkpoint.size,
                leaf_hash=leaf,
                proof=proof,
                root=self.checkpoint.root,
            )
        except (ProofError, Fault):
            return None
        return tuple(proof)

    def _tile(self, level: int, index: int) -> bytes | None:
        place = (level, index)
        if place not in self._tiles:
            self._tiles[place] = logstore.load_tile(self._connection, level, index)
        return self._tiles[place]

    def _derive_path(self, leaf_index: int) -> dict[tuple[int, int], bytes]:
        """Returns the tiles on a leaf's path and right edge, derived from what lies below them."""
        derived: dict[tuple[int, int], bytes] = {}
        last, own, level = self.checkpoint.size - 1, leaf_index, 0
        while True:
            own, last = own // TILE_WIDTH, last // TILE_WIDTH
            for index in {own, last}:
                derived[(level, index)] = self._derive(level, index, derived)
            if last == 0:
                return derived
            level += 1

    def _derive(self, level: int, index: int, derived: dict[tuple[int, int], bytes]) -> bytes:
        start = index * TILE_WIDTH
        if level == 0:
            end = min(start + TILE_WIDTH, self.checkpoint.size)
            entries = logstore.leaf_hashes(self._connection, start, end)
            return b"".join(leaf_hash(entry) for entry in entries.values())
        full_below = self.checkpoint.size // TILE_WIDTH**level
        hashes = []
        for below in range(start, min(start + TILE_WIDTH, full_below)):
            tile = derived.get((level - 1, below)) or self._tile(level - 1, below)
            hashes.append(tile_root(tile) if tile else b"")
        return b"".join(hashes)
