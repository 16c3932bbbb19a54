"""The signed checkpoints that the database keeps: which one is served, and which rows are foreign.

Whoever can write the database can add a row, so a row counts only if its note verifies under the
log's key, says what the columns say, and the tree is that large. What else stands there is a finding
on the log, goes when the next checkpoint is stored, and stops nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.kit.clock import from_ms
from app.kit.errors import Fault
from app.ledger import checkpointstore, logstore
from app.ledger.checkpoint import Checkpoint, open_checkpoint
from app.ledger.logstore import Log, Published, TreeState
from app.ledger.note import VerifierKey
from app.ledger.store import as_bytes
from app.ledger.verifier import Problem

# A page shows a few notes again and again; a signature costs more than all its reading.
_NOTES = 256


def load_checkpoint(connection: Connection, log_key: VerifierKey) -> Published | None:
    """Returns the newest signed checkpoint of a log, or None before the first. Read-only."""
    rows = checkpointstore.checkpoints(connection, log_key.name, within_tree=True)
    return next(filter(None, (read_checkpoint(row, log_key) for row in rows)), None)


def load_logs(
    connection: Connection, log_keys: Sequence[VerifierKey]
) -> tuple[list[TreeState], Published | None]:
    """Returns the trees of all logs, the one that goes on last, and that one's `load_checkpoint`.

    In one statement, as pages ask it. log_keys: of all logs. Read-only.
    """
    rows = checkpointstore.logs_with_newest(connection)
    states = [logstore.state_of(row) for row in rows]
    key = log_keys[-1]
    if not rows or rows[-1].origin != key.name or rows[-1].signed_size is None:
        return states, load_checkpoint(connection, key)
    row = rows[-1]
    newest = (row.signed_size, row.signed_root, row.signed_note, row.signed_at)
    found = _read_signed(_Signed(row.log, row.start, *newest), key)
    # Where somebody put another row before it, an older one is.
    return states, found or load_checkpoint(connection, key)


def foreign_sizes(connection: Connection, log_key: VerifierKey) -> list[Any]:
    """Returns the sizes of the rows before the served one that are no checkpoints of this log.

    Read-only.
    """
    return [row.size for row, found in _before_served(connection, log_key) if found is None]


def signed_checkpoints(
    connection: Connection, log_keys: Sequence[VerifierKey], anchored: Sequence[str]
) -> tuple[list[Checkpoint], list[Problem]]:
    """Returns what the trees must agree with, stored and anchored, and what is no checkpoint at all.

    log_keys: of all logs. anchored: the anchor's notes (Anchor.read_all), read before the snapshot
    began. A tree is committed before it is anchored, so one that is smaller then is an old copy.
    Read-only.
    """
    signed = []
    foreign = []
    for log_key in log_keys:
        for row, found in _before_served(connection, log_key):
            if found is None:
                foreign.append(foreign_problem(row.size, log_key.name))
            else:  # a true one of a tree that is larger than this
                signed.append(Checkpoint(log_key.name, found.size, found.root))
        served = load_checkpoint(connection, log_key)
        if served is not None:
            signed.append(Checkpoint(log_key.name, served.size, served.root))
    finals: dict[str, int] = {}
    for note in anchored:
        checkpoint = next(filter(None, (_open(note, log_key) for log_key in log_keys)), None)
        if checkpoint is None:
            foreign.append(foreign_problem("anchor", log_keys[-1].name))
        else:
            signed.append(checkpoint)
            finals[checkpoint.origin] = max(checkpoint.size, finals.get(checkpoint.origin, 0))
    for log_key in log_keys[:-1]:
        served = load_checkpoint(connection, log_key)
        size = finals.get(log_key.name, 0)
        if served is None or served.size < size:
            foreign.append(missing_problem(size, log_key.name))
    return signed, foreign


def foreign_problem(size: object, origin: str) -> Problem:
    """Returns the problem of a row that is no checkpoint of this log."""
    evidence = {"size": str(size)[:40], "log": origin}
    return Problem("log.checkpoint_mismatch", None, evidence=evidence)


def missing_problem(size: int, origin: str) -> Problem:
    """Returns the problem of a log whose final checkpoint is not there to be served."""
    evidence = {"size": str(size), "log": origin}
    return Problem("log.checkpoint_missing", None, evidence=evidence)


def _before_served(
    connection: Connection, log_key: VerifierKey
) -> Iterator[tuple[Any, Published | None]]:
    """Yields the rows that stand before the served one, with what they are."""
    served = load_checkpoint(connection, log_key)
    for row in checkpointstore.checkpoints(connection, log_key.name, within_tree=False):
        found = read_checkpoint(row, log_key)
        if found is not None and found == served:
            return
        yield row, found


def read_checkpoint(row: Any, log_key: VerifierKey) -> Published | None:
    """Returns the checkpoint of a row, or None where it is none of this log."""
    columns = (row.log, row.start, row.size, row.root, row.note, row.published_at)
    return _read_signed(_Signed(*columns), log_key)


class _Signed(NamedTuple):
    """The columns of a checkpoint, whatever stands in them, and where its log starts."""

    log: Any
    start: Any
    size: Any
    root: Any
    note: Any
    published_at: Any


def _read_signed(told: _Signed, log_key: VerifierKey) -> Published | None:
    checkpoint = _open(told.note, log_key) if isinstance(told.note, str) else None
    if checkpoint is None or (checkpoint.size, checkpoint.root) != (told.size, as_bytes(told.root)):
        return None
    if not isinstance(told.start, int):  # a hand has been there; then it is known where no leaf is
        return None
    try:
        from_ms(told.published_at)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    log = Log(told.log, told.start)
    return Published(log, checkpoint.size, checkpoint.root, told.note, told.published_at)


@lru_cache(maxsize=_NOTES)
def _open(note: str, log_key: VerifierKey) -> Checkpoint | None:
    try:
        return open_checkpoint(note, [log_key], origin=log_key.name)
    except Fault:
        return None
