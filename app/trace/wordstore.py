"""SQL of the search: words of products and lots, and which products have all of several. Flushes only.

The words are rows in the order in which they are read: by word, best tier first, newest product first.
So the best of a common word are its first rows, however many there are, and each further word is
one probe a tier. The work of a query is bounded: SCANNED rows of its rarest word in each tier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    tuple_,
)

from app.db.hot import HotSelect, execute_many, write_tuples
from app.db.tables import Lot, Offer, OfferFeature, Product, SearchWord
from app.db.upsert import upsert_rows
from app.trace.words import CHAIN, TIERS, lot_word, product_words

WORD = SearchWord.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]
FEATURE = OfferFeature.__table__  # type: ignore[attr-defined]
LOT = Lot.__table__  # type: ignore[attr-defined]

SCANNED = 4_000
_KEYS = ("word", "tier", "age", "product")
_PAGE = 1_000

Place = tuple[int, int]
"""Age and GTIN as a number: the order of products, newest first."""

_COMMON = HotSelect(
    select(func.count().label("rows")).select_from(
        select(literal_column("1"))
        .select_from(WORD)
        .where(WORD.c.word == bindparam("word", type_=Text))
        .limit(SCANNED)
        .subquery()
    )
)
# Of one tier: SQLite reads all of the table for an IN of several columns.
_HELD = HotSelect(
    select(WORD.c.word).where(
        WORD.c.word.in_(bindparam("words", expanding=True)),
        WORD.c.tier == bindparam("tier"),
        WORD.c.age == bindparam("age"),
        WORD.c.product == bindparam("product"),
    )
)
_PRODUCTS = HotSelect(select(PRODUCT).where(PRODUCT.c.gtin.in_(bindparam("gtins", expanding=True))))


def word_rows(product: Any) -> list[dict[str, Any]]:
    """Returns the index rows of a product's row: name, category, facts, created_at."""
    words = product_words(product["name"], product["category"], orjson.loads(product["facts"]))
    place = {"age": -product["created_at"], "product": int(product["gtin"])}
    return [{"word": word, "tier": tier, **place} for word, tier in sorted(words.items())]


def write_products(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds the words of new products. Writes `search_word`."""
    upsert_rows(connection, WORD, [one for row in rows for one in word_rows(row)], keys=_KEYS)


def write_lots(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds new lots under their products. Writes `search_word`."""
    products = find_products(connection, sorted({row["gtin"] for row in rows}))
    ages = {row.gtin: -row.created_at for row in products}
    words = [
        {"word": lot_word(r["lot"]), "tier": 0, "age": ages[r["gtin"]], "product": int(r["gtin"])}
        for r in rows
        if r["gtin"] in ages
    ]
    upsert_rows(connection, WORD, words, keys=_KEYS)


def mark_chains(connection: Connection, gtins: Sequence[str]) -> None:
    """Notes that units of these products have chains. Writes `search_word`."""
    rows = [
        {"word": CHAIN, "tier": 0, "age": -row.created_at, "product": int(row.gtin)}
        for row in find_products(connection, gtins)
    ]
    upsert_rows(connection, WORD, rows, keys=_KEYS)


def rebuild_words(connection: Connection) -> int:
    """Makes the whole index again from products and lots; returns its rows. Writes `search_word`."""
    marked = select(FEATURE.c.gtin).where(FEATURE.c.traceable.is_(True)).distinct()
    chained = list(connection.execute(marked).scalars())
    connection.execute(delete(WORD))
    after = ""
    while True:
        query = select(PRODUCT).where(PRODUCT.c.gtin > after).order_by(PRODUCT.c.gtin).limit(_PAGE)
        rows = [dict(row._mapping) for row in connection.execute(query)]
        if not rows:
            break
        write_products(connection, rows)
        after = rows[-1]["gtin"]
    place = -(2**63)
    while True:
        query = select(LOT).where(LOT.c.stream > place).order_by(LOT.c.stream).limit(_PAGE)
        rows = [dict(row._mapping) for row in connection.execute(query)]
        if not rows:
            break
        write_lots(connection, rows)
        place = rows[-1]["stream"]
    for start in range(0, len(chained), _PAGE):
        mark_chains(connection, chained[start : start + _PAGE])
    return int(connection.execute(select(func.count()).select_from(WORD)).scalar_one())


def missing_words(connection: Connection, product: Any) -> list[str]:
    """Returns which words of a product's row are not in the index. Read-only."""
    columns = ("gtin", "name", "category", "facts", "created_at")
    wanted = word_rows({name: getattr(product, name) for name in columns})
    age, product_number = wanted[0]["age"], wanted[0]["product"]
    found: set[str] = set()
    for tier in sorted({row["tier"] for row in wanted}):
        words = [row["word"] for row in wanted if row["tier"] == tier]
        held = _HELD.rows(connection, words=words, tier=tier, age=age, product=product_number)
        found.update(row.word for row in held)
    return sorted({row["word"] for row in wanted} - found)


def find_places(
    connection: Connection,
    words: Sequence[str],
    *,
    limit: int,
    tiers: Sequence[int] = TIERS,
    after: Place | None = None,
) -> list[Place]:
    """Returns products that have every word, best tier first, in each the newest first. Read-only.

    A word that no product has gives none. after: only what is older than this place.
    """
    counts = {word: int(_COMMON.rows(connection, word=word)[0].rows) for word in words}
    ordered = sorted(words, key=counts.__getitem__)
    if not ordered or not counts[ordered[0]]:
        return []
    found: dict[Place, None] = {}
    age, product = after or (-(2**63), -1)
    named = {f"word_{n}": word for n, word in enumerate(ordered)}
    for tier in tiers:
        rows = _having(len(ordered)).rows(
            connection, **named, tier=tier, age=age, product=product, most=limit
        )
        found |= dict.fromkeys((row.age, row.product) for row in rows)
        if len(tiers) > 1 and len(found) >= limit and after is None:
            break
    return list(found)[:limit] if after is None else sorted(found)[:limit]


@cache
def _having(width: int) -> HotSelect:
    first = (
        select(WORD.c.age, WORD.c.product)
        .where(
            WORD.c.word == bindparam("word_0"),
            WORD.c.tier == bindparam("tier"),
            tuple_(WORD.c.age, WORD.c.product) > tuple_(bindparam("age"), bindparam("product")),
        )
        .order_by(WORD.c.age, WORD.c.product)
        .limit(SCANNED)
        .subquery("first")
    )
    query = select(first.c.age, first.c.product)
    for n in range(1, width):
        other = WORD.alias(f"word_{n}")
        query = query.where(
            exists().where(
                and_(
                    other.c.word == bindparam(f"word_{n}"),
                    other.c.tier.in_([literal_column(str(tier)) for tier in TIERS]),
                    other.c.age == first.c.age,
                    other.c.product == first.c.product,
                )
            )
        )
    return HotSelect(query.order_by(first.c.age, first.c.product).limit(bindparam("most")))


def find_products(connection: Connection, gtins: Sequence[str]) -> list[Any]:
    """Returns the rows of these products. Read-only."""
    return _PRODUCTS.rows(connection, gtins=list(gtins))


def live_sellers(
    connection: Connection, gtins: Sequence[str], *, each: int
) -> dict[str, list[str]]:
    """Returns by GTIN who offers it now, the longest listed first, at most `each`. Read-only."""
    found: dict[str, list[str]] = {}
    for row in _offers(each).rows(connection, gtins=list(gtins)):
        found.setdefault(row.gtin, []).append(row.seller)
    return found


@cache
def _offers(each: int) -> HotSelect:
    since = func.min(OFFER.c.listed_at)
    place = func.row_number().over(partition_by=OFFER.c.gtin, order_by=(since, OFFER.c.seller))
    numbered = (
        select(OFFER.c.gtin, OFFER.c.seller, place.label("place"))
        .where(
            OFFER.c.gtin.in_(bindparam("gtins", expanding=True)),
            OFFER.c.ended.is_(False),
        )
        .group_by(OFFER.c.gtin, OFFER.c.seller)
        .subquery("numbered")
    )
    shown = select(numbered.c.gtin, numbered.c.seller).where(numbered.c.place <= each)
    return HotSelect(shown.order_by(numbered.c.gtin, numbered.c.place))


def add_raw(
    connection: Connection,
    *,
    products: Sequence[Mapping[str, Any]],
    words: Sequence[tuple[Any, ...]],
) -> None:
    """Adds rows of products and of words as they are, for the bench alone: no record stands behind.

    words: values in the order of the index's key.
    """
    if products:
        execute_many(connection, insert(PRODUCT), products)
    if words:
        write_tuples(connection, insert(WORD), _KEYS, words)
