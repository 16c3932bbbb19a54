"""A log's leaf hashes by the publisher's own path: from the stored records, or else from the tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import structlog
from sqlalchemy import Connection

from app.ledger import logstore
from app.ledger.logstore import Log
from app.ledger.merkle import leaf_hash
from app.ledger.record import record_hash
from app.ledger.store import as_bytes
from app.ledger.tiles import TILE_WIDTH
from app.ledger.treecheck import true_leaves

log = structlog.get_logger(__name__)


def rehash(connection: Connection, place: Log, start: int, end: int) -> Iterator[bytes]:
    """Yields the leaf hashes of a log's records `start` to `end`−1, re-hashed from their stored bytes.

    A record that was altered since does not change what was promised, which is what the sequencer
    took off the queue: that is signed, if it leads to the tree's root, and the audit reports the
    record. Ends early where a leaf row is gone.
    """
    expected = place.start + start
    rows = logstore.leaves_with_records(connection, expected, place.start + end)
    with closing(rows):
        for row in rows:
            entry = as_bytes(row.leaf_hash)
            if row.leaf_index != expected:
                break
            if row.body is None or record_hash(as_bytes(row.body)) != entry:
                log.error("publisher.record_altered", leaf_index=row.leaf_index)
            expected += 1
            yield leaf_hash(entry)


def read_tree(connection: Connection, place: Log, start: int, end: int) -> Iterator[bytes]:
    """Yields what tiles, leaf rows and records say together that the leaf hashes are."""
    for index in range(start // TILE_WIDTH, (end - 1) // TILE_WIDTH + 1):
        first = index * TILE_WIDTH
        yield from true_leaves(connection, place, index)[max(start - first, 0) : end - first]
