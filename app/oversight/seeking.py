"""The authority's search: one box for every number and name, its hits by kind, newest first.

Numbers that are sealed (waybill, order, payment, declaration) are found by their keyed digests, and only
for a stated purpose: each hit is a look at sealed data, and is logged with it, and so is each kind that led
to nothing. The number itself is stored nowhere and is part of no address. Where many records have it they
are looked through a part at a time (`numbers`). What can be something open, too, is looked for as that. An
account with a region finds what is in its region, and customs who may decide also the goods of a declaration
(`offices.acts_on`); of what is public anyway, a full code or a party's number, it is told that it lies
elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock
from app.kit.errors import FieldFault, Invalid, invalid
from app.ledger.store import head_rows
from app.oversight import seekstore
from app.oversight.numbers import Part, Told, look_through
from app.oversight.seekstore import MOST, Bounds
from app.oversight.seekwords import SEALED, Kind, Reading, plain, read_query
from app.oversight.sought import GROUPS, By, Found, Group, Hit, Query, read_asked
from app.oversight.store import names_of
from app.parties.account_rules import covers
from app.parties.looking import log_numbers
from app.parties.principal import Principal
from app.trace import wordstore
from app.trace.code import Code, parse_serial
from app.trace.offices import acted_on, places_of_each
from app.trace.secret_index import SecretIndex
from app.trace.words import query_words

_ROUNDS = 8


@dataclass(slots=True)
class _Looking:
    """A search under way. region: that was asked for, "" for any. sealed: what sealed numbers lead to."""

    connection: Connection
    principal: Principal
    region: str
    readings: Sequence[Reading]
    bounds: Bounds
    elsewhere: list[str] = field(default_factory=list)
    sealed: Sequence[Told[Kind]] = ()

    def values(self, *kinds: Kind) -> list[str]:
        return [one.value for one in self.readings if one.kind in kinds]

    def is_at(self, places: Sequence[str | None] | frozenset[str]) -> bool:
        return all(any(covers(region, one) for one in places) for region in self.bounds.regions)


class Seeking:
    """Searches for an authority. Writes `access_log` where it was looked for something sealed."""

    def __init__(self, database: Database, *, clock: Clock, index: SecretIndex) -> None:
        self._database = database
        self._clock = clock
        self._index = index

    def find(self, principal: Principal, query: Query) -> Found:
        """Returns what there is.

        Raises Invalid with all that is wrong at once: a day, the region, the purpose; where nothing was
        asked, and where no purpose was stated for a number that is nothing open.
        """
        principal.check_may("desk.search")
        readings = read_query(query.text, year_now=self._clock.now().year)
        try:
            since_ms, until_ms, purpose = read_asked(query, is_read=bool(readings))
        except Invalid as wrong:
            raise self._with_purpose(principal, query, readings, wrong) from None
        regions = tuple(one for one in (query.region, principal.region) if one)
        bounds = Bounds(regions, since_ms, until_ms)
        return self._find(principal, query, readings, bounds, purpose)

    def _with_purpose(
        self, principal: Principal, query: Query, readings: tuple[Reading, ...], wrong: Invalid
    ) -> Invalid:
        """Returns what is wrong, and that a purpose is missing where it would be asked for in any case."""
        if query.purpose.strip() or not any(one.kind in SEALED for one in readings):
            return wrong
        own = () if principal.region is None else (principal.region,)
        anywhere = replace(query, region="", after={})
        try:
            # What is not found in all regions and at all times is not found in fewer.
            self._find(principal, anywhere, readings, Bounds(own, None, None), "")
        except Invalid as more:
            return invalid(*wrong.errors, *more.errors)
        return wrong

    def _find(
        self,
        principal: Principal,
        query: Query,
        readings: tuple[Reading, ...],
        bounds: Bounds,
        purpose: str,
    ) -> Found:
        """Returns what there is of what was understood. Raises Invalid at `purpose` where one is missing."""
        asked = tuple(one for one in readings if purpose or one.kind not in SEALED)
        unasked = tuple(one.kind for one in readings if one not in asked)
        with self._database.read() as connection:
            looking = _Looking(connection, principal, query.region, asked, bounds)
            told = self._sealed(looking, query.after)
            looking.sealed = told.goods
            ways: Mapping[Group, Callable[[_Looking], Iterator[Hit]]] = {
                "parties": _parties,
                "products": _products,
                "lots": self._lots,
                "units": self._units,
            }
            if query.after:
                ways = {"lots": _sealed_lots, "units": _sealed_units}
            found = {
                group: _once(ways[group](looking))
                if group in ways and (asked or not readings)
                else ((), False)
                for group in GROUPS
            }
        is_found = any(hits for hits, _ in found.values()) or looking.elsewhere
        # Every number of the four has digits; a name that nobody has is no reason to state a purpose.
        is_open = any(one.sure for one in asked) or not any(map(str.isdigit, query.text))
        if unasked and not is_found and not is_open:
            raise invalid(FieldFault(("purpose",), "missing", sentence="seek_purpose"))
        kinds = [one.kind for one in asked if one.kind in SEALED]
        kinds = [one for one in kinds if one in query.after] if query.after else kinds
        looks = [(one.stream, one.seq, one.kind) for one in looking.sealed]
        log_numbers(self._database, principal, kinds, looks, purpose, clock=self._clock)
        return Found(
            readings,
            {group: hits for group, (hits, _) in found.items()},
            frozenset(group for group, (_, more) in found.items() if more),
            tuple(dict.fromkeys(looking.elsewhere)),
            unasked,
            told.onward,
            told.percent,
        )

    def as_issued(self, typed: str) -> str:
        """Returns a serial's or lot's number as it was issued, any other text as it stands. Read-only.

        Where nothing was issued under what a person typed, that is its form in capitals.
        """
        told = plain(typed)
        try:
            numbers = (parse_serial(told), parse_serial(told.upper()))
        except Invalid:
            return typed
        with self._database.read() as connection:
            known = (one for one in numbers if seekstore.is_issued(connection, one))
            return next(known, typed)

    def product_names(self, gtins: Sequence[str]) -> dict[str, str]:
        """Returns what products are called, by GTIN. Read-only."""
        with self._database.read() as connection:
            return {row.gtin: row.name for row in wordstore.find_products(connection, gtins)}

    def _lots(self, looking: _Looking) -> Iterator[Hit]:
        connection, bounds = looking.connection, looking.bounds
        for reading in looking.readings:
            if reading.kind == "lot_code" and reading.code is not None:
                yield from _code_hit(looking, reading.code, "lot_code")
        yield from _sealed_lots(looking)
        if numbers := looking.values("lot"):
            yield from _lot_hits(seekstore.lots(connection, numbers=numbers, bounds=bounds), "lot")
        if gtins := _gtins(looking.readings):
            yield from _lot_hits(seekstore.lots(connection, gtins=gtins, bounds=bounds), "product")
        if parties := looking.values("party"):
            yield from _lot_hits(
                seekstore.lots(connection, parties=parties, bounds=bounds), "party"
            )
        if not looking.readings:
            yield from _lot_hits(seekstore.lots(connection, bounds=bounds), "region")

    def _units(self, looking: _Looking) -> Iterator[Hit]:
        connection, bounds = looking.connection, looking.bounds
        for reading in looking.readings:
            if reading.kind == "unit" and reading.code is not None:
                yield from _code_hit(looking, reading.code, "unit")
        yield from _sealed_units(looking)
        for serial in looking.values("serial"):
            rows = seekstore.issued(connection, serial)
            for row in rows:
                stream = Code(row.gtin, serial=row.serial).stream
                if bounds.holds(row.created_at) and _stands(looking, stream):
                    yield Hit(stream, "serial", row.created_at, row.party)
        for gtin in _gtins(looking.readings):
            sellers = seekstore.sellers_of(connection, gtin, bounds)
            yield from _sold(looking, sellers, gtin)
        for party in looking.values("party"):
            if looking.is_at(list(seekstore.regions_of(connection, [party]).values())):
                yield from _sold(looking, [party], None)
        if not looking.readings:
            yield from _named(looking, seekstore.sold_anywhere(connection, looking.bounds))
            for row in seekstore.issued_anywhere(connection, looking.bounds):
                stream = Code(row.gtin, serial=row.serial).stream
                yield Hit(stream, "issued", row.created_at, row.party)

    def _sealed(self, looking: _Looking, after: Mapping[str, int]) -> Part[Kind]:
        """Returns the next goods that the caller acts on and that commit to a number."""
        digests = {
            one.kind: self._index.digest(one.kind, one.value)
            for one in looking.readings
            if one.kind in SEALED
        }
        bounds = looking.bounds
        return look_through(
            looking.connection,
            digests,
            lambda streams: _standing(looking, streams),
            after=after,
            most=MOST,
            since_ms=bounds.since_ms,
            until_ms=bounds.until_ms,
        )


def _sealed_lots(looking: _Looking) -> Iterator[Hit]:
    yield from _sealed_hits(looking, "/10/")


def _sealed_units(looking: _Looking) -> Iterator[Hit]:
    yield from _sealed_hits(looking, "/21/")


def _sealed_hits(looking: _Looking, level: str) -> Iterator[Hit]:
    for one in looking.sealed:
        if level in one.name:
            yield Hit(one.name, one.kind, one.recorded_at)


def _parties(looking: _Looking) -> Iterator[Hit]:
    ids, licences = looking.values("party"), looking.values("licence")
    names = looking.values("name")
    if looking.readings and not (ids or licences or names):
        return
    rows = seekstore.parties(
        looking.connection, ids=ids, licences=licences, names=names, bounds=looking.bounds
    )
    for row in rows:
        by: By = "region"
        if row.id in ids:
            by = "party"
        elif looking.readings:
            by = "licence" if licences else "name"
        yield Hit(row.id, by, row.created_at, row.id, row.name, row.region)
    missing = set(ids) - {row.id for row in rows}
    known = seekstore.regions_of(looking.connection, missing) if missing else {}
    looking.elsewhere += [one for one, place in known.items() if not looking.is_at([place])]


def _products(looking: _Looking) -> Iterator[Hit]:
    connection, bounds = looking.connection, looking.bounds
    # What a product is stands on every label: whose it is decides nothing where it is named in full.
    everywhere = Bounds((), bounds.since_ms, bounds.until_ms)
    gtins = [one.code.gtin for one in looking.readings if one.code is not None]
    if gtins:
        yield from _product_hits(
            seekstore.products_of(connection, gtins=gtins, bounds=everywhere), "product"
        )
    if parties := looking.values("party"):
        rows = seekstore.products_of(connection, registrants=parties, bounds=bounds)
        yield from _product_hits(rows, "party")
    if licences := looking.values("licence"):
        holders = seekstore.parties(connection, ids=(), licences=licences, names=(), bounds=bounds)
        ids = [row.id for row in holders[:MOST]]
        rows = seekstore.products_of(connection, registrants=ids, bounds=bounds)
        yield from _product_hits(rows, "licence")
        for number in licences:
            rows = _worded(looking, number)
            yield from _product_hits([row for row in rows if _bears(row, number)], "licence")
    for name in looking.values("name"):
        yield from _product_hits(_worded(looking, name), "name")
    if not looking.readings:
        rows = seekstore.products_of(connection, bounds=bounds)
        yield from _product_hits(rows, "region")


def _bears(product: Any, licence: str) -> bool:
    """Whether a product was registered under this very licence."""
    told = json.loads(product.facts).get("licence", "")
    return "".join(str(told).split()).upper() == licence


def _worded(looking: _Looking, name: str) -> list[Any]:
    """Returns the products with every word of a name by the index of words, the newest first."""
    kept: list[Any] = []
    # From the newest on: `find_places` then goes by age alone, not by how well a name fits.
    words, after = query_words(name), (-(2**63), -1)
    for _ in range(_ROUNDS):
        if not words or len(kept) > MOST:
            break
        places = wordstore.find_places(looking.connection, words, limit=MOST + 1, after=after)
        gtins = [f"{product:014d}" for _, product in places]
        rows = [
            row
            for start in range(0, len(gtins), 256)
            for row in wordstore.find_products(looking.connection, gtins[start : start + 256])
        ]
        if looking.bounds.regions:
            regions = seekstore.regions_of(looking.connection, {row.registrant for row in rows})
            rows = [row for row in rows if looking.is_at([regions.get(row.registrant)])]
        rows = [row for row in rows if looking.bounds.holds(row.created_at)]
        kept += sorted(rows, key=lambda row: -row.created_at)
        if len(places) <= MOST:
            break
        after = max(places)
    return kept


def _code_hit(looking: _Looking, code: Code, kind: Kind) -> Iterator[Hit]:
    row = head_rows(looking.connection, [code.stream]).get(code.stream)
    if row is None or not looking.bounds.holds(row.recorded_at):
        return
    if _stands(looking, code.stream):
        yield Hit(code.stream, kind, row.recorded_at)
    else:
        looking.elsewhere.append(code.stream)


def _stands(looking: _Looking, stream: str) -> bool:
    return stream in _standing(looking, [stream])


def _standing(looking: _Looking, streams: Collection[str]) -> frozenset[str]:
    """Returns which goods lie in the region that was asked for, and are before the caller in office."""
    connection, principal = looking.connection, looking.principal
    if not looking.region:
        return acted_on(connection, principal, streams)
    places = places_of_each(connection, streams)
    within = [one for one in streams if any(covers(looking.region, place) for place in places[one])]
    return acted_on(connection, principal, within, places=places)


def _sold(looking: _Looking, sellers: Sequence[str], gtin: str | None) -> Iterator[Hit]:
    yield from _named(
        looking,
        seekstore.sold(looking.connection, sellers=sellers, gtin=gtin, bounds=looking.bounds),
    )


def _named(looking: _Looking, rows: Sequence[Any]) -> Iterator[Hit]:
    """Yields sold units by the names of their streams."""
    names = names_of(looking.connection, list({row.stream for row in rows}))
    for row in rows:
        if row.stream in names:
            yield Hit(names[row.stream], "sold", row.sold_at, row.seller)


def _lot_hits(rows: Sequence[Any], by: By) -> Iterator[Hit]:
    for row in rows:
        yield Hit(Code(row.gtin, lot=row.lot).stream, by, row.created_at, row.party)


def _product_hits(rows: Iterable[Any], by: By) -> Iterator[Hit]:
    for row in rows:
        yield Hit(row.gtin, by, row.created_at, row.registrant, row.name)


def _gtins(readings: Sequence[Reading]) -> list[str]:
    return [one.code.gtin for one in readings if one.kind == "product" and one.code is not None]


def _once(hits: Iterator[Hit]) -> tuple[tuple[Hit, ...], bool]:
    """Returns the first hit of each key, of sealed numbers all, and whether MOST cut off others."""
    found: dict[str, Hit] = {}
    for hit in hits:
        if len(found) >= MOST and hit.key not in found and hit.by not in SEALED:
            return tuple(found.values()), True
        found.setdefault(hit.key, hit)
    return tuple(found.values()), False
