"""What carriers, aggregators and platforms push: states of waybills, many a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from app.kit.errors import Fault, FieldFault
from app.trace.pushes import MAX_ITEMS, Push, Pushed, check_feed, faults_in
from app.web.body import BatchRoute, Body, Time, api_router, check_texts
from app.web.deps import Caller, InRooms, InVisit, Rooms
from app.web.items import Whole, read_item
from app.web.openapi import problems
from app.web.problems import describe
from app.web.visit import Visit

router = api_router(tag="events", route=BatchRoute)


class PushIn(Whole):
    """One state of one waybill, in the words of the feed."""

    waybill: Annotated[str, Field(min_length=1, max_length=64)]
    state: Annotated[str, Field(min_length=1, max_length=32)]
    occurred_at: Time
    region: Annotated[str | None, Field(max_length=6)] = None
    reason: Annotated[str | None, Field(min_length=1, max_length=100)] = None

    @classmethod
    def faults_beside(
        cls, sound: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Iterable[FieldFault]:
        """Returns what the feed's table and the forms of numbers find. context: `feed`."""
        return faults_in(context["feed"], sound, ())


ITEM_SCHEMA = PushIn.model_json_schema()


class PushesIn(Body):
    """States as a feed tells them. `feed`: whose words `state` is in. Each item is judged for itself."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "feed": "kuaidi100",
                    "items": [
                        {
                            "waybill": "TEST0000000001",
                            "state": "3",
                            "occurred_at": "2026-11-23T15:00:00+08:00",
                        }
                    ],
                }
            ]
        },
    }

    feed: Annotated[str, Field(min_length=1, max_length=32)] = "suxin"
    items: Annotated[
        list[Annotated[Any, WithJsonSchema(ITEM_SCHEMA)]],
        Field(min_length=1, max_length=MAX_ITEMS),
    ]


class PushedEventOut(BaseModel):
    """An event that a push became. `claim_token`: of a carrier's signature, the buyer's proof of purchase."""

    code: str
    type: str
    id: str
    seq: int
    claim_token: str | None = None


class PushedOut(BaseModel):
    """What came of an item: for each unit in the parcel an event.

    `repeated`: told before. `ignored`: old news that the record says already or contradicts (`problem`
    has the reason), or no news of the goods at all. `unknown`: no parcel of yours.
    """

    index: int
    status: Literal["recorded", "repeated", "ignored", "unknown", "refused"]
    events: list[PushedEventOut]
    problem: dict[str, Any] | None = None


class PushesOut(BaseModel):
    """What came of every item, in order."""

    recorded: int
    results: list[PushedOut]


@router.post(
    "/carriers/push",
    summary="Push states of waybills",
    responses=problems("forbidden", "party-unverified", "overloaded"),
    response_model_exclude_none=True,
)
def push_states(rooms: InRooms, principal: Caller, visit: InVisit, body: PushesIn) -> PushesOut:
    """Takes states of waybills from the carrier, its aggregator or the platform of the sale.

    Each item stands for itself; in any order, as often as it comes. `feed` names the table by which a
    state becomes an event: `suxin`, `kuaidi100`, `kdniao`. A signature's event has the buyer's `claim_token`.
    """
    principal.check_may("event.send")
    check_texts(body.feed, ("feed",))
    check_feed(body.feed)
    items = [_read(body.feed, n, item) for n, item in enumerate(body.items)]
    results = rooms.pushes.take(principal, body.feed, items)
    if principal.party is not None:
        rooms.push_log.keep(principal.party, body.feed, results)
    told = [_told(n, one, rooms, visit) for n, one in enumerate(results)]
    return PushesOut(recorded=sum(one.status == "recorded" for one in told), results=told)


def _read(feed: str, n: int, item: object) -> Push | Fault:
    """Returns an item, or why it is none."""
    try:
        one = read_item(PushIn, item, ("items", n), {"feed": feed})
    except Fault as fault:
        return fault
    return Push(one.waybill, one.state, one.occurred_at, one.region, one.reason)


def _told(index: int, pushed: Pushed, rooms: Rooms, visit: Visit) -> PushedOut:
    problem = None
    if pushed.fault is not None and pushed.status not in ("recorded", "repeated"):
        problem = describe(pushed.fault, lang=visit.lang, instance=visit.id)
    return PushedOut(
        index=index,
        status=pushed.status,
        events=[
            PushedEventOut(
                code=one.stream,
                type=one.type,
                id=one.id,
                seq=one.seq,
                **promised,
            )
            for one, promised in zip(
                pushed.events, rooms.recording.all_promises(pushed.events), strict=True
            )
        ],
        problem=problem,
    )
