"""What a cell says, and Excel's habits undone where it can be proved, else refused with the way out.

Excel turns codes into numbers: leading zeros go, thirteen digits become 6.90E+12, what has more than 15
digits loses its end. A lost zero can be proved by the check digit; a lost digit cannot, and is not guessed.
Raises CellWrong; the kinds are words of the contract, each with its sentence `field.<kind>`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple, Never

from app.kit.clock import SHANGHAI, truncate_ms
from app.kit.errors import Invalid
from app.trace.gtin import GTIN_LENGTHS, gtin_check_digit, parse_gtin

_EXPONENT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]+")
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
_ERRORS = frozenset(
    {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
)
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_DAY = re.compile(r"([0-9]{4})\s*(?:[-/.]|年)\s*([0-9]{1,2})\s*(?:[-/.]|月)\s*([0-9]{1,2})\s*日?")
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])")
_SHORT_DAY = re.compile(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})")
_SERIAL = re.compile(r"([2-7][0-9]{4})(?:\.([0-9]+))?")
_CLOCK = re.compile(
    r"[T\s]*([0-9]{1,2})[:：时]([0-9]{1,2})(?:[:：分]([0-9]{1,2})(?:\.[0-9]+)?)?\s*[秒分]?\s*(Z|[+-][0-9]{2}:?[0-9]{2}|UTC)?"
)
_COUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.0+)?")
# Day 1 of Excel is 1900-01-01, and it believes in a 29 February of that year.
_EXCEL_BEGAN = date(1899, 12, 30)


class CellWrong(Exception):
    """A cell is not what its column asks for. kind, params: as in a FieldFault."""

    def __init__(self, kind: str, params: Mapping[str, object], sentence: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.params = dict(params)
        self.sentence = sentence


class Read(NamedTuple):
    """A value, and the kind of a warning where it was not taken as it stood ("" for none)."""

    value: str
    warning: str = ""


# A column holds the same few texts again and again.
@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """Returns what a person meant to write: no spaces around it, no `="…"`, no text mark before it.

    Raises CellWrong for Excel's errors and for formulas that were never computed.
    """
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).replace("\u00a0", " ").strip()
    quoted = _EXCEL_TEXT.fullmatch(text)
    if quoted is not None:
        text = quoted[1].strip()
    elif text.startswith("'"):
        text = text[1:].strip()
    if text.upper() in _ERRORS:
        _wrong("excel_error", got=text)
    if len(text) > 1 and text.startswith("=") and quoted is None:
        _wrong("excel_formula", got=text[:40])
    return text


def read_code(text: str) -> str:
    """Returns a number that is a name (order, waybill, lot): half-width, no exponent."""
    text = unicodedata.normalize("NFKC", text)
    if _EXPONENT.fullmatch(text):
        _wrong("excel_exponent", got=text[:40])
    if re.fullmatch(r"[0-9]+\.0", text):
        text = text[:-2]
    return text


def read_gtin(text: str) -> Read:
    """Returns a GTIN-14. A lost leading zero is put back where the check digit proves it."""
    digits = read_code(text)
    warning = ""
    bare = re.sub(r"[ -]", "", digits)
    if bare.isascii() and bare.isdigit() and 9 <= len(bare) <= 11:
        # Excel took the zeros in front of a UPC (GTIN-12) or of a case's GTIN-14.
        if gtin_check_digit(bare[:-1]) != bare[-1]:
            _wrong("gtin_short", got=text[:40], expected=", ".join(map(str, GTIN_LENGTHS)))
        digits, warning = bare.zfill(12), "gtin_zeros"
    try:
        return Read(parse_gtin(digits, allow_item_code=True), warning)
    except Invalid as refused:
        error = refused.errors[0]
        raise CellWrong(error.kind, {"got": text[:40], **error.params}, error.sentence) from refused


def read_day(text: str) -> Read:
    """Returns a day as `YYYY-MM-DD`; day and month are never guessed from `5/9/2026`."""
    text = unicodedata.normalize("NFKC", text)
    found = _DAY.match(text)
    if found is not None:
        rest = text[found.end() :]
        if rest and not _CLOCK.fullmatch(rest):
            _wrong("day_form", got=text[:40])
        return Read(_day(found[1], found[2], found[3], text).isoformat())
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        return Read(_day(compact[1], compact[2], compact[3], text).isoformat())
    serial = _SERIAL.fullmatch(text)
    if serial is None:
        _wrong("day_order" if _SHORT_DAY.match(text) else "day_form", got=text[:40])
    day = _EXCEL_BEGAN + timedelta(days=int(serial[1]))
    return Read(day.isoformat(), "excel_serial")


def read_moment(text: str) -> tuple[datetime, str]:
    """Returns a time in UTC, and a warning; without a zone it is China's. A day alone is its first minute."""
    text = unicodedata.normalize("NFKC", text)
    found = _DAY.match(text) or _COMPACT.match(text)
    if found is None:
        serial = _SERIAL.fullmatch(text)
        if serial is None:
            _wrong("day_order" if _SHORT_DAY.match(text) else "moment_form", got=text[:40])
        days = float(f"{serial[1]}.{serial[2] or 0}")
        began = datetime(1899, 12, 30, tzinfo=SHANGHAI)
        moment = began + timedelta(seconds=round(days * 86_400))
        return moment.astimezone(UTC), "excel_serial"
    day = _day(found[1], found[2], found[3], text)
    rest = text[found.end() :].strip()
    if not rest:
        return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC), "day_alone"
    clock = _CLOCK.fullmatch(rest)
    if clock is None:
        _wrong("moment_form", got=text[:40])
    zone = clock[4]
    try:
        tz = SHANGHAI if zone is None else _zone(zone)
        moment = datetime(
            day.year,
            day.month,
            day.day,
            int(clock[1]),
            int(clock[2]),
            int(clock[3] or 0),
            tzinfo=tz,
        )
        return truncate_ms(moment), ""
    except (ValueError, OverflowError):
        _wrong("moment_form", got=text[:40])


def read_count(text: str, *, most: int) -> int:
    """Returns a whole number from 1 to `most`."""
    found = _COUNT.fullmatch(unicodedata.normalize("NFKC", text))
    if found is None or len(found[1]) > 18:
        _wrong("whole_number", got=text[:40], expected=f"1..{most}")
    count = int(found[1].replace(",", ""))
    if not 1 <= count <= most:
        _wrong("range", got=count, expected=f"1..{most}")
    return count


def _zone(text: str) -> timezone:
    if text in ("Z", "UTC"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _day(year: str, month: str, day: str, text: str) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        _wrong("no_such_day", got=text[:40])


def _wrong(kind: str, **params: object) -> Never:
    raise CellWrong(kind, params)
