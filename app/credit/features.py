"""Features of every offer, for platforms that rank in their own house: a feed of what changed.

A loop looks at all offers in turn, some a second, and notes what ranking knows of each that has
changed since it last looked. So the feed is as fresh as a round takes; POST /ranking is always of now.
The rows are derived: dropped, they are made again. Nothing personal is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from app.credit import featurestore
from app.credit.offers import Ranking
from app.credit.ranking import Offer, judge
from app.credit.rules import Policy
from app.credit.samples import canonical
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, format_time, from_ms, to_ms
from app.ledger.note import NoteSigner, sign_note
from app.trace import wordstore

FORMAT = "suxin-ranking-features/1"
_AT_ONCE = 500

FACTS = (
    "traceable", "integrity_ok", "recalled", "measure", "black_listed", "sold",
    "sold_without_open_gap", "steps", "independent_steps", "orders_reported", "units_with_chain",
    "grade", "data_enough",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeaturesPage:
    """A part of the feed. next: what to ask for `since` next; more: whether there is more now."""

    items: list[dict[str, Any]]
    since: int
    next: int
    more: bool
    as_of: datetime
    note: str


class Features:
    """Keeps the features of offers and hands out what changed."""

    def __init__(
        self,
        database: Database,
        ranking: Ranking,
        credit: Credit,
        signer: NoteSigner,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ranking = ranking
        self._credit = credit
        self._signer = signer
        self._clock = clock
        self._place = ("", "")

    def refresh(self) -> bool:
        """Looks at the next offers and notes what changed; returns whether the round goes on.

        Writes `offer_feature` and the words of products that have chains.
        """
        now = self._clock.now()
        policy = self._credit.policy
        with self._database.read() as connection:
            pairs = featurestore.next_offers(connection, after=self._place, limit=_AT_ONCE)
            known = self._ranking.gather(connection, pairs, at=now).offers
            kept = featurestore.kept_facts(connection, pairs)
        rows = [
            row
            for pair, offer in known.items()
            if (row := _row(offer, policy, now))["facts"] != kept.get(pair)
        ]
        if rows:
            with self._database.write() as connection:
                version = featurestore.newest_version(connection)
                numbered = [{**row, "version": version + n} for n, row in enumerate(rows, 1)]
                featurestore.write_features(connection, numbered)
                chained = sorted({row["gtin"] for row in rows if row["traceable"]})
                wordstore.mark_chains(connection, chained)
        more = len(pairs) == _AT_ONCE
        self._place = pairs[-1] if more else ("", "")
        return more

    def refresh_all(self) -> None:
        """Looks at every offer once, from the first."""
        self._place = ("", "")
        while self.refresh():
            pass

    def since(self, version: int, *, limit: int) -> FeaturesPage:
        """Returns what changed after this version, signed by the service. Read-only."""
        with self._database.read() as connection:
            rows = featurestore.changed_since(connection, version, limit=limit + 1)
        items = [_told(row) for row in rows[:limit]]
        last = items[-1]["version"] if items else version
        now = self._clock.now()
        return FeaturesPage(
            items, version, last, len(rows) > limit, now, self._sign(items, version, last, now)
        )

    def _sign(self, items: Sequence[dict[str, Any]], since: int, last: int, now: datetime) -> str:
        digest = sha256(canonical(items)).hexdigest()
        policy = self._credit.policy
        lines = (FORMAT, str(since), str(last), digest, str(policy.version), policy.digest)
        return sign_note("\n".join((*lines, format_time(now), "")), self._signer)


def _row(offer: Offer, policy: Policy, now: datetime) -> dict[str, Any]:
    boost, traceable, why = judge(offer, policy)
    facts: dict[str, Any] = {name: getattr(offer, name) for name in FACTS}
    told = {
        "facts": {name: value for name, value in facts.items() if value is not None},
        "factors": {one.factor: str(one.value) for one in why},
        "policy": policy.version,
    }
    return {
        "gtin": offer.gtin,
        "seller": offer.seller,
        "version": 0,
        "facts": orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode(),
        "boost": int(boost.scaleb(6)),
        "traceable": traceable,
        "changed_at": to_ms(now),
    }


def _told(row: Any) -> dict[str, Any]:
    return {
        "gtin": row.gtin,
        "seller": row.seller,
        "version": row.version,
        "changed_at": format_time(from_ms(row.changed_at)),
        "boost": f"{row.boost / 10**6:.6f}",
        "first_among_equals": bool(row.traceable),
        **orjson.loads(row.facts),
    }
