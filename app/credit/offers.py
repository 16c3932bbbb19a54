"""Ranking from the database: gathers what is known of each offer and lets the rules decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from app.credit import matterstore, rankstore, store
from app.credit.matters import Kind
from app.credit.months import first_month_of, reported_run
from app.credit.policy import ScoreCard
from app.credit.ranking import Band, Base, Mode, Offer, Ranked, rank_candidates
from app.credit.rankstore import Counts, Pair
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.ledger.store import load_heads
from app.parties.rules import measures_at
from app.trace.soldstore import day_of

MAX_CANDIDATES = 1_000
_NONE = Counts(0, 0, 0, 0)
_NO_LISTS: frozenset[Kind] = frozenset()


class Candidate(NamedTuple):
    """An offer as a platform names it. base: its own relevance, >= 0."""

    id: str
    gtin: str
    seller: str
    base: Base


@dataclass(frozen=True, slots=True)
class Answered:
    """A ranking, and what it was made of: candidates with what was known of each at one moment."""

    ranked: list[Ranked]
    asked: list[tuple[Candidate, Offer]]
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of offers, by (seller, gtin), and the scores of their sellers."""

    offers: Mapping[Pair, Offer]
    cards: Mapping[str, ScoreCard]


class Ranking:
    """Ranks candidates by what every acknowledged record says now. Read-only."""

    def __init__(self, database: Database, credit: Credit, *, clock: Clock) -> None:
        self._database = database
        self._credit = credit
        self._clock = clock

    def rank(self, candidates: Sequence[Candidate], *, mode: Mode, band: Band) -> Answered:
        """Returns the candidates in their order, each with its reasons."""
        now = self._clock.now()
        pairs = {(c.seller, c.gtin) for c in candidates}
        with self._database.read() as connection:
            known = self.gather(connection, pairs, at=now).offers
        asked = [(c, known.get((c.seller, c.gtin)) or _unknown(c)) for c in candidates]
        ranked = rank_candidates(
            [(c.id, c.base, offer) for c, offer in asked], mode, band, self._credit.policy
        )
        return Answered(ranked, asked, now)

    def find(self, seller: str, gtin: str) -> tuple[Offer, ScoreCard] | None:
        """Returns what is known of one offer, and its seller's score; None for an unknown one."""
        with self._database.read() as connection:
            known = self.gather(connection, [(seller, gtin)], at=self._clock.now())
        offer = known.offers.get((seller, gtin))
        return None if offer is None else (offer, known.cards[seller])

    def gather(self, connection: Connection, pairs: Iterable[Pair], *, at: datetime) -> Known:
        """Returns what is known of each offer, base 1; the unknown are absent."""
        asked = sorted(set(pairs))
        sellers = sorted({seller for seller, _ in asked})
        gtins = sorted({gtin for _, gtin in asked})
        parties = store.known_parties(connection, sellers)
        products = rankstore.known_products(connection, gtins)
        asked = [(s, g) for s, g in asked if s in parties and g in products]
        if not asked:
            return Known({}, {})
        heads = load_heads(connection, [f"party/{party}" for party in sorted(parties)])
        cards = self._credit.kept_cards(
            connection, {party: heads[f"party/{party}"] for party in sorted(parties)}, at
        )
        recalled = rankstore.open_recalls(connection, gtins)
        broken = rankstore.broken_offers(connection, sellers)
        stopped = {
            party
            for party in parties
            if measures_at(heads[f"party/{party}"].state, at) & {"suspend", "delist"}
        }
        lists = matterstore.lists_of(connection, sellers, now_ms=to_ms(at))
        counts, orders = self._counts(connection, asked, at)
        found: dict[Pair, Offer] = {}
        for seller, gtin in asked:
            card = cards[seller]
            counted = counts.get((seller, gtin), _NONE)
            units, reported = orders.get((seller, gtin), (counted.sold, None))
            # By place, in the order of Offer: by name it takes twice as long, and a thousand are made.
            found[seller, gtin] = Offer(
                "",  # id
                gtin,
                seller,
                1,  # base
                True,  # known  # noqa: FBT003
                counted.sold > 0,  # traceable
                (seller, gtin) not in broken,  # integrity_ok
                (gtin, None) in recalled or (gtin, seller) in recalled,
                seller in stopped,  # measure
                Kind.BLACK in lists.get(seller, _NO_LISTS),
                Kind.RED in lists.get(seller, _NO_LISTS),
                counted.sold,
                counted.whole,  # sold_without_open_gap
                counted.steps,
                counted.independent,
                reported,  # orders_reported
                units,  # units_with_chain
                card.grade,
                card.data_enough,
            )
        return Known(found, cards)

    def _counts(
        self, connection: Connection, asked: Sequence[Pair], at: datetime
    ) -> tuple[dict[Pair, Counts], dict[Pair, tuple[int, int]]]:
        """Returns what was sold, and (units, orders) of those whose orders a platform reports.

        Units are counted over the very days that the reports cover, so that a platform that began to
        report last month is not compared with half a year of chains. The window, too, is of whole days:
        it begins with the day of China that it reaches back into.
        """
        since = at - timedelta(days=self._credit.policy.ranking.window_days)
        since_day, now_ms = day_of(to_ms(since)), to_ms(at)
        counts = rankstore.sold_counts(connection, asked, since_day=since_day, now_ms=now_ms)
        months = rankstore.reported_months(connection, asked, first_month=first_month_of(since))
        runs = {pair: reported_run(told) for pair, told in months.items()}
        spans = [
            (*pair, day_of(run.since), day_of(run.until))
            for pair, run in runs.items()
            if run.orders
        ]
        units = rankstore.sold_between(connection, spans) if spans else {}
        orders = {pair: (units.get(pair, 0), run.orders) for pair, run in runs.items()}
        return counts, {pair: told for pair, told in orders.items() if told[1]}


def _unknown(candidate: Candidate) -> Offer:
    return Offer(id="", gtin=candidate.gtin, seller=candidate.seller, base=1)
