"""The final checkpoints of the logs that ended: served for ever, and mended by whoever leads.

No next checkpoint of theirs comes that would replace a row that was altered or put one back that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from app.kit.errors import Fault
from app.ledger import checkpointstore, logstore
from app.ledger.anchor import Anchor
from app.ledger.checkpoint import open_checkpoint
from app.ledger.logstore import Log, Published, TreeState
from app.ledger.note import VerifierKey
from app.ledger.served import foreign_problem, foreign_sizes, load_checkpoint, missing_problem
from app.ledger.verifier import Problem


@dataclass(frozen=True, slots=True)
class Mending:
    """What is to be done. sizes: of the rows that are none of that log. final: what is missing."""

    told: Sequence[Problem]
    logs: Sequence[tuple[Log, Sequence[object], Published | None]]


def find_damage(
    connection: Connection, frozen: Sequence[VerifierKey], anchor: Anchor, *, now_ms: int
) -> Mending:
    """Returns what is wrong with the final checkpoints. frozen: the keys, oldest first. Read-only."""
    told: list[Problem] = []
    logs = []
    states = logstore.load_states(connection) if frozen else []
    for key, state in zip(frozen, states, strict=False):
        sizes = foreign_sizes(connection, key)
        told += [foreign_problem(size, key.name) for size in sizes]
        served = load_checkpoint(connection, key)
        final = None
        if served is None or served.size != state.size:
            final = _anchored(anchor, key, state, now_ms)
            told += [missing_problem(final.size, key.name)] if final else []
        logs.append((state.log, sizes, final))
    return Mending(told, logs)


def mend(connection: Connection, mending: Mending) -> None:
    """Takes away what is none of the logs' checkpoints, and puts back what is missing."""
    for place, sizes, final in mending.logs:
        checkpointstore.delete_checkpoints(connection, place, sizes)
        if final is not None:
            checkpointstore.save_checkpoint(connection, final)


def _anchored(anchor: Anchor, key: VerifierKey, state: TreeState, now_ms: int) -> Published | None:
    """Returns a final checkpoint as it was anchored, None if it is not of this tree."""
    note = anchor.read_final(state.log.number)
    if note is None:
        return None
    try:
        checkpoint = open_checkpoint(note, [key], origin=key.name)
    except Fault:
        return None
    if (checkpoint.size, checkpoint.root) != (state.size, state.root):
        return None
    return Published(state.log, checkpoint.size, checkpoint.root, note, now_ms)
