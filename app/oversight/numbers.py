"""Goods by a sealed number, a part at a time, as far as the caller has them before it in office.

One number can stand in more records than a request may read: a declaration of a container, a bill of
lading. The index knows nothing of offices, so whoever cuts it before asking whose the goods are hides a
reader's own behind those of others. Here the goods are asked for piece by piece until there are enough
of them or enough was read, and the place from where to go on is given. All parts together are complete.

A place is one of PLACES equal parts of all stream keys, never a record's own: whoever is told one, or
makes one up, learns of no goods that are not before it. That a number has more records than a step reads
is told to everybody who may ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection

from app.kit.errors import FieldFault, invalid
from app.oversight import numberstore

PLACES = 2_048
"""Fewer than the goods of a step: where there is one to go on from, each holds goods as a rule."""
STEP = 4_000
"""Goods that one request asks about, or a piece more: 0.3 s, and twice that where PostgreSQL has to share two
cores with others, too."""
_PIECE = 250
_WIDTH = 2**63 // PLACES
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Told(Generic[Name]):
    """Goods that have a number. stream: their key; seq, recorded_at: of their newest record with it, ms.

    name: "" of what the index names and is not there, or not of the time asked for: it counts as looked at,
    and is no goods of anybody.
    """

    kind: Name
    stream: int
    name: str
    seq: int
    recorded_at: int


@dataclass(frozen=True, slots=True)
class Part(Generic[Name]):
    """What one step found, newest first.

    onward: by kind the places to go on from, of the kinds that have more; none: that was all.
    """

    goods: tuple[Told[Name], ...]
    onward: Mapping[Name, int]

    @property
    def percent(self) -> int:
        """How much of all was looked through up to here, rounded down."""
        return min(self.onward.values(), default=PLACES) * 100 // PLACES


def look_through(
    connection: Connection,
    digests: Mapping[Name, bytes],
    reached: Callable[[Collection[str]], Collection[str]],
    *,
    after: Mapping[str, int],
    most: int,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> Part[Name]:
    """Returns goods that have one of these numbers, by kind, from a place on, at most `most`.

    Each kind by itself: what many records tell as one kind hides none of another. reached: of some streams
    those that the caller acts on. after: the places, of none of them the beginning of all. since_ms,
    until_ms: of the records with the number, until exclusive. Read-only.
    """
    found: list[Told[Name]] = []
    places = {kind: after.get(kind, 0) for kind in digests if not after or kind in after}
    looked, piece = 0, min(_PIECE, max(1, most // max(1, len(digests))))
    is_first, is_full = True, False
    while places and looked < STEP and len(found) < most and not is_full:
        for kind, place in [*places.items()]:
            rows, behind = _next(
                connection,
                kind,
                digests[kind],
                place,
                piece,
                since_ms=since_ms,
                until_ms=until_ms,
            )
            looked += len(rows)
            there = [one for one in rows if one.name]
            ours = reached([one.name for one in there]) if there else ()
            told = [one for one in there if one.name in ours]
            # The first pieces of all kinds are kept, so that none stands as not found beside another.
            if not is_first and len(found) + len(told) > most:
                told, behind = _cut(told, place, most - len(found), at_least_one=not found)
                is_full = True
            found += told
            places[kind] = behind
            if behind >= PLACES:
                del places[kind]
            if is_full:
                break
        is_first = False
    found.sort(key=lambda one: (-one.recorded_at, one.stream))
    return Part(tuple(found), places)


def write_places(places: Mapping[Name, int]) -> str:
    """Returns places as a cursor has them, "" for none."""
    return " ".join(f"{kind}:{place}" for kind, place in places.items())


def read_places(given: str, *, loc: tuple[str, ...]) -> dict[str, int]:
    """Returns the places that a cursor has. loc: where it was given. Raises Invalid, kind `cursor`."""
    places: dict[str, int] = {}
    for told in given.split():
        kind, _, place = told.partition(":")
        if not (place.isascii() and place.isdecimal() and len(place) < 5 and int(place) < PLACES):
            raise invalid(FieldFault(loc, "cursor"))
        places[kind] = int(place)
    return places


def _cut(
    goods: list[Told[Name]], place: int, room: int, *, at_least_one: bool
) -> tuple[list[Told[Name]], int]:
    """Returns those goods of whole places for which there is room, and the place behind them.

    goods: more than there is room for, from this place on. at_least_one: the first place is taken whole,
    however many goods are in it, so that a part that has no others goes on.
    """
    behind = goods[room].stream // _WIDTH
    if at_least_one and behind == place:
        behind = place + 1
    return [one for one in goods if one.stream // _WIDTH < behind], behind


def _next(
    connection: Connection,
    kind: Name,
    digest: bytes,
    place: int,
    piece: int,
    *,
    since_ms: int | None,
    until_ms: int | None,
) -> tuple[list[Told[Name]], int]:
    """Returns the next goods of whole places, and the place behind them.

    So many or fewer; more where one place alone has more, of half a million under one number.
    """

    def read(until_key: int | None, limit: int | None) -> list[Told[Name]]:
        rows = numberstore.told(
            connection,
            kind,
            digest,
            since_ms=since_ms,
            until_ms=until_ms,
            from_key=place * _WIDTH,
            until_key=until_key,
            limit=limit,
        )
        return [Told(kind, row.stream, row.name, row.seq, row.recorded_at) for row in rows]

    rows = read(None, piece + 1)
    if len(rows) <= piece:
        return rows, PLACES
    behind = rows[piece].stream // _WIDTH
    if behind > place:
        return [one for one in rows if one.stream // _WIDTH < behind], behind
    until_key = (place + 1) * _WIDTH if place + 1 < PLACES else None  # no key is so large
    return read(until_key, None), place + 1
