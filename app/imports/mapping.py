"""Which column is which field: a party's own say, a shop system's usual headers, our own names. Pure.

presets.json holds the headers of common shop exports. A preset is recognised by headers that stand in
that export together and, as far as is known, in no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from app.i18n import Lang
from app.imports.cells import CellWrong, clean, read_count, read_day, read_gtin, read_moment
from app.imports.columns import Choice, Kind, choice, fields_of, spelled, words
from app.kit.errors import FieldFault, Invalid, faults_of, invalid, not_of_type
from app.parties.identity import check_named, parse_region
from app.trace.code import parse_lot
from app.trace.shipment import MAX_UNITS

MAX_ENTRIES = 5_000
_MAX_TEXT = 300
_PARTS = ("columns", "goods", "carriers", "defaults")
_READ: Final[Mapping[Kind, Mapping[str, Callable[[str], object]]]] = {
    "products": {"listed_at": read_moment},
    "lots": {"produced_on": read_day, "expires_on": read_day},
    "shipments": {
        "ordered_at": read_moment,
        "shipped_at": read_moment,
        "quantity": partial(read_count, most=MAX_UNITS),
        "region": parse_region,
    },
    "events": {"occurred_at": read_moment, "region": parse_region},
}
"""How a cell is read, of the fields that are no mere text."""
_CHOSEN: Final[Mapping[str, tuple[Choice, str]]] = {
    "category": ("category", "page.category"),
    "mode": ("mode", "page.mode"),
    "type": ("event", "event"),
    "kind": ("signed_by", "goods.kind"),
}
"""Of fields that hold one of our words: which, and the family of sentences by which people know them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a party's spreadsheets are to be read.

    columns: field to header. goods: a shop's own code or title to GTIN, or GTIN and lot as in
    `06901234567892/L1`. carriers: a carrier's name as the shop system has it to a party's id. defaults:
    field to value where the file has none.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    goods: Mapping[str, str] = field(default_factory=dict)
    carriers: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def carriers_named(self) -> dict[tuple[str, ...], str]:
        """Returns what is put for a carrier, by its place: behind each word, and where a file names none.

        The latter may be one of the words.
        """
        found: dict[tuple[str, ...], str] = {
            ("mapping", "carriers", theirs[:80]): ours for theirs, ours in self.carriers.items()
        }
        default = self.defaults.get("carrier", "")
        if default and default not in self.carriers:
            found["mapping", "defaults", "carrier"] = default
        return found

    def as_json(self) -> dict[str, dict[str, str]]:
        """Returns the mapping as `read_mapping` takes it."""
        return {name: dict(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Preset:
    """A common export. columns: field to headers, the best first."""

    id: str
    title: Mapping[Lang, str]
    needs: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, str]


def read_mapping(kind: Kind, told: object) -> Layout:
    """Returns a mapping from its JSON. Raises Invalid with the place of what is wrong in its form.

    What it says may be wrong all the same, of one that is kept already, too: see `find_nonsense`.
    """
    if not isinstance(told, dict):
        raise invalid(not_of_type(("mapping",), "object"))
    faults = [
        FieldFault(("mapping", str(n)[:80]), "unknown_field") for n in told if n not in _PARTS
    ]
    parts: dict[str, dict[str, str]] = {}
    for name in _PARTS:
        part = told.get(name, {})
        if not isinstance(part, dict):
            faults.append(not_of_type(("mapping", name), "object"))
            continue
        if len(part) > MAX_ENTRIES:
            params = {"expected": f"≤ {MAX_ENTRIES}", "got": len(part)}
            faults.append(FieldFault(("mapping", name), "length", params))
            continue
        for key, value in part.items():
            place = ("mapping", name, str(key)[:80])
            if not isinstance(value, str):
                faults.append(not_of_type(place, "text"))
            elif not all(0 < len(text) <= _MAX_TEXT for text in (key, value)):
                got = len(value) if 0 < len(key) <= _MAX_TEXT else len(key)
                params = {"expected": f"1..{_MAX_TEXT}", "got": got}
                faults.append(FieldFault(place, "length", params))
            elif not (key + value).isprintable():
                faults.append(FieldFault(place, "control"))
            elif name in ("columns", "defaults") and key not in fields_of(kind):
                faults.append(FieldFault(place, "unknown_field"))
        parts[name] = part
    if faults:
        raise invalid(*faults)
    return Layout(**parts)


def find_nonsense(kind: Kind, mapping: Layout) -> list[FieldFault]:
    """Returns a fault for each GTIN, lot or party id in a mapping that can be none, at its place.

    Also for each default that its column would refuse: it stands for every row that has no cell there.
    """
    faults = list(_find_unreadable(kind, mapping.defaults))
    for theirs, ours in mapping.goods.items():
        place = ("mapping", "goods", theirs[:80])
        gtin, _, lot = ours.partition("/")
        try:
            read_gtin(gtin)
        except CellWrong as wrong:
            faults.append(FieldFault(place, wrong.kind, wrong.params, wrong.sentence))
        if lot:
            faults += faults_of(partial(parse_lot, lot, loc=place))
    for theirs, ours in mapping.carriers.items():
        faults += faults_of(partial(check_named, ours, loc=("mapping", "carriers", theirs[:80])))
    for name in ("carrier", "platform"):
        told = mapping.defaults.get(name, "")
        faults += faults_of(partial(check_named, told, loc=("mapping", "defaults", name)))
    return faults


def _find_unreadable(kind: Kind, defaults: Mapping[str, str]) -> Iterator[FieldFault]:
    """Yields a fault for each default that could not be read in a cell of its column."""
    for name, told in defaults.items():
        place = ("mapping", "defaults", name)
        read = _READ[kind].get(name)
        try:
            value = clean(told)
            if read is not None and value:
                read(value)
        except CellWrong as wrong:
            yield FieldFault(place, wrong.kind, wrong.params, wrong.sentence)
            continue
        except Invalid as refused:
            yield from (replace(one, loc=place) for one in refused.errors)
            continue
        if name in _CHOSEN and value and choice(_CHOSEN[name][0], value) is None:
            of, family = _CHOSEN[name]
            known = dict.fromkeys(one.partition("/")[0] for one in words()[of])
            params = {"expected": ", ".join(known), "got": value[:40]}
            yield FieldFault(place, "enum", params, words={"expected": family})


@cache
def presets() -> tuple[Preset, ...]:
    """Returns the presets for order exports."""
    told: list[dict[str, Any]] = json.loads(
        Path(__file__).with_name("presets.json").read_text("utf-8")
    )
    return tuple(
        Preset(
            id=one["id"],
            title=one["title"],
            needs=tuple(one["needs"]),
            columns={name: tuple(headers) for name, headers in one["columns"].items()},
            defaults=one["defaults"],
        )
        for one in told
    )


def recognise(headers: Iterable[str]) -> Preset | None:
    """Returns the preset whose headers are all there, the one that needs most; None for none."""
    there = {whole(header) for header in headers}
    found = [one for one in presets() if {whole(name) for name in one.needs} <= there]
    return max(found, key=lambda one: len(one.needs), default=None)


def whole(header: str) -> str:
    """Returns a header for comparing with one that is known letter by letter: brackets count."""
    return spelled(header.replace("(", "").replace(")", "").replace("（", "").replace("）", ""))
