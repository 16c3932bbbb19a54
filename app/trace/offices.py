"""Which goods an authority's account with a region is in office for.

The records of a chain decide, never the state beside them: the places of those who made, sold or hold
the goods, each where it is registered, and the place of a sale where its record tells one. Not where a
parcel passed through or who carried it: else every office on its way could read who bought what.

Customs decide on goods of a declaration by their port, and no region says which those are. So they act on
such goods wherever they belong, and find them by their sealed numbers, as far as they may decide at all
(`customs.decide`); what is sealed in them they open in their region alone, as everybody in office does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from app.db.lookup import chunks
from app.ledger.reading import each_of
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
    parties: set[str] = set()
    places: set[str] = set()
    if stream.startswith(_PARTY):
        parties.add(stream.removeprefix(_PARTY))
    else:
        for fields in each_of(connection, stream, _DECIDING):
            parties.update(_told_parties(fields))
            if fields["type"] == "sale" and isinstance(fields["data"].get("region"), str):
                places.add(fields["data"]["region"])
    for some in chunks(sorted(parties)):
        rows = find_parties(connection, some)
        places.update(row.region for row in rows if row.region is not None)
    return frozenset(places)


def is_in_office(connection: Connection, principal: Principal, stream: str) -> bool:
    """Whether the caller is in office for these goods, or this party. Read-only."""
    return principal.region is None or principal.in_office(*places_of(connection, stream))


def check_goods(connection: Connection, principal: Principal, stream: str) -> None:
    """Raises OutsideRegion where the caller is not in office for a stream. Read-only."""
    if not is_in_office(connection, principal, stream):
        raise OutsideRegion("outside_region", region=principal.region)


def acts_on(connection: Connection, principal: Principal, stream: str) -> bool:
    """Whether the caller has goods before it in office: may find them by a sealed number, and decide.

    Where it is in office for them; who may decide for customs also where a declaration names them. Read-only.
    """
    if is_in_office(connection, principal, stream):
        return True
    return principal.may("customs.decide") and is_declared(connection, stream)


def is_declared(connection: Connection, stream: str) -> bool:
    """Whether a record of these goods, or of their lot, commits to a customs declaration. Read-only."""
    return any(
        "declaration" in fields.get("sealed", {})
        for one in with_lot(connection, stream)
        for fields in each_of(connection, one, _DECLARING)
    )


def with_lot(connection: Connection, stream: str) -> Iterator[str]:
    """Yields a stream, and of a unit that has a lot the lot's. Read-only."""
    yield stream
    if "/21/" not in stream:
        return
    for fields in each_of(connection, stream, _REGISTERING):
        lot = fields["data"].get("lot")
        if isinstance(lot, str):
            yield lot_stream(stream.split("/")[1], lot)
        return


def _told_parties(fields: Mapping[str, Any]) -> Iterator[str]:
    for party in (fields["actor"], fields["data"].get("issuer")):
        if isinstance(party, str) and is_party_id(party):
            yield party
