"""SSCCs: the numbers of cases and pallets, in every form in which a scanner or a person gives them.

Eighteen digits: an extension digit, the company prefix and serial reference of who packs, a check digit
(GS1 General Specifications 3.3.1, 7.9). The packer gives the number and keeps it unique; here only its
form is judged, and what is in it.
"""

from __future__ import annotations

import re
from typing import Never

from app.kit.errors import FieldFault, Invalid
from app.kit.tokens import RandomBytes
from app.trace.gtin import Loc, gtin_check_digit

DIGITS = 18
_PREFIX = re.compile(r"[0-9]{7,10}")
# As scanned (with or without symbology identifier and FNC1), with the AI in brackets, as a Digital Link.
_FORMS = re.compile(
    r"(?:\](?:C1|d2|Q3|e0))?\x1d?(?:\(00\)\s*|00|(?:https?://[^\s?#]+)?/?00/)?([0-9 -]+?)\x1d?(?:\?\S*)?",
    re.ASCII,
)


def parse_sscc(text: str, *, loc: Loc = ("case",)) -> str:
    """Returns the eighteen digits. Raises Invalid, kinds `not_sscc`, `check_digit`."""
    found = _FORMS.fullmatch(text.strip(" \t\r\n"))
    digits = "" if found is None else re.sub("[ -]", "", found[1])
    if found is not None and len(digits) != DIGITS:  # "00" was the number's own beginning
        plain = re.sub("[ -]", "", text.strip())
        digits = plain if plain.isascii() and plain.isdigit() and len(plain) == DIGITS else ""
    if not digits or not digits.strip("0"):
        _refuse(loc, "not_sscc", got=text[:40])
    expected = gtin_check_digit(digits[:-1])
    if digits[-1] != expected:
        _refuse(loc, "check_digit", expected=expected, got=digits[-1])
    return digits


def is_sscc(text: str) -> bool:
    """Returns whether a text is an SSCC: what else could be one is none for its check digit."""
    try:
        parse_sscc(text)
    except Invalid:
        return False
    return True


def new_sscc(prefix: str, random: RandomBytes) -> str:
    """Returns an SSCC under a GS1 company prefix (7 to 10 digits), its reference at random.

    Raises Invalid, kind `company_prefix`.
    """
    prefix = prefix.strip()
    if not _PREFIX.fullmatch(prefix):
        _refuse(("company_prefix",), "company_prefix", got=prefix[:40])
    width = DIGITS - 2 - len(prefix)
    # Extension digit 0 to 9 counts with the reference: more numbers for who packs a lot.
    number = int.from_bytes(random(8), "big") % 10 ** (width + 1)
    told = f"{number:0{width + 1}}"
    body = told[0] + prefix + told[1:]
    return body + gtin_check_digit(body)


def _refuse(loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid("invalid", errors=(FieldFault(loc, kind, params),))
