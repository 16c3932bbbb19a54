"""States told again: what stands in the heads of this room's streams, from their records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from app.ledger import store
from app.ledger.store import StoredRecord
from app.parties.standing import replay_standing, standing_of
from app.trace import replay
from app.trace.gaps import Graces


class Retold:
    """What the ledger's check of a stream asks about the state in its head: the records say it again.

    replayed: the life of the unit that was asked about last, None before.
    """

    def __init__(self, find: replay.FindRecord, graces: Graces) -> None:
        self.find = find
        self._graces = graces
        self.replayed: dict[str, Any] | None = None

    def replay(self, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the life of a unit from its records."""
        return replay.replay(records, self.find, self._graces)

    def check(self, name: str, records: list[Mapping[str, Any]], state: Mapping[str, Any]) -> bool:
        """Whether the head's state of this stream is the fold of its records."""
        if name.startswith("party/"):
            told = replay_standing(records)
            try:
                return told == standing_of(state)
            except (AttributeError, KeyError, TypeError):
                return False  # it is not even built as one
        if name.startswith("store/"):
            return not state  # what others sent has no state; each record stands for itself
        if "/21/" not in name:
            return bool(replay.replay_recalls(records) == state.get("recalls", {}))
        self.replayed = self.replay(records)
        return bool(self.replayed == state)


def finder(connection: Connection, read: Iterable[StoredRecord] = ()) -> replay.FindRecord:
    """Returns how a record is found. read: those of this snapshot that need not be read again."""
    here = {(record.stream, record.seq): record for record in read}
    kept: dict[tuple[str, int], Mapping[str, Any] | None] = {}

    def find(stream: str, seq: int) -> Mapping[str, Any] | None:
        place = (stream, seq)
        if place not in kept:
            record = here.get(place) or store.load_record(connection, stream, seq)
            try:
                kept[place] = None if record is None else record.fields
            except ValueError:
                kept[place] = None
        return kept[place]

    return find
