"""Fills the pages that list goods: the zone 重要产品追溯专区, by the kinds of article 十一, and search."""

from __future__ import annotations

from app.credit.search import ZONE_CATEGORIES, ZONE_COMPLETENESS, Hit, Sort, facts_of
from app.trace.gtin import display_gtin
from app.trace.wordstore import Place
from app.web.deps import Rooms
from app.web.pages.standing_views import SearchView, ZoneOffer, ZoneProduct, ZoneView
from app.web.pages.views import Frame, ZoneItem

EACH_PAGE = 24
_ON_THE_FRONT_PAGE = 4


def fill_zone(
    rooms: Rooms, frame: Frame, chosen: str, after: Place | None
) -> tuple[ZoneView, Place | None]:
    """Returns a page of the zone, the newest products first, and where the next begins. Read-only."""
    with rooms.database.one_snapshot():
        categories = (chosen,) if chosen else ZONE_CATEGORIES
        hits, following = rooms.search.zone(categories, after=after, limit=EACH_PAGE)
        names = _names(rooms, hits)
    part, whole = ZONE_COMPLETENESS
    view = ZoneView(
        frame=frame,
        categories=ZONE_CATEGORIES,
        chosen=chosen,
        products=tuple(_product(hit, names) for hit in hits),
        policy=rooms.credit.policy,
        percent=part * 100 // whole,
    )
    return view, following


def fill_search(
    rooms: Rooms, frame: Frame, query: str, sort: Sort, after: tuple[int, ...] | None
) -> tuple[SearchView, tuple[int, ...] | None]:
    """Returns what GET /api/v1/search finds, and where its next page begins. Read-only."""
    hits: list[Hit] = []
    codes: list[str] = []
    following = None
    names: dict[str, str] = {}
    if query:
        with rooms.database.one_snapshot():
            found = rooms.search.find(
                query, sort=sort, traceable=False, category=None, after=after, limit=EACH_PAGE
            )
            names = _names(rooms, found.hits)
        hits, codes, following = found.hits, found.codes, found.next
    view = SearchView(
        frame=frame,
        query=query,
        sort=sort,
        codes=tuple(codes),
        products=tuple(_product(hit, names) for hit in hits),
        policy=rooms.credit.policy,
    )
    return view, following


def newest_of_zone(rooms: Rooms) -> tuple[ZoneItem, ...]:
    """Returns what the front page shows of the zone: a few of its newest products. Read-only."""
    with rooms.database.one_snapshot():
        hits, _ = rooms.search.zone(ZONE_CATEGORIES, after=None, limit=_ON_THE_FRONT_PAGE)
        names = _names(rooms, hits)
    items = []
    for product in (_product(hit, names) for hit in hits):
        best = product.offers[0]
        items.append(
            ZoneItem(name=product.name, url=product.url, seller=best.name, chains=best.whole)
        )
    return tuple(items)


def _names(rooms: Rooms, hits: list[Hit]) -> dict[str, str]:
    sellers = {offer.seller for hit in hits for offer, _, _ in hit.offers}
    return {party: view.name for party, view in rooms.parties.get_some(sellers).items()}


def _product(hit: Hit, names: dict[str, str]) -> ZoneProduct:
    product = hit.product
    return ZoneProduct(
        name=product.name,
        brand=str(facts_of(product).get("brand", "")),
        category=product.category,
        gtin=display_gtin(product.gtin),
        url=f"/01/{product.gtin}",
        offers=tuple(
            ZoneOffer(
                seller=offer.seller,
                name=names.get(offer.seller) or offer.seller,
                grade=card.grade,
                score=card.score,
                sold=offer.sold,
                whole=offer.sold_without_open_gap,
                steps=offer.steps,
                independent=offer.independent_steps,
                dossier=f"/credit/{offer.seller}",
            )
            for offer, _, card in hit.offers
        ),
    )
