"""Search and zone, for anybody: products with their offers, each with its numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import BaseModel

from app.credit.search import ZONE_CATEGORIES, Hit, Sort, facts_of
from app.i18n import Lang, text
from app.kit.clock import format_time, from_ms
from app.kit.errors import FieldFault, invalid
from app.trace.categories import REQUIRED_LICENCES
from app.web.api.ranking import FactorOut
from app.web.body import api_router
from app.web.deps import InRooms, Language
from app.web.paging import InPage, PageBody, encode_place, page_response

router = api_router(tag="search")

LONGEST_QUERY = 100
_PLACES: dict[str, tuple[type, ...]] = {"newest": (int, int)}


class OfferOut(BaseModel):
    """One seller's offer with the counts that its boost follows from."""

    seller: str
    score: int
    grade: str
    data_enough: bool
    boost: float
    traceable: bool
    sold: int
    sold_without_open_gap: int
    steps: int
    independent_steps: int
    orders_reported: int | None = None
    why: list[FactorOut]
    links: dict[str, str]


class HitOut(BaseModel):
    """A product in its place. `final` = `relevance` × (1 + `boost` of its best offer)."""

    gtin: str
    name: str
    category: str
    brand: str | None = None
    registered_at: str
    relevance: float
    boost: float
    final: float
    traceable: bool
    offers: list[OfferOut]
    links: dict[str, str]


class SearchOut(PageBody[HitOut]):
    """A page of hits. `codes`: full codes that exist and were typed, or may have been meant."""

    codes: list[str]
    policy: int


class ZoneOut(PageBody[HitOut]):
    """A page of the zone, the newest products first."""

    policy: int
    categories: list[str]


@router.get("/search", summary="Search products and offers", response_model=SearchOut)
def search(
    rooms: InRooms,
    lang: Language,
    page: InPage,
    q: Annotated[str, Query(min_length=1, max_length=LONGEST_QUERY, examples=["端砚"])],
    sort: Sort = "relevance",
    traceable: Annotated[
        bool, Query(description="Only what has offers with whole chains.")
    ] = False,
    category: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Returns products whose registered facts have every word of `q`, or the product of a code.

    Chinese is found by single characters, other scripts by words and their beginnings. A GTIN with a
    wrong or swapped digit finds what may have been meant, as do lots and serials with O for 0 or I
    for 1. `relevance` holds the bounded boost, as POST /ranking has it; `credit` is by the best
    seller's score, `newest` by registration. The same for everybody; nothing is paid for.
    """
    if category is not None:
        _check_category(category, tuple(REQUIRED_LICENCES))
    found = rooms.search.find(
        q,
        sort=sort,
        traceable=traceable,
        category=category,
        after=page.after(*_PLACES.get(sort, (int,))),
        limit=page.limit,
    )
    items = [_hit(lang, hit) for hit in found.hits]
    following = None if found.next is None else encode_place(found.next)
    more = {"codes": found.codes, "policy": rooms.credit.policy.version}
    return page_response(items, following, **more)


@router.get("/zone", summary="The zone of traceable goods", response_model=ZoneOut)
def zone(
    rooms: InRooms,
    lang: Language,
    page: InPage,
    category: Annotated[
        Literal[
            "edible_agricultural",
            "food",
            "drug",
            "agricultural_input",
            "hazardous",
            "rare_earth",
            "cross_border",
        ]
        | None,
        Query(),
    ] = None,
) -> Response:
    """Returns 重要产品追溯专区: products of the named kinds whose chains hold.

    Of each the offers whose chains are intact, at least 99 of 100 sold units without an open gap, no
    recall, measure or black list, grade A to C, and data enough. A page may hold fewer than `limit`
    and yet have a next one.
    """
    chosen = ZONE_CATEGORIES if category is None else (category,)
    hits, following = rooms.search.zone(chosen, after=page.after(int, int), limit=page.limit)
    return page_response(
        [_hit(lang, hit) for hit in hits],
        None if following is None else encode_place(following),
        policy=rooms.credit.policy.version,
        categories=list(chosen),
    )


def _check_category(category: str, known: tuple[str, ...]) -> None:
    if category not in known:
        params = {"expected": ", ".join(known), "got": category}
        raise invalid(FieldFault(("query", "category"), "enum", params))


def _hit(lang: Lang, hit: Hit) -> HitOut:
    product = hit.product
    return HitOut(
        gtin=product.gtin,
        name=product.name,
        category=product.category,
        brand=facts_of(product).get("brand"),
        registered_at=format_time(from_ms(product.created_at)),
        relevance=float(hit.relevance),
        boost=float(hit.ranked.boost),
        final=float(hit.ranked.final),
        traceable=hit.ranked.traceable,
        offers=[
            OfferOut(
                seller=offer.seller,
                score=card.score,
                grade=offer.grade,
                data_enough=offer.data_enough,
                boost=float(ranked.boost),
                traceable=ranked.traceable,
                sold=offer.sold,
                sold_without_open_gap=offer.sold_without_open_gap,
                steps=offer.steps,
                independent_steps=offer.independent_steps,
                orders_reported=offer.orders_reported,
                why=[
                    FactorOut(
                        factor=one.factor,
                        value=float(one.value),
                        text=text(lang, one.key, **dict(one.params)),
                    )
                    for one in ranked.why
                ],
                links={
                    "credit": f"/api/v1/credit/{offer.seller}",
                    "party": f"/api/v1/parties/{offer.seller}",
                },
            )
            for offer, ranked, card in hit.offers
        ],
        links={"product": f"/api/v1/products/{product.gtin}", "page": f"/01/{product.gtin}"},
    )
