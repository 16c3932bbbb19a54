"""Opens the documents that parties handed in, one after the other, and tells of those that were altered.

The walk over the streams leaves them to this: a party may keep hundreds of MB, and to open all of them at
once would hold a snapshot, and a processor, for as long. A document that no longer fits its digest is a
finding at its party's stream, as every audit that is asked for says it too.
"""

from __future__ import annotations

import time
from typing import Final

from app.credit import documentstore
from app.credit.documents import is_sound
from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.ledger.vault import Vault
from app.ledger.verifier import Problem
from app.oversight import store
from app.oversight.findings import Findings
from app.oversight.rowcheck import altered_document

CURSOR: Final = "audit.documents"
SLICE_S: Final = 0.1
_MOST: Final = 200
_AT_FIRST: Final = -1

Place = tuple[int, str, str]


class DocumentWalk:
    """Goes round all documents in the order in which they were handed in; `work` is a loop of the worker."""

    def __init__(
        self, database: Database, findings: Findings, *, clock: Clock, vault: Vault
    ) -> None:
        self._database = database
        self._findings = findings
        self._clock = clock
        self._vault = vault
        self._last: Place | None = None

    def work(self) -> bool:
        """Opens the next ones for a tenth of a second, at least one; the pause after it is the budget."""
        end = time.monotonic() + SLICE_S
        with self._database.read() as connection:
            before = store.load_cursor(connection, CURSOR)
            if self._last is None and before != _AT_FIRST:
                # Those of that moment once more: of them the cursor does not say which were read.
                self._last = before, "", ""
            places = documentstore.kept_behind(connection, self._last, limit=_MOST)
        wrong: list[Problem] = []
        for place in places:
            self._last, (_, party, digest) = place, place
            with self._database.read() as connection:
                row = documentstore.find_document(connection, party, digest)
            if row is not None and not is_sound(self._vault, row):
                wrong.append(altered_document(party, digest))
            if time.monotonic() > end:
                break
        if len(places) < _MOST and (not places or self._last == places[-1]):
            self._last = None  # the round is over
        position = _AT_FIRST if self._last is None else self._last[0]
        if position != before:
            with self._database.write() as connection:
                store.save_cursor(connection, CURSOR, position, to_ms(self._clock.now()))
        self._findings.report(wrong)
        return False
