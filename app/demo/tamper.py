"""Alters a record in the SQLite file behind the service's back, as somebody with the disk would.

The database refuses UPDATE on records by a trigger; whoever has the file can drop it, change the
row and put the trigger back, and no application notices. The log does.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from app.ledger.record import stream_key

_TRIGGER = "record_no_update"


def change_city(path: Path, stream: str, *, record_type: str, to: str) -> int:
    """Writes `to` as destination into the stream's first record of this type; returns its seq.

    Everything else stays: hash, index columns, length. Raises LookupError if there is none.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        found = connection.execute(
            "SELECT seq, body FROM record WHERE stream = ? AND type = ? ORDER BY seq LIMIT 1",
            (stream_key(stream), record_type),
        ).fetchone()
        guard = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (_TRIGGER,)
        ).fetchone()
        if found is None or guard is None:
            raise LookupError(stream)
        seq, body = found
        altered = re.sub(rb'"to":"\d{6}"', f'"to":"{to}"'.encode(), bytes(body))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"DROP TRIGGER {_TRIGGER}")
        connection.execute(
            "UPDATE record SET body = ? WHERE stream = ? AND seq = ?",
            (altered, stream_key(stream), seq),
        )
        connection.execute(guard[0])
        connection.execute("COMMIT")
    return int(seq)
