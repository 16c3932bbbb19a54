"""The life of a record's goods, as it is now and as it was when that record was made. Read-only.

An answer must be the same whenever it is asked for again, so what it tells beside the record is read
off the chain up to the record and never off what came later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from app.db.engine import Database
from app.ledger import store
from app.ledger.submission import Recorded
from app.trace import replay
from app.trace.gaps import Graces
from app.trace.leaving import Left, find_left
from app.trace.sides import is_witnessed

_PAGE = 500


class Lives:
    """Lives of units, and of consignments of lots, by one of their records."""

    def __init__(self, database: Database, graces: Graces) -> None:
        self._database = database
        self._graces = graces

    def now(self, recorded: Recorded) -> tuple[Mapping[str, Any], str]:
        """Returns the present life of a record's goods, and what tokens for it are bound to."""
        consignment = _consignment(recorded)
        with self._database.read() as connection:
            if consignment is None:
                head = store.load_heads(connection, [recorded.stream])[recorded.stream]
                return head.state, recorded.stream
            place = (recorded.stream, f"consignment/{consignment}")
            return store.load_facts(connection, [place]).get(place, {}), "#".join(place)

    def is_witnessed(self, signature: Recorded) -> bool:
        """Whether this signature was the word of the carrier whom the dispatch named when it was recorded."""
        state, _ = self.now(signature)
        if state.get("signature", {}).get("id") != signature.id:
            # A return ended the sale since, or the carrier's own word came after it.
            state = self._at(signature)
        # Nothing else that came later makes it another word or no longer one: see app.trace.spoken.
        return state.get("signature", {}).get("id") == signature.id and is_witnessed(state)

    def find_left(self, stream: str) -> Left | None:
        """Returns the signature that took a unit out of its case, and the case; None where none did."""
        with self._database.read() as connection:
            return find_left(
                connection, stream, store.load_heads(connection, [stream])[stream].state
            )

    def _at(self, recorded: Recorded) -> Mapping[str, Any]:
        """Returns the life with this record as its last, but for its listing."""
        consignment = _consignment(recorded)
        with self._database.read() as connection:
            records = _records_until(connection, recorded.stream, recorded.seq)
            if consignment is None:
                return replay.replay(records, _find_none, self._graces)
            place = (recorded.stream, f"consignment/{consignment}")
            begun = store.load_facts(connection, [place]).get(place, {})
            return replay.replay_consignment(
                records,
                _find_none,
                self._graces,
                consignment=consignment,
                holder=str(begun.get("issuer", "")),  # who held the lot when it began
            )


def _consignment(recorded: Recorded) -> str | None:
    told: str | None = orjson.loads(recorded.body)["data"].get("consignment")
    return told


def _records_until(connection: Connection, stream: str, last: int) -> Iterator[Mapping[str, Any]]:
    """Yields the records of a stream up to one of them; what a hand has damaged is left out."""
    after = -1
    while after < last:
        page = store.load_stream(
            connection, stream, after_seq=after, limit=min(_PAGE, last - after)
        )
        for record in page:
            try:
                fields = record.fields
            except ValueError:
                continue
            if record.seq <= last:
                yield fields
        after = page[-1].seq if page else last


def _find_none(_stream: str, _seq: int) -> None:
    """What a sale refers to is not asked for: listings decide nothing about who delivers."""
