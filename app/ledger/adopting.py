"""Taking an anchor folder into use for a log that was signed under another: after a loss, by a person.

What the service never does by itself: nothing tells it apart from a host that signs beside the true
anchor. The folder is brought up to the checkpoint that the database serves, which our own key signed.
"""

from __future__ import annotations

from app.db.engine import Database
from app.ledger import logstore
from app.ledger.anchor import Anchor
from app.ledger.logstore import Published
from app.ledger.merkle import edge_root
from app.ledger.note import VerifierKey
from app.ledger.publisher import DatabaseContradictsAnchor
from app.ledger.served import load_checkpoint


def adopt_anchor(database: Database, anchor: Anchor, log_key: VerifierKey) -> Published | None:
    """Makes this folder the one under which the log is signed; returns where the log stands there.

    None where nothing was signed yet. Writes `anchor` where it is older than the served checkpoint,
    and `log_state`. Raises DatabaseContradictsAnchor where the leaves do not give what was served.
    """
    note = anchor.read()
    with database.read() as connection:
        served = load_checkpoint(connection, log_key)
        if served is not None:
            edge = logstore.edge_of_leaves(connection, served.log, served.size)
            if edge_root(served.size, edge) != served.root:
                raise DatabaseContradictsAnchor("database_contradicts_anchor", size=served.size)
            if note is None or _size(note) < served.size:
                anchor.replace(old=note, new=served.note, edge=edge)
    with database.write() as connection:
        logstore.set_anchor(connection, anchor.identify())
    return served


def _size(note: str) -> int:
    """Returns the size in a note, −1 where it has none: such a note is none."""
    lines = note.splitlines()
    return int(lines[1]) if len(lines) > 1 and lines[1].isdecimal() else -1
