"""What an authority asks: its search, chains with every check, the log of purposes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time, format_time_if, from_ms
from app.kit.errors import FieldFault, faults_of
from app.ledger.note import encode_base64
from app.ledger.verifier import Problem
from app.oversight.chains import Anchor, Line
from app.oversight.lookbook import LoggedLook, WantedLooks
from app.oversight.numbers import read_places, write_places
from app.oversight.periods import read_period
from app.oversight.sought import GROUPS, Found, Group, Hit, read_asked
from app.oversight.sought import Query as Seek
from app.trace.code import Code
from app.web.api.subjects import GTINPath, SegmentPath, lot_code, product_code, unit_code
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language, Rooms
from app.web.items import Whole
from app.web.links import code_path
from app.web.lookfile import csv_of_looks
from app.web.openapi import problems
from app.web.paging import InLongPage, InPage, Page, PageBody, encode_place, read_seq

router = api_router(tag="oversight")

_KNOWN = problems("code-unknown")
_ASKED = ("region", "since", "until", "purpose")
_Day = Annotated[str | None, Query(max_length=10, examples=["2026-01-01"])]

# --- search --------------------------------------------------------------------------------------


class SeekIn(Whole):
    """What is looked for. It is a POST, so that no waybill number stands in an address."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"q": "06901234567892", "limit": 10}]},
    }

    q: Annotated[str, Field(max_length=2048)] = ""
    region: Annotated[str, Field(max_length=6)] = ""
    since: Annotated[str, Field(max_length=10)] = ""
    until: Annotated[str, Field(max_length=10)] = ""
    purpose: Annotated[str, Field(max_length=200)] = ""
    group: Literal["parties", "products", "lots", "units"] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 10
    cursor: Annotated[str | None, Field(max_length=200)] = None
    onward: Annotated[str, Field(max_length=200)] = ""

    @classmethod
    def faults_beside(
        cls,
        sound: Mapping[str, Any],
        context: Mapping[str, Any],  # noqa: ARG003 - the shape of every Whole
    ) -> Iterable[FieldFault]:
        """Returns what the search would say of region, days and purpose. context: nothing of it."""
        given = {name: sound[name] for name in _ASKED if name in sound}
        return faults_of(lambda: read_asked(Seek(**given), is_read=True))


class ReadingOut(BaseModel):
    """One thing that the text can be. sure: by its form or check digit."""

    kind: str
    value: str
    sure: bool


class HitOut(BaseModel):
    """One thing that was found. by: as what. at: when registered, issued, sold, or recorded."""

    key: str
    by: str
    at: str
    party: str | None = None
    name: str | None = None
    region: str | None = None
    link: str


class GroupOut(BaseModel):
    """The hits of a kind, newest first. more: there are more than `count`, which are not shown."""

    count: int
    more: bool
    items: list[HitOut]
    next: str | None


class SeekOut(BaseModel):
    """What a search found. elsewhere: public things named in full that lie outside one's region.

    unasked: as which sealed numbers it was not looked for, since no `purpose` was stated. onward: where
    to go on with a number that more records have than one answer looks through; null: that was all.
    percent: how much was looked through up to here, about.
    """

    read_as: list[ReadingOut]
    groups: dict[str, GroupOut]
    elsewhere: list[str]
    unasked: list[str]
    onward: str | None
    percent: int


@router.post("/desk/search", summary="Search as an authority", responses=problems("forbidden"))
def seek(rooms: InRooms, principal: Caller, body: SeekIn) -> SeekOut:
    """Finds parties, products, lots and units by any number or name, grouped by kind, newest first.

    `q`: a GTIN, lot, serial, full code (GS1 element string, Digital Link, QR text), unified social
    credit code, name of a party or product, licence number, or, by the keyed index and only with a
    `purpose`, a waybill, order, payment or customs declaration number; such a look is logged, found or
    not. Without `q` all of a `region`. `since`, `until`: days in China, both included. With `group` that
    kind alone, from `cursor` on. Of each kind at most 1000 are found. Where more records have a sealed number
    than one answer looks through, the same again with its `onward` finds those behind, until that is null.
    """
    wanted = Seek(
        text=body.q,
        region=body.region,
        since=body.since,
        until=body.until,
        purpose=body.purpose,
        after=read_places(body.onward, loc=("onward",)),
    )
    first = 0 if body.cursor is None else read_offset(body.cursor)
    found = rooms.seeking.find(principal, wanted)
    groups = GROUPS if body.group is None else (body.group,)
    return SeekOut(
        read_as=[
            ReadingOut(kind=one.kind, value=one.value, sure=one.sure) for one in found.readings
        ],
        groups={group: _group(found, group, first, body.limit) for group in groups},
        elsewhere=list(found.elsewhere),
        unasked=list(found.unasked),
        onward=write_places(found.onward) or None,
        percent=found.percent,
    )


def read_offset(cursor: str) -> int:
    """Returns the place in a group that a cursor names. Raises Invalid."""
    (first,) = Page(1, cursor).after(int) or (0,)
    return max(0, int(first))


def _group(found: Found, group: Group, first: int, limit: int) -> GroupOut:
    hits = found.hits[group]
    last = first + limit
    return GroupOut(
        count=len(hits),
        more=group in found.more,
        items=[_hit(group, hit) for hit in hits[first:last]],
        next=encode_place((last,)) if last < len(hits) else None,
    )


def _hit(group: Group, hit: Hit) -> HitOut:
    stream = {"parties": f"party/{hit.key}", "products": f"01/{hit.key}"}.get(group, hit.key)
    return HitOut(
        key=hit.key,
        by=hit.by,
        at=format_time(from_ms(hit.at_ms)),
        party=hit.party,
        name=hit.name or None,
        region=hit.region,
        link=code_path(stream),
    )


# --- chains ----------------------------------------------------------------------------------------


@router.get("/codes/{gtin}/{serial}/chain", summary="A unit's chain, checked", responses=_KNOWN)
def unit_chain(
    rooms: InRooms, page: InLongPage, gtin: GTINPath, serial: SegmentPath
) -> dict[str, Any]:
    """Returns every record with its hash, signer, proof, and what was verified of it how.

    `limit` counts the chain's own records; `next` is null where there are no more, as nearly always.
    """
    return _chain(rooms, unit_code(gtin, serial), page)


@router.get("/lots/{gtin}/{lot}/chain", summary="A lot's chain, checked", responses=_KNOWN)
def lot_chain(rooms: InRooms, page: InLongPage, gtin: GTINPath, lot: SegmentPath) -> dict[str, Any]:
    """Returns every record of a lot as the unit's chain does."""
    return _chain(rooms, lot_code(gtin, lot), page)


@router.get("/products/{gtin}/chain", summary="A product's chain, checked", responses=_KNOWN)
def product_chain(rooms: InRooms, page: InLongPage, gtin: GTINPath) -> dict[str, Any]:
    """Returns every record of a product as the unit's chain does."""
    return _chain(rooms, product_code(gtin), page)


def _chain(rooms: Rooms, code: Code, page: Page) -> dict[str, Any]:
    chain = rooms.chains.read(code, after=read_seq(page), most=page.limit)
    return {
        "code": chain.code.stream,
        "verdict": chain.look.verdict,
        "warnings": list(chain.look.warnings),
        "items": [_line(line) for line in chain.lines],
        "problems": [_problem(problem) for problem in chain.others],
        "next": None if chain.following is None else encode_place((chain.following,)),
    }


def _line(line: Line) -> dict[str, Any]:
    fields = line.fields
    unreadable = None if fields or line.body is None else line.body.decode("utf-8", "replace")
    return {
        "stream": line.stream,
        "seq": line.seq,
        "record": dict(fields) or None,
        "unreadable": unreadable,
        "occurred_at": format_time_if(line.occurred_at),
        "recorded_at": format_time_if(line.recorded_at),
        "hash": None if line.hash is None else line.hash.hex(),
        "log": line.in_log.origin or None,
        "leaf_index": line.in_log.index,
        "inclusion": [encode_base64(one) for one in line.in_log.proof],
        "checkpoint": _anchor(line.newest),
        "first_checkpoint": _anchor(line.first),
        "checks": [{"name": one.name, "ok": one.ok, "said": one.said} for one in line.checked],
        "problems": [_problem(problem) for problem in line.problems],
    }


def _anchor(anchor: Anchor | None) -> dict[str, Any] | None:
    if anchor is None:
        return None
    return {
        "origin": anchor.origin,
        "size": anchor.size,
        "root": anchor.root.hex(),
        "published_at": format_time(anchor.at),
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "stream": problem.stream or "log",
        "seq": problem.seq,
        "evidence": dict(problem.evidence),
    }


# --- the log of purposes ---------------------------------------------------------------------------


class LookOut(BaseModel):
    """One look at one section that somebody else had sealed.

    seq: null where it was looked for a number of the kind `section`, and nothing was found, or of goods that
    customs decided on no record.
    """

    id: str
    at: str
    by: str
    party: str | None
    region: str | None
    code: str
    seq: int | None
    section: str
    purpose: str


_By = Annotated[str | None, Query(max_length=64, description="A login name, or a key's id.")]
_CodeAsked = Annotated[str | None, Query(max_length=2048)]
_Text = Annotated[str | None, Query(max_length=200)]
_Party = Annotated[str | None, Query(max_length=64)]


@router.get("/access-log", summary="The log of purposes", responses=problems("forbidden"))
def list_looks(
    rooms: InRooms,
    principal: Caller,
    page: InPage,
    by: _By = None,
    code: _CodeAsked = None,
    purpose: _Text = None,
    party: _Party = None,
    since: _Day = None,
    until: _Day = None,
) -> PageBody[LookOut]:
    """Lists every look at sealed data by people and keys of one's own authority, newest first.

    For its supervisor (the scope `parties`); the operator sees that of all.
    """
    wanted = _wanted(by=by, code=code, purpose=purpose, party=party, since=since, until=until)
    rows = rooms.lookbook.list(principal, wanted, after=page.after(int, str), limit=page.limit + 1)
    shown, following = page.cut(rows, lambda one: one.place)
    return PageBody[LookOut](items=[_look(one) for one in shown], next=following)


@router.get(
    "/access-log.csv",
    summary="The log of purposes as CSV",
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        **problems("forbidden"),
    },
)
def export_looks(
    rooms: InRooms,
    principal: Caller,
    lang: Language,
    by: _By = None,
    code: _CodeAsked = None,
    purpose: _Text = None,
    party: _Party = None,
    since: _Day = None,
    until: _Day = None,
) -> Response:
    """Returns the same as a spreadsheet, headed in the reader's language, in China's time."""
    wanted = _wanted(by=by, code=code, purpose=purpose, party=party, since=since, until=until)
    return csv_of_looks(rooms, principal, wanted, lang)


def _wanted(
    *,
    by: str | None,
    code: str | None,
    purpose: str | None,
    party: str | None,
    since: str | None,
    until: str | None,
) -> WantedLooks:
    since_ms, until_ms = read_period(since, until, loc=("query",))
    return WantedLooks(
        by=by, code=code, purpose=purpose, party=party, since_ms=since_ms, until_ms=until_ms
    )


def _look(one: LoggedLook) -> LookOut:
    return LookOut(
        id=one.id,
        at=format_time(one.at),
        by=one.by,
        party=one.party,
        region=one.region,
        code=one.code,
        seq=one.seq,
        section=one.section,
        purpose=one.purpose,
    )
