"""Codes: what a label names (a product, a lot, a unit) and every form in which we write it.

A code is GTIN, GTIN + lot or GTIN + serial. Lots and serials are GS1 AI (10) and (21): one to
twenty characters of GS1 character set 82. Forms: the stream name, the GS1 Digital Link URI (GS1
Digital Link: URI Syntax 1.4), the element string (GS1 General Specifications 3.4, 3.5, 7.8).
Reading forms back is app.trace.identifiers' work.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Never
from unicodedata import normalize

from app.kit.errors import FieldFault, Invalid
from app.kit.tokens import RandomBytes, random_symbols
from app.ledger.record import encode_segment
from app.parties.identity import shown

Loc = tuple[str | int, ...]
Level = Literal["product", "lot", "unit"]

CSET_82 = frozenset(string.ascii_letters + string.digits + "!\"%&'()*+,-./_:;<=>?")
"""GS1 AI encodable character set 82 (GS1 General Specifications 7.11)."""

CSET_82_SHOWN = "A-Z a-z 0-9 ! \" % & ' ( ) * + , - . / _ : ; < = > ?"
MAX_SEGMENT = 20

FNC1 = "\x1d"
"""How a scanner transmits the FNC1 that ends a value of variable length: the GS control."""

_MOST_TYPED = 256

SERIAL_SYMBOLS = 13
"""Length of our serials and inner codes: 65 random bits."""


@dataclass(frozen=True, slots=True)
class Code:
    """A product, lot or unit. Values are checked before they come here (`parse_gtin`, `parse_lot`).

    A unit may carry the lot it was made in; its stream and identity are GTIN and serial alone.
    """

    gtin: str
    lot: str | None = None
    serial: str | None = None

    @property
    def stream(self) -> str:
        """The canonical stream name, `01/{gtin14}` with `/21/{serial}` or `/10/{lot}` behind it."""
        if self.serial is not None:
            return f"01/{self.gtin}/21/{encode_segment(self.serial)}"
        if self.lot is not None:
            return lot_stream(self.gtin, self.lot)
        return f"01/{self.gtin}"

    @property
    def product_stream(self) -> str:
        """The stream of the product that this is, or is a part of."""
        return f"01/{self.gtin}"

    @property
    def level(self) -> Level:
        """What the code names: a unit if it has a serial, else a lot, else a product."""
        if self.serial is not None:
            return "unit"
        return "product" if self.lot is None else "lot"


# Each event on a unit asks for its lot's, and many units have one lot.
@lru_cache(maxsize=4096)
def lot_stream(gtin: str, lot: str) -> str:
    """Returns the stream of a lot; both values are checked already."""
    return f"01/{gtin}/10/{encode_segment(lot)}"


def parse_lot(text: str, *, loc: Loc = ("lot",)) -> str:
    """Returns the lot unchanged if it is 1-20 characters of GS1 character set 82.

    Raises Invalid, kinds `charset` (1-based position), `length`, `dot_segment` (`.` and `..` would
    vanish from a URI's path).
    """
    return _parse_segment(text, loc)


def parse_serial(text: str, *, loc: Loc = ("serial",)) -> str:
    """Returns the serial unchanged; the rules and faults of `parse_lot`."""
    return _parse_segment(text, loc)


def _parse_segment(text: str, loc: Loc) -> str:
    if not CSET_82.issuperset(text):
        position = next(at for at, char in enumerate(text) if char not in CSET_82)
        _refuse(
            "cset82",
            loc,
            "charset",
            position=position + 1,
            char=shown(text[position]),
            allowed=CSET_82_SHOWN,
        )
    if not 1 <= len(text) <= MAX_SEGMENT:
        _refuse("invalid", loc, "length", expected=f"1..{MAX_SEGMENT}", got=len(text))
    if text in (".", ".."):
        _refuse("invalid", loc, "dot_segment", got=text)
    return text


def digital_link(base_url: str, code: Code, *, with_lot: bool = False) -> str:
    """Returns the uncompressed GS1 Digital Link URI of a code below `base_url`.

    with_lot: write a unit's lot before its serial too. Off by default, because the shorter URI
    makes the larger, more readable symbol modules.
    """
    path = f"{base_url.rstrip('/')}/01/{code.gtin}"
    if code.lot is not None and (code.serial is None or with_lot):
        path += f"/10/{encode_segment(code.lot)}"
    if code.serial is not None:
        path += f"/21/{encode_segment(code.serial)}"
    return path


def element_string(code: Code) -> str:
    r"""Returns the GS1 element string for people: `(01)…(10)…(21)…`.

    A bracket inside a value is escaped as `\(`, as GS1's own syntax engine does.
    """
    return "".join(f"({ai})" + value.replace("(", "\\(") for ai, value in _elements(code))


def symbol_text(code: Code) -> str:
    """Returns the text that zxing-cpp encodes with `gs1=True`: `[01]…[10]…[21]…`.

    Square brackets, because they cannot occur in a value; with round ones the encoder takes
    "(1)" inside a lot for an AI and refuses it.
    """
    return "".join(f"[{ai}]{value}" for ai, value in _elements(code))


def scanner_text(code: Code) -> str:
    """Returns what a scanner sends for the GS1 DataMatrix: AIs and values, FNC1 between."""
    *inner, last = _elements(code)
    # Only the GTIN has a fixed length and needs no FNC1 behind it.
    parts = [ai + value + ("" if ai == "01" else FNC1) for ai, value in inner]
    return "".join(parts) + last[0] + last[1]


def _elements(code: Code) -> list[tuple[str, str]]:
    found = [("01", code.gtin)]
    if code.lot is not None:
        found.append(("10", code.lot))
    if code.serial is not None:
        found.append(("21", code.serial))
    return found


def new_serial(random: RandomBytes) -> str:
    """Returns a fresh serial of 13 symbols: 65 random bits, so nobody can guess or count units."""
    return random_symbols(random, SERIAL_SYMBOLS)


def new_inner(random: RandomBytes) -> str:
    """Returns a fresh inner code, of the serials' form, to be printed hidden inside the pack."""
    return random_symbols(random, SERIAL_SYMBOLS)


def normalise_inner(text: str) -> str:
    """Returns an inner code, token or ticket as issued from what was typed.

    Upper-case, half width, nothing between. What is far longer than any of them is nothing of ours.
    """
    if len(text) <= _MOST_TYPED:
        text = normalize("NFKC", text)
    return text.replace(" ", "").replace("-", "").strip().upper()


def _refuse(key: str, loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid(key, errors=(FieldFault(loc, kind, params),))
