"""What is judged beyond one life: a lot's quantity, a seller's licences, listings and month of reviews.

Writes the two indexes that this needs (`lot_sale`, `review_sign`) from the lives at hand; both can be told
again from the records. Words of reviews are opened where they are compared, and kept nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import from_ms, local_day, parse_time, to_ms
from app.ledger import sealstore
from app.ledger.record import stream_key
from app.ledger.store import load_heads, load_some, load_stream
from app.ledger.vault import Vault
from app.oversight import signstore, store
from app.oversight.discoveries import Discoveries
from app.oversight.finding_rows import CLOSED, discovery_id
from app.oversight.kinds import LICENCE_KINDS, LISTING_KINDS, LOT_KINDS, MONTH_KINDS
from app.oversight.lifelook import Life
from app.trace import store as trace_store
from app.trace.categories import REQUIRED_LICENCES
from app.trace.code import Code
from app.trace.detectors import (
    Listed,
    LotSale,
    Place,
    Reviewed,
    Sold,
    Thresholds,
    Usual,
    find_brushing,
    find_changed_listings,
    find_expired_licences,
    find_oversold,
)
from app.trace.detectors.brushing import MOST_TEXTS
from app.trace.identifiers import parse_code

_LISTING = frozenset({"listing"})
_MOST_LISTINGS = 200
_BEYOND = 50
_MOST_CATEGORIES = 10_000

SellerMonth = tuple[str, str]
"""A seller, and a month in China as YYYY-MM."""


@dataclass(frozen=True, slots=True)
class LotFacts:
    """A life and its seller."""

    life: Life
    seller: str


class Conduct:
    """Judges lots and sellers. Whoever calls this owns no transaction."""

    def __init__(
        self,
        database: Database,
        discoveries: Discoveries,
        *,
        vault: Vault,
        thresholds_at: Callable[[datetime], Thresholds],
    ) -> None:
        self._database = database
        self._discoveries = discoveries
        self._vault = vault
        self._thresholds_at = thresholds_at
        self._categories: dict[str, str] = {}

    def note(self, lives: Sequence[LotFacts]) -> tuple[set[str], set[SellerMonth]]:
        """Indexes sales and reviews; returns the lots and the sellers' months that they belong to.

        Writes `lot_sale` and `review_sign`, in one transaction.
        """
        sales = [told for facts in lives if (told := self._sale_of(facts)) is not None]
        reviews = [row for facts in lives if (row := self._review_of(facts)) is not None]
        if sales or reviews:
            with self._database.write() as connection:
                signstore.save_lot_sales(connection, [row for _, row in sales])
                signstore.save_reviews(connection, reviews)
        return {lot for lot, _ in sales}, {(row["seller"], row["month"]) for row in reviews}

    @staticmethod
    def _sale_of(facts: LotFacts) -> tuple[str, dict[str, Any]] | None:
        life = facts.life
        sales = [one for one in life.records if one.type == "sale"]
        lot = life.state.get("lot")
        if not sales or not isinstance(lot, str):
            return None
        first = min(sales, key=lambda one: one.seq)
        name = Code(parse_code(life.stream).gtin, lot=lot).stream
        return name, {
            "stream": stream_key(life.stream),
            "subject": life.subject,
            "lot": stream_key(name),
            "seq": first.seq,
            "record": first.id,
            "sold_at": first.occurred_ms,
        }

    def _review_of(self, facts: LotFacts) -> dict[str, Any] | None:
        life = facts.life
        review, sale = life.step("review"), life.step("sale")
        if review is None or sale is None:
            return None
        signed = life.step("signature")
        gtin = parse_code(life.stream).gtin
        rating = review.data.get("rating")
        return {
            "stream": stream_key(life.stream),
            "seq": review.seq,
            "record": review.id,
            "seller": facts.seller,
            "month": f"{local_day(review.occurred_at):%Y-%m}",
            "gtin": gtin,
            "category": self._category(gtin) or "other",
            "rating": rating if type(rating) is int else 0,
            "at": review.occurred_ms,
            "sold_at": sale.occurred_ms,
            "sale_seq": sale.seq,
            "signed_at": None if signed is None else signed.occurred_ms,
        }

    def _category(self, gtin: str) -> str | None:
        """Returns a product's category, which never changes, None where it is not registered."""
        if gtin not in self._categories:
            with self._database.read() as connection:
                product = trace_store.find_product(connection, gtin)
            if product is None:
                return None
            if len(self._categories) >= _MOST_CATEGORIES:
                self._categories.clear()
            self._categories[gtin] = product.category
        return self._categories[gtin]

    def check_lot(self, lot: str) -> None:
        """Compares what was sold of a lot with what it holds."""
        with self._database.read() as connection:
            holds, party = self._quantity(connection, lot)
            if holds is None or party is None:
                return
            # Nearly always: and then a lot of many thousands is counted, and not read.
            some = signstore.count_lot_sales(connection, lot) > holds
            rows = signstore.lot_sales(connection, lot, limit=holds + _BEYOND) if some else []
            names = store.names_of(connection, [row.stream for row in rows[holds:]])
        sales = [
            LotSale(
                Place(names.get(row.stream, f"#{row.stream}"), row.seq, row.record),
                row.subject,
                from_ms(row.sold_at),
            )
            for row in rows
        ]
        found = find_oversold(sales, holds=holds, party=party)
        self._discoveries.settle(lot, "", found, kinds=LOT_KINDS, sides={"seller": party})

    def _quantity(self, connection: Connection, lot: str) -> tuple[int | None, str | None]:
        """Returns how much a lot was registered with, and by whom; None where it is not told."""
        first = load_stream(connection, lot, limit=1)
        if not first or not first[0].is_sound:
            return None, None
        fields = first[0].fields
        content = self._open(connection, lot, fields["id"], "quantity")
        told = content.get("quantity")
        return (told if type(told) is int else None), str(fields["actor"])

    def asks_licences(self, stream: str) -> bool:
        """Returns whether who sells these goods needs a licence for them. Read-only."""
        return bool(REQUIRED_LICENCES.get(self._category(parse_code(stream).gtin) or ""))

    def check_licences(self, facts: LotFacts) -> None:
        """Asks whether the seller's licences covered the day of the sale."""
        sale = facts.life.step("sale")
        if sale is None:
            return
        category = self._category(parse_code(facts.life.stream).gtin)
        if category is None or not REQUIRED_LICENCES.get(category):
            return
        stream = f"party/{facts.seller}"
        with self._database.read() as connection:
            licences = load_heads(connection, [stream])[stream].state.get("licences", ())
            sold = Sold(facts.life.place(sale), sale.occurred_at, category)
            found = []
            for one in find_expired_licences(facts.seller, licences, [sold]):
                finding = discovery_id(kind=one.kind, stream=stream, subject=category, key=one.key)
                known = store.find_finding(connection, finding)
                # The first sale that was met is the evidence; each further one is no new fact.
                if known is None or known.status == CLOSED:
                    found.append(one)
        if found:
            self._discoveries.settle(
                stream,
                category,
                found,
                kinds=LICENCE_KINDS,
                sides={"seller": facts.seller},
                closing=False,
            )

    def listers(self, stream: str) -> set[str]:
        """Returns who listed a product or lot. Read-only."""
        with self._database.read() as connection:
            told = load_some(connection, stream, types=_LISTING, limit=_MOST_LISTINGS)
        return {str(one.fields["actor"]) for one in told}

    def check_listings(self, stream: str, seller: str) -> None:
        """Asks whether what a seller shows has changed since it sold by it."""
        listings = []
        with self._database.read() as connection:
            for one in load_some(
                connection, stream, types=_LISTING, actor=seller, limit=_MOST_LISTINGS
            ):
                if not one.is_sound:
                    continue
                fields = one.fields
                data = fields["data"]
                listings.append(
                    Listed(
                        Place(stream, one.seq, fields["id"]),
                        seller,
                        str(data.get("platform") or data.get("url")),
                        parse_time(fields["occurred_at"]),
                        data.get("content_digest"),
                        data.get("ended") is True,
                    )
                )
            moments = [to_ms(one.at) for one in listings]
            if len(moments) < 2:
                return
            sold = signstore.sold_moments(
                connection,
                seller,
                parse_code(stream).gtin,
                since_ms=min(moments),
                until_ms=max(moments),
            )
        found = find_changed_listings(listings, map(from_ms, sold))
        self._discoveries.settle(
            stream,
            f"listing/{seller}",
            found,
            kinds=LISTING_KINDS,
            sides={"seller": seller},
            closing=False,
        )

    def check_month(self, of: SellerMonth) -> None:
        """Looks for signs of brushing in a seller's reviews of a month; alerts for people.

        By the thresholds that were in force at its last review, whenever it is looked at.
        """
        seller, month = of
        with self._database.read() as connection:
            reviews, category = self._reviews(connection, seller, month)
            if not reviews:
                return
            last = max(one.at for one in reviews)
            terms = self._thresholds_at(last).brushing
            usual = self._usual(
                connection, category, but=seller, before_ms=to_ms(last) + 1, least=terms.usual_of
            )
        found = find_brushing(seller, month, reviews, usual, terms)
        self._discoveries.settle(
            f"party/{seller}",
            month,
            found,
            kinds=MONTH_KINDS,
            sides={"seller": seller},
            closing=False,
        )

    @staticmethod
    def _usual(
        connection: Connection, category: str, *, but: str, before_ms: int, least: int
    ) -> Usual | None:
        count, best, seen = signstore.usual_in(connection, category, but=but, before_ms=before_ms)
        if count < least:
            return None
        return Usual(count, 100 * best // count, 100 * seen // count)

    def _reviews(
        self, connection: Connection, seller: str, month: str
    ) -> tuple[list[Reviewed], str]:
        rows = signstore.reviews_of(connection, seller, month)
        names = store.names_of(connection, [row.stream for row in rows])
        looks = signstore.looks_at(connection, [row.stream for row in rows])
        buyers = signstore.buyers_of(connection, [(row.stream, row.sale_seq) for row in rows])
        found = []
        for n, row in enumerate(rows):
            name = names.get(row.stream)
            if name is None:
                continue
            text = self._open(connection, name, row.record, "text") if n < MOST_TEXTS else {}
            told = text.get("text")
            found.append(
                Reviewed(
                    Place(name, row.seq, row.record),
                    row.gtin,
                    from_ms(row.sold_at),
                    from_ms(row.at),
                    row.rating,
                    None if row.signed_at is None else from_ms(row.signed_at),
                    buyers.get(row.stream) if "/21/" in name else None,
                    told if isinstance(told, str) else None,
                    looks.get(row.stream, 0),
                )
            )
        categories = Counter(row.category for row in rows)
        return found, max(categories, key=lambda one: (categories[one], one), default="")

    def _open(
        self, connection: Connection, stream: str, record: str, name: str
    ) -> dict[str, object]:
        """Returns what a record sealed, {} where it has nothing, was erased or is broken."""
        content = sealstore.open_section(connection, self._vault, (stream, record, name))
        told = None if content is None else orjson.loads(content)
        return told if isinstance(told, dict) else {}
