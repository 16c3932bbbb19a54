"""Proofs that a record was its stream's last, read from the pages of the newest published map.

What is given out was verified before: pages that lead to another root give no proof, and the audit
says which. Read-only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from app.kit.clock import parse_time
from app.ledger import headstore
from app.ledger.headmap import (
    HeadsProofError,
    Leaf,
    Path,
    map_key,
    verify_absence,
    verify_head,
)
from app.ledger.headpages import PageDamaged, walk
from app.ledger.headstore import MapState
from app.ledger.note import encode_base64
from app.ledger.prover import InLog, Provers
from app.ledger.record import record_hash
from app.ledger.store import StoredRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HeadProof:
    """A stream's place in a map, and the record of the map's root with its own proof in the log.

    leaf: the stream's; None where the map has no such stream, and `other` is what stands at the end
    of its path, if anything does.
    """

    state: MapState
    record: StoredRecord
    in_log: InLog
    siblings: tuple[bytes, ...]
    leaf: Leaf | None
    other: Leaf | None

    @property
    def recorded_at(self) -> datetime:
        """When the map's root was recorded."""
        return parse_time(self.record.fields["recorded_at"])

    def as_bundle(self) -> Mapping[str, Any]:
        """Returns `heads` of an evidence bundle; only where the map has the stream."""
        assert self.leaf is not None
        return {
            "seq": self.record.seq,
            "head": {"seq": self.leaf.seq, "hash": self.leaf.hash.hex()},
            "siblings": [encode_base64(sibling) for sibling in self.siblings],
        }


def prove_head(connection: Connection, stream: str, provers: Provers) -> HeadProof | None:
    """Returns a stream's place in the newest map whose record a signed checkpoint covers. Read-only.

    None where there is no such map, or where what is stored of it does not lead to its root.
    """
    for state in headstore.load_maps(connection):
        if state.seq is None:
            continue
        record = headstore.map_root_at(connection, state.seq)
        if record is None or not record.entry == record.hash == record_hash(record.body):
            continue
        in_log = provers.prove(record.leaf_index, record.hash)
        if in_log.standing in ("proven", "tile_damaged"):
            return _prove_in(connection, stream, state, record, in_log)
    return None


def _prove_in(
    connection: Connection, stream: str, state: MapState, record: StoredRecord, in_log: InLog
) -> HeadProof | None:
    key = map_key(stream)
    load = headstore.page_loader(connection, state.version)
    try:
        root = bytes.fromhex(record.fields["data"]["root"])
        path = walk(key, load=load)
        own, other = _whose(key, path)
        if own is not None:
            verify_head(own, path.siblings, root=root)
        else:
            verify_absence(key, other, path.siblings, root=root)
    except (HeadsProofError, PageDamaged, ValueError, KeyError, TypeError) as err:
        log.error("heads.not_proven", seq=record.seq, error=repr(err))
        return None
    return HeadProof(state, record, in_log, path.siblings, own, other)


def _whose(key: bytes, path: Path) -> tuple[Leaf | None, Leaf | None]:
    if path.leaf is not None and path.leaf.key == key:
        return path.leaf, None
    return None, path.leaf
