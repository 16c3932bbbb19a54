"""From a grid to rows: where the header stands, which column is which field, and no other column. Pure.

What is not mapped is dropped here, before anything is checked, shown or stored: names, telephone numbers
and addresses of buyers stand in columns that nobody maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.imports.columns import KINDS, Column, Kind, columns_of, known_names, spelled
from app.imports.grid import MAX_ROWS, FileTooLarge, FileUnusable, Grid, Line
from app.imports.mapping import Layout, Preset, recognise, whole

_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row. number: as the spreadsheet counts. values: by field, only what has a column."""

    number: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of a file.

    columns: field to the header as it is written. ignored: how many columns were dropped. defaults: by
    field, of the party and of the preset.
    """

    kind: Kind
    rows: tuple[Row, ...]
    columns: Mapping[str, str]
    ignored: int
    header_row: int
    preset: Preset | None
    defaults: Mapping[str, str]


@dataclass(slots=True)
class _Header:
    """A line taken for the header. at: its place. places: by field. twice: a header that stands twice."""

    at: int
    places: dict[str, int]
    preset: Preset | None
    twice: str = ""


def find_sheet(grid: Grid, kind: Kind, mapping: Layout) -> Sheet:
    """Returns the rows below the header. Raises FileUnusable, FileTooLarge."""
    found = max(
        (_fields_of(line, n, kind, mapping) for n, line in enumerate(grid.lines[:_LOOKED_AT])),
        key=lambda one: (len(one.places), -one.at),
    )
    at, places, preset = found.at, found.places, found.preset
    header = grid.lines[at]
    if found.twice:
        raise FileUnusable("import_duplicate_header", header=found.twice, row=header.number)
    defaults = {**(preset.defaults if preset else {}), **mapping.defaults}
    _check_columns(kind, header, at, places, defaults)
    below = grid.lines[at + 1 :]
    if not below:
        raise FileUnusable("import_only_header", row=header.number)
    if len(below) > MAX_ROWS:
        raise FileTooLarge("import_too_many_rows", limit=MAX_ROWS)
    _check_merged(grid.merged, header.number)
    rows = tuple(
        Row(
            line.number,
            {
                name: line.cells[place] if place < len(line.cells) else ""
                for name, place in places.items()
            },
        )
        for line in below
    )
    return Sheet(
        kind=kind,
        rows=rows,
        columns={name: header.cells[place].strip() for name, place in places.items()},
        ignored=sum(bool(cell.strip()) for cell in header.cells) - len(places),
        header_row=header.number,
        preset=preset,
        defaults=defaults,
    )


def _fields_of(line: Line, at: int, kind: Kind, mapping: Layout) -> _Header:
    """Returns what the line would be as the header."""
    exact: dict[str, list[int]] = {}
    for place, cell in enumerate(line.cells):
        if cell.strip():
            exact.setdefault(whole(cell), []).append(place)
    wanted: dict[str, tuple[str, ...]] = {n: (header,) for n, header in mapping.columns.items()}
    preset = recognise(line.cells) if kind == "shipments" else None
    for name, headers in (preset.columns if preset else {}).items():
        wanted.setdefault(name, headers)
    header = _Header(at, {}, preset)
    for name, headers in wanted.items():
        for told in headers:
            found = exact.get(whole(told), [])
            if found and found[0] not in header.places.values():
                header.places[name] = found[0]
                if len(found) > 1:
                    header.twice = told
                break
    _add_known(line, kind, header)
    return header


def _add_known(line: Line, kind: Kind, header: _Header) -> None:
    """Adds the columns that are called as we call them, the better name first."""
    names = known_names(kind)
    rank = {
        spelled(name): n
        for column in columns_of(kind)
        for n, name in enumerate((*column.names["zh"], *column.names["en"], column.field))
    }
    places = header.places
    found: dict[str, list[tuple[int, int]]] = {}
    for place, cell in enumerate(line.cells):
        name = names.get(spelled(cell)) if cell.strip() else None
        if name is not None and name not in places and place not in places.values():
            found.setdefault(name, []).append((rank[spelled(cell)], place))
    for name, candidates in found.items():
        best = sorted(candidates)
        if len(best) > 1 and best[0][0] == best[1][0]:
            header.twice = line.cells[best[0][1]].strip()
        places[name] = best[0][1]


def _check_columns(
    kind: Kind, header: Line, at: int, places: Mapping[str, int], defaults: Mapping[str, str]
) -> None:
    """Raises FileUnusable where a column is missing that every row must have.

    A header that would do for another kind is told so: somebody chose the wrong one.
    """
    missing = _lacking(kind, places, defaults)
    if not missing:
        return
    for other in KINDS:
        found = _fields_of(header, at, other, Layout())
        if other != kind and not _lacking(
            other, found.places, found.preset.defaults if found.preset else {}
        ):
            raise FileUnusable(f"import_is_{other}", row=header.number)
    raise FileUnusable(
        "import_columns_missing",
        missing=", ".join(f"{c.names['zh'][0]} / {c.names['en'][0]}" for c in missing),
        row=header.number,
        found=", ".join(cell.strip()[:30] for cell in header.cells if cell.strip())[:300],
    )


def _lacking(kind: Kind, places: Mapping[str, int], defaults: Mapping[str, str]) -> list[Column]:
    """Returns the columns that every row of a kind must have, and that are not there.

    Of those that name the goods of an event, any one will do.
    """
    there = {*places, *defaults}
    if "parcel" in there:
        there |= {"carrier", "waybill"}
    if "codes" in there:
        there |= {"goods", "quantity"}
    lacking = [c for c in columns_of(kind) if c.required and c.field not in there]
    if kind == "events" and not there & {"waybill", "order", "code"}:
        lacking.append(columns_of(kind)[0])
    return lacking


def _check_merged(merged: tuple[str, ...], header_row: int) -> None:
    """Raises FileUnusable for merged cells below the header: all but the first of them are empty."""
    for place in merged:
        last = int("".join(char for char in place.split(":")[1] if char.isdigit()))
        if last >= header_row:
            raise FileUnusable("import_merged", place=place)
