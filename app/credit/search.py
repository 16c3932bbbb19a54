"""Search and zone: products by words or by a code, with their offers, ranked by the public formula.

What is looked through is bounded: the CANDIDATES best products by words, and as many again of those
that have chains, so that a common word cannot hide what is traceable. Among them relevance is the
base of POST /ranking and the boost acts within it; nothing is paid for and nobody is known.
Of a product with many sellers the first SELLERS_EACH are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import orjson
from sqlalchemy import Connection

from app.credit.offers import Ranking
from app.credit.policy import ScoreCard
from app.credit.ranking import EQUAL, Offer, Ranked, rank_candidates
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock
from app.ledger.store import load_heads
from app.trace import wordstore
from app.trace.code import Code
from app.trace.typos import meant_gtins, read_typed, spellings
from app.trace.words import (
    CHAIN,
    category_word,
    lot_word,
    product_words,
    query_words,
    relevance,
)
from app.trace.wordstore import Place

Sort = Literal["relevance", "credit", "newest"]

CANDIDATES = 200
SELLERS_EACH = 5
ZONE_COMPLETENESS = (99, 100)
"""A unit in a hundred may have an open gap, as in the policy's limit on minor entries: otherwise no
large seller would ever be in the zone."""
ZONE_CATEGORIES = (
    "edible_agricultural", "food", "drug", "agricultural_input", "hazardous", "rare_earth",
    "cross_border",
)  # fmt: skip
"""The kinds of goods that article 十一 of the opinion names."""
_UNKNOWN = Offer(id="", gtin="", seller="", base=1)


@dataclass(frozen=True, slots=True)
class Hit:
    """A product in its place. ranked: of its best offer, or of none. sellers: offers and scores."""

    product: Any
    relevance: Decimal
    ranked: Ranked
    offers: tuple[tuple[Offer, Ranked, ScoreCard], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits. codes: codes that exist and were typed or meant. next: of the next page."""

    hits: list[Hit]
    codes: list[str]
    next: tuple[int, ...] | None


class Search:
    """Finds products. Read-only."""

    def __init__(
        self, database: Database, ranking: Ranking, credit: Credit, *, clock: Clock
    ) -> None:
        self._database = database
        self._ranking = ranking
        self._credit = credit
        self._clock = clock

    def find(
        self,
        query: str,
        *,
        sort: Sort,
        traceable: bool,
        category: str | None,
        after: tuple[int, ...] | None,
        limit: int,
    ) -> Found:
        """Returns a page. after: `next` of the page before, for the same sort."""
        filters = [CHAIN] if traceable else []
        if category is not None:
            filters.append(category_word(category))
        words = [*query_words(query), *filters]
        now = self._clock.now()
        with self._database.read() as connection:
            gtins, codes = self._by_code(connection, query)
            if sort == "newest":
                place = None if after is None else (after[0], after[1])
                places = [] if not words else _newest(connection, words, place, limit + 1)
                hits = self._hits(connection, query, _gtins(places), now)
                kept = [hit for hit in hits if _fits(hit, words, traceable=traceable)]
                kept.sort(key=_age)
                more = len(places) > limit
                shown = [hit for hit in kept if not more or _age(hit) <= places[limit - 1]]
                return Found(shown, codes, places[limit - 1] if more else None)
            lots: list[str] = []
            is_code = bool(gtins)
            if not gtins and words:
                lots = self._by_lot(connection, query, filters)
                gtins = [*lots, *self._by_words(connection, words)]
            hits = self._hits(connection, query, gtins, now)
        kept = [
            hit
            for hit in hits
            if _fits(
                hit,
                filters if is_code or hit.product.gtin in lots else words,
                traceable=traceable,
            )
        ]
        kept.sort(key=_by_credit if sort == "credit" else _by_relevance)
        first = 0 if after is None else after[0]
        shown = kept[first : first + limit]
        following = (first + limit,) if len(kept) > first + limit else None
        return Found(shown, codes, following)

    def zone(
        self, categories: Sequence[str], *, after: Place | None, limit: int
    ) -> tuple[list[Hit], Place | None]:
        """Returns products of the zone, newest first, and where the next page begins."""
        now = self._clock.now()
        with self._database.read() as connection:
            found = {
                place
                for category in categories
                for place in _newest(connection, [CHAIN, category_word(category)], after, limit + 1)
            }
            places = sorted(found)[: limit + 1]
            hits = self._hits(connection, "", _gtins(places[:limit]), now)
        kept = [zoned for hit in hits if (zoned := _in_zone(hit)) is not None]
        return sorted(kept, key=_age), places[limit - 1] if len(places) > limit else None

    def _by_words(self, connection: Connection, words: list[str]) -> list[str]:
        places = wordstore.find_places(connection, words, limit=CANDIDATES)
        if CHAIN not in words:
            places += wordstore.find_places(connection, [*words, CHAIN], limit=CANDIDATES)
        return _gtins(list(dict.fromkeys(places)))

    def _by_lot(self, connection: Connection, query: str, filters: list[str]) -> list[str]:
        """Returns products that have a lot of this number, O as 0, I and L as 1."""
        if " " in query.strip() or not any(sign.isdigit() for sign in query):
            return []
        words = [lot_word(query), *filters]
        return _gtins(wordstore.find_places(connection, words, limit=CANDIDATES))

    def _by_code(self, connection: Connection, query: str) -> tuple[list[str], list[str]]:
        """Returns GTINs that exist and were typed or meant, and full codes likewise."""
        typed = read_typed(query)
        if typed is None:
            return [], []
        meant = meant_gtins(typed.gtin)
        there = {row.gtin for row in wordstore.find_products(connection, meant)}
        gtins = [gtin for gtin in meant if gtin in there]
        if gtins and gtins[0] == typed.gtin.zfill(14):
            gtins = gtins[:1]  # it is right, so nothing else was meant
        if typed.key is None or typed.value is None:
            return gtins, []
        streams = [
            (Code(gtin, lot=one) if typed.key == "10" else Code(gtin, serial=one)).stream
            for gtin in gtins
            for one in spellings(typed.value)
        ]
        heads = load_heads(connection, streams)
        return gtins, [stream for stream in streams if heads[stream].exists]

    def _hits(
        self, connection: Connection, query: str, gtins: Sequence[str], now: datetime
    ) -> list[Hit]:
        products = {row.gtin: row for row in wordstore.find_products(connection, gtins)}
        sellers = wordstore.live_sellers(connection, gtins, each=SELLERS_EACH)
        pairs = [(seller, gtin) for gtin, some in sellers.items() for seller in some]
        known = self._ranking.gather(connection, pairs, at=now)
        bases = {gtin: _base(query, row) for gtin, row in products.items()}
        asked = [(gtin, bases[gtin], _UNKNOWN) for gtin in products]
        asked += [
            (f"{gtin} {seller}", bases[gtin], offer)
            for (seller, gtin), offer in known.offers.items()
            if gtin in products
        ]
        ranked = {
            one.id: one for one in rank_candidates(asked, "boost", EQUAL, self._credit.policy)
        }
        hits = []
        for gtin, row in products.items():
            offers = [
                (offer, ranked[f"{gtin} {seller}"], known.cards[seller])
                for seller in sellers.get(gtin, ())
                if (offer := known.offers.get((seller, gtin))) is not None
            ]
            offers.sort(key=lambda one: (-one[1].final, not one[1].traceable))
            best = offers[0][1] if offers else ranked[gtin]
            hits.append(Hit(row, bases[gtin], best, tuple(offers)))
        return hits


def _newest(
    connection: Connection, words: Sequence[str], after: Place | None, limit: int
) -> list[Place]:
    place = after or (-(2**63), -1)
    return wordstore.find_places(connection, words, limit=limit, after=place)


def _gtins(places: Sequence[Place]) -> list[str]:
    return [f"{product:014}" for _, product in places]


def _base(query: str, product: Any) -> Decimal:
    return relevance(query, product.name, str(facts_of(product).get("brand", "")))


# Common words find the same products again and again.
@lru_cache(maxsize=1 << 13)
def _words_of(name: str, category: str, facts: str) -> frozenset[str]:
    return frozenset(product_words(name, category, _read_facts(facts)))


def facts_of(product: Any) -> dict[str, Any]:
    """Returns the registered facts of a product's row; none where a hand has damaged them."""
    return _read_facts(product.facts)


def _read_facts(told: str) -> dict[str, Any]:
    try:
        facts = orjson.loads(told)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _fits(hit: Hit, words: Sequence[str], *, traceable: bool) -> bool:
    """Whether a hit really has what the index says: the index is derived, and may be behind."""
    if traceable and not any(ranked.traceable for _, ranked, _ in hit.offers):
        return False
    own = _words_of(hit.product.name, hit.product.category, hit.product.facts)
    return all(word in own for word in words if word != CHAIN)


def _in_zone(hit: Hit) -> Hit | None:
    """Returns the hit with the offers that the zone shows, or None where there is none."""
    part, whole = ZONE_COMPLETENESS
    offers = tuple(
        (offer, ranked, card)
        for offer, ranked, card in hit.offers
        if ranked.traceable
        and offer.data_enough
        and offer.grade != "D"
        and offer.sold_without_open_gap * whole >= offer.sold * part
    )
    return Hit(hit.product, hit.relevance, offers[0][1], offers) if offers else None


def _age(hit: Hit) -> Place:
    return (-hit.product.created_at, int(hit.product.gtin))


def _by_relevance(hit: Hit) -> tuple[Any, ...]:
    return (-hit.ranked.final, not hit.ranked.traceable, _age(hit))


def _by_credit(hit: Hit) -> tuple[Any, ...]:
    best = max((card.score for _, _, card in hit.offers), default=-1)
    return (-best, *_by_relevance(hit))
