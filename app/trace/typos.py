"""Codes as people mistype them: what may have been meant. Pure.

A GTIN's check digit tells that something is wrong but not what: every number that differs in one
digit, or in two neighbours swapped, and whose check digit is right, may have been meant. In lots and
serials O and 0, I, L and 1 are taken for each other. What exists is for the caller to look up.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from app.kit.errors import Fault
from app.trace.gtin import GTIN_LENGTHS, parse_gtin

_SEPARATORS = re.compile(r"[\s\-]")
_CODE = re.compile(r"(?:^|/|\()01[/)]?\s*(\d{8,14})\s*(?:[/(](10|21)[/)]\s*([^/?()\s]{1,60}))?")
_ALIKE = {"0": "0O", "O": "0O", "1": "1IL", "I": "1IL", "L": "1IL"}
MOST_SPELLINGS = 64


@dataclass(frozen=True, slots=True)
class Typed:
    """A code in a query. gtin: its digits as typed. key: "10" or "21", where lot or serial follow."""

    gtin: str
    key: str | None = None
    value: str | None = None


def read_typed(query: str) -> Typed | None:
    """Returns the code that a query is, or None where it is none: digits alone, a link, an element string."""
    digits = _SEPARATORS.sub("", query.strip())
    if digits.isascii() and digits.isdigit() and len(digits) in GTIN_LENGTHS:
        return Typed(digits)
    match = _CODE.search(query.strip())
    return Typed(match[1], match[2], match[3]) if match else None


def meant_gtins(digits: str) -> list[str]:
    """Returns the GTIN-14s that may have been meant: the number itself first, where it is one."""
    asked = dict.fromkeys([digits])
    for n, digit in enumerate(digits):
        asked |= dict.fromkeys(
            digits[:n] + other + digits[n + 1 :] for other in "0123456789" if other != digit
        )
        if n + 1 < len(digits):
            asked[digits[:n] + digits[n + 1] + digit + digits[n + 2 :]] = None
    return list(dict.fromkeys(found for one in asked if (found := _gtin(one)) is not None))


def spellings(value: str) -> list[str]:
    """Returns a lot or serial in the ways it may have been meant, as typed first; at most MOST_SPELLINGS."""
    signs = [_ALIKE.get(sign.upper(), sign) for sign in value]
    upper = [_ALIKE.get(sign, sign) for sign in value.upper()]
    made = itertools.chain(
        [value, value.upper()],
        ("".join(one) for one in itertools.product(*upper)),
        ("".join(one) for one in itertools.product(*signs)),
    )
    return list(dict.fromkeys(itertools.islice(made, 2 * MOST_SPELLINGS)))[:MOST_SPELLINGS]


def _gtin(digits: str) -> str | None:
    try:
        return parse_gtin(digits, allow_item_code=True)
    except Fault:
        return None
