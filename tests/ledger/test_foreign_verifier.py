"""Verifiers that we did not write read what we publish: notes, proofs and tiles.

tlog-scales (Python) reads tiles and builds proofs from them; metamorphic-log (Rust) judges notes,
inclusion and consistency; aics-tlog (Python, from 3.12 on) walks every tile down to the entries.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import metamorphic_log
import pytest
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import InclusionProofInvalid

from app.ledger.checkpoint import Checkpoint, sign_checkpoint
from app.ledger.merkle import edge_append, edge_root, leaf_hash
from app.ledger.note import NoteSigner
from app.ledger.tiles import (
    append_tiles,
    consistency_proof_from_tiles,
    cut_tile,
    inclusion_proof_from_tiles,
    tile_path,
    tiles_after,
)

ORIGIN = "suxin.test/log"
SIGNER = NoteSigner(ORIGIN, b"\x11" * 32)
OTHER = NoteSigner(ORIGIN, b"\x12" * 32)
WITNESS = NoteSigner("witness.test/w1", b"\x13" * 32)
VKEY = str(SIGNER.vkey)

BIG = 65_536 + 300  # three levels, partial tiles at two of them
ENTRIES = [n.to_bytes(32, "big") for n in range(BIG)]
SIZES = [1, 2, 255, 256, 257, 600, 65_536, 65_537, BIG]


@cache
def hashes() -> list[bytes]:
    return [leaf_hash(entry) for entry in ENTRIES]


@cache
def tiles() -> dict[tuple[int, int], bytes]:
    return append_tiles(0, ENTRIES, lambda *_: None)


def read_tile(level: int, index: int) -> bytes | None:
    return tiles().get((level, index))


def head(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, edge_root(size, edge_append(0, (), hashes()[:size])))


def publish(folder: Path, size: int) -> None:
    """Writes what a static web server would serve at this size."""
    for tile in tiles_after(0, size):
        path = folder / tile_path(tile)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cut_tile(read_tile(tile.level, tile.index), tile))
    note = sign_checkpoint(head(size), SIGNER, WITNESS)
    (folder / "checkpoint").write_text(note, encoding="utf-8")


def some_indices(size: int) -> list[int]:
    return sorted({0, size // 3, size // 2, max(size - 257, 0), size - 1})


@pytest.mark.parametrize("size", SIZES)
def test_tlog_scales_builds_the_same_root_and_proofs_from_our_tiles(tmp_path, size):
    publish(tmp_path, size)
    log = TilesReader(LocalBackend(tmp_path))
    checkpoint = log.get_checkpoint()
    checkpoint.verify(Vkey.from_string(VKEY))
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, size)
    assert log.calculate_root_hash() == checkpoint.root_hash == head(size).root
    for index in some_indices(size):
        assert log.get_entry(index) == ENTRIES[index]
        proof = log.get_inclusion_proof(index, size)
        proof.check(hashes()[index], checkpoint.root_hash)
        assert proof.node_hashes == inclusion_proof_from_tiles(index, size, read_tile)


def test_tlog_scales_builds_the_same_consistency_proofs(tmp_path):
    publish(tmp_path, BIG)
    log = TilesReader(LocalBackend(tmp_path))
    log.get_checkpoint()
    for size1 in SIZES:
        proof = log.get_consistency_proof(size1, BIG)
        proof.check(head(size1).root, head(BIG).root)
        assert proof.node_hashes == consistency_proof_from_tiles(size1, BIG, read_tile)


def test_tlog_scales_refuses_what_was_touched(tmp_path):
    publish(tmp_path, 600)
    log = TilesReader(LocalBackend(tmp_path))
    checkpoint = log.get_checkpoint()
    with pytest.raises(RuntimeError):
        checkpoint.verify(Vkey.from_string(str(OTHER.vkey)))
    with pytest.raises(InclusionProofInvalid):
        log.get_inclusion_proof(5, 600).check(hashes()[6], checkpoint.root_hash)
    tile = tmp_path / "tile" / "0" / "001"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    again = TilesReader(LocalBackend(tmp_path))
    again.get_checkpoint()
    assert again.calculate_root_hash() == checkpoint.root_hash  # from the level above
    with pytest.raises(InclusionProofInvalid):
        again.get_inclusion_proof(300, 600).check(hashes()[300], checkpoint.root_hash)


@pytest.mark.parametrize("size", SIZES)
def test_metamorphic_log_accepts_checkpoint_and_inclusion_proofs(size):
    note = sign_checkpoint(head(size), SIGNER, WITNESS)
    found = metamorphic_log.checkpoint_verify(note, [VKEY])
    assert (found.origin, found.size, found.root) == (ORIGIN, size, head(size).root)
    for index in some_indices(size):
        proof = inclusion_proof_from_tiles(index, size, read_tile)
        metamorphic_log.checkpoint_verify_inclusion(note, [VKEY], index, hashes()[index], proof)


def test_metamorphic_log_accepts_consistency_proofs():
    newer = sign_checkpoint(head(BIG), SIGNER)
    for size1 in SIZES:
        older = sign_checkpoint(head(size1), SIGNER)
        proof = consistency_proof_from_tiles(size1, BIG, read_tile)
        metamorphic_log.checkpoint_verify_consistency(older, newer, [VKEY], proof)


def test_metamorphic_log_refuses_what_was_touched():
    note = sign_checkpoint(head(600), SIGNER)
    proof = inclusion_proof_from_tiles(5, 600, read_tile)
    refused = metamorphic_log.VerifyError
    with pytest.raises(refused):
        metamorphic_log.checkpoint_verify(note, [str(OTHER.vkey)])
    with pytest.raises(refused):
        metamorphic_log.checkpoint_verify(note.replace("\n600\n", "\n601\n"), [VKEY])
    with pytest.raises(refused):
        metamorphic_log.checkpoint_verify_inclusion(note, [VKEY], 6, hashes()[5], proof)
    with pytest.raises(refused):
        metamorphic_log.checkpoint_verify_inclusion(note, [VKEY], 5, hashes()[5], proof[:-1])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="aics-tlog needs Python 3.12")
@pytest.mark.parametrize("size", SIZES)
def test_aics_tlog_accepts_every_tile_down_to_the_entries(tmp_path, size):
    aics_tlog = pytest.importorskip("aics_tlog")
    publish(tmp_path, size)
    note = (tmp_path / "checkpoint").read_text(encoding="utf-8")
    result = aics_tlog.verify_checkpoint(
        aics_tlog.parse_note(note), aics_tlog.parse_vkey(VKEY), [], quorum=0
    )
    assert result.ok
    reader = aics_tlog.FileSystemTileReader(tmp_path)
    aics_tlog.audit_tiles(reader, size, head(size).root)
    for index in some_indices(size):
        proof = aics_tlog.inclusion_proof_from_tiles(reader, index, size)
        assert proof == inclusion_proof_from_tiles(index, size, read_tile)
