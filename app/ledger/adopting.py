"""Taking an anchor folder into use for a log that was signed under another: after a loss, by a person.

What the service never does by itself: nothing tells it apart from a host that signs beside the true
anchor. The folder is brought up to the checkpoint that the database serves, which our own key signed.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.db.engine import Database
from app.kit.errors import Fault
from app.ledger import logstore
from app.ledger.anchor import Anchor
from app.ledger.checkpoint import open_checkpoint
from app.ledger.logstore import Published
from app.ledger.merkle import edge_root
from app.ledger.note import VerifierKey, split_note
from app.ledger.publisher import DatabaseContradictsAnchor
from app.ledger.served import load_checkpoint


def adopt_anchor(
    database: Database, anchor: Anchor, log_keys: Sequence[VerifierKey]
) -> Published | None:
    """Makes this folder the one under which the log is signed; returns where the log stands there.

    log_keys: of all logs, the one that goes on last. None where it was never signed. Writes `anchor`
    unless it holds as much of this very log already, the final checkpoints of the logs before, and
    `log_state`. Raises DatabaseContradictsAnchor where the leaves do not give what was served.
    """
    note = anchor.read()
    with database.read() as connection:
        for number, key in enumerate(log_keys[:-1]):
            final = load_checkpoint(connection, key)
            if final is not None and _size(anchor.read_final(number), key) < final.size:
                anchor.keep_final(number, _signed_by(key, final.note))
        served = load_checkpoint(connection, log_keys[-1])
        if served is not None:
            edge = logstore.edge_of_leaves(connection, served.log, served.size)
            if edge_root(served.size, edge) != served.root:
                raise DatabaseContradictsAnchor("database_contradicts_anchor", size=served.size)
            if _size(note, log_keys[-1]) < served.size:
                # What our own key signed; witnesses' lines are added again to what is served.
                signed = _signed_by(log_keys[-1], served.note)
                anchor.replace(old=note, new=signed, edge=edge)
    with database.write() as connection:
        logstore.set_anchor(connection, anchor.identify())
    return served


def _size(note: str | None, key: VerifierKey) -> int:
    """Returns how much of this key's log a note holds; −1 where it is none of it."""
    try:
        return -1 if note is None else open_checkpoint(note, [key], origin=key.name).size
    except Fault:
        return -1


def _signed_by(key: VerifierKey, note: str) -> str:
    """Returns the note with the lines of this key alone."""
    text, lines = split_note(note)
    own = [str(line) for line in lines if (line.name, line.key_id) == (key.name, key.key_id)]
    return f"{text}\n{''.join(own)}"
