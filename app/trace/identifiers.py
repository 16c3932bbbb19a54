"""One door for identifiers: reads a code in any form that people, programs and scanners send.

Forms (`parse_code`): the stream name, a GS1 Digital Link URI, a bracketed or raw GS1 element
string, a bare GTIN; each also behind a symbology identifier such as `]d2`. biip reads element
strings and a link's attributes; what it lets through and we must not is refused here first:

1. ASCII only: biip takes full-width digits.
2. A wrong check digit in AI (01) is no error to biip: we check, and look at its `gtin_error` too.
3. AI 10, 21 and 22 stand in a Digital Link's path, in the order 22, 10, 21, never in its query.
4. A lot, a serial or a date means nothing without AI (01).
5. Links are http or https and at most 2048 characters; compressed ones are refused by name.

And two of our own: a value of variable length ends in FNC1 even when it is full (biip reads on,
into a wrong next element), and a bracket inside a value does not end it (biip drops the rest).

biip is imported where it is used: it has 16 MB of tables, and no audit and no small command reads with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Never
from urllib.parse import parse_qsl, unquote, urlsplit

from app.kit.errors import FieldFault, Invalid, invalid
from app.parties.identity import shown
from app.trace.code import (
    CSET_82,
    CSET_82_SHOWN,
    FNC1,
    SERIAL_SYMBOLS,
    Code,
    Level,
    digital_link,
    element_string,
    new_inner,
    new_serial,
    normalise_inner,
    parse_lot,
    parse_serial,
    scanner_text,
    symbol_text,
)
from app.trace.gtin import (
    GTIN_LENGTHS,
    display_gtin,
    gtin_check_digit,
    is_demo_gtin,
    is_item_code,
    item_code,
    packaging_level,
    parse_gtin,
)

__all__ = [
    "CSET_82",
    "CSET_82_SHOWN",
    "FNC1",
    "GTIN_LENGTHS",
    "MAX_CODE_CHARACTERS",
    "SERIAL_SYMBOLS",
    "Code",
    "Level",
    "digital_link",
    "display_gtin",
    "element_string",
    "gtin_check_digit",
    "is_demo_gtin",
    "is_item_code",
    "item_code",
    "new_inner",
    "new_serial",
    "normalise_inner",
    "packaging_level",
    "parse_code",
    "parse_gtin",
    "parse_lot",
    "parse_serial",
    "scanner_text",
    "symbol_text",
]

Loc = tuple[str | int, ...]

MAX_CODE_CHARACTERS = 2048

_READABLE = frozenset(chr(number) for number in range(0x20, 0x7F)) | {FNC1}
_SCANNED = CSET_82 | {FNC1}

_SYMBOLOGY = re.compile(r"^\][A-Za-z][0-9]")
# RFC 3986 3.1. A raw element string may hold "://" in a value, but begins with a digit.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BRACKETED_AI = re.compile(r"(?<!\\)\(([0-9]{2,4})\)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_GTIN_SHAPED = re.compile(r"[0-9]{8,14}")
# A compressed link carries base64url in its last segment: unlike a word it mixes both cases.
_COMPRESSED = re.compile(r"(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9_-]{8,}")
# A stream's own name with nothing encoded in it, which is how most programs name a code.
_PLAIN_STREAM = re.compile(
    r"01/(?P<gtin>[0-9]{14})(?:/10/(?P<lot>[0-9A-Za-z]{1,20})|/21/(?P<serial>[0-9A-Za-z]{1,20}))?"
)
_PATH_ORDER = ("22", "10", "21")
_NOT_IN_QUERY = frozenset({"01", *_PATH_ORDER})


def parse_code(text: str, *, loc: Loc = ("code",), allow_item_code: bool = True) -> Code:
    """Returns the product, lot or unit that `text` names, in whatever form.

    allow_item_code: as in `parse_gtin`; on by default, because a code is looked up and an item code
    that we never issued is simply unknown. Raises Invalid with one field fault at `loc`: those of
    `parse_gtin` and `parse_lot`, or `code_form`, `no_gtin`, `element_string`, `repeated_ai`,
    `separator`, `qualifier`, `qualifier_in_query`, `qualifier_value`, `percent_encoding`,
    `link_scheme`, `link`, `compressed_link`.
    """
    plain = _PLAIN_STREAM.fullmatch(text)
    if plain is not None and allow_item_code:  # as `_from_path` reads it
        gtin = parse_gtin(plain["gtin"], loc=loc, allow_item_code=True)
        return Code(gtin, plain["lot"], plain["serial"])
    # Not a bare strip(): to Python the GS control (FNC1) is white space.
    text = text.strip(" \t\r\n")
    if not 1 <= len(text) <= MAX_CODE_CHARACTERS:
        _refuse(loc, "length", expected=f"1..{MAX_CODE_CHARACTERS}", got=len(text))
    _check_charset(text, _READABLE, loc)
    code = _read(_SYMBOLOGY.sub("", text, count=1), loc)
    if not allow_item_code:
        parse_gtin(code.gtin, loc=loc)
    return code


def parse_unit(text: str, *, loc: Loc = ("code",)) -> Code:
    """Returns the unit that `text` names. Raises Invalid as `parse_code`, and `level` for other goods."""
    code = parse_code(text, loc=loc)
    if code.level != "unit":
        params = {"expected": "unit", "got": code.level}
        raise invalid(FieldFault(loc, "level", params, words=dict.fromkeys(params, "level")))
    return code


def _read(text: str, loc: Loc) -> Code:
    if text.startswith("("):
        return _from_elements(_split_bracketed(text, loc), loc)
    if text.startswith(("01/", "/01/")):
        return _from_path(text.removeprefix("/").split("/"), loc)
    if _SCHEME.match(text):
        return _from_link(text, loc)
    if text.isdigit() and len(text) in GTIN_LENGTHS:
        return Code(parse_gtin(text, loc=loc, allow_item_code=True))
    if not text[:1].isdigit() and not text.startswith(FNC1):
        _refuse(loc, "code_form", got=text[:40])
    return _from_elements(_split_raw(text, loc), loc)


def _from_link(uri: str, loc: Loc) -> Code:
    if uri.split("://", 1)[0].lower() not in ("http", "https"):
        _refuse(loc, "link_scheme", got=uri.split("://", 1)[0][:20])
    try:
        parts = urlsplit(uri)
    except ValueError:
        _refuse(loc, "link", got=uri[:80])
    if not parts.netloc or " " in uri or FNC1 in uri:
        _refuse(loc, "link", got=uri[:80])
    for key, _ in parse_qsl(parts.query, keep_blank_values=True):
        if key in _NOT_IN_QUERY:
            _refuse(loc, "qualifier_in_query", ai=key)
    segments = _key_path(parts.path, loc)
    code = _from_path(segments, loc)
    # Without the path prefix, in which biip would look for a key of its own.
    plain = f"https://{parts.netloc}/{'/'.join(segments)}?{parts.query}"
    from biip import ParseError  # noqa: PLC0415 - see above
    from biip.gs1_digital_link_uris import GS1DigitalLinkURI  # noqa: PLC0415

    try:
        read = GS1DigitalLinkURI.parse(plain).element_strings
    except (ParseError, ValueError):  # ValueError: a date or number inside that Python cannot hold
        _refuse(loc, "link", got=uri[:80])
    _check_agreement(code, [(element.ai.ai, element.value) for element in read], loc)
    return code


def _key_path(path: str, loc: Loc) -> Sequence[str]:
    """Returns the segments from the key 01 on; before it any path prefix may stand."""
    segments = path.rstrip("/").split("/")
    starts = [index for index, segment in enumerate(segments[:-1]) if segment == "01"]
    for start in starts:
        # Keys stand at even places, so a lot called "01" is not taken for the key.
        if (len(segments) - start) % 2 == 0 and _GTIN_SHAPED.fullmatch(segments[start + 1]):
            return segments[start:]
    if _COMPRESSED.fullmatch(segments[-1]):
        _refuse(loc, "compressed_link")
    if not starts:
        _refuse(loc, "no_gtin")
    return segments[starts[0] :]


def _from_path(segments: Sequence[str], loc: Loc) -> Code:
    """Reads `01`, GTIN and qualifiers, still percent-encoded, each key before its value."""
    gtin = parse_gtin(segments[1], loc=loc, allow_item_code=True)
    values: dict[str, str] = {}
    expected = list(_PATH_ORDER)
    for index in range(2, len(segments), 2):
        key = segments[index]
        if key not in expected:
            _refuse(loc, "qualifier", got=key[:20], expected=", ".join(expected) or "-")
        del expected[: expected.index(key) + 1]
        if index + 1 == len(segments):
            _refuse(loc, "qualifier_value", ai=key)
        segment = segments[index + 1]
        # A raw "?" would begin a query in any link made of this text.
        if _BAD_ESCAPE.search(segment) or "?" in segment:
            _refuse(loc, "percent_encoding", got=segment[:40])
        values[key] = unquote(segment)
    return _build(gtin, values, loc)


def _split_raw(text: str, loc: Loc) -> list[tuple[str, str]]:
    """Returns the elements of a string as a scanner sends it, FNC1 as the GS control."""
    _check_charset(text, _SCANNED, loc)
    from biip import ParseError  # noqa: PLC0415 - see above
    from biip.gs1_messages import GS1Message  # noqa: PLC0415

    text = text.strip(FNC1)
    try:
        message = GS1Message.parse(text)
    except (ParseError, ValueError):
        _refuse(loc, "element_string", got=text.replace(FNC1, "<FNC1>")[:60])
    found = []
    place = 0
    for element in message.element_strings:
        found.append((element.ai.ai, element.value))
        place += len(element)
        if element.ai.separator_required and place < len(text) and text[place] != FNC1:
            _refuse(loc, "separator", ai=element.ai.ai)
        while text[place : place + 1] == FNC1:
            place += 1
    return found


def _split_bracketed(text: str, loc: Loc) -> list[tuple[str, str]]:
    r"""Returns the elements of `(01)…(21)…`; `\(` inside a value is a bracket of its own."""
    heads = [head for head in _BRACKETED_AI.finditer(text) if _is_ai(head[1])]
    if not heads or heads[0].start() != 0:
        _refuse(loc, "element_string", got=text[:60])
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [
        (head[1], text[head.end() : end].strip(" ").replace("\\(", "("))
        for head, end in zip(heads, ends, strict=True)
    ]


def _is_ai(digits: str) -> bool:
    from biip import ParseError  # noqa: PLC0415 - see above
    from biip.gs1_application_identifiers import GS1ApplicationIdentifier  # noqa: PLC0415

    try:
        return GS1ApplicationIdentifier.extract(digits).ai == digits
    except ParseError:
        return False


def _from_elements(elements: list[tuple[str, str]], loc: Loc) -> Code:
    values = dict(elements)
    if len(values) != len(elements):
        keys = [ai for ai, _ in elements]
        _refuse(loc, "repeated_ai", ai=next(ai for ai in keys if keys.count(ai) > 1))
    if "01" not in values:
        _refuse(loc, "no_gtin")
    gtin = parse_gtin(values.pop("01"), loc=loc, allow_item_code=True)
    code = _build(gtin, values, loc)
    from biip import ParseError  # noqa: PLC0415 - see above
    from biip.gs1_element_strings import GS1ElementString  # noqa: PLC0415

    for ai, value in [("01", gtin), *values.items()]:
        try:
            element = GS1ElementString.parse(ai + value)
        except (ParseError, ValueError):
            _refuse(loc, "element_string", got=f"({ai}){value}"[:60])
        if element.gtin_error is not None:
            _refuse(loc, "not_gtin", got=value)
    return code


def _build(gtin: str, values: dict[str, str], loc: Loc) -> Code:
    if "22" in values:  # A consumer product variant: checked and left, no stream of ours has it.
        parse_serial(values["22"], loc=loc)
    return Code(
        gtin,
        lot=parse_lot(values["10"], loc=loc) if "10" in values else None,
        serial=parse_serial(values["21"], loc=loc) if "21" in values else None,
    )


def _check_agreement(code: Code, read: list[tuple[str, str]], loc: Loc) -> None:
    """Raises unless biip found the very same product, lot and unit in the link."""
    values = dict(read)
    if (values.get("01"), values.get("10"), values.get("21")) != (code.gtin, code.lot, code.serial):
        _refuse(loc, "link", got=f"01/{code.gtin}")


def _check_charset(text: str, allowed: frozenset[str], loc: Loc) -> None:
    if not allowed.issuperset(text):
        at = next(at for at, char in enumerate(text) if char not in allowed)
        _refuse(loc, "charset", position=at + 1, char=shown(text[at]), allowed=CSET_82_SHOWN)


def _refuse(loc: Loc, kind: str, **params: object) -> Never:
    raise Invalid("invalid", errors=(FieldFault(loc, kind, params),))
