"""Canonical JSON: RFC 8785 (JCS) restricted so that any careful encoder gives the same bytes.

The subset (DESIGN: "Streams and records"): ASCII keys, strings in NFC without control characters or
lone surrogates (NFC is judged only of texts whose characters are all assigned in the Unicode version
at hand), integers with |n| < 2^53, booleans, arrays, objects; no floats, no nulls, nesting of at most
MAX_DEPTH. Inside it a sorted compact encoder gives the very bytes of JCS, because
sorting ASCII keys by UTF-16 code unit and by code point is the same thing.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, Never

import orjson

from app.kit.errors import FieldFault, Invalid, Malformed, invalid

MAX_DEPTH = 8
MAX_INTEGER = 2**53 - 1


def canonical_bytes(value: object) -> bytes:
    """Returns the canonical UTF-8 bytes of `value`.

    Raises Invalid naming the first place outside the subset (kinds `null`, `float`, `range`,
    `control`, `surrogate`, `nfc`, `key`, `depth`, `type`).
    """
    check_canonical(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_bytes_unchecked(value: object) -> bytes:
    """Returns the canonical bytes of a value whose parts have all passed `check_canonical`."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def check_canonical(
    value: object, loc: tuple[str | int, ...] = (), depth: int = 0, *, assigned: bool = False
) -> None:
    """Raises Invalid unless `value` lies in the canonical subset.

    assigned: refuse characters that the Unicode version at hand has not assigned (kind `charset`).
    """
    kind = type(value)
    if kind is str:
        _check_text(value, loc, assigned=assigned)  # type: ignore[arg-type]
    elif kind is bool:
        return
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]
            _refuse(loc, "range", expected="|n| < 2^53", got=str(value)[:40])
    elif kind is dict or isinstance(value, Mapping):
        if depth >= MAX_DEPTH:
            _refuse(loc, "depth", expected=MAX_DEPTH)
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str or not key.isascii() or not key.isprintable():
                _refuse((*loc, str(key)), "key")
            check_canonical(item, (*loc, key), depth + 1, assigned=assigned)
    elif kind is list or kind is tuple:
        if depth >= MAX_DEPTH:
            _refuse(loc, "depth", expected=MAX_DEPTH)
        for index, item in enumerate(value):  # type: ignore[arg-type]
            check_canonical(item, (*loc, index), depth + 1, assigned=assigned)
    elif value is None:
        _refuse(loc, "null")
    elif kind is float:
        _refuse(loc, "float")
    else:
        _refuse(loc, "type", got=kind.__name__)


def check_clear(value: object, loc: tuple[str | int, ...] = ()) -> None:
    """Raises Invalid unless `value` may stand in a record in the clear, for everybody and for ever.

    Beyond `check_canonical` it holds no unassigned character (kind `charset`): whether a text with
    one is in NFC may change with the Unicode version, and a verifier of another year must not judge
    otherwise than we did. Normalization of assigned characters never changes (UAX 15, section 3).
    """
    check_canonical(value, loc, assigned=True)


def parse_json(raw: bytes) -> Any:
    """Returns the value of strict JSON text.

    Raises Malformed if `raw` is not UTF-8, not JSON, holds NaN or Infinity, a duplicate key, a raw
    control character or a lone surrogate. Floats and nulls pass: whether they are allowed is the
    caller's to say.
    """
    value = _parse_plain(raw)
    return _parse_carefully(raw) if value is _NOT_PLAIN else value


# From nineteen digits on an integer may be more than the fast decoder can hold.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_NOT_PLAIN = object()
_STRING = r'"(?:\\.|[^"\\])*"'
_CONSTANT = re.compile(f"{_STRING}|-?Infinity|NaN")
# What an integer is to Python's decoder: more digits than these it does not convert.
_ENDLESS = re.compile(
    rf"{_STRING}|(?<![0-9.eE+-])-?[0-9]{{{sys.get_int_max_str_digits() + 1},}}(?![0-9.eE])"
)


def _parse_plain(raw: bytes) -> Any:
    """Returns the value of most JSON texts, five times as fast, and _NOT_PLAIN for every other.

    The fast decoder lets a duplicate key pass and keeps the last. Every string of a text, keys too,
    stands between two quotation marks and holds none that is not escaped; so if the value, written
    again, has as many of them, no key was lost. A lone surrogate it refuses.
    """
    if _LONG_NUMBER.search(raw):
        return _NOT_PLAIN
    try:
        value = orjson.loads(raw)
        is_whole = _count_quotes(orjson.dumps(value)) == _count_quotes(raw)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # no JSON, or nested too deep for it
        return _NOT_PLAIN
    return value if is_whole else _NOT_PLAIN


def _count_quotes(text: bytes) -> int:
    """Returns how many quotation marks begin or end a string."""
    return (_ESCAPED.sub(b"", text) if b"\\" in text else text).count(b'"')


def _parse_carefully(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise Malformed("not_utf8", position=err.start + 1) from err
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except RecursionError as err:
        raise Malformed("json_too_deep") from err
    except json.JSONDecodeError as err:
        raise _not_json(text, err.pos) from err
    except _NoConstant as err:
        raise _not_json(text, _first_outside_texts(_CONSTANT, text)) from err
    except ValueError as err:  # an integer of more digits than Python converts
        raise _not_json(text, _first_outside_texts(_ENDLESS, text)) from err
    if "\\u" in text:
        # Only an escape can bring a lone surrogate into text that decoded as UTF-8.
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as err:
            raise Malformed("lone_surrogate") from err
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Malformed("duplicate_key", name=key[:80])
            seen.add(key)
    return found


def _refuse_constant(name: str) -> Never:
    raise _NoConstant(name)


class _NoConstant(ValueError):
    """NaN or an infinity, which Python's decoder would take. Carries its name."""


def _not_json(text: str, at: int) -> Malformed:
    """Returns the fault of a text that is no JSON from `at` on; people count lines and columns from 1."""
    line = text.count("\n", 0, at) + 1
    return Malformed("not_json", line=line, column=at - text.rfind("\n", 0, at))


def _first_outside_texts(wanted: re.Pattern[str], text: str) -> int:
    """Returns where the first of these stands that is in no string; up to there `text` is JSON."""
    at = 0
    while (found := wanted.search(text, at)) is not None and found[0].startswith('"'):
        at = found.end()
    return at if found is None else found.start()


def _check_text(text: str, loc: tuple[str | int, ...], *, assigned: bool) -> None:
    if text.isascii():
        if not text.isprintable():
            _refuse(loc, "control")
        return
    known = True
    # What is unassigned, a control or a surrogate is not printable either: most texts are done here.
    if not text.isprintable():
        for position, char in enumerate(text, start=1):
            category = unicodedata.category(char)
            if category == "Cc":
                _refuse(loc, "control")
            if category == "Cs":
                _refuse(loc, "surrogate")
            if category == "Cn":
                if assigned:
                    params = {
                        "position": position,
                        "char": f"U+{ord(char):04X}",
                        "allowed": f"Unicode {unicodedata.unidata_version}",
                    }
                    raise invalid(FieldFault(loc, "charset", params, sentence="unassigned"))
                known = False
    if known and not unicodedata.is_normalized("NFC", text):
        _refuse(loc, "nfc")


def _refuse(loc: tuple[str | int, ...], kind: str, **params: object) -> Never:
    raise Invalid("invalid", errors=(FieldFault(loc, kind, params),))
