"""/cases: units packed under an SSCC, and what befalls all of them at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time
from app.kit.errors import FieldFault, invalid
from app.labels.symbols import Label, label_png, label_svg
from app.ledger.submission import Recorded
from app.trace.packing import MAX_UNITS, CaseEvent
from app.trace.sscc import parse_sscc
from app.web.api.event_bodies import SealedIn
from app.web.api.events import event_bodies
from app.web.body import Body, Time, api_router
from app.web.deps import Caller, InRooms, Rooms
from app.web.links import code_path
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="events")

_SSCC = "306912345000000018"
SSCC = Annotated[str, Path(max_length=64, examples=[_SSCC])]
_Id = Annotated[str | None, Field(max_length=80)]
_Codes = Annotated[list[str], Field(min_length=1, max_length=MAX_UNITS)]
_REFUSALS = (
    "forbidden", "no-mandate", "party-unverified", "not-found", "code-unknown", "lifecycle-conflict",
    "id-conflict", "overloaded",
)  # fmt: skip
_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"description": "A repeat: the first answer again."}
}


class CaseIn(Body):
    """The GS1 company prefix of who packs, 7 to 10 digits."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"company_prefix": "06912345"}]},
    }

    company_prefix: Annotated[str, Field(max_length=32)]


class CaseOut(BaseModel):
    """A number that no case here bears. Nothing is kept of it until something is packed."""

    case: str
    links: dict[str, str]


class PackIn(Body):
    """Units by their codes."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"codes": ["01/06901234567892/21/8F3K2M9QZ7AB"]}]},
    }

    id: _Id = None
    codes: _Codes


class UnpackIn(Body):
    """Units by their codes; without `codes` all that are in the case."""

    model_config = {**Body.model_config, "json_schema_extra": {"examples": [{}]}}

    id: _Id = None
    codes: _Codes | None = None


class CaseEventIn(Body):
    """What befell all that is in a case: `type`, `data` and sealed sections as of a single event.

    `count`: units as you counted them; another number in the case is 409 `lifecycle-conflict`. `holder`:
    who holds the goods, needed only where cases of several bear this number.
    """

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "type": "dispatch",
                    "data": {"carrier": "示例快递", "to": "440100"},
                    "sealed": {"waybill": {"content": {"number": "TEST0000000001"}}},
                    "count": 48,
                }
            ]
        },
    }

    type: Annotated[str, Field(max_length=64)]
    data: Annotated[dict[str, Any], Field(default_factory=dict)]
    sealed: Annotated[dict[str, SealedIn], Field(default_factory=dict)]
    id: _Id = None
    occurred_at: Time | None = None
    actor: Annotated[str | None, Field(max_length=64)] = None
    count: Annotated[int | None, Field(ge=1, le=MAX_UNITS)] = None
    holder: Annotated[str | None, Field(max_length=64)] = None


class CaseLineOut(BaseModel):
    """A case with something in it. `packed_at`: of what was put in last."""

    case: str
    units: int
    packed_at: str
    links: dict[str, str]


class CaseUnitOut(BaseModel):
    """A unit in a case."""

    code: str
    gtin: str
    product: str | None = None
    state: str
    packed_at: str
    links: dict[str, str]


class CaseViewOut(BaseModel):
    """What is in a case now; nothing, where it was emptied or has arrived."""

    case: str
    count: int
    units: list[CaseUnitOut]
    links: dict[str, str]


@router.post(
    "/cases", status_code=201, summary="Make a case's number",
    responses=problems("forbidden", "already-exists"),
)  # fmt: skip
def make_case(rooms: InRooms, principal: Caller, body: CaseIn) -> CaseOut:
    """Returns a fresh SSCC under your company prefix. One of your own will do as well."""
    sscc = rooms.packing.new_number(principal, body.company_prefix)
    return CaseOut(case=sscc, links=_links(sscc))


@router.get(
    "/cases", summary="Your cases", responses=problems("forbidden"), response_model=PageBody[CaseLineOut]
)  # fmt: skip
def list_cases(rooms: InRooms, principal: Caller, page: InPage) -> Response:
    """Lists the cases in which you hold something, by number."""
    after = page.after(str)
    found = rooms.packing.cases(
        principal, after=None if after is None else after[0], limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: (one.sscc,))
    return page_response(
        [
            CaseLineOut(
                case=one.sscc,
                units=one.units,
                packed_at=format_time(one.packed_at),
                links=_links(one.sscc),
            )
            for one in shown
        ],
        following,
    )


@router.get(
    "/cases/{sscc}", summary="What is in a case", responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)  # fmt: skip
def read_case(rooms: InRooms, principal: Caller, sscc: SSCC) -> CaseViewOut:
    """Returns the units that you hold in a case."""
    case = rooms.packing.look(principal, sscc)
    return CaseViewOut(
        case=case.sscc,
        count=len(case.units),
        units=[
            CaseUnitOut(
                code=one.stream,
                gtin=one.gtin,
                product=one.product or None,
                state=one.state,
                packed_at=format_time(one.packed_at),
                links={"code": code_path(one.stream)},
            )
            for one in case.units
        ],
        links=_links(case.sscc),
    )


@router.post(
    "/cases/{sscc}/pack", status_code=201, summary="Put units into a case",
    responses={**_REPEATED, **problems(*_REFUSALS)},
)  # fmt: skip
def pack(rooms: InRooms, principal: Caller, sscc: SSCC, body: PackIn) -> Response:
    """Records `pack` on every unit, all or none. A unit is in one case at a time; a case packs no case."""
    return _answer(rooms, sscc, rooms.packing.pack(principal, sscc, body.codes, id=body.id))


@router.post(
    "/cases/{sscc}/unpack", status_code=201, summary="Take units out of a case",
    responses={**_REPEATED, **problems(*_REFUSALS)},
)  # fmt: skip
def unpack(rooms: InRooms, principal: Caller, sscc: SSCC, body: UnpackIn) -> Response:
    """Records `unpack` on these units, or on all in the case. They do not move with it any more."""
    return _answer(rooms, sscc, rooms.packing.unpack(principal, sscc, body.codes, id=body.id))


@router.post(
    "/cases/{sscc}/events", status_code=201, summary="Move a case: one event on each of its units",
    responses={**_REPEATED, **problems(*_REFUSALS)},
)  # fmt: skip
def move(rooms: InRooms, principal: Caller, sscc: SSCC, body: CaseEventIn) -> Response:
    """Records one event on every unit in the case, all or none; each says by which case it moved."""
    if "case" in body.data:
        raise invalid(FieldFault(("data", "case"), "reserved", {"name": "case"}))
    event = CaseEvent(
        type=body.type,
        data=body.data,
        id=body.id,
        occurred_at=body.occurred_at,
        actor=body.actor,
        sealed={name: section.input() for name, section in body.sealed.items()},
        count=body.count,
        holder=body.holder,
    )
    return _answer(rooms, sscc, rooms.packing.move(principal, sscc, event))


@router.get(
    "/cases/{sscc}/label.{form}",
    summary="The label of a case",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/svg+xml": {}}}},
)
def read_case_label(sscc: SSCC, form: Literal["png", "svg"]) -> Response:
    """Returns the SSCC as GS1-128, with its digits below."""
    digits = parse_sscc(sscc)
    label = Label(f"[00]{digits}", (f"(00) {digits}",))
    if form == "png":
        return Response(label_png(label, "gs1-128"), media_type="image/png")
    return Response(label_svg(label, "gs1-128"), media_type="image/svg+xml")


def _answer(rooms: Rooms, sscc: str, recorded: list[Recorded]) -> Response:
    body = {
        "case": parse_sscc(sscc),
        "events": event_bodies(rooms, recorded),
        "codes": [one.stream for one in recorded],
        "links": _links(parse_sscc(sscc)),
    }
    replayed = all(one.replayed for one in recorded)
    return Response(orjson.dumps(body), 200 if replayed else 201, media_type="application/json")


def _links(sscc: str) -> dict[str, str]:
    path = f"/api/v1/cases/{sscc}"
    return {"self": path, "label": f"{path}/label.svg"}
