"""Licences: which kinds there are, the form of their numbers, where an authority answers for them.

Numbers are checked as far as a public rule goes: a check digit where there is one (USCC, SC), a
pattern elsewhere. A number that passes may still be invented: `parse_licence` says it can exist.
Names of kinds are locale keys `licence.<kind>`; which kinds a product category needs is data
elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Never

from stdnum.iso7064 import mod_11_10

from app.kit.errors import FieldFault, Invalid
from app.parties.identity import Loc, parse_uscc, shown

MAX_LICENCE_CHARACTERS = 64

GSXT = "https://www.gsxt.gov.cn/"
NMPA = "https://www.nmpa.gov.cn/datasearch/home-index.html"
PESTICIDES = "http://www.chinapesticide.org.cn/"

_PROVINCE_NAMES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"

# Type 1 food with category 01-31, type 2 additive with category 01-03; the six region digits are
# those of the year of issue and need not be in today's GB/T 2260, so they are not checked.
_SC = re.compile(r"SC(?:1(?:0[1-9]|[12][0-9]|3[01])|20[1-3])[0-9]{11}", re.ASCII)
_QS = re.compile(r"QS[0-9]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LicenceKind:
    """One kind of licence.

    query_url: the authority's public query page, None where we know no official one.
    example: a number of the right form, for messages; not anybody's.
    """

    kind: str
    example: str
    query_url: str | None
    parse: Callable[[str, Loc], str]


def parse_licence(kind: str, number: str, *, loc: Loc = ("licences",)) -> str:
    """Returns the licence number in its one spelling: upper-case, without spaces.

    `loc` is the place of the licence; faults name its `kind` or `number`. Raises Invalid, kinds
    `licence_kind`, `length`, `licence_form`, `licence_ended`, `check_digit` and, for a business
    licence, those of `parse_uscc`.
    """
    known = LICENCE_KINDS.get(kind)
    if known is None:
        _refuse((*loc, "kind"), "licence_kind", got=kind[:40], expected=", ".join(LICENCE_KINDS))
    return known.parse(number, (*loc, "number"))


def _parse_business(text: str, loc: Loc) -> str:
    return parse_uscc(text, loc=loc)


def _parse_food_production(text: str, loc: Loc) -> str:
    number = _compact(text, loc)
    if _QS.fullmatch(number):
        _refuse(loc, "licence_ended", got=number, expected="SC")
    if not _SC.fullmatch(number):
        _refuse(loc, "licence_form", got=number, expected="SC10144120000008")
    digits = number[2:]
    expected = mod_11_10.calc_check_digit(digits[:-1])
    if digits[-1] != expected:
        _refuse(loc, "check_digit", expected=expected, got=digits[-1])
    return number


def _form(pattern: str, example: str) -> Callable[[str, Loc], str]:
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str, loc: Loc) -> str:
        number = _compact(text, loc)
        if not compiled.fullmatch(number):
            _refuse(loc, "licence_form", got=number, expected=example)
        return number

    return parse


def _parse_free(text: str, loc: Loc) -> str:
    number = " ".join(text.split())
    _check_length(number, loc)
    for position, char in enumerate(number, start=1):
        if not char.isprintable():
            _refuse(loc, "charset", position=position, char=shown(char), allowed="abc 123 中文 ()")
    return number


def _compact(text: str, loc: Loc) -> str:
    # No Unicode upper(): only ASCII letters occur in these numbers, Chinese ones stay as they are.
    number = text.replace(" ", "").replace("（", "(").replace("）", ")").strip("\t\r\n\u3000")
    number = "".join(char.upper() if char.isascii() else char for char in number)
    _check_length(number, loc)
    return number


def _check_length(number: str, loc: Loc) -> None:
    if not 1 <= len(number) <= MAX_LICENCE_CHARACTERS:
        _refuse(loc, "length", expected=f"1..{MAX_LICENCE_CHARACTERS}", got=len(number))


def _refuse(loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid("invalid", errors=(FieldFault(loc, kind, params),))


def _by_form(kind: str, pattern: str, example: str, query_url: str | None) -> LicenceKind:
    return LicenceKind(kind, example, query_url, _form(pattern, example))


_KINDS = (
    # The number of a business licence is the code of its holder.
    LicenceKind("business", "91441200MA4TE5T00Q", GSXT, _parse_business),
    LicenceKind("food_production", "SC10144120000008", GSXT, _parse_food_production),
    # JY: 1 sale, 2 catering, 3 canteen. YB: filing for prepackaged food alone.
    _by_form("food_business", r"JY[123][0-9]{13}", "JY14412000000000", GSXT),
    _by_form("food_filing", r"YB[0-9]{14}", "YB14412000000000", GSXT),
    _by_form("drug", r"国药准字[HZSJTBF][0-9]{8}", "国药准字Z20260001", NMPA),
    _by_form("drug_business", rf"[{_PROVINCE_NAMES}][A-Z]{{2}}[0-9]{{6,9}}", "粤AA7580001", NMPA),
    _by_form(
        "health_food",
        r"(?:国食健[注字][GJ][0-9]{8}|食健备[GJ][0-9]{12})",
        "国食健注G20260001",
        NMPA,
    ),
    _by_form(
        "medical_device",
        rf"(?:[国{_PROVINCE_NAMES}]械注[准进许][0-9]{{11}}|[国{_PROVINCE_NAMES}][一-龥]?械备[0-9]{{8}}号?)",
        "国械注准20263140001",
        NMPA,
    ),
    _by_form(
        "cosmetics",
        r"[国一-龥]{1,3}[A-Z]?妆[一-龥]{1,5}(?:\([一-龥]\))?[A-Z]?[0-9]{8,12}",
        "国妆特字G20260001",
        NMPA,
    ),
    _by_form(
        "pesticide",
        r"(?:PD|WP|LS)[0-9]{5,8}(?:F[0-9]{6})?(?:-[0-9]{1,3})?",
        "PD20260001",
        PESTICIDES,
    ),
    _by_form("veterinary_drug", r"兽药[一-龥]{0,3}字\(?[0-9]{6,12}\)?", "兽药字190010001", None),
    LicenceKind("fertilizer", "农肥(2026)准字00001号", None, _parse_free),
    LicenceKind("seed", "B(粤)农种许字(2026)第0001号", None, _parse_free),
    LicenceKind("hazardous_chemicals", "粤肇危化经字[2026]000001号", None, _parse_free),
    LicenceKind("rare_earth", "2026-0001", None, _parse_free),
    # The registration of an importer or exporter with customs.
    _by_form("customs_registration", r"[0-9]{5}[0-9A-Z]{5}", "4412960001", None),
    LicenceKind("other", "2026-0001", None, _parse_free),
)

LICENCE_KINDS = {known.kind: known for known in _KINDS}
"""All kinds by their word in the API, in the order in which they are shown."""
