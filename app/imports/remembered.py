"""Mappings that a party keeps: how its spreadsheets of a kind are read, under names of its own."""

from __future__ import annotations

import json

from app.db.engine import Database
from app.imports import importstore
from app.imports.columns import KINDS, Kind
from app.imports.mapping import Layout, find_nonsense, read_mapping
from app.kit.clock import Clock, to_ms
from app.kit.errors import FieldFault, NotFound, invalid
from app.parties.principal import Principal

MAX_MAPPINGS = 50


class MappingUnknown(NotFound):
    """Nothing is remembered under this name."""


class Remembered:
    """Keeps mappings and gives them back."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def check_mapping(self, principal: Principal, kind: Kind, told: object) -> Layout:
        """Returns a mapping from its JSON. Raises Invalid with the place of all that is wrong. Read-only.

        Beside its form: what can be no GTIN, lot, id or value of its column, and as a carrier the id of
        another party that is none: a shop may bring its goods itself. An id that is not registered yet may
        be one tomorrow, and is told by `doubts`.
        """
        mapping = read_mapping(kind, told)
        faults = find_nonsense(kind, mapping)
        named = mapping.carriers_named()
        with self._database.read() as connection:
            others = importstore.not_carrying(connection, set(named.values()))
        others -= {principal.party}
        faults += (
            FieldFault(place, "no_carrier", {"got": ours})
            for place, ours in named.items()
            if ours in others
        )
        if faults:
            raise invalid(*faults)
        return mapping

    def doubts(self, principal: Principal, mapping: Layout) -> list[FieldFault]:
        """Returns at its place whatever is put for a carrier and is none that can sign, now. Read-only.

        As a row of a file is warned of it, so is the mapping: it may be right by the time of a file.
        """
        named = mapping.carriers_named()
        with self._database.read() as connection:
            known = importstore.carriers_of(connection, set(named.values())) | {principal.party}
        return [
            FieldFault(place, "no_carrier", {"got": ours[:40]}, "carrier_not_here")
            for place, ours in named.items()
            if ours not in known
        ]

    def remember(self, principal: Principal, kind: Kind, name: str, told: object) -> Layout:
        """Keeps a mapping under a name of the party's. Raises Invalid. Writes `import_mapping`."""
        party = principal.own_party()
        mapping = self.check_mapping(principal, kind, told)
        row = {
            "party": party,
            "kind": kind,
            "name": name,
            "mapping": json.dumps(mapping.as_json(), ensure_ascii=False),
            "updated_at": to_ms(self._clock.now()),
        }
        with self._database.write() as connection:
            known = importstore.list_mappings(connection, party)
            if len(known) >= MAX_MAPPINGS and not any(
                (one.kind, one.name) == (kind, name) for one in known
            ):
                params = {"expected": f"≤ {MAX_MAPPINGS}", "got": len(known) + 1}
                raise invalid(FieldFault(("name",), "length", params))
            importstore.put_mapping(connection, row)
        return mapping

    def forget(self, principal: Principal, kind: Kind, name: str) -> None:
        """Forgets a mapping; again is no harm. Writes `import_mapping`."""
        with self._database.write() as connection:
            importstore.drop_mapping(connection, principal.own_party(), kind, name)

    def mapping(self, principal: Principal, kind: Kind, name: str) -> Layout:
        """Returns a remembered mapping. Raises MappingUnknown. Read-only."""
        with self._database.read() as connection:
            row = importstore.find_mapping(connection, principal.own_party(), kind, name)
        if row is None:
            raise MappingUnknown("mapping_unknown", name=name[:64])
        return read_mapping(kind, json.loads(row.mapping))

    def mappings(self, principal: Principal) -> list[tuple[Kind, str, Layout, int]]:
        """Returns the party's mappings: kind, name, mapping, when it was kept (ms). Read-only."""
        with self._database.read() as connection:
            rows = importstore.list_mappings(connection, principal.own_party())
        return [
            (row.kind, row.name, read_mapping(row.kind, json.loads(row.mapping)), row.updated_at)
            for row in rows
            if row.kind in KINDS
        ]
