"""What parties are rated by the other sides (信用互评): counted, never added to a score.

Sellers by consumers (reviews), carriers by consumers and by the shops that sent, buyers by the shop and
the carrier of their order. Of a buyer no number is formed: what was said is shown to the merchant whose
order it was, under a pseudonym that no other merchant has for the same buyer, and to nobody else.

A mean says little while there are few ratings, so beside it stands what it is at least: the lower end of
a 95 % interval (one-sided) of the mean, taking one rating of each number of stars for granted. Three
best ratings give 2.93, three thousand with a mean of 4.79 give 4.77. It is never above the mean itself.
"""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection

from app.credit.records import check_known
from app.db.engine import Database
from app.kit.clock import Clock, from_ms, to_ms
from app.ledger import sealstore
from app.ledger.store import as_bytes
from app.ledger.vault import Vault
from app.parties.offices import sees_whole
from app.parties.principal import Principal
from app.trace import ratingstore
from app.trace.ratings import BEST, OPINION, Kind, Side

DAYS = 365
"""How far back is counted unless it is asked otherwise."""
MOST_DAYS = 3_660
LINES: tuple[tuple[Kind, Side], ...] = (
    ("seller", "consumer"),
    ("carrier", "consumer"),
    ("carrier", "merchant"),
)
"""Who may be rated by whom in public."""

KEPT_FOR = timedelta(minutes=1)
_MANY = 10_000
_MOST_KEPT = 1_000
_ONE_SIDED_95 = 1.6449
_PSEUDONYM_BYTES = 8

Place = tuple[int, int, int]
"""At (ms), stream key, seq of a rating in a list, the newest first."""


@dataclass(frozen=True, slots=True)
class Stars:
    """How often each number of stars was given, one first."""

    of: tuple[int, ...] = (0,) * BEST

    @property
    def count(self) -> int:
        return sum(self.of)

    @property
    def mean(self) -> float | None:
        """The mean, half up to two decimals; None of none."""
        if not self.count:
            return None
        total = sum(stars * n for stars, n in enumerate(self.of, start=1))
        return math.floor(Fraction(100 * total, self.count) + Fraction(1, 2)) / 100

    @property
    def at_least(self) -> float | None:
        """The lower end of the mean's interval, rounded down to two decimals; None of none."""
        if self.mean is None:
            return None
        seen = [(stars, n + 1) for stars, n in enumerate(self.of, start=1)]
        weight = self.count + BEST
        mean = sum(stars * n for stars, n in seen) / weight
        spread = sum(stars * stars * n for stars, n in seen) / weight - mean * mean
        least = mean - _ONE_SIDED_95 * math.sqrt(spread / (weight + 1))
        return min(self.mean, math.floor(100 * least) / 100)


@dataclass(frozen=True, slots=True)
class Line:
    """What one side says of a party. inner_only: ratings proven by nothing but the code in the pack."""

    kind: Kind
    side: Side
    stars: Stars
    inner_only: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A party's ratings recorded from `since` until `until`, exclusive."""

    party: str
    since: datetime
    until: datetime
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class One:
    """One rating. counts: not superseded, and proven. code: only for who had a part in it."""

    kind: Kind
    side: Side
    rating: int
    at: datetime
    gtin: str
    proof: str | None
    record: str
    counts: bool
    code: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class OfBuyer:
    """What was said of a buyer, for the merchant alone. said: None where it was erased or is broken.

    buyer: None where the sale names none.
    """

    buyer: str | None
    side: Side
    at: datetime
    code: str
    of: str
    record: str
    said: Mapping[str, Any] | None
    place: Place


class Ratings:
    """Counts and shows ratings. key: 32 bytes, for the pseudonyms of buyers. Read-only."""

    def __init__(self, database: Database, *, clock: Clock, vault: Vault, key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._key = key
        self._kept: dict[tuple[str, int], Summary] = {}

    def summary(self, party: str, *, days: int = DAYS) -> Summary:
        """Returns what the other sides say of a party. Raises PartyUnknown.

        Of very many ratings it may be KEPT_FOR old: anybody may ask, and to count them takes a while.
        """
        since, until = self._period(days)
        kept = self._kept.get((party, days))
        if kept is not None and kept.until <= until < kept.until + KEPT_FOR:
            return kept
        with self._database.read() as connection:
            check_known(connection, party)
            told = ratingstore.count_stars(
                connection, party, since_ms=to_ms(since), until_ms=to_ms(until)
            )
        found = Summary(party, since, until, tuple(_line(*line, told) for line in LINES))
        if sum(count for *_, count in told) >= _MANY:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[party, days] = found
        return found

    def records(
        self,
        party: str,
        viewer: Principal | None,
        *,
        days: int,
        after: Place | None,
        limit: int,
    ) -> list[One]:
        """Returns the ratings that the summary is made of, the newest first. Raises PartyUnknown."""
        since, until = self._period(days)
        with self._database.read() as connection:
            check_known(connection, party)
            rows = ratingstore.list_ratings(
                connection,
                party,
                since_ms=to_ms(since),
                until_ms=to_ms(until),
                after=after,
                limit=limit,
            )
        sees_all = sees_whole(self._database, viewer, party, "finding.read")
        own = None if viewer is None else viewer.party
        return [
            One(
                kind=row.kind,
                side=row.side,
                rating=row.rating,
                at=from_ms(row.at),
                gtin=row.gtin,
                proof=row.proof,
                record=as_bytes(row.hash).hex(),
                counts=is_newest and row.proof != "inner",
                code=row.name if sees_all or own in (row.party, row.merchant) else None,
                place=(row.at, row.stream, row.seq),
            )
            for row, is_newest in rows
        ]

    def of_buyers(
        self, principal: Principal, merchant: str, *, after: Place | None, limit: int
    ) -> list[OfBuyer]:
        """Returns what was said of a merchant's buyers, the newest first; to itself alone.

        Raises what `check_may` raises, PartyUnknown.
        """
        principal.check_may("rating.read_buyers", owner=merchant)
        with self._database.read() as connection:
            check_known(connection, merchant)
            rows = ratingstore.list_of_buyers(connection, merchant, after=after, limit=limit)
            return [self._of_buyer(connection, merchant, row) for row in rows]

    def _of_buyer(self, connection: Connection, merchant: str, row: Any) -> OfBuyer:
        fields = orjson.loads(row.body)
        return OfBuyer(
            buyer=None if row.buyer is None else self._pseudonym(merchant, as_bytes(row.buyer)),
            side=row.side,
            at=from_ms(row.at),
            code=fields["stream"],
            of=fields["data"]["of"],
            record=as_bytes(row.hash).hex(),
            said=self._open(connection, fields["stream"], fields["id"]),
            place=(row.at, row.stream, row.seq),
        )

    def _pseudonym(self, merchant: str, buyer: bytes) -> str:
        told = hmac.new(self._key, merchant.encode() + b"\x00" + buyer, sha256).digest()
        return told[:_PSEUDONYM_BYTES].hex()

    def _open(self, connection: Connection, stream: str, record: str) -> Mapping[str, Any] | None:
        content = sealstore.open_section(connection, self._vault, (stream, record, OPINION))
        said: Mapping[str, Any] | None = None if content is None else json.loads(content)
        return said

    def _period(self, days: int) -> tuple[datetime, datetime]:
        now = self._clock.now()
        return now - timedelta(days=days), now + timedelta(milliseconds=1)


def _line(kind: Kind, side: Side, told: Sequence[tuple[str, str, int, bool, int]]) -> Line:
    stars, inner_only = [0] * BEST, 0
    for kind_, side_, rating, inner, count in told:
        if (kind_, side_) != (kind, side) or not 1 <= rating <= BEST:
            continue
        if inner:
            inner_only += count
        else:
            stars[rating - 1] += count
    return Line(kind, side, Stars(tuple(stars)), inner_only)
