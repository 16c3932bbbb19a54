"""Recalls: which there are, and how far each has come. One is made, and lifted, by `POST /events`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time, format_time_if, from_ms
from app.oversight.reach import WAYS
from app.oversight.recalls import Reached, ToldRecall
from app.oversight.scoping import MOST_SERIALS, Scope, scope_of
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language, Rooms
from app.web.links import code_path
from app.web.openapi import problems
from app.web.paging import InPage, PageBody
from app.web.reachfile import csv_of_reach

router = api_router(tag="oversight")

_KNOWN = problems("forbidden", "code-unknown")


class RecallOut(BaseModel):
    """A recall. seller: whose goods; null on a product, where it is everybody's. lifted_at null: it holds."""

    code: str
    gtin: str
    product: str
    recaller: str
    recaller_name: str | None
    seller: str | None
    since: str
    lifted_at: str | None
    reason: str
    level: int | str | None
    basis: str | None
    link: str


@router.get("/recalls", summary="Recalls", responses=problems("forbidden"))
def list_recalls(
    rooms: InRooms,
    principal: Caller,
    page: InPage,
    code: Annotated[str | None, Query(max_length=2048)] = None,
    is_open: Annotated[
        bool | None, Query(alias="open", description="Those that hold, or those lifted.")
    ] = None,
) -> PageBody[RecallOut]:
    """Lists recalls, the newest first; of one product and all that is of it where `code` is given.

    An authority sees all, with a region those of goods there; a merchant its own and those that touch
    its goods.
    """
    rows = rooms.recalls.list(
        principal,
        code=code,
        is_open=is_open,
        after=page.after(int, int, str),
        limit=page.limit + 1,
    )
    shown, following = page.cut(rows, lambda one: one.place)
    names = rooms.seeking.product_names(sorted({one.gtin for one in shown}))
    parties = rooms.parties.get_some({one.recaller for one in shown})
    items = [
        _recall(one, names, None if one.recaller not in parties else parties[one.recaller].name)
        for one in shown
    ]
    return PageBody[RecallOut](items=items, next=following)


def _recall(one: ToldRecall, names: dict[str, str], recaller: str | None) -> RecallOut:
    return RecallOut(
        code=one.code,
        gtin=one.gtin,
        product=names.get(one.gtin, ""),
        recaller=one.recaller,
        recaller_name=recaller,
        seller=one.seller,
        since=format_time(one.since),
        lifted_at=format_time_if(one.lifted_at),
        reason=one.reason,
        level=one.level,
        basis=one.basis or None,
        link=code_path(one.code),
    )


# --- reach ---------------------------------------------------------------------------------------


class ReachIn(Body):
    """Which goods: a product, lot or unit; of it these serials or a range of them, by the date of sale.

    `serial_from`, `serial_to`: both included, in the order in which their issuer ordered and prints them.
    `produced_since`, `produced_until`: of lots made then. Days are days of China, both included.
    """

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [{"code": "01/06901234567892", "purpose": "recall R-2026-11"}]
        },
    }

    code: Annotated[str, Field(min_length=1, max_length=2048)]
    serials: Annotated[
        list[Annotated[str, Field(max_length=2048)]], Field(max_length=MOST_SERIALS)
    ] = Field(default_factory=list)
    serial_from: Annotated[str, Field(max_length=2048)] = ""
    serial_to: Annotated[str, Field(max_length=2048)] = ""
    produced_since: Annotated[str, Field(max_length=10)] = ""
    produced_until: Annotated[str, Field(max_length=10)] = ""
    sold_since: Annotated[str, Field(max_length=10)] = ""
    sold_until: Annotated[str, Field(max_length=10)] = ""
    purpose: Annotated[str, Field(max_length=200)] = ""

    def scope(self) -> Scope:
        """Returns the goods that are asked about. Raises Invalid."""
        return scope_of(
            self.code,
            self.serials,
            serial_from=self.serial_from,
            serial_to=self.serial_to,
            produced_since=self.produced_since,
            produced_until=self.produced_until,
            sold_since=self.sold_since,
            sold_until=self.sold_until,
        )


class HolderOut(BaseModel):
    """Who holds goods, or held them when they were sold: how many in which state."""

    party: str
    name: str | None
    states: dict[str, int]


class ChannelOut(BaseModel):
    """Who sold goods that are out, and on which platform: a party's id, a text, or null."""

    seller: str
    seller_name: str | None
    platform: str | None
    platform_name: str | None
    units: int


class BuyersOut(BaseModel):
    """Of the goods that are out (sold, in_transit, signed): how their buyers can be reached, by records.

    ways: `contact` a sealed section about buyer or recipient is kept; `platform` the sale's platform is
    a party; `order` an order number is sealed, by which the seller finds its buyer; `complaint` the buyer
    has a ticket. One unit may have several; `none` have no way on record.
    """

    out: int
    contactable: int
    ways: dict[str, int]
    none: int


class ProgressOut(BaseModel):
    """What the records show since the recall.

    notified: out, and a notice stands in the unit's own chain. heard: out, and its buyer has sent a
    record. opened: out, and somebody opened its page, who need not be the buyer: it counts for nothing.
    returned: came back, or was refused. voided: ended in stock. confirmed = returned + voided. concerned
    = recalled and out, or returned since. reached = returned, or out and notified or heard. reach_percent
    = reached of concerned, rounded down; null where nothing is concerned. public_notices: on product and
    lot, for all to read.
    """

    recalled: int
    notified: int
    heard: int
    opened: int
    returned: int
    voided: int
    confirmed: int
    concerned: int
    reached: int
    reach_percent: float | None
    public_notices: int


class ReachOut(BaseModel):
    """How far a recall has come. progress null: none of these goods is recalled, or was."""

    code: str
    as_of: str
    recalled_since: str | None
    lifted_at: str | None
    units: int
    consignments: int
    states: dict[str, int]
    holders: list[HolderOut]
    sellers: list[ChannelOut]
    buyers: BuyersOut
    progress: ProgressOut | None
    unknown: list[str]


@router.post("/recalls/reach", summary="A recall's reach", responses=_KNOWN)
def read_reach(rooms: InRooms, principal: Caller, body: ReachIn) -> ReachOut:
    """Counts the goods of a product, a lot, serials or dates, and what is known of their buyers.

    Before a recall it says what one would have to fetch, after it how far it came. An authority states
    its `purpose`, and the look is logged; one with a region counts what is recalled, or was, wherever
    it is, and of other goods those that belong there. A merchant counts the goods that it issued, holds or
    sold, and those of its own lots. At most 200,000 units (`too_many_goods`) and 1000 serials; all is read
    when asked, so it is as new as the records.
    """
    found = rooms.recalls.reach(principal, body.scope(), purpose=body.purpose)
    return _reach(rooms, found)


@router.post(
    "/recalls/reach.csv",
    summary="A recall's goods as CSV",
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        **_KNOWN,
    },
)
def export_reach(rooms: InRooms, principal: Caller, lang: Language, body: ReachIn) -> Response:
    """Returns a line for each of the goods: state, holder, seller, ways to the buyer, what came since.

    It speaks the reader's language: headings, states, ways, yes or no. Times as in China with their offset.
    """
    return csv_of_reach(rooms, principal, body.scope(), body.purpose, lang)


def _reach(rooms: Rooms, found: Reached) -> ReachOut:
    tally = found.tally
    asked = {*tally.holders, *(party for one in tally.channels for party in one if party)}
    names = {one.id: one.name for one in rooms.parties.get_some(asked).values()}
    since = found.since_ms
    lifted = found.lifted_ms
    return ReachOut(
        code=found.code.stream,
        as_of=format_time(found.as_of),
        recalled_since=None if since is None else format_time(from_ms(since)),
        lifted_at=None if lifted is None else format_time(from_ms(lifted)),
        units=tally.count - tally.consignments,
        consignments=tally.consignments,
        states=dict(tally.states),
        holders=[
            HolderOut(party=party, name=names.get(party), states=dict(states))
            for party, states in tally.by_holder()
        ],
        sellers=[
            ChannelOut(
                seller=one.seller,
                seller_name=names.get(one.seller),
                platform=one.platform,
                platform_name=names.get(one.platform or ""),
                units=units,
            )
            for one, units in tally.by_channel()
        ],
        buyers=BuyersOut(
            out=tally.out,
            contactable=tally.contactable,
            ways={way: tally.ways[way] for way in WAYS},
            none=tally.silent,
        ),
        progress=None if since is None else _progress(found),
        unknown=list(found.unknown),
    )


def _progress(found: Reached) -> ProgressOut:
    tally = found.tally
    return ProgressOut(
        recalled=tally.recalled,
        notified=tally.told,
        heard=tally.heard,
        opened=tally.opened,
        returned=tally.returned,
        voided=tally.voided,
        confirmed=tally.confirmed,
        concerned=tally.concerned,
        reached=tally.reached,
        reach_percent=tally.percent,
        public_notices=found.notices,
    )
