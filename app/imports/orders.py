"""Rows of an order export to shipments: several rows of one order are its several lines. Pure.

A row is one line of one order, and becomes one shipment: so many units of a product (or the codes given),
sold and sent together or not at all. Its id follows from party, order and line, so that the same export
in again is a repeat. What a shop system writes once an order (time, carrier, waybill) holds for the
order's further rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from app.imports.cells import CellWrong, Read, clean, read_code, read_count, read_gtin, read_moment
from app.imports.columns import has_word
from app.imports.goods import is_example
from app.imports.mapping import Layout
from app.imports.problems import SHOWN
from app.imports.regions import region_of, region_of_address
from app.imports.rows import Planned, Reader
from app.imports.sheet import Row, Sheet
from app.kit.clock import format_time
from app.kit.errors import Invalid
from app.parties.identity import check_named, parse_region, parse_waybill
from app.trace.code import Code, parse_lot
from app.trace.gtin import display_gtin
from app.trace.identifiers import parse_unit
from app.trace.shipment import MAX_UNITS

_NAMESPACE = UUID("5d0c2b60-9f4c-5a0e-8c55-0b6f0a2c7e11")
_ONCE_AN_ORDER = (
    "ordered_at", "shipped_at", "carrier", "waybill", "parcel", "platform", "region", "province",
    "city", "address", "status",
)  # fmt: skip
# An address is read for its first two words and never repeated, nor what else names a buyer's place.
_PRIVATE = frozenset({"address", "province", "city"})
_SPLIT = re.compile(r"[\s;；,，]+")
_MAX_TEXT = 64


@dataclass(frozen=True, slots=True)
class _Parcel:
    carrier: str
    waybill: str


def plan_orders(sheet: Sheet, mapping: Layout, party: str) -> Iterator[Planned]:
    """Yields what each row says, in order."""
    told: dict[str, dict[str, str]] = {}
    times: Counter[tuple[str, ...]] = Counter()
    for row in sheet.rows:
        if is_example(row, sheet):
            yield Planned(row.number, "skipped")
            continue
        yield _plan(_filled(row, told), sheet, mapping, party, times)


def _filled(row: Row, told: dict[str, dict[str, str]]) -> Row:
    """Returns the row with what an earlier row of its order says for all of them."""
    order = row.values.get("order", "").strip()
    if not order:
        return row
    before = told.setdefault(order, {})
    values = dict(row.values)
    for name in _ONCE_AN_ORDER:
        if values.get(name, "").strip():
            before[name] = values[name]
        elif name in before:
            values[name] = before[name]
    return Row(row.number, values)


def _plan(
    row: Row, sheet: Sheet, mapping: Layout, party: str, times: Counter[tuple[str, ...]]
) -> Planned:
    reader = Reader(row, sheet.columns, sheet.defaults, private=_PRIVATE)
    order = reader.read("order", read_code, required=True) or ""
    if has_word("ended", reader.text("status")):
        reader.warn("status", "order_ended")
        return Planned(row.number, "skipped", warnings=tuple(reader.warnings))
    parcel = _parcel(reader, mapping)
    if parcel is not None and not parcel.waybill:
        # An order that is not packed yet: the next export has it.
        reader.warn("waybill", "not_sent")
        return Planned(row.number, "skipped", warnings=tuple(reader.warnings))
    ordered_at, shipped_at = _moment(reader, "ordered_at"), _moment(reader, "shipped_at")
    goods = _goods(reader, mapping)
    if len(order) > _MAX_TEXT:
        reader.refuse_with("order", "length", expected=f"1..{_MAX_TEXT}", got=len(order))
    platform = reader.text("platform")
    if len(platform) > _MAX_TEXT:
        reader.refuse_with("platform", "length", expected=f"1..{_MAX_TEXT}", got=len(platform))
    _check_named(reader, "platform", platform)
    if ordered_at and shipped_at and shipped_at < ordered_at:
        params = {"expected": f"≥ {format_time(ordered_at)}", "got": shipped_at}
        reader.refuse_with("shipped_at", "range", **params)
    to = _region(reader)
    line = reader.read("line", read_code) or ""
    if reader.problems or parcel is None or not (ordered_at and shipped_at):
        return reader.refused(gtin=goods.gtin, lot=goods.lot)
    place = ("line", order, line) if line else ("goods", order, *goods.key)
    times[place] += 1
    payload = {
        "id": str(uuid5(_NAMESPACE, "\x00".join((party, *place, str(times[place]))))),
        "order": order,
        "ordered_at": format_time(ordered_at),
        "shipped_at": format_time(shipped_at),
        "carrier": parcel.carrier,
        "waybill": parcel.waybill,
        "typed": {name: reader.text(name)[:SHOWN] for name in ("ordered_at", "shipped_at")},
        **goods.payload,
        **({"platform": platform} if platform else {}),
        **({"to": to} if to else {}),
    }
    return Planned(
        row.number, "created", payload, warnings=tuple(reader.warnings), key=str(payload["id"]),
        gtin=goods.gtin, lot=goods.lot, carrier=parcel.carrier, late=tuple(reader.late),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Goods:
    """lot: beside codes, what the row says that their lot is."""

    payload: Mapping[str, Any]
    gtin: str = ""
    lot: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        if "codes" in self.payload:
            return ("", "", *self.payload["codes"])
        return (self.gtin, self.lot)


def _goods(reader: Reader, mapping: Layout) -> _Goods:
    """Returns the units: the codes that are on them already, or a product and how many.

    As far as they can be read, each cell for itself; what cannot be is noted.
    """
    noted = len(reader.problems)
    codes = reader.read("codes", _codes)
    if codes or len(reader.problems) > noted:
        lot = _check_beside(reader, mapping, codes) if codes else ""
        return _Goods({"codes": [code.stream for code in codes or ()]}, lot=lot)
    told = reader.text("goods", required=True)
    quantity = reader.read("quantity", _quantity, required=True)
    gtin, lot_told = _product(reader, mapping, told) if told else ("", "")
    lot = _lot(reader, lot_told)
    payload = {"gtin": gtin, "quantity": quantity, **({"lot": lot} if lot else {})}
    return _Goods(payload, gtin, lot)


def _check_beside(reader: Reader, mapping: Layout, codes: Sequence[Code]) -> str:
    """Returns the row's lot, "" for none, and notes where its cells and its codes tell different goods.

    An empty cell says nothing, whatever the layout has for one; a shop's own word that nothing explains
    says no product either. The lot of a unit whose code does not tell it is on record: see app.imports.plans.
    """
    values = reader.row.values

    def is_told(name: str) -> bool:
        try:
            return bool(clean(values.get(name, "")))
        except CellWrong:
            return True  # and told to be wrong where it is read

    named = reader.text("goods") if is_told("goods") else ""
    gtin, lot_told = _product(reader, mapping, named, beside_codes=True) if named else ("", "")
    lot = _lot(reader, lot_told) if is_told("lot") or lot_told else ""
    quantity = reader.read("quantity", _quantity) if is_told("quantity") else None
    other = next((code.gtin for code in codes if gtin and code.gtin != gtin), "")
    if other:
        params = {"expected": display_gtin(gtin), "got": display_gtin(other)}
        reader.refuse_with("codes", "codes_goods", **params)
    strange = next((code.lot for code in codes if lot and code.lot and code.lot != lot), None)
    if strange:
        reader.refuse_with("codes", "codes_lot", expected=lot, got=strange)
    if quantity is not None and quantity != len(codes):
        reader.refuse_with("quantity", "codes_count", expected=quantity, got=len(codes))
    return lot


def _quantity(text: str) -> int:
    return read_count(text, most=MAX_UNITS)


def _lot(reader: Reader, lot_told: str) -> str:
    """Returns the row's lot, else the one behind its goods in the mapping; "" for none."""
    lot = reader.read("lot", lambda t: parse_lot(read_code(t))) or ""
    if not lot and lot_told:
        try:
            lot = parse_lot(lot_told)
        except Invalid as refused:
            reader.refuse(refused.errors, as_field="goods")
    return lot


def _product(
    reader: Reader, mapping: Layout, told: str, *, beside_codes: bool = False
) -> tuple[str, str]:
    """Returns the GTIN that goods are told by, and the lot behind it in the mapping; "" for none.

    beside_codes: a word that nothing explains is no fault, for the codes say what the goods are; a shop's own
    numbers are as long as short GTINs are, so only one of 13 or 14 digits is read as such there.
    """
    named = mapping.goods.get(told)
    digits = sum(char.isdigit() for char in told)
    is_own = beside_codes and named is None and digits not in (13, 14)
    gtin_told, _, lot_told = (named or told).partition("/")
    try:
        gtin: Read = read_gtin(gtin_told)
    except CellWrong as wrong:
        if is_own and wrong.kind != "excel_exponent":
            return "", ""
        if named is None and wrong.kind != "excel_exponent" and digits < max(8, len(told) * 0.9):
            reader.refuse_with("goods", "unknown_goods", got=told[:40])
        else:
            reader.refuse_with("goods", wrong.kind, **wrong.params)
        return "", ""
    if is_own:
        return "", ""
    reader.warn("goods", gtin.warning, gtin=gtin.value)
    return gtin.value, lot_told


def _codes(text: str) -> list[Code]:
    found = [parse_unit(one) for one in _SPLIT.split(text)]
    if len(found) > MAX_UNITS or len({code.stream for code in found}) != len(found):
        raise CellWrong("duplicate", {"got": text[:40]})
    return found


def _parcel(reader: Reader, mapping: Layout) -> _Parcel | None:
    """Returns carrier and waybill, the latter "" where there is none yet; None where one is wrong."""
    carrier, waybill = reader.text("carrier"), reader.text("waybill")
    together = reader.text("parcel")
    if together and not waybill:
        waybill, _, named = together.rpartition("-")
        carrier = carrier or named
        if not waybill or _SPLIT.search(together):
            reader.refuse_with("parcel", "parcel_form", got=together[:40])
            return None
    if not waybill:
        return None if reader.problems else _Parcel(carrier, "")
    number = ""
    try:
        number = parse_waybill(read_code(waybill))
    except CellWrong as wrong:
        reader.refuse_with("waybill", wrong.kind, **wrong.params)
    except Invalid as refused:
        reader.refuse(refused.errors, as_field="waybill")
    if not carrier:
        reader.refuse_with("carrier", "missing")
    elif len(carrier) > _MAX_TEXT:
        reader.refuse_with("carrier", "length", expected=f"1..{_MAX_TEXT}", got=len(carrier))
    carrier = mapping.carriers.get(carrier, carrier)
    _check_named(reader, "carrier", carrier)
    return _Parcel(carrier, number) if number and carrier else None


def _check_named(reader: Reader, field: str, told: str) -> None:
    """Notes a carrier or platform that is meant for a party's id and is none."""
    try:
        check_named(told, loc=(field,))
    except Invalid as refused:
        reader.refuse_unless_known(refused.errors, as_field=field)


def _moment(reader: Reader, name: str) -> datetime | None:
    found = reader.read(name, read_moment, required=True)
    if found is None:
        return None
    moment, warning = found
    reader.warn(name, warning, time=format_time(moment))
    return moment


def _region(reader: Reader) -> str | None:
    code = reader.read("region", parse_region)
    if code is not None:
        return code
    # Of these two nothing is kept, said or refused: they are a person's address.
    values = reader.row.values
    named = region_of(values.get("province", ""), values.get("city", ""))
    return named or region_of_address(values.get("address", ""))
