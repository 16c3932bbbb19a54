"""A customs declaration: what is on record of it, whether its three documents agree, release or hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time_if
from app.oversight.customs import Declared
from app.oversight.numbers import read_places, write_places
from app.oversight.threefold import DocumentName
from app.parties.looking import MAX_PURPOSE
from app.web.api.events import event_body
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems

router = api_router(tag="oversight")

_Number = Annotated[str, Field(max_length=64)]
_EXAMPLE: dict[str, Any] = {"number": "516620261000000012", "purpose": "inspection 2026-9"}


class DeclarationIn(Body):
    """A declaration's number, and those of its three documents as its list has them.

    purpose: 2 to 200 characters, for which they are looked for; it is logged.
    """

    model_config = {**Body.model_config, "json_schema_extra": {"examples": [_EXAMPLE]}}

    number: Annotated[str, Field(min_length=1, max_length=32)]
    order: _Number = ""
    payment: _Number = ""
    waybill: _Number = ""
    purpose: Annotated[str, Field(max_length=MAX_PURPOSE)]

    def documents(self) -> dict[DocumentName, str]:
        """Returns the three numbers by name, "" for one that was not given."""
        return {"order": self.order, "payment": self.payment, "waybill": self.waybill}


class LookIn(DeclarationIn):
    """The same, of goods from `onward` on; "" for the first ones."""

    onward: Annotated[str, Field(max_length=200)] = ""


class DecisionIn(DeclarationIn):
    """What customs decide of goods of a declaration. reason: of a hold; it is sealed.

    despite: release although a number that was given is not of these goods, which is refused otherwise.
    """

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    **_EXAMPLE,
                    "code": "01/06901234567892/10/L1",
                    "decision": "release",
                    "port": "广州南沙",
                }
            ]
        },
    }

    id: Annotated[str | None, Field(max_length=80)] = None
    code: Annotated[str, Field(min_length=1, max_length=2048)]
    decision: Literal["release", "hold"]
    port: Annotated[str, Field(min_length=1, max_length=64)]
    certificate: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, Field(max_length=500)] = ""
    despite: bool = False


class GoodsOut(BaseModel):
    """A lot or unit that the declaration is about. facts: the import section of its registration."""

    code: str
    party: str | None
    facts: dict[str, Any]
    decision: str | None
    decided_at: str | None
    decided_by: str | None


class DocumentOut(BaseModel):
    """One of the three, by itself. standing: agrees, differs, absent, not_given.

    told_of: the first of the goods whose records commit to it that the caller acts on; more: there may be
    others.
    """

    name: str
    standing: str
    told_of: list[str]
    more: bool


class DeclaredOut(BaseModel):
    """A declaration as the records tell of it. outcome: agree, differ, absent; null: nothing compared.

    goods: up to 200. onward: where to go on with them, null: that was all; percent: how much of them up to
    here, about. What was compared is of all of them.
    """

    number: str
    district: str
    year: int
    is_import: bool
    goods: list[GoodsOut]
    documents: list[DocumentOut]
    outcome: str | None
    onward: str | None
    percent: int


@router.post(
    "/customs/declarations",
    summary="Look a customs declaration up",
    responses=problems("forbidden", "not-found"),
)
def look_declaration(rooms: InRooms, principal: Caller, body: LookIn) -> DeclaredOut:
    """Returns the goods of a declaration and whether order, payment and waybill (三单) agree.

    Numbers are compared by keyed digests of what sellers, platforms and carriers committed to; nothing
    is opened, and the look is logged with its `purpose`, found or not. They agree if all three were told
    of the same goods of it; where one is told of others, it alone `differs`. A number of goods on which
    the caller does not act (another region's, named by no declaration) is `absent`. With `onward` of an
    answer the goods behind its own, with the same purpose or another, and logged as the first ones are.
    """
    after = read_places(body.onward, loc=("onward",)).get("declaration", 0)
    return _declared(
        rooms.customs.look(
            principal, body.number, body.documents(), purpose=body.purpose, after=after
        )
    )


@router.post(
    "/customs/decisions",
    status_code=201,
    summary="Release or hold goods of a declaration",
    responses=problems(
        "forbidden", "not-found", "code-unknown", "lifecycle-conflict", "id-conflict"
    ),
)
def decide_declaration(rooms: InRooms, principal: Caller, body: DecisionIn) -> Response:
    """Records `customs_release` or `customs_hold` on a lot or unit; the later one holds.

    The record commits to the numbers that were compared and says whether they agreed.
    """
    recorded = rooms.customs.decide(
        principal,
        body.number,
        body.code,
        body.decision,
        port=body.port,
        certificate=body.certificate,
        reason=body.reason,
        documents=body.documents(),
        purpose=body.purpose,
        despite=body.despite,
        id=body.id,
    )
    shown = event_body(rooms, recorded) | {"status": "durable"}
    return Response(
        orjson.dumps(shown), 200 if recorded.replayed else 201, media_type="application/json"
    )


def _declared(told: Declared) -> DeclaredOut:
    return DeclaredOut(
        number=told.declaration.number,
        district=told.declaration.district,
        year=told.declaration.year,
        is_import=told.declaration.is_import,
        goods=[
            GoodsOut(
                code=one.code,
                party=one.party,
                facts=dict(one.facts),
                decision=one.decision,
                decided_at=format_time_if(one.decided_at),
                decided_by=one.decided_by,
            )
            for one in told.goods
        ],
        documents=[
            DocumentOut(
                name=one.name, standing=one.standing, told_of=list(one.told_of), more=one.more
            )
            for one in told.documents
        ],
        outcome=told.outcome,
        onward=None if told.onward is None else write_places({"declaration": told.onward}),
        percent=told.percent,
    )
