"""Rows of products and of lots: from cells to what is registered. Pure, but for the year of the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from app.imports.cells import Read, read_code, read_count, read_day, read_gtin, read_moment
from app.imports.columns import choice, columns_of, has_word
from app.imports.rows import Planned, Reader
from app.imports.sheet import Row, Sheet
from app.kit.clock import format_time
from app.kit.errors import Invalid, faults_of
from app.parties.identity import check_named
from app.trace.code import parse_lot
from app.trace.events import IMPORT_MODES, PRODUCT_CATEGORIES, check_event

_TEXTS = ("brand", "spec", "origin", "standard", "licence")
_IMPORT = ("port", "origin", "hs_code", "certificate", "plant", "recall_agent")
MAX_QUANTITY = 10**12


def plan_product(row: Row, sheet: Sheet, issuer: str) -> Planned:
    """Returns what a row of products says. issuer: the party that registers."""
    if is_example(row, sheet):
        return Planned(row.number, "skipped")
    reader = Reader(row, sheet.columns, sheet.defaults)
    gtin = _gtin(reader, required=False)
    facts: dict[str, Any] = {"name": reader.text("name", required=True)}
    category = reader.text("category", required=True)
    if category:
        found = choice("category", category)
        if found is None:
            reader.refuse_choice("category", category, PRODUCT_CATEGORIES, family="page.category")
        else:
            facts["category"] = found
    for name in _TEXTS:
        value = reader.text(name)
        if value:
            facts[name] = value
    claim = reader.text("claim")
    if not (has_word("yes", claim) or has_word("no", claim)):
        reader.refuse_choice("claim", claim, ("yes", "no"), family="page")
    _check(reader, "product", {"issuer": issuer, **facts}, ())
    listed = _listed(reader)
    if reader.problems:
        return reader.refused(key=gtin or "")
    payload = {"gtin": gtin, "facts": facts, "claim": has_word("yes", claim), **listed}
    return Planned(
        row.number,
        "created",
        payload,
        warnings=tuple(reader.warnings),
        key=gtin or repr(sorted(facts.items())),
        gtin=gtin or "",
        late=tuple(reader.late),
    )


def plan_lot(
    row: Row, sheet: Sheet, issuer: str, *, read_declaration: Callable[[str], str]
) -> Planned:
    """Returns what a row of lots says. issuer: the party that registers."""
    if is_example(row, sheet):
        return Planned(row.number, "skipped")
    reader = Reader(row, sheet.columns, sheet.defaults)
    gtin = _gtin(reader, required=True)
    lot = reader.read("lot", lambda told: parse_lot(read_code(told)), required=True)
    facts: dict[str, Any] = {}
    for name in ("produced_on", "expires_on"):
        day = reader.read(name, read_day)
        if day is not None:
            facts[name] = day.value
            reader.warn(name, day.warning, day=day.value)
    _check_order(reader, facts)
    imported = _imported(reader)
    if imported:
        facts["import"] = imported
    sealed: dict[str, Any] = {}
    quantity = reader.read("quantity", lambda told: read_count(told, most=MAX_QUANTITY))
    if quantity is not None:
        sealed["quantity"] = {"quantity": quantity}
    number = reader.read("declaration", lambda told: read_declaration(read_code(told)))
    if number is not None:
        sealed["declaration"] = {"number": number}
        if not imported:
            reader.refuse_with("mode", "missing")
    _check(reader, "lot", {"issuer": issuer, **facts}, sealed.keys())
    if reader.problems or gtin is None or lot is None:
        return reader.refused(gtin=gtin or "", lot=lot or "")
    return Planned(
        row.number,
        "created",
        {"gtin": gtin, "lot": lot, "facts": facts, "sealed": sealed},
        warnings=tuple(reader.warnings),
        key=f"{gtin}/{lot}",
        gtin=gtin,
        lot=lot,
    )


def is_example(row: Row, sheet: Sheet) -> bool:
    """Returns whether this is the template's example row, left as it was."""
    columns = columns_of(sheet.kind)
    marked = [c for c in columns if c.field in row.values and c.example["zh"]]
    if len(marked) < 2:
        return False
    return any(
        all(row.values[c.field].strip() == c.example[lang] for c in marked) for lang in ("zh", "en")
    )  # fmt: skip


def _gtin(reader: Reader, *, required: bool) -> str | None:
    found: Read | None = reader.read("gtin", read_gtin, required=required)
    if found is None:
        return None
    reader.warn("gtin", found.warning, gtin=found.value)
    return found.value


def _listed(reader: Reader) -> dict[str, Any]:
    """Returns where the product is listed (app.trace.offering), nothing where no place is named."""
    cells = {"platform": "platform", "url": "url", "title": "listing_title"}
    told = {name: reader.text(cell) for name, cell in cells.items()}
    data = {name: value for name, value in told.items() if value}
    moment = reader.read("listed_at", read_moment)
    if moment is None and not data:
        return {}
    try:
        check_event("listing", "product", data, ())
    except Invalid as refused:
        # Of a platform that is meant for a party's id and is none.
        misnamed = faults_of(
            lambda: check_named(data.get("platform", ""), loc=("data", "platform"))
        )
        for error in refused.errors:
            if error in misnamed:
                reader.refuse_unless_known((error,), as_field="platform")
                continue
            of_place = error.kind == "missing"
            told_so = replace(error, sentence="listing_place") if of_place else error
            reader.refuse((told_so,), as_field=cells.get(str(error.loc[-1]), "platform"))
    if moment is None:
        return {"listing": data}
    at = format_time(moment[0])
    reader.warn("listed_at", moment[1], time=at)
    return {"listing": data, "listed_at": at}


def _check_order(reader: Reader, facts: dict[str, Any]) -> None:
    produced, expires = facts.get("produced_on"), facts.get("expires_on")
    if produced and expires and date.fromisoformat(expires) < date.fromisoformat(produced):
        reader.refuse_with("expires_on", "range", expected=f"≥ {produced}", got=expires)


def _imported(reader: Reader) -> dict[str, str]:
    told = {name: reader.text(name) for name in _IMPORT}
    found = {name: value for name, value in told.items() if value}
    mode = reader.text("mode")
    if mode:
        value = choice("mode", mode)
        if value is None:
            reader.refuse_choice("mode", mode, IMPORT_MODES, family="page.mode")
        else:
            found["mode"] = value
    return found


def _check(reader: Reader, level: Any, data: dict[str, Any], sealed: Any) -> None:
    """Notes what the rules of the registration find, unless the cell was found wrong already."""
    try:
        check_event("registration", level, data, sealed, system=True)
    except Invalid as refused:
        known = {problem.field for problem in reader.problems}
        errors = [e for e in refused.errors if not known & {str(part) for part in e.loc}]
        reader.refuse(tuple(errors))
