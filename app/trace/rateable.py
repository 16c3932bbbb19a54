"""Parcels whose carrier their sender may rate, the ones sent last, each once. Read-only.

A parcel is what went under one waybill: its first unit carries the rating, and counts for all of it. Only
carriers that are parties can be rated, and only units: a consignment of a lot is rated by the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.db.engine import Database
from app.kit.clock import from_ms
from app.ledger.record import stream_key
from app.parties.identity import is_party_id
from app.parties.principal import Principal
from app.trace import parcelstore, ratingstore

_LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class SentParcel:
    """A parcel as its sender rates it. of: id of the dispatch. given: the newest rating, None for none."""

    stream: str
    of: str
    seq: int
    carrier: str
    tail: str
    to: str
    sent_at: datetime
    arrived: bool
    units: int = 1
    given: int | None = None


class Rateable:
    """Finds what can be rated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def parcels(self, principal: Principal, *, limit: int) -> list[SentParcel]:
        """Returns parcels that the party sent, those sold last first, of the last 300 units."""
        principal.check_may("event.send")
        party = principal.own_party()
        with self._database.read() as connection:
            heads = parcelstore.last_sold(connection, seller=party, limit=_LOOKED_AT)
            found: dict[tuple[Any, ...], SentParcel] = {}
            for head in heads:
                one = _parcel(head.stream, head.state, party)
                if one is None:
                    continue
                place = (one.carrier, one.tail, one.sent_at) if one.tail else (one.stream,)
                known = found.get(place)
                if known is not None:
                    # Read again, a parcel is the same whichever of its units moved since.
                    first = min(known, one, key=lambda two: two.stream)
                    found[place] = replace(first, units=known.units + 1)
                elif len(found) < limit:
                    found[place] = one
            given = ratingstore.given_by(
                connection, party, {stream_key(one.stream) for one in found.values()}
            )
        return [
            replace(one, given=given.get((stream_key(one.stream), one.seq)))
            for one in found.values()
        ]


def _parcel(stream: str, state: Mapping[str, Any], party: str) -> SentParcel | None:
    """Returns the parcel of a unit, None for one that was not sent, or by another, or by a mere name."""
    sent = state.get("dispatch")
    if sent is None or sent.get("actor") != party or not is_party_id(str(sent.get("carrier"))):
        return None
    if sent["carrier"] == party:
        return None
    return SentParcel(
        stream,
        sent["id"],
        int(sent["seq"]),
        str(sent["carrier"]),
        str(sent.get("tail", "")),
        str(sent.get("to", "")),
        from_ms(sent["at"]),
        arrived="signature" in state,
    )
