"""Ranking from the database: gathers what is known of each candidate and lets the rules decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.credit import store
from app.credit.policy import ScoreCard
from app.credit.ranking import Band, Base, Mode, Offer, Ranked, rank
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.ledger.store import load_heads
from app.parties.rules import measures_at
from app.trace import store as trace_store

MAX_CANDIDATES = 1_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """An offer as a platform names it. base: its own relevance, >= 0."""

    id: str
    gtin: str
    seller: str
    base: Base


class Ranking:
    """Ranks candidates by what every acknowledged record says now. Read-only."""

    def __init__(self, database: Database, credit: Credit, *, clock: Clock) -> None:
        self._database = database
        self._credit = credit
        self._clock = clock

    def rank(self, candidates: Sequence[Candidate], *, mode: Mode, band: Band) -> list[Ranked]:
        """Returns the candidates in their order, each with its reasons."""
        return rank(self._gather(candidates), mode=mode, band=band, policy=self._credit.policy)

    def _gather(self, candidates: Sequence[Candidate]) -> list[Offer]:
        now = self._clock.now()
        sellers = sorted({c.seller for c in candidates})
        gtins = sorted({c.gtin for c in candidates})
        pairs = sorted({(c.seller, c.gtin) for c in candidates})
        since = now - timedelta(days=self._credit.policy.ranking.window_days)
        with self._database.read() as connection:
            parties = store.known_parties(connection, sellers)
            products = store.known_products(connection, gtins)
            enough = self._credit.policy.data_enough_count
            cards = self._credit.cards(connection, sorted(parties), chains_at_most=enough)
            counts = trace_store.offer_counts(
                connection, pairs, since_ms=to_ms(since), now_ms=to_ms(now)
            )
            recalls = trace_store.open_recalls(connection, gtins)
            broken = store.broken_offers(connection, sellers)
            heads = load_heads(connection, [f"party/{party}" for party in parties])
        recalled = {(row.gtin, row.seller) for row in recalls}
        suspended = {
            p
            for p in parties
            if measures_at(heads[f"party/{p}"].state, now) & {"suspend", "delist"}
        }
        return [
            self._offer(c, cards[c.seller], counts, recalled, broken, suspended)
            if c.seller in parties and c.gtin in products
            else Offer(id=c.id, gtin=c.gtin, seller=c.seller, base=c.base)
            for c in candidates
        ]

    @staticmethod
    def _offer(
        candidate: Candidate,
        card: ScoreCard,
        counts: dict[tuple[str, str], tuple[int, int, int, int]],
        recalled: set[tuple[str, str | None]],
        broken: set[tuple[str, str]],
        suspended: set[str],
    ) -> Offer:
        place = (candidate.seller, candidate.gtin)
        sold, whole, steps, independent = counts.get(place, (0, 0, 0, 0))
        return Offer(
            id=candidate.id,
            gtin=candidate.gtin,
            seller=candidate.seller,
            base=candidate.base,
            known=True,
            traceable=sold > 0,
            integrity_ok=place not in broken,
            recalled=bool({(candidate.gtin, None), (candidate.gtin, candidate.seller)} & recalled),
            measure=candidate.seller in suspended,
            sold=sold,
            sold_without_open_gap=whole,
            steps=steps,
            independent_steps=independent,
            units_with_chain=sold,
            grade=card.grade,
            data_enough=card.data_enough,
        )
