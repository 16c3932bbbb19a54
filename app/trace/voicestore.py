"""SQL of voices: reviews and complaints by seller, with what became of each. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from app.db.tables import Head, Party, RecordRow, Voice
from app.ledger.rebuilt import Rebuilt
from app.ledger.stage import EffectWriter
from app.parties.store import inside
from app.trace.identifiers import parse_code
from app.trace.rebuildstore import retell
from app.trace.voices import COMPLAINT, ENDED_BY_RETURN, KIND, SAYING, told_rows

HEAD = Head.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
VOICE = Voice.__table__  # type: ignore[attr-defined]

Rows = Sequence[Mapping[str, Any]]
Place = tuple[int, int, int]
"""A number to order by (ms), stream key, seq."""

_OF_ID = and_(VOICE.c.stream == bindparam("p_stream"), VOICE.c.id == bindparam("p_id"))
_ENDED = (
    update(VOICE)
    .where(
        VOICE.c.stream == bindparam("p_stream"),
        VOICE.c.subject == bindparam("p_subject"),
        VOICE.c.kind == COMPLAINT,
    )
    .values({name: func.coalesce(VOICE.c[name], bindparam("p_at")) for name in ENDED_BY_RETURN})
)
_ANSWERED = (
    update(VOICE)
    .where(_OF_ID)
    .values(
        answered_at=func.coalesce(VOICE.c.answered_at, bindparam("p_at")),
        proposed_at=func.coalesce(VOICE.c.proposed_at, bindparam("p_proposed")),
    )
)
_SETTLED = update(VOICE).where(_OF_ID).values(settled_at=bindparam("p_settled"))
_REFERRED = (
    update(VOICE).where(_OF_ID).values(referred_to=bindparam("p_to"), referred_at=bindparam("p_at"))
)


def _write_voices(connection: Connection, rows: Rows) -> None:
    """Writes voices and moves them on, in the order of the records."""
    for op, some in groupby(rows, key=lambda row: row["op"]):
        told = list(some)
        match op:
            case "new":
                made = [{name: row[name] for name in row if name != "op"} for row in told]
                connection.execute(insert(VOICE), made)
            case "ended":
                connection.execute(
                    _ENDED, [_params(row, "stream", "subject", "at") for row in told]
                )
            case "settled":
                values = [
                    _params(row, "stream", "id")
                    | {"p_settled": row["at"] if row["settled"] else None}
                    for row in told
                ]
                connection.execute(_SETTLED, values)
            case "referred":
                connection.execute(
                    _REFERRED, [_params(row, "stream", "id", "at", "to") for row in told]
                )
            case _:
                values = [
                    _params(row, "stream", "id", "at")
                    | {"p_proposed": row["at"] if row["proposes"] else None}
                    for row in told
                ]
                connection.execute(_ANSWERED, values)


def _params(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {f"p_{name}": row[name] for name in names}


WRITERS: Mapping[str, EffectWriter] = {KIND: _write_voices}


def rebuild_voices(connection: Connection) -> Rebuilt:
    """Makes all rows again from the records. Writes `voice`."""
    return retell(
        connection,
        VOICE,
        SAYING,
        lambda stream, records: told_rows(stream, parse_code(stream).gtin, records),
    )


def rows_of(connection: Connection, stream_key: int) -> list[Any]:
    """Returns the rows of a stream's voices, in order. Read-only."""
    query = select(VOICE).where(VOICE.c.stream == stream_key).order_by(VOICE.c.seq)
    return list(connection.execute(query))


def unfounded(connection: Connection, seller: str, *, limit: int) -> list[tuple[int, int]]:
    """Returns (stream key, seq) of a seller's voices that no such record gives. Read-only."""
    query = (
        select(VOICE.c.stream, VOICE.c.seq)
        .select_from(
            VOICE.outerjoin(
                RECORD,
                and_(
                    RECORD.c.stream == VOICE.c.stream,
                    RECORD.c.seq == VOICE.c.seq,
                    RECORD.c.type == VOICE.c.kind,
                ),
            )
        )
        .where(VOICE.c.seller == seller, RECORD.c.stream.is_(None))
        .limit(limit)
    )
    return [(int(row.stream), int(row.seq)) for row in connection.execute(query)]


def find_voice(connection: Connection, stream_key: int, id_: str) -> Any | None:
    """Returns a voice's row, or None. Read-only."""
    query = select(VOICE).where(VOICE.c.stream == stream_key, VOICE.c.id == id_)
    return connection.execute(query).first()


def list_reviews(
    connection: Connection,
    seller: str,
    *,
    rating: int | None,
    unanswered: bool,
    after: Place | None,
    limit: int,
) -> list[Any]:
    """Returns a seller's reviews, the newest first, each with its code. Read-only.

    unanswered: those that wait for a reply, they or their follow-up.
    """
    later = VOICE.alias("later")
    waits = or_(
        VOICE.c.answered_at.is_(None),
        select(later.c.seq)
        .where(
            later.c.stream == VOICE.c.stream,
            later.c.subject == VOICE.c.subject,
            later.c.kind == "follow_up",
            later.c.seq > VOICE.c.seq,
            later.c.answered_at.is_(None),
        )
        .exists(),
    )
    place = (VOICE.c.at, VOICE.c.stream, VOICE.c.seq)
    query = (
        select(VOICE, HEAD.c.name.label("code"))
        .join(HEAD, HEAD.c.stream == VOICE.c.stream)
        .where(VOICE.c.seller == seller, VOICE.c.kind == "review")
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    if rating is not None:
        query = query.where(VOICE.c.rating == rating)
    if unanswered:
        query = query.where(waits)
    if after is not None:
        query = query.where(tuple_(*place) < after)
    return list(connection.execute(query))


def reviews_behind(
    connection: Connection, stream: int, subjects: Sequence[str], *, since: int
) -> list[Any]:
    """Returns the reviews and follow-ups of these subjects of a stream from seq `since` on. Read-only.

    In order of seq.
    """
    query = select(VOICE).where(
        VOICE.c.stream == stream,
        VOICE.c.seq >= since,
        VOICE.c.kind != COMPLAINT,
        VOICE.c.subject.in_(subjects),
    )
    return list(connection.execute(query.order_by(VOICE.c.seq)))


def list_complaints(
    connection: Connection,
    *,
    seller: str | None = None,
    platform: str | None = None,
    referred_in: str | None = None,
    is_open: bool,
    reply_ms: int,
    proposal_ms: int,
    after: Place | None,
    limit: int,
) -> list[Any]:
    """Returns complaints with their codes and `due`: those open by deadline, the others newest first.

    seller, platform: of either, where both are given. referred_in: handed to the authority, of sellers
    inside this region (GB/T 2260); "": all. Open: neither settled nor returned, and without an outcome, or
    handed on after it to the platform or the authority that asks. due: when an answer or a proposal is
    owed next, ms; of those that owe nothing when they were made. Read-only.
    """
    due = case(
        (VOICE.c.answered_at.is_(None), VOICE.c.at + reply_ms),
        (VOICE.c.proposed_at.is_(None), VOICE.c.at + proposal_ms),
        else_=VOICE.c.at,
    )
    number = due if is_open else -VOICE.c.at
    place = (number, VOICE.c.stream, VOICE.c.seq)
    # An outcome ends it for the seller. To whom it was handed after that, it is theirs to look into.
    to = "platform" if referred_in is None else "regulator"
    ends = [
        VOICE.c.referred_to.is_(None),
        VOICE.c.referred_to != to,
        VOICE.c.referred_at < VOICE.c.proposed_at,
    ]
    if seller is not None:
        ends.append(VOICE.c.seller == seller)
    over = or_(
        VOICE.c.settled_at.is_not(None),
        VOICE.c.ended_at.is_not(None),
        and_(VOICE.c.proposed_at.is_not(None), or_(*ends)),
    )
    query = (
        select(VOICE, HEAD.c.name.label("code"), due.label("due"), number.label("number"))
        .join(HEAD, HEAD.c.stream == VOICE.c.stream)
        .where(VOICE.c.kind == COMPLAINT, ~over if is_open else over)
        .order_by(*place)
        .limit(limit)
    )
    mine = []
    if seller is not None:
        mine.append(VOICE.c.seller == seller)
    if platform is not None:
        mine.append(VOICE.c.platform == platform)
    if mine:
        query = query.where(or_(*mine))
    if referred_in is not None:
        query = query.where(VOICE.c.referred_to == "regulator")
        if referred_in:
            query = query.join(PARTY, PARTY.c.id == VOICE.c.seller)
            query = query.where(inside(PARTY.c.region, referred_in))
    if after is not None:
        query = query.where(tuple_(*place) > after)
    return list(connection.execute(query))
