"""GTINs: check, canonical form, and the codes we give to goods that have none.

GS1 General Specifications 2.1 and 7.9 (check digit), GB 12904. Canonical is GTIN-14 with leading
zeros, so that one product has one name whatever the length it was typed in. A prefix tells who
issued a number, never where goods were made: nothing here derives an origin.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Never

from app.kit.errors import FieldFault, Invalid

Loc = tuple[str | int, ...]

GTIN_LENGTHS = (8, 12, 13, 14)

ITEM_CODE_PREFIX = "029"
"""First digits of the codes we give to goods without a GTIN, as GTIN-14.

GS1 prefixes 20-29 are restricted circulation numbers: never issued to a company, free for use
inside one system. We take 29, which leaves 20-24, where shop scales print prices and weights
(GB/T 18283), alone. GS1 gives such numbers no meaning behind AI (01) outside their own system: the
labels resolve at our host, and pages must say "item code", not "GTIN".
"""

_MAX_ITEM_NUMBER = 10**10 - 1
_DEMO_PREFIX = "952"

_SEPARATORS = re.compile(r"[ -]")
# A 2- or 5-digit EAN add-on beside the symbol, as scanners append it. Twelve digits, a space and
# two more could also be a GTIN-14 typed in groups, so those need the "+".
_ADD_ON = re.compile(r"([0-9]{12,13})(?:\+[0-9]{2}|\+[0-9]{5}| [0-9]{5}|(?<=[0-9]{13}) [0-9]{2})")


# Many units have one GTIN.
@lru_cache(maxsize=4096)
def parse_gtin(text: str, *, loc: Loc = ("gtin",), allow_item_code: bool = False) -> str:
    """Returns the GTIN-14 of a GTIN-8, -12, -13 or -14; spaces, hyphens and an add-on are dropped.

    allow_item_code: also take our item codes, for places that look up what exists; a product is
    never registered under one by its sender. Raises Invalid with one field fault: `not_gtin`
    (anything but 8, 12, 13 or 14 ASCII digits), `check_digit`, `gtin_zero`, `gtin_restricted`
    (in-store numbers), `gtin_publication` (ISSN, ISBN), `gtin_coupon`.
    """
    shown = text[:40]
    # isascii first: int() and isdigit() take full-width digits, and so do biip and python-stdnum.
    if not text.isascii():
        _refuse(loc, "not_gtin", got=shown)
    add_on = _ADD_ON.fullmatch(text.strip())
    digits = _SEPARATORS.sub("", add_on[1] if add_on else text.strip())
    if len(digits) not in GTIN_LENGTHS or not digits.isdigit():
        _refuse(loc, "not_gtin", got=shown)
    expected = gtin_check_digit(digits[:-1])
    if digits[-1] != expected:
        _refuse(loc, "check_digit", expected=expected, got=digits[-1])
    gtin14 = digits.zfill(14)
    if not gtin14.strip("0"):
        _refuse(loc, "gtin_zero")
    if allow_item_code and is_item_code(gtin14):
        return gtin14
    prefix = gtin_prefix(gtin14)
    if _is_restricted(gtin14, prefix):
        _refuse(loc, "gtin_restricted", prefix=prefix)
    if prefix in ("977", "978", "979"):
        _refuse(loc, "gtin_publication", prefix=prefix)
    if prefix >= "980":
        _refuse(loc, "gtin_coupon", prefix=prefix)
    return gtin14


def gtin_check_digit(body: str) -> str:
    """Returns the check digit for all digits before it: weights 3, 1, 3, 1 … from the right."""
    total = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body))
    )
    return str(-total % 10)


def gtin_prefix(gtin14: str) -> str:
    """Returns the three digits of the GS1 prefix, for a GTIN-8 those of its GS1-8 prefix."""
    return gtin14[6:9] if _is_gtin_8(gtin14) else gtin14[1:4]


def display_gtin(gtin14: str, original_length: int | None = None) -> str:
    """Returns the GTIN as people know it from the pack.

    original_length: the length in which it was registered; where that is unknown (or too short for
    it) eight digits for a GTIN-8, thirteen for retail goods and fourteen for a case.
    """
    length = original_length or 0
    if length not in GTIN_LENGTHS or gtin14[: 14 - length].strip("0"):
        length = 8 if _is_gtin_8(gtin14) else 13 if gtin14[0] == "0" else 14
    return gtin14[14 - length :]


def packaging_level(gtin14: str) -> int:
    """Returns the indicator digit: 0 retail item, 1-8 grouping of it, 9 variable measure."""
    return int(gtin14[0])


def is_demo_gtin(gtin14: str) -> bool:
    """Returns whether GS1 reserves the number for demonstrations (prefix 952)."""
    return gtin_prefix(gtin14) == _DEMO_PREFIX and not _is_gtin_8(gtin14)


def is_item_code(gtin14: str) -> bool:
    """Returns whether this is one of our own codes for goods without a GTIN."""
    return gtin14.startswith(ITEM_CODE_PREFIX)


def item_code(number: int) -> str:
    """Returns the item code with this number (0 to 10^10 - 1): fourteen digits, checked as a GTIN.

    The caller draws the number and sees to it that it is new.
    """
    if not 0 <= number <= _MAX_ITEM_NUMBER:
        raise ValueError(number)
    body = f"{ITEM_CODE_PREFIX}{number:010d}"
    return body + gtin_check_digit(body)


def _is_gtin_8(gtin14: str) -> bool:
    # GS1 leaves the GTIN-13 range 00000… to GTIN-8, so six leading zeros say it for certain.
    return gtin14.startswith("000000")


def _is_restricted(gtin14: str, prefix: str) -> bool:
    if _is_gtin_8(gtin14):
        return prefix[0] in "02"
    return prefix[0] == "2" or prefix[:2] in ("02", "04")


def _refuse(loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid("gtin", errors=(FieldFault(loc, kind, params),))
