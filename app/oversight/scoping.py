"""Which goods somebody means: a product, a lot or a unit, and of it serials, a range of them, or dates.

A range of serials is one of issue: serials are random, but an issuer prints them in an order, and a roll of
labels or a shift is from the one to the other. Days are days of China, both included: of the lots' date of
production, and of the sale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from app.kit.errors import FieldFault, invalid, read_all
from app.oversight import reachstore
from app.oversight.periods import read_period
from app.oversight.reachstore import Issued
from app.trace.code import MAX_SEGMENT, Code, parse_serial
from app.trace.identifiers import parse_unit

MOST_GOODS: Final = 200_000
"""Who asks about more is asked to choose a lot, serials, or a time of sale: the answer comes at once."""
MOST_SERIALS: Final = 1_000
_FIRST_DAY, _LAST_DAY = "0001-01-01", "9999-12-31"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which goods. code: a product, a lot or a unit, in any form. serials: of these units alone.

    issued: the first and the last serial of a range of issue. produced: days from which to which the lots
    were made. sold_since_ms, sold_until_ms: of those sold then, until exclusive, by whichever of their sales.
    """

    code: str
    serials: tuple[str, ...] = ()
    issued: tuple[str, str] | None = None
    produced: tuple[str, str] | None = None
    sold_since_ms: int | None = None
    sold_until_ms: int | None = None

    @property
    def is_sold_then(self) -> bool:
        """Whether it is about those sold in a time."""
        return self.sold_since_ms is not None or self.sold_until_ms is not None

    @property
    def is_narrowed(self) -> bool:
        """Whether it is about a part of the goods that the code names."""
        return bool(self.serials or self.issued or self.produced) or self.is_sold_then

    @property
    def is_of_lots(self) -> bool:
        """Whether the part is one of whole lots."""
        return self.produced is not None and not (self.serials or self.issued or self.is_sold_then)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The goods of a scope. serials: of these units; None: all there are. lots: of these alone; None: of any.

    named: whether the serials were named one by one, so that those of nobody are told.
    """

    code: Code
    serials: tuple[str, ...] | None
    lots: tuple[str, ...] | None
    named: bool = True


def scope_of(
    code: str,
    serials: Sequence[str],
    *,
    serial_from: str = "",
    serial_to: str = "",
    produced_since: str = "",
    produced_until: str = "",
    sold_since: str,
    sold_until: str,
) -> Scope:
    """Returns the goods that are asked about; days of China, "" for none.

    Raises Invalid with all that is wrong at once.
    """
    (since_ms, until_ms), _, issued = read_all(
        lambda: read_period(sold_since, sold_until, names=("sold_since", "sold_until")),
        lambda: read_period(
            produced_since, produced_until, names=("produced_since", "produced_until")
        ),
        lambda: _read_ends(serial_from.strip(), serial_to.strip(), serials),
    )
    produced = None
    if produced_since or produced_until:
        produced = (produced_since or _FIRST_DAY, produced_until or _LAST_DAY)
    return Scope(
        code=code,
        serials=tuple(serials),
        issued=issued,
        produced=produced,
        sold_since_ms=since_ms,
        sold_until_ms=until_ms,
    )


def _read_ends(first: str, last: str, serials: Sequence[str]) -> tuple[str, str] | None:
    """Returns the ends of a range of serials, None where none is meant. Raises Invalid."""
    if not (first or last):
        return None
    ends = (("serial_from", first), ("serial_to", last))
    faults = [FieldFault((name,), "missing", {"name": name}) for name, told in ends if not told]
    if serials:
        faults.append(FieldFault(("serials",), "one_way", {}))
    if faults:
        raise invalid(*faults)
    return first, last


def choose(connection: Connection, scope: Scope, code: Code, *, own: str | None) -> Chosen:
    """Returns the goods of a scope. code: its own, read. own: who asks of what it issued alone; None: of all.

    Raises Invalid: a serial of nobody, or of another issuer; too many goods. Read-only.
    """
    if code.serial is not None:
        return Chosen(code, (code.serial,), None)
    lots: tuple[str, ...] | None = None if code.lot is None else (code.lot,)
    if scope.produced is not None:
        made = reachstore.lots_produced(connection, code.gtin, *scope.produced)
        lots = tuple(lot for lot in made if code.lot in (None, lot))
    if scope.issued is not None:
        serials = _issued(connection, scope.issued, code, own=own)
        return Chosen(code, serials, lots, named=False)
    if not scope.serials:
        if reachstore.count_codes(connection, code.gtin, lots) > MOST_GOODS:
            raise _too_many()
        return Chosen(code, None, lots)
    if len(scope.serials) > MOST_SERIALS:
        params = {"expected": f"≤ {MOST_SERIALS}", "got": len(scope.serials)}
        raise invalid(FieldFault(("serials",), "length", params))
    named = dict.fromkeys(_serial_of(code, told, "serials") for told in scope.serials)
    return Chosen(code, tuple(named), lots)


def _issued(
    connection: Connection, ends: tuple[str, str], code: Code, *, own: str | None
) -> tuple[str, ...]:
    def read(name: str, told: str) -> tuple[str, Issued]:
        serial = _serial_of(code, told, name)
        one = reachstore.find_issued(connection, code.gtin, serial, lot=code.lot, party=own)
        if one is None:
            raise invalid(FieldFault((name,), "serial_unknown", {"got": serial}))
        return serial, one

    (first_serial, first), (last_serial, last) = read_all(
        lambda: read("serial_from", ends[0]), lambda: read("serial_to", ends[1])
    )
    if first.party != last.party:
        raise invalid(FieldFault(("serial_to",), "other_issuer", {"got": last_serial}))
    if first[1:] > last[1:]:
        params = {"expected": first_serial}
        raise invalid(FieldFault(("serial_to",), "issued_before", params))
    serials = reachstore.issued_between(
        connection, code.gtin, first, last, lot=code.lot, most=MOST_GOODS + 1
    )
    if len(serials) > MOST_GOODS:
        raise _too_many()
    return tuple(serials)


def _too_many() -> Exception:
    # Not how many: of others' goods that is nobody's business.
    return invalid(FieldFault(("code",), "too_many_goods", {"expected": MOST_GOODS}))


def _serial_of(code: Code, told: str, name: str) -> str:
    """Returns the serial of a serial, or of a unit's whole code. Raises Invalid."""
    told, loc = told.strip(), (name,)
    if len(told) <= MAX_SEGMENT and not told.startswith(("01/", "(")):
        return parse_serial(told, loc=loc)
    unit = parse_unit(told, loc=loc)
    if unit.gtin != code.gtin:
        raise invalid(FieldFault(loc, "other_product", {"got": unit.gtin}))
    return str(unit.serial)
