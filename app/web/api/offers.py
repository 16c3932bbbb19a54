"""What platforms and sellers do about ranking: report orders, fetch features, ask what would help."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Query, Response
from pydantic import BaseModel, Field

from app.credit.advice import advise
from app.credit.orders import MAX_ROWS, MOST_ORDERS, OrderCount
from app.i18n import text
from app.kit.clock import format_time
from app.kit.errors import FieldFault, NotFound, invalid
from app.trace.gtin import parse_gtin
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language
from app.web.openapi import problems

router = api_router(tag="ranking")

_MOST_FEATURES = 500


class OfferUnknown(NotFound):
    """The seller or the product is not registered."""


class OrderCountIn(Body):
    """Orders of one seller's product. `period`: a month `2026-11`, or a day of it `2026-11-23`."""

    seller: Annotated[str, Field(max_length=64)]
    gtin: Annotated[str, Field(max_length=32)]
    period: Annotated[str, Field(max_length=10)]
    orders: Annotated[int, Field(ge=0, le=MOST_ORDERS)]


class OrderCountsIn(Body):
    """What a platform counted. The same seller, GTIN and period again corrects what was said before."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "id": "0192f3a0-0000-7000-8000-00000000c0de",
                    "counts": [
                        {
                            "seller": "91441200MA4TE5T00Q",
                            "gtin": "6901234567892",
                            "period": "2026-10",
                            "orders": 40,
                        }
                    ],
                }
            ]
        },
    }

    id: Annotated[str | None, Field(max_length=64)] = None
    counts: Annotated[list[OrderCountIn], Field(min_length=1, max_length=MAX_ROWS)]


class OrderCountsOut(BaseModel):
    """The record of a report, with its receipt."""

    id: str
    stream: str
    seq: int
    hash: str
    recorded_at: str
    counts: int
    receipt: str


class FeaturesOut(BaseModel):
    """Offers whose features changed after `since`, oldest change first. `note` signs them."""

    policy: int
    policy_digest: str
    since: int
    next: int
    more: bool
    as_of: str
    items: list[dict[str, Any]]
    note: str
    links: dict[str, str]


class StepOut(BaseModel):
    """One thing to do; `boost` is what the offer would then have, `gain` how much of it is new."""

    factor: str
    gain: float
    boost: float
    text: str


class AdviceOut(BaseModel):
    """What would raise an offer. `waits`: nothing counts before the steps without gain are done."""

    gtin: str
    seller: str
    policy: int
    boost: float
    possible: float
    waits: bool
    steps: list[StepOut]


@router.post(
    "/orders/counts",
    status_code=201,
    summary="Report order counts",
    responses={
        200: {"description": "A repeat: the first answer again.", "model": OrderCountsOut},
        **problems("forbidden", "party-unverified", "id-conflict"),
    },
    response_model=OrderCountsOut,
)
def report_orders(rooms: InRooms, principal: Caller, body: OrderCountsIn) -> Response:
    """Records how many orders a platform had, by seller, product and period.

    They are what coverage divides by: units with a chain ÷ orders reported. One request is one record
    of the platform's stream. The same `id` and content again answers 200 with the first answer.
    """
    rows = [
        OrderCount(one.seller.strip().upper(), one.gtin, one.period, one.orders)
        for one in body.counts
    ]
    recorded = rooms.order_counts.report(principal, rows, id_=body.id)
    told = {
        "id": recorded.id,
        "stream": recorded.stream,
        "seq": recorded.seq,
        "hash": recorded.hash.hex(),
        "recorded_at": format_time(recorded.recorded_at),
        "counts": len(rows),
        "receipt": rooms.receipts.issue(recorded),
    }
    status = 200 if recorded.replayed else 201
    return Response(orjson.dumps(told), status, media_type="application/json")


@router.get("/ranking/features", summary="Features of offers", responses=problems("forbidden"))
def read_features(
    rooms: InRooms,
    principal: Caller,
    since: Annotated[int, Query(ge=0, le=2**53 - 1, description="`next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_FEATURES)] = 100,
) -> FeaturesOut:
    """Returns what changed, for platforms that rank in their own house; ask again with `next`.

    `note` is a signed note over format, since, next, SHA-256 of the items (JSON with sorted keys and
    no spaces), policy version, policy digest and time, one a line; its key is at `/log/receipt-key`.
    """
    principal.check_may("ranking.query")
    page = rooms.features.since(since, limit=limit)
    policy = rooms.credit.policy
    return FeaturesOut(
        policy=policy.version,
        policy_digest=policy.digest,
        since=page.since,
        next=page.next,
        more=page.more,
        as_of=format_time(page.as_of),
        items=page.items,
        note=page.note,
        links={"key": "/log/receipt-key", "policy": f"/api/v1/credit/policy/{policy.version}"},
    )


@router.get(
    "/ranking/advice",
    summary="What would raise an offer",
    responses=problems("forbidden", "not-found"),
)
def read_advice(
    rooms: InRooms,
    principal: Caller,
    lang: Language,
    gtin: Annotated[str, Query(max_length=32, examples=["6901234567892"])],
    seller: Annotated[
        str | None, Query(max_length=64, description="You, unless you are a regulator.")
    ] = None,
) -> AdviceOut:
    """Returns for each factor of an offer's boost what to do and how much it would bring."""
    party = (seller or principal.party or "").strip().upper()
    principal.check_may("ranking.advise", owner=party)
    if not party:
        raise invalid(FieldFault(("query", "seller"), "missing"))
    number = parse_gtin(gtin, loc=("query", "gtin"), allow_item_code=True)
    known = rooms.ranking.find(party, number)
    if known is None:
        raise OfferUnknown("offer_unknown", gtin=number, seller=party[:64])
    offer, card = known
    policy = rooms.credit.policy
    told = advise(offer, policy, score=card.score, completed_chains=card.completed_chains)
    return AdviceOut(
        gtin=number,
        seller=party,
        policy=policy.version,
        boost=float(told.boost),
        possible=float(told.possible),
        waits=told.waits,
        steps=[
            StepOut(
                factor=step.factor,
                gain=float(step.gain),
                boost=float(step.boost),
                text=text(lang, step.key, **dict(step.params)),
            )
            for step in told.steps
        ],
    )
