"""Hand-overs: the two records by which one log goes on from another, and whether they are true.

The last leaf of the old log (`rotated`) names the new log's origin and key; the first of the new one
(`continued`) names the old log's origin, key, final size and root. So whoever trusts the key of either
can come to trust the other's, forwards and backwards, without asking anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection

from app.ledger import logstore, store
from app.ledger.checkpoint import Checkpoint
from app.ledger.heads import HEADS
from app.ledger.logstore import TreeState
from app.ledger.note import VerifierKey
from app.ledger.record import record_hash, stream_key
from app.ledger.store import StoredRecord
from app.ledger.treecheck import log_problem
from app.ledger.verifier import Problem

ROTATED = "rotated"
CONTINUED = "continued"


def rotated_data(new: VerifierKey) -> dict[str, Any]:
    """Returns what the last record of a log says of the next one."""
    return {"origin": new.name, "key": str(new)}


def continued_data(old: VerifierKey, final: Checkpoint) -> dict[str, Any]:
    """Returns what the first record of a log says of the one before it."""
    return {
        "origin": old.name,
        "key": str(old),
        "root": final.root.hex(),
        "size": final.size,
    }


def handover_records(connection: Connection, *, since: int) -> list[StoredRecord]:
    """Returns the hand-overs from log number `since` to the one that goes on. Read-only."""
    starts = [state.log.start for state in logstore.load_states(connection)[since + 1 :]]
    found = (_record_at(connection, place) for start in starts for place in (start - 1, start))
    return [record for record in found if record is not None]


def check_handovers(
    connection: Connection, log_keys: Sequence[VerifierKey], signed: Sequence[Checkpoint]
) -> Iterator[Problem]:
    """Yields the logs that do not go on from the one before as it was signed. Read-only.

    log_keys: of all logs. signed: checkpoints whose signature the caller has verified. A hand-over
    whose bytes are not what was logged is passed over: that is a finding on its own record.
    """
    states = logstore.load_states(connection)
    for old, new in pairwise(states):
        keys = {key.name: key for key in log_keys}
        if old.origin not in keys or new.origin not in keys:
            yield log_problem("log.handover_mismatch", new.origin, got="no key")
            continue
        finals = (c for c in signed if c.origin == old.origin)
        final = max(finals, key=lambda c: c.size, default=Checkpoint(old.origin, 0, b""))
        wanted = (
            (new.log.start - 1, ROTATED, rotated_data(keys[new.origin])),
            (new.log.start, CONTINUED, continued_data(keys[old.origin], final)),
        )
        for position, type_, data in wanted:
            record = _record_at(connection, position)
            if record is not None and record_hash(record.body) != record.entry:
                continue
            if not _says(record, type_, data):
                yield log_problem("log.handover_mismatch", new.origin, record=type_)


def last_rotated(connection: Connection, state: TreeState) -> str | None:
    """Returns the origin that a log's last leaf hands over to, None where it is none. Read-only."""
    record = _record_at(connection, state.end - 1)
    if record is None or record.fields.get("type") != ROTATED:
        return None
    return str(record.fields["data"]["origin"])


def _says(record: StoredRecord | None, type_: str, data: Mapping[str, Any]) -> bool:
    return (
        record is not None and record.fields["type"] == type_ and record.fields.get("data") == data
    )


def _record_at(connection: Connection, position: int) -> StoredRecord | None:
    """Returns the record of `log/heads` at a position of the logs, None where another stands there."""
    leaf = logstore.leaf_at(connection, position)
    if leaf is None or leaf.stream != stream_key(HEADS):
        return None
    return store.load_record(connection, HEADS, leaf.seq)
