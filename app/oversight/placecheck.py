"""Rows that say in which case goods are, against what the goods' own records say.

Rows are compared with the lives as they are kept, which is quick; only where the two differ are the
records asked, since a life that was altered is found at its own stream, and what explains one alteration is
not told twice. Read-only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from app.ledger.record import stream_key
from app.ledger.store import load_stream
from app.trace import casestore
from app.trace.caserows import case_row
from app.trace.gaps import Graces
from app.trace.replay import replay

_MOST = 20
_LOOKED_AT = 200
# Where goods are does not depend on how long anything may be missing.
_NONE = timedelta(0)
_GRACES = Graces(late=_NONE, dispatch=_NONE, signature=_NONE)


def misplaced_rows(connection: Connection, party: str) -> list[str]:
    """Returns the rows of cases of a party's goods that no record puts there, some of them. Read-only."""
    return list(_cases(connection, party))[:_MOST]


def lacks_case(connection: Connection, stream: str) -> bool:
    """Whether a unit is in a case by its records and no row says so. Read-only."""
    told = _row_of_case(_life(connection, stream), stream)
    return told is not None and not casestore.has_row(connection, told)


def _cases(connection: Connection, party: str) -> Iterator[str]:
    for row in casestore.unfounded(connection, party, limit=_LOOKED_AT):
        life = _life(connection, row.name)
        if life and not casestore.says(row, _row_of_case(life, row.name)):
            yield f"case_unit.{row.sscc}.{row.name}"


def _life(connection: Connection, stream: str) -> Mapping[str, Any]:
    """Returns the life that the records give; {} where they are no records of ours any more."""
    try:
        records = [record.fields for record in load_stream(connection, stream)]
        return replay(records, lambda *_: None, _GRACES)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _row_of_case(life: Mapping[str, Any], stream: str) -> dict[str, Any] | None:
    return case_row(stream_key(stream), life) if life else None
