"""What somebody typed into the authority's search box: every number that it can be. Pure.

A form with a check digit, or one that only one kind of number has, is `sure`; then it is not looked for
as what any text could be: a serial, a lot, a waybill, a name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.kit.errors import Fault
from app.parties.identity import is_party_id, parse_declaration, parse_uscc, parse_waybill
from app.parties.licences import LICENCE_KINDS, parse_licence
from app.trace.code import Code, parse_serial
from app.trace.identifiers import parse_code

MAX_QUERY = 2_048
_MAX_NAME = 100
_MIN_NUMBER, _MAX_NUMBER = 4, 64
# Kinds of licences whose numbers have a form of their own.
_FORMED = tuple(
    kind
    for kind in LICENCE_KINDS
    if kind
    not in (
        "business", "fertilizer", "seed", "hazardous_chemicals", "rare_earth",
        "customs_registration", "other",
    )
)  # fmt: skip

Kind = Literal[
    "unit", "lot_code", "product", "party", "declaration", "licence",
    "waybill", "order", "payment", "serial", "lot", "name",
]  # fmt: skip
SEALED: tuple[Kind, ...] = ("declaration", "waybill", "order", "payment")
"""Kinds of which no number is stored: they are found by the keyed index alone."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that the text can be. value: in its one spelling. code: of a unit, lot or product."""

    kind: Kind
    value: str
    sure: bool = False
    code: Code | None = None


def read_query(text: str, *, year_now: int) -> tuple[Reading, ...]:
    """Returns what a text can be, the surest first; none for an empty one."""
    told = plain(text)
    if not told:
        return ()
    sure = tuple(_sure(told, year_now=year_now))
    # A GTIN's digits may be somebody's waybill as well, and a customs declaration has no check digit.
    final = any(one.kind in ("unit", "lot_code", "party", "licence") for one in sure)
    return sure if final else (*sure, *_possible(told, named=not sure))


def _sure(told: str, *, year_now: int) -> Iterator[Reading]:
    code = _code(told)
    if code is not None:
        kinds: dict[str, Kind] = {"unit": "unit", "lot": "lot_code", "product": "product"}
        yield Reading(kinds[code.level], code.stream, sure=True, code=code)
    compact = told.replace(" ", "").upper()
    try:
        yield Reading("party", parse_uscc(compact), sure=True)
    except Fault:
        if is_party_id(compact):
            yield Reading("party", compact, sure=True)
    try:
        number = parse_declaration(compact, year_now=year_now).number
        yield Reading("declaration", number, sure=True)
    except Fault:
        pass
    for kind in _FORMED:
        try:
            yield Reading("licence", parse_licence(kind, told), sure=True)
        except Fault:
            continue
        return


def _possible(told: str, *, named: bool) -> Iterator[Reading]:
    with suppress(Fault):
        yield Reading("waybill", parse_waybill(told))
    if told.isascii() and told.isprintable() and _MIN_NUMBER <= len(told) <= _MAX_NUMBER:
        yield Reading("order", told)
        yield Reading("payment", told)
    try:
        serial = parse_serial(told)
    except Fault:
        pass
    else:
        yield Reading("serial", serial)
        yield Reading("lot", serial)
    if named and not told.isdigit():
        yield Reading("name", told[:_MAX_NAME])


def _code(told: str) -> Code | None:
    try:
        return parse_code(told)
    except Fault:
        return None


def plain(text: str) -> str:
    """Returns the text as it was meant: full-width digits of a Chinese keyboard are digits."""
    # Not the control that a scanner sends between values, which is no character to be normalised.
    return unicodedata.normalize("NFKC", text[:MAX_QUERY]).strip(" \t\r\n\u3000")
