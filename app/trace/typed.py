"""What a person typed for a code: full width, small letters, with spaces between.

A serial or lot is what GS1 says it is, capitals and small letters apart, so what was typed is looked for as
it stands first. Only where that was never issued is its form in capitals taken, if that was. Nothing that a
camera or a program sends comes here.
"""

from __future__ import annotations

from dataclasses import replace
from unicodedata import normalize

from sqlalchemy import Connection

from app.kit.errors import Invalid
from app.ledger.store import has_leaves, head_rows
from app.trace.code import Code
from app.trace.identifiers import MAX_CODE_CHARACTERS, parse_code


def read_typed(text: str) -> Code:
    """Returns the code that a typed text names, letters as they stand. Raises Invalid as `parse_code`."""
    try:
        return parse_code(text)
    except Invalid:
        plain = plainly(text)
        if plain == text:
            raise
    return parse_code(plain)


def plainly(text: str) -> str:
    """Returns a typed text without full width and spaces; one longer than any code as it stands."""
    return text if len(text) > MAX_CODE_CHARACTERS else normalize("NFKC", text).replace(" ", "")


def as_issued(connection: Connection, code: Code) -> Code:
    """Returns the code, or its form in capitals where only that one is on record. Read-only."""
    capitals = replace(
        code,
        lot=code.lot and code.lot.upper(),
        serial=code.serial and code.serial.upper(),
    )
    if capitals.stream == code.stream or _is_known(connection, code.stream):
        return code
    return capitals if _is_known(connection, capitals.stream) else code


def _is_known(connection: Connection, stream: str) -> bool:
    return stream in head_rows(connection, [stream]) or has_leaves(connection, stream)
