"""Which goods an authority's account with a region is in office for.

The records of a chain decide, never the state beside them: the places of those who made, sold or hold
the goods, each where it is registered, and the place of a sale where its record tells one. Not where a
parcel passed through or who carried it: else every office on its way could read who bought what.

Customs decide on goods of a declaration by their port, and no region says which those are. So they act on
such goods wherever they belong, and find them by their sealed numbers, as far as they may decide at all
(`customs.decide`); what is sealed in them they open in their region alone, as everybody in office does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from app.db.lookup import chunks
from app.ledger.reading import each_of_some
from app.parties.identity import is_party_id
from app.parties.principal import OutsideRegion, Principal
from app.parties.store import find_parties
from app.trace.code import lot_stream

_DECIDING = frozenset({"registration", "sale", "acceptance"})
_REGISTERING = frozenset({"registration"})
_DECLARING = frozenset({"registration", "customs_release", "customs_hold"})
_PARTY = "party/"


def places_of(connection: Connection, stream: str) -> frozenset[str]:
    """Returns the regions (GB/T 2260) that a stream belongs to; none where nobody told one. Read-only."""
    return places_of_each(connection, [stream])[stream]


def places_of_each(
    connection: Connection, streams: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """Returns what `places_of` does of each of these streams, in few statements. Read-only."""
    return _Told(connection, streams, _DECIDING).places()


def is_in_office(connection: Connection, principal: Principal, stream: str) -> bool:
    """Whether the caller is in office for these goods, or this party. Read-only."""
    return principal.region is None or principal.in_office(*places_of(connection, stream))


def check_goods(connection: Connection, principal: Principal, stream: str) -> None:
    """Raises OutsideRegion where the caller is not in office for a stream. Read-only."""
    if not is_in_office(connection, principal, stream):
        raise OutsideRegion("outside_region", office=principal.region)


def acts_on(connection: Connection, principal: Principal, stream: str) -> bool:
    """Whether the caller has goods before it in office: may find them by a sealed number, and decide.

    Where it is in office for them; who may decide for customs also where a declaration names them. Read-only.
    """
    return stream in acted_on(connection, principal, [stream])


def acted_on(
    connection: Connection,
    principal: Principal,
    streams: Collection[str],
    *,
    places: Mapping[str, frozenset[str]] | None = None,
) -> frozenset[str]:
    """Returns those of many goods that the caller `acts_on`, in few statements. Read-only.

    places: of each, where they are known.
    """
    if principal.region is None:
        return frozenset(streams)
    if not principal.may("customs.decide"):
        known = places_of_each(connection, streams) if places is None else places
        return frozenset(one for one in streams if principal.in_office(*known[one]))
    told = _Told(connection, streams, _DECIDING | _DECLARING)
    known = told.places()
    found = frozenset(one for one in streams if principal.in_office(*known[one]))
    return found | told.declared(beside=found)


class _Told:
    """What the records of many streams tell of where they belong, read once and not kept. Read-only."""

    def __init__(
        self, connection: Connection, streams: Collection[str], types: frozenset[str]
    ) -> None:
        self._connection = connection
        self._parties: dict[str, set[str]] = {one: set() for one in streams}
        self._sold_in: dict[str, set[str]] = {one: set() for one in streams}
        self._declared: set[str] = set()
        self._units: dict[str, set[str]] = {}
        """By the lot that they name."""
        for stream in streams:
            if stream.startswith(_PARTY):
                self._parties[stream].add(stream.removeprefix(_PARTY))
        goods = [one for one in streams if not one.startswith(_PARTY)]
        for stream, fields in each_of_some(connection, goods, types):
            self._add(stream, fields)

    def _add(self, stream: str, fields: Mapping[str, Any]) -> None:
        if fields["type"] in _DECIDING:
            self._parties[stream].update(_told_parties(fields))
        if fields["type"] == "sale" and isinstance(fields["data"].get("region"), str):
            self._sold_in[stream].add(fields["data"]["region"])
        if fields["type"] in _DECLARING and "declaration" in fields.get("sealed", {}):
            self._declared.add(stream)
        for lot in _told_lot(stream, fields):
            self._units.setdefault(lot, set()).add(stream)

    def places(self) -> Mapping[str, frozenset[str]]:
        """Returns the regions of each stream."""
        regions: dict[str, str] = {}
        for some in chunks(sorted(set().union(*self._parties.values()))):
            rows = find_parties(self._connection, some)
            regions |= {row.id: row.region for row in rows if row.region is not None}
        return {
            stream: frozenset(
                told | {regions[one] for one in self._parties[stream] if one in regions}
            )
            for stream, told in self._sold_in.items()
        }

    def declared(self, *, beside: Collection[str]) -> frozenset[str]:
        """Returns those of which a record, or one of their lot, commits to a customs declaration.

        beside: of which it need not be known.
        """
        found = set(self._declared)
        lots = [lot for lot, units in self._units.items() if units - found - set(beside)]
        for lot, fields in each_of_some(self._connection, lots, _DECLARING):
            if "declaration" in fields.get("sealed", {}):
                found |= self._units[lot]
        return frozenset(found)


def with_lots(connection: Connection, streams: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Returns for each stream itself, and of a unit that has a lot the lot's too. Read-only."""
    found = {one: {one} for one in streams}
    units = [one for one in streams if "/21/" in one]
    for stream, fields in each_of_some(connection, units, _REGISTERING):
        found[stream].update(_told_lot(stream, fields))
    return {stream: frozenset(told) for stream, told in found.items()}


def _told_lot(stream: str, fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lot that a unit's registration names."""
    lot = fields["data"].get("lot")
    if "/21/" in stream and fields["type"] == "registration" and isinstance(lot, str):
        yield lot_stream(stream.split("/")[1], lot)


def _told_parties(fields: Mapping[str, Any]) -> Iterator[str]:
    for party in (fields["actor"], fields["data"].get("issuer")):
        if isinstance(party, str) and is_party_id(party):
            yield party
