"""The life of a record's goods, as it is now and as it was when that record was made. Read-only.

An answer must be the same whenever it is asked for again, so what it tells beside the record is read
off the chain up to the record and never off what came later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from app.db.engine import Database
from app.ledger import store
from app.ledger.submission import Recorded
from app.trace import replay
from app.trace.gaps import Graces
from app.trace.leaving import Whereabouts, find_whereabouts
from app.trace.sides import is_witnessed
from app.trace.store import load_lives

_PAGE = 500


class Lives:
    """Lives of units, and of consignments of lots, by one of their records."""

    def __init__(self, database: Database, graces: Graces) -> None:
        self._database = database
        self._graces = graces

    def now(self, recorded: Recorded) -> tuple[Mapping[str, Any], str]:
        """Returns the present life of a record's goods, and what tokens for it are bound to."""
        place = _place(recorded)
        return self._states([place])[place], "#".join(part for part in place if part)

    def are_witnessed(self, signatures: Sequence[Recorded]) -> list[bool]:
        """Whether each signature was the word of the carrier whom the dispatch named when it was recorded."""
        places = [_place(one) for one in signatures]
        states = self._states(places)
        return [
            self._is_witnessed(one, states[place])
            for one, place in zip(signatures, places, strict=True)
        ]

    def _is_witnessed(self, signature: Recorded, state: Mapping[str, Any]) -> bool:
        if state.get("signature", {}).get("id") != signature.id:
            # A return ended the sale since, or the carrier's own word came after it.
            state = self._at(signature)
        # Nothing else that came later makes it another word or no longer one: see app.trace.spoken.
        return state.get("signature", {}).get("id") == signature.id and is_witnessed(state)

    def find_whereabouts(self, streams: Collection[str]) -> dict[str, Whereabouts]:
        """Returns in which case each unit is, or what took it out of which."""
        if not streams:
            return {}
        with self._database.read() as connection:
            heads = store.load_heads(connection, streams)
            return find_whereabouts(connection, {name: one.state for name, one in heads.items()})

    def _states(
        self, places: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        if not places:
            return {}
        with self._database.read() as connection:
            return load_lives(connection, places)

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


def _place(recorded: Recorded) -> tuple[str, str]:
    """Returns a record's stream, and the key of its consignment, "" of a unit."""
    consignment = _consignment(recorded)
    return recorded.stream, "" if consignment is None else f"consignment/{consignment}"


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
