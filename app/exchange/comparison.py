"""Whether the store elsewhere holds what our ledger holds: both are listed in one order, and merged.

The order is that of stream keys, which both sides compute from the stream's name, and of seq; so
neither side needs more memory than a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.credit import exchangestore as store
from app.credit.exchangestore import Place
from app.db.engine import Database
from app.exchange.port import StoreDown
from app.exchange.remote import HTTPStore
from app.exchange.sender import place_of
from app.ledger.store import stream_name

_PAGE = 500
_MOST_TOLD = 100


@dataclass(slots=True)
class Comparison:
    """equal: how many are the same on both sides. Each list holds the first hundred keys.

    missing: not there. extra: there, and not here. differing: of another hash.
    """

    equal: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: {"missing": 0, "extra": 0, "differing": 0}
    )

    @property
    def same(self) -> bool:
        return not any(self.counts.values())

    def tell(self, kind: str, key: str) -> None:
        """Counts one that is not equal."""
        self.counts[kind] += 1
        listed: list[str] = getattr(self, kind)
        if len(listed) < _MOST_TOLD:
            listed.append(key)


def compare(database: Database, remote: HTTPStore) -> Comparison:
    """Returns how our ledger and the store's copy differ. Read-only. Raises StoreDown."""
    found = Comparison()
    ours, theirs = _ours(database), _theirs(remote)
    here, there = next(ours, None), next(theirs, None)
    while here is not None or there is not None:
        if there is None or (here is not None and here[0] < there[0]):
            assert here is not None
            found.tell("missing", _key(database, here[0]))
            here = next(ours, None)
        elif here is None or there[0] < here[0]:
            found.tell("extra", there[2])
            there = next(theirs, None)
        else:
            if here[1] == there[1]:
                found.equal += 1
            else:
                found.tell("differing", there[2])
            here, there = next(ours, None), next(theirs, None)
    return found


def _ours(database: Database) -> Iterator[tuple[Place, str]]:
    after: Place | None = None
    while True:
        with database.read() as connection:
            rows = store.list_changes(connection, after=after, limit=_PAGE)
        if not rows:
            return
        yield from ((place, hash_.hex()) for place, hash_, _ in rows)
        after = rows[-1][0]


def _theirs(remote: HTTPStore) -> Iterator[tuple[Place, str, str]]:
    cursor: str | None = None
    last: Place | None = None
    while True:
        page = remote.list_received(cursor)
        for item in page["items"]:
            place = _place(item)
            if last is not None and place <= last:
                raise StoreDown("list_out_of_order")
            last = place
            yield place, item["hash"], item["key"]
        cursor = page.get("next")
        if cursor is None:
            return


def _place(item: Any) -> Place:
    if not (
        isinstance(item, dict)
        and isinstance(key := item.get("key"), str)
        and isinstance(item.get("hash"), str)
        and (place := place_of(key)) is not None
    ):
        raise StoreDown("answer_garbled")
    return place


def _key(database: Database, place: Place) -> str:
    stream, seq = place
    with database.read() as connection:
        return f"{stream_name(connection, stream) or stream}/{seq}"
