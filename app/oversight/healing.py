"""A listing that is recorded after the sale that lacked it: which lives it makes whole.

A unit's own chain never hears of a listing above it. What is indexed of the life is written again from
the state with that listing taken in, exactly as a verification of the unit judges it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.kit.clock import from_ms
from app.ledger.record import record_hash
from app.ledger.store import StoredRecord
from app.oversight import store
from app.trace import lifecycle
from app.trace import store as trace_store
from app.trace.code import Code
from app.trace.decide import life_effects
from app.trace.identifiers import parse_code
from app.trace.life_table import Happening, State
from app.trace.replay import happening_of
from app.trace.sides import seller_of

Place = tuple[str, str]
"""Stream, and "" or the consignment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A whole chain of a unit or consignment, whole since `at`.

    sale_seq, signature_seq, last_seq: where its sale, signature and last step stand.
    """

    code: str
    subject: str
    seller: str
    sale_seq: int
    signature_seq: int
    last_seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Healed:
    """A life before and after the listing was taken in."""

    code: Code
    subject: str
    before: State
    after: State

    @property
    def chain(self) -> Chain | None:
        """The chain that the listing makes whole, None where more is missing."""
        if "completed" not in self.after or "completed" in self.before:
            return None
        return Chain(
            code=self.code.stream,
            subject=self.subject,
            seller=seller_of(self.after),
            sale_seq=self.after["sale"]["seq"],
            signature_seq=self.after["signature"]["seq"],
            # Not the listing: it says nothing of which goods it made whole.
            last_seq=max(self.after[step]["seq"] for step in ("sale", "dispatch", "signature")),
            at=from_ms(self.after["completed"]),
        )


def find_healed(connection: Connection, listing: StoredRecord) -> list[Healed]:
    """Returns the lives that lack a listing and are healed by this one. Read-only."""
    shelf = parse_code(listing.stream)
    if record_hash(listing.body) != listing.hash:
        return []
    told = happening_of(listing.fields, lambda *_: None)
    rows = store.listing_gaps(
        connection, seller=told.actor, gtin=shelf.gtin, listed_at_ms=told.occurred_ms
    )
    names = store.names_of(connection, [row.stream for row in rows])
    places = [(names[row.stream], row.subject) for row in rows if row.stream in names]
    return list(_heal(connection, shelf, told, places))


def write_healed(connection: Connection, listing: StoredRecord, healed: Healed) -> None:
    """Indexes a life anew, of its present cycle. Writes `due` and `sold_unit`."""
    place = (healed.code.stream, healed.subject)
    # Asked again where nothing can come between: an index of an older life would stay.
    store.lock_head(connection, healed.code.stream)
    told = happening_of(listing.fields, lambda *_: None)
    for now in _heal(connection, parse_code(listing.stream), told, [place]):
        for effect in life_effects(now.code, now.code.stream, now.subject, now.before, now.after):
            trace_store.WRITERS[effect.kind](connection, [effect.row])


def _heal(
    connection: Connection, shelf: Code, listing: Happening, places: list[Place]
) -> Iterator[Healed]:
    for (stream, subject), state in trace_store.load_lives(connection, places).items():
        gap = state.get("gaps", {}).get("listing")
        # A lot's listing speaks for its own goods; of one recorded before, the sale was told.
        if (
            gap is None
            or shelf.lot not in (None, state.get("lot"))
            or listing.recorded_ms < gap["since"]
        ):
            continue
        after = lifecycle.heal(state, listing)
        if "listing" not in after["gaps"]:
            yield Healed(parse_code(stream), subject, state, after)
