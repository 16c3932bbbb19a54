"""Which of a code's own records a story holds: of a unit all, of a product or lot as many as are asked for.

A unit's life follows from all of its records. A lot without serials has three a consignment, a product
one for each of its listings, and both grow without end: whoever looks is told of a part, and that it is
one. Not remembered is what was verified before; so what is not read is not claimed either.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from app.kit.errors import Conflict
from app.ledger import store
from app.ledger.audit import Part as LedgerPart
from app.ledger.store import StoredRecord
from app.trace.code import Code

# What holds for every unit below a product or lot, besides what a record refers to.
APPLYING = frozenset(
    {
        "registration",
        "recall",
        "recall_lifted",
        "notice",
        "inspection",
        "customs_release",
        "customs_hold",
    }
)
_EVERY = 2**31 - 1


class ChainTooLong(Conflict):
    """The chain is longer than what is made of it may be; it can be read page by page."""

    slug = "chain-too-long"


@dataclass(frozen=True, slots=True)
class Part:
    """Which own records of a product or lot are read; of a unit always all.

    most: how many, at least 1. after: those behind this seq, in order; None: the newest. whole: all or
    none, of a unit too.
    """

    most: int
    after: int | None = None
    whole: bool = False


NEWEST = Part(500)
"""What is read for a page, a verdict, a verification."""


@dataclass(frozen=True, slots=True)
class Own:
    """Own records as they were read. records: without a gap that was not there.

    aside: those outside the part that apply to the whole. part: None where `records` are all.
    """

    records: tuple[StoredRecord, ...]
    aside: tuple[StoredRecord, ...] = ()
    part: LedgerPart | None = None


def whole(most: int) -> Part:
    """Returns the part that is all of a chain: of a longer one ChainTooLong is raised."""
    return Part(most, after=-1, whole=True)


def read_own(connection: Connection, code: Code, part: Part) -> Own:
    """Returns the own records of a code, as far as they are asked for. Raises ChainTooLong. Read-only."""
    stream, after, before = code.stream, part.after, None
    if code.level == "unit" and not part.whole:
        return Own(tuple(store.load_stream(connection, stream)))
    if after is None:
        found = store.load_newest(connection, stream, limit=part.most + 1)
    else:
        found = store.load_stream(connection, stream, after_seq=after, limit=part.most + 1)
    has_more = len(found) > part.most
    if has_more and part.whole:
        raise ChainTooLong("chain_too_long", limit=part.most)
    if not has_more and (after is None or after < 0):
        return Own(tuple(found))
    if any(not isinstance(record.seq, int) for record in found):
        # Somebody made a number a text, and there is no order any more: all of it is told.
        return Own(tuple(store.load_stream(connection, stream)))
    if after is None:
        before, *found = found
        since, ends = before.seq + 1, True
    else:
        found, since, ends = found[: part.most], after + 1, not has_more
        if after >= 0:
            before = store.load_record(connection, stream, after)
    here = {record.seq for record in found}
    applying = store.load_some(connection, stream, types=APPLYING, limit=_EVERY)
    aside = (record for record in applying if record.seq not in here)
    return Own(tuple(found), tuple(aside), LedgerPart(since, before, ends))
