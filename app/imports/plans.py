"""The dry run: what every row of a file would do, judged by its cells and by what is registered now.

Writes nothing. What is said here may be overtaken by others until the rows are applied; then each is
decided again, inside its record's own transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.db.engine import Database
from app.imports import importstore, sending
from app.imports.columns import KINDS, Kind
from app.imports.goods import plan_lot, plan_product
from app.imports.grid import Grid
from app.imports.happenings import plan_events, with_outcomes
from app.imports.listings import once_listed, with_listings
from app.imports.mapping import Layout
from app.imports.orders import plan_orders
from app.imports.problems import Problem, of_error, of_fault
from app.imports.reading import read_grid
from app.imports.rows import Planned
from app.imports.sheet import Sheet, find_sheet
from app.kit.errors import Denied, Fault, FieldFault
from app.ledger.stage import IdConflict
from app.parties.principal import Principal, role_missing
from app.parties.roles import sources_of
from app.trace.catalogue import (
    Catalogue,
    ItemNotYours,
    LotNotYours,
    ProductUnknown,
    check_known,
    lot_facts,
    product_facts,
)
from app.trace.code import Code
from app.trace.decide import CodeUnknown
from app.trace.offering import Offering
from app.trace.registering import ProductDiffers
from app.trace.rowevents import TYPES, RowEvents
from app.trace.shipments import Shipments

ACTIONS: Mapping[Kind, tuple[str, ...]] = {
    "products": ("product.register",),
    "lots": ("lot.register",),
    "shipments": ("shipment.send",),
    "events": ("event.send",),
}
"""What a caller must be allowed to do; shipments that issue units ask for `code.issue` no more than
the call for one does."""


def check_may(principal: Principal, kind: Kind) -> None:
    """Raises Denied unless the caller may import files of this kind."""
    for action in ACTIONS[kind]:
        principal.check_may(action)
    if kind == "events" and not any(sources_of(principal.roles, one) for one in TYPES):
        raise role_missing("event.send")


def may_import(principal: Principal) -> bool:
    """Whether the caller may import files of any kind."""
    try:
        return bool(kinds_of(principal))
    except Denied:
        return False


def kinds_of(principal: Principal) -> list[Kind]:
    """Returns the kinds of files that the caller may import. Raises Denied where there are none."""
    found: list[Kind] = []
    refused: Denied | None = None
    for kind in KINDS:
        try:
            check_may(principal, kind)
            found.append(kind)
        except Denied as err:
            refused = refused or err
    if not found and refused is not None:
        raise refused
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file would do: the table as it was understood, and every row.

    rows: in the order in which they are applied. listings: how many products would be listed where, by place.
    """

    grid: Grid
    sheet: Sheet
    rows: tuple[Planned, ...]
    listings: Mapping[str, int] = field(default_factory=dict)

    def in_file(self) -> list[Planned]:
        """Returns the rows in the file's order."""
        return sorted(self.rows, key=lambda one: one.row)

    def counts(self) -> Counter[str]:
        """Returns how many rows would come to what."""
        return Counter(row.outcome for row in self.rows)

    def about(self) -> dict[str, Any]:
        """Returns what was found out about the file, without a cell of it."""
        sheet, grid = self.sheet, self.grid
        told: dict[str, Any] = {
            "form": grid.form,
            "encoding": grid.encoding,
            "separator": grid.separator,
            "sheet": grid.sheet,
            "other_sheets": grid.others,
            "header_row": sheet.header_row,
            "columns": dict(sheet.columns),
            "ignored_columns": sheet.ignored,
            "preset": sheet.preset.id if sheet.preset else None,
        }
        return {name: value for name, value in told.items() if value is not None}


class Plans:
    """Makes plans."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        shipments: Shipments,
        offering: Offering,
        events: RowEvents,
    ) -> None:
        self._database = database
        self._shipments = shipments
        self._events = events
        self._catalogue = catalogue
        self._offering = offering

    def plan(self, principal: Principal, kind: Kind, raw: bytes, mapping: Layout) -> Plan:
        """Returns what the file would do for the caller's party. Read-only.

        Raises FileUnusable, FileTooLarge, PartyUnverified, and what the caller may not.
        """
        check_may(principal, kind)
        party = principal.own_party()
        with self._database.read() as connection:
            importstore.check_party(connection, party)
        grid = read_grid(raw)
        sheet = find_sheet(grid, kind, mapping)
        rows: Sequence[Planned]
        listings: Mapping[str, int] = {}
        match kind:
            case "products":
                rows = [plan_product(row, sheet, party) for row in sheet.rows]
                rows = self._against_products(once_listed(rows), party)
                rows, listings = with_listings(self._offering, principal, rows)
            case "lots":
                read = self._catalogue.read_declaration
                rows = [plan_lot(r, sheet, party, read_declaration=read) for r in sheet.rows]
                rows = self._against_lots(once_listed(rows), party)
            case "shipments":
                rows = self._against_shipments(list(plan_orders(sheet, mapping, party)), principal)
                rows = sending.with_outcomes(self._shipments, principal, rows)
                rows = self._against_carriers(self._against_listings(rows, party), party)
            case "events":
                rows = with_outcomes(self._events, principal, plan_events(sheet))
        return Plan(grid, sheet, tuple(_at_columns(rows, sheet)), listings)

    def _against_products(self, rows: Sequence[Planned], party: str) -> list[Planned]:
        with self._database.read() as connection:
            known = importstore.products_of(connection, {r.gtin for r in rows if r.gtin})
            names = {str(r.payload["facts"]["name"]) for r in rows if r.payload and not r.gtin}
            items = importstore.items_of(connection, party, names)
        found = []
        for row in rows:
            if row.payload is None:
                found.append(row)
                continue
            facts = row.payload["facts"]
            if row.gtin:
                there = known.get(row.gtin)
            else:
                there = items.get((facts["name"], facts["category"], product_facts(facts)))
            found.append(_of_product(row, there, party))
        return found

    def _against_lots(self, rows: Sequence[Planned], party: str) -> list[Planned]:
        with self._database.read() as connection:
            products = importstore.products_of(connection, {r.gtin for r in rows if r.gtin})
            streams = {Code(r.gtin, lot=r.lot).stream for r in rows if r.gtin and r.lot}
            lots = importstore.lots_of(connection, streams)
        return [_of_lot(row, products, lots, party) for row in rows]

    def _against_shipments(self, rows: Sequence[Planned], principal: Principal) -> list[Planned]:
        with self._database.read() as connection:
            products = importstore.products_of(connection, {r.gtin for r in rows if r.gtin})
            streams = {Code(r.gtin, lot=r.lot).stream for r in rows if r.gtin and r.lot}
            lots = importstore.lots_of(connection, streams)
            beside = {one for r in rows if r.lot for one in sending.codes_of(r.payload)}
            unit_lots = importstore.unit_lots(connection, beside)
            done = importstore.shipments_of(connection, {r.key for r in rows if r.payload})
        found = []
        for row in rows:
            fault: Fault | None = None
            if row.gtin and row.gtin not in products:
                fault = ProductUnknown("product_unknown", gtin=row.gtin)
            elif row.gtin and row.lot:
                lot = lots.get(Code(row.gtin, lot=row.lot).stream)
                if lot is None:
                    fault = CodeUnknown("lot_unknown", lot=row.lot)
            strange = _of_another_lot(row, unit_lots)
            if fault is not None:
                goods = {"gtin": row.gtin, "lot": row.lot}
                found.append(row.refused(sending.fault_of(goods, fault)))
            elif strange is not None:
                found.append(row.refused(strange))
            elif row.payload is not None and row.key in done:
                if done[row.key] == sending.content_of(row.payload, principal):
                    # Sent again all the same: what is sealed of it only the recorder can compare.
                    found.append(replace(row, outcome="unchanged", late=()))
                else:
                    found.append(row.refused(sending.differing(row.payload)))
            elif row.late:
                found.append(row.refused())
            else:
                found.append(row)
        return found

    def _against_listings(self, rows: Sequence[Planned], party: str) -> list[Planned]:
        """Returns the rows, the first taken of each product that the party lists nowhere with a warning."""
        sold = {r.gtin for r in rows if r.outcome == "created" and r.gtin}
        with self._database.read() as connection:
            unlisted = sold - importstore.offered_of(connection, party, sold)
        found = []
        for row in rows:
            if row.gtin in unlisted and row.outcome == "created":
                # Said once: of each unit that is sold so the listing will be missing.
                unlisted.discard(row.gtin)
                told = Problem("not_listed", "import.warn.not_listed", "goods", value=row.gtin)
                found.append(replace(row, warnings=(*row.warnings, told)))
            else:
                found.append(row)
        return found

    def _against_carriers(self, rows: Sequence[Planned], party: str) -> list[Planned]:
        """Returns the rows, the first taken of each carrier that cannot sign for a parcel with a warning.

        Such is every name, a carrier's own too: a record binds whom it names by id, and nobody speaks for a
        name. A shop that brings its goods itself knows who signs.
        """
        sent = Counter(r.carrier for r in rows if r.outcome == "created" and r.carrier)
        with self._database.read() as connection:
            unknown = sent.keys() - importstore.carriers_of(connection, sent) - {party}
        found = []
        for row in rows:
            if row.carrier in unknown and row.outcome == "created":
                unknown.discard(row.carrier)
                params: dict[str, str | int] = {"got": row.carrier[:40], "count": sent[row.carrier]}
                told = Problem(
                    "no_carrier",
                    "import.warn.no_carrier",
                    "carrier",
                    value=row.carrier,
                    params=params,
                )
                found.append(replace(row, warnings=(*row.warnings, told)))
            else:
                found.append(row)
        return found


def _of_another_lot(row: Planned, lots: Mapping[str, str]) -> Problem | None:
    """Returns what is wrong where a row says a lot beside codes and a unit is on record in another."""
    if not row.lot:
        return None
    for stream in sending.codes_of(row.payload):
        lot = lots.get(stream, row.lot)
        if lot != row.lot:
            kind = "codes_lot" if lot else "codes_lotless"
            params = {"expected": row.lot, "got": lot or stream}
            return of_error(FieldFault(("codes",), kind, params), "codes", "", stream)
    return None


def _at_columns(rows: Sequence[Planned], sheet: Sheet) -> Iterator[Planned]:
    """Yields the rows, what was found about a field after reading at the column that it stands in."""

    def placed(told: tuple[Problem, ...]) -> tuple[Problem, ...]:
        return tuple(one.at_column(sheet.columns) for one in told)

    for row in rows:
        if any(one.field and not one.column for one in (*row.problems, *row.warnings)):
            yield replace(row, problems=placed(row.problems), warnings=placed(row.warnings))
        else:
            yield row


def _of_product(row: Planned, there: Any | None, party: str) -> Planned:
    if there is None or row.payload is None:
        return row
    try:
        differs = check_known(there, row.payload["facts"], party)
    except Fault as fault:
        return _refused(row, fault)
    claims = row.payload["claim"] and party not in (there.brand_owner, there.owner_claim)
    # What is listed besides is decided next (app.imports.listings).
    needed = claims or "listing" in row.payload
    return replace(
        row,
        outcome="created" if claims else "unchanged",
        gtin=there.gtin,
        payload=row.payload if needed else None,
        warnings=(*row.warnings, *others_facts(differs)),
    )


def others_facts(differs: Sequence[str]) -> tuple[Problem, ...]:
    """Returns the warning that another party registered the product with other facts."""
    if not differs:
        return ()
    told = {"fields": ", ".join(differs)}
    words = ProductDiffers.words
    return (Problem("differs", "import.warn.differs", params=told, words=words),)


def _of_lot(
    row: Planned, products: Mapping[str, Any], lots: Mapping[str, Any], party: str
) -> Planned:
    if not row.gtin:
        return row  # an example, or one whose goods cannot be read
    product = products.get(row.gtin)
    if product is None:
        return _refused(row, ProductUnknown("product_unknown", gtin=row.gtin))
    if product.item_code and product.registrant != party:
        return _refused(row, ItemNotYours("item_not_yours", gtin=row.gtin))
    there = lots.get(Code(row.gtin, lot=row.lot).stream) if row.lot else None
    if there is None:
        return row
    if there.party != party:
        return _refused(row, LotNotYours("lot_not_yours", lot=row.lot))
    if row.payload is None:
        return row
    if there.facts != lot_facts(row.payload["facts"]):
        return _refused(row, IdConflict("lot_differs", lot=row.lot))
    return replace(row, outcome="unchanged")  # what is sealed the recorder compares


def _refused(row: Planned, fault: Fault) -> Planned:
    return row.refused(of_fault(fault))
