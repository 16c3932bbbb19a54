"""Numbers by which parties, places and papers are known, each checked by its own rule.

Unified social credit codes (USCC, GB 32100-2015), our ids for natural persons who are exempt from
registration (E-commerce Law art. 10), the actors without an id, region codes (GB/T 2260), customs
declaration and waybill numbers. Says whether a number can exist, never whether it does: that a
party is who it claims to be is a verification, made by somebody who has seen evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Never
from unicodedata import normalize

from app.kit.errors import FieldFault, Invalid
from app.kit.tokens import SYMBOLS, RandomBytes, random_symbols

Loc = tuple[str | int, ...]

# Index in this alphabet is a character's value: I, O, S, V and Z are left out, so arithmetic on
# ord() gives wrong check digits for every letter after H.
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_LENGTH = 18
_USCC_SYMBOLS = frozenset(USCC_ALPHABET)
LEAST_NEAR = USCC_LENGTH - 1
# Category and region are seven, one of them perhaps mistyped.
_LEAST_DIGITS = 6
_BETWEEN = re.compile(r"[\s-]")
# Left out of the alphabet because they are read as these.
_AS_READ = str.maketrans("IOSVZ", "105U2")
_USCC_WEIGHTS = tuple(pow(3, index, 31) for index in range(17))
# With the check digit itself the sum is divisible by 31.
_CHECKED = (*_USCC_WEIGHTS, 1)
_USCC_AUTHORITIES = "123456789ANY"
# Categories so far are digits; a region is one of GB/T 2260, or the state itself.
_ISSUED = re.compile(
    f"[{_USCC_AUTHORITIES}][1-9](?P<region>[0-9]{{6}})[{USCC_ALPHABET}]{{10}}", re.ASCII
)
_USCC_ALLOWED = "0-9 A-H J-N P-R T U W-Y"

_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

EXEMPT_PREFIX = "EX"
EXEMPT_SYMBOLS = 16
_EXEMPT = re.compile(f"{EXEMPT_PREFIX}[{SYMBOLS}]{{{EXEMPT_SYMBOLS}}}", re.ASCII)

CONSUMER = "consumer"
SYSTEM = "system"
PSEUDO_ACTORS = frozenset({CONSUMER, SYSTEM})
"""Actors that stand in records without being a party: nobody's name, no credit, no keys."""

PROVINCES = frozenset(
    str(number)
    for block in (
        range(11, 16),
        range(21, 24),
        range(31, 38),
        range(41, 47),
        range(50, 55),
        range(61, 66),
        (71, 81, 82),
    )
    for number in block
)
"""First two digits of a region code (GB/T 2260)."""

_REGION = re.compile(r"[0-9]{6}", re.ASCII)
_WAYBILL = re.compile(r"[A-Z0-9-]{8,32}", re.ASCII)


def parse_uscc(text: str, *, loc: Loc = ("uscc",)) -> str:
    """Returns the 18 upper-case characters of a valid unified social credit code.

    Spaces and hyphens of the ASCII set are dropped, letters may be lower-case. Raises Invalid with
    one field fault: `length`, `charset` (1-based position after dropping separators), `authority`
    (first character) or `check_digit`.
    """
    # isascii before upper(): full-width digits and "ß" would otherwise turn into something else.
    code = text.replace(" ", "").replace("-", "")
    if code.isascii():
        code = code.upper()
    for position, char in enumerate(code, start=1):
        if char not in USCC_ALPHABET:
            _refuse_uscc(loc, "charset", position=position, char=shown(char), allowed=_USCC_ALLOWED)
        if 3 <= position <= 8 and not char.isdigit():
            _refuse_uscc(loc, "charset", position=position, char=char, allowed="0-9")
    if len(code) != USCC_LENGTH:
        _refuse_uscc(loc, "length", expected=USCC_LENGTH, got=len(code))
    if code[0] not in _USCC_AUTHORITIES:
        _refuse_uscc(loc, "authority", expected=" ".join(_USCC_AUTHORITIES), got=code[0])
    if code[1] == "0":
        _refuse_uscc(loc, "charset", position=2, char="0", allowed="1-9 A-Y")
    expected = uscc_check_digit(code[:17])
    if code[17] != expected:
        _refuse_uscc(loc, "check_digit", expected=expected, got=code[17])
    return code


def check_named(text: str, *, loc: Loc) -> None:
    """Raises Invalid for what is meant for a party's id and is none; any other text is a name.

    Meant so is what would be a code that an authority may have issued, were one character of it another,
    missing or one more; or one with spaces or hyphens between, small letters, full width, O for 0. Kept as
    a name it would be one that nobody can speak for. Faults are those of `parse_uscc`, and `charset` for
    whatever is no character of a code, a small letter or a space too: nothing is changed here.
    """
    if len(text) < LEAST_NEAR or not _is_near(text):
        return
    for position, char in enumerate(text, start=1):
        if char not in _USCC_SYMBOLS:
            _refuse_uscc(loc, "charset", position=position, char=char, allowed=_USCC_ALLOWED)
    parse_uscc(text, loc=loc)


def _is_near(text: str) -> bool:
    code = normalize("NFKC", text).upper().translate(_AS_READ)
    bare = _BETWEEN.sub("", code)
    if bare != code:
        return _is_issued(bare)  # a shop's own number has hyphens too, and seldom the check digit
    if sum(map(str.isdigit, code[:9])) < _LEAST_DIGITS:
        return False  # most names
    places = range(len(code))
    match len(code) - USCC_LENGTH:
        case 0:
            near = (_filled(code[:n], code[n + 1 :]) for n in places)
        case -1:
            near = (_filled(code[:n], code[n:]) for n in (*places, USCC_LENGTH - 1))
        case 1:
            near = (code[:n] + code[n + 1 :] for n in places)
        case _:
            return False
    return any(map(_is_issued, near))


def _is_issued(code: str) -> bool:
    """Whether an authority may have issued this code: narrower than what `parse_uscc` takes."""
    found = _ISSUED.fullmatch(code)
    return (
        found is not None
        and (found["region"] == "100000" or found["region"][:2] in PROVINCES)
        and code[17] == uscc_check_digit(code[:17])
    )


def _filled(before: str, after: str) -> str:
    """Returns the code of 18 with the one character between that its check digit asks for; "" for none."""
    if not _USCC_SYMBOLS.issuperset(before + after):
        return ""
    others = sum(
        USCC_ALPHABET.index(char) * weight
        for char, weight in zip(
            before + after, (w for n, w in enumerate(_CHECKED) if n != len(before)), strict=True
        )
    )
    return before + USCC_ALPHABET[-others * pow(_CHECKED[len(before)], -1, 31) % 31] + after


def uscc_check_digit(first_17: str) -> str:
    """Returns the 18th character that GB 32100-2015 gives to 17 characters of its alphabet."""
    total = sum(
        USCC_ALPHABET.index(char) * weight
        for char, weight in zip(first_17, _USCC_WEIGHTS, strict=True)
    )
    # 31 - remainder would be 31 for remainder 0: the outer modulus makes it '0'.
    return USCC_ALPHABET[-total % 31]


def uscc_region(uscc: str) -> str:
    """Returns the six digits of the registering region (GB/T 2260); `100000`: the state itself."""
    return uscc[2:8]


def uscc_warnings(uscc: str) -> tuple[str, ...]:
    """Returns what looks unusual in a valid code, as words: `organisation_code`, `region`.

    Warnings only. The organisation code inside (characters 9-17, GB 11714) has a check character of
    its own, but codes that were assigned without one are in use; regions are renamed and merged.
    """
    found = []
    if organisation_check_digit(uscc[8:16]) != uscc[16]:
        found.append("organisation_code")
    region = uscc_region(uscc)
    if region != "100000" and region[:2] not in PROVINCES:
        found.append("region")
    return tuple(found)


def organisation_check_digit(body: str) -> str:
    """Returns the check character that GB 11714 gives to an organisation code's 8 characters."""
    # Here letters count A=10 … Z=35 without gaps, unlike in the USCC around it.
    total = sum(
        int(char, 36) * weight for char, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True)
    )
    return "0123456789X"[-total % 11]


def new_exempt_id(random: RandomBytes) -> str:
    """Returns a fresh id for an exempt natural person: `EX` and 16 symbols (80 random bits).

    Says nothing about the person. It has a USCC's length and can never be one: `E` is no authority.
    """
    return EXEMPT_PREFIX + random_symbols(random, EXEMPT_SYMBOLS)


def is_exempt_id(text: str) -> bool:
    """Returns whether this is the id of an exempt natural person."""
    return _EXEMPT.fullmatch(text) is not None


def is_party_id(text: str) -> bool:
    """Returns whether `text` is a party's id as stored: canonical USCC or exempt person's id."""
    return len(text) == USCC_LENGTH and _is_party_id(text)


# A page asks of each name that it shows, and of the same few again and again.
@lru_cache(maxsize=4_096)
def _is_party_id(text: str) -> bool:
    if _EXEMPT.fullmatch(text):
        return True
    try:
        return parse_uscc(text) == text
    except Invalid:
        return False


def is_actor(text: str) -> bool:
    """Returns whether `text` may stand as `actor` in a record: a party's id or a pseudo actor."""
    return text in PSEUDO_ACTORS or is_party_id(text)


def parse_region(text: str, *, loc: Loc = ("region",)) -> str:
    """Returns the six digits of a GB/T 2260-like region code.

    Only form and province are checked (Invalid, kind `region`): counties come and go each year, and
    a record may name one of its own time.
    """
    if not _REGION.fullmatch(text) or text[:2] not in PROVINCES:
        raise Invalid("invalid", errors=(FieldFault(loc, "region", {"got": text[:40]}),))
    return text


@dataclass(frozen=True, slots=True)
class Declaration:
    """A customs declaration's number and what its digits say."""

    number: str
    district: str
    year: int
    is_import: bool


def parse_declaration(text: str, *, year_now: int, loc: Loc = ("declaration",)) -> Declaration:
    """Returns a customs declaration number 报关单号 taken apart: district, year, direction.

    18 digits: 4 customs district, 4 year (2000 to `year_now` + 1), 1 direction (1 import,
    0 export), 9 sequence; there is no check digit. Raises Invalid, kinds `charset`, `length`,
    `range`, `direction`.
    """
    number = text.replace(" ", "")
    for position, char in enumerate(number, start=1):
        if char not in "0123456789":
            _refuse(loc, "charset", position=position, char=shown(char), allowed="0-9")
    if len(number) != 18:
        _refuse(loc, "length", expected=18, got=len(number))
    year = int(number[4:8])
    if not 2000 <= year <= year_now + 1:
        _refuse(loc, "range", expected=f"2000..{year_now + 1}", got=year)
    if number[8] not in "01":
        _refuse(loc, "direction", got=number[8])
    return Declaration(number, number[:4], year, is_import=number[8] == "1")


def parse_waybill(text: str, *, loc: Loc = ("waybill",)) -> str:
    """Returns a waybill number in the spelling we compare by: upper-case, no spaces at its ends.

    Carriers share no check digit; only the form is checked: 8 to 32 of A-Z, 0-9 and hyphen.
    Raises Invalid, kinds `charset`, `length`.
    """
    number = text.strip(" \t\r\n")
    if number.isascii():
        number = number.upper()
    if not _WAYBILL.fullmatch(number):
        for position, char in enumerate(number, start=1):
            if not _WAYBILL.fullmatch(char * 8):
                _refuse(loc, "charset", position=position, char=shown(char), allowed="A-Z 0-9 -")
        _refuse(loc, "length", expected="8..32", got=len(number))
    return number


def shown(char: str) -> str:
    """Returns a character as a message may show it: invisible ones as `U+0009`."""
    return char if char.isprintable() and not char.isspace() else f"U+{ord(char):04X}"


def _refuse(loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid("invalid", errors=(_fault(loc, kind, params),))


def _refuse_uscc(loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid("uscc", errors=(_fault(loc, kind, params),))


def _fault(loc: Loc, kind: str, params: dict[str, object]) -> FieldFault:
    # No scanner reads these numbers, so the sentence says what they are made of.
    return FieldFault(loc, kind, params, "charset_number" if kind == "charset" else "")
