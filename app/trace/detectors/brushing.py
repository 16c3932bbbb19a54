"""Brushing: signs that sales or reviews are made up, each an alert for a person with a confidence.

None of them proves anything and none is ever charged by itself (DOMAIN 3.5; Anti-Unfair Competition
Law art. 11: what is said against a seller must rest on evidence). All read the reviews of one seller
in one calendar month, so that whoever looks, whenever and in whatever order, finds the same. Pure.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

from app.trace.detectors.evidence import Discovery, Place, some_places
from app.trace.detectors.thresholds import BrushingTerms

# Fewer characters than this say the same by chance: "很好", "不错，还会再来".
SHORTEST_TEXT = 10
MOST_TEXTS = 200
SIGMAS = 3.0
_SHINGLE = 3


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A sale that was reviewed. at: of the review. signed_at, buyer, text: None where not told.

    looks: devices that opened the code's page, the shop's own among them.
    """

    review: Place
    gtin: str
    sold_at: datetime
    at: datetime
    rating: int
    signed_at: datetime | None = None
    buyer: bytes | None = None
    text: str | None = None
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual among the other sellers of the same goods, in hundredths, and of how many."""

    reviews: int
    five_percent: int
    seen_percent: int


@dataclass(frozen=True, slots=True)
class Burst:
    """Evidence: sales within minutes whose reviews came within minutes; the reviews."""

    seller: str
    month: str
    count: int
    first_sold_at: datetime
    first_reviewed_at: datetime
    within_minutes: int
    reviews: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class FastReviews:
    """Evidence: reviews before the goods were signed for, or soon after; `count` of `of` reviews."""

    seller: str
    month: str
    count: int
    of: int
    before_signature: int
    within_minutes: int
    reviews: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class SimilarReviews:
    """Evidence: reviews of different sales with almost the same words; the largest such group."""

    seller: str
    month: str
    count: int
    at_least_percent: int
    reviews: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class FiveStars:
    """Evidence: the share of the best rating, beside what is usual in the category."""

    seller: str
    month: str
    count: int
    of: int
    usual_percent: int
    usual_of: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """Evidence: goods signed for and reviewed whose codes nobody ever opened."""

    seller: str
    month: str
    count: int
    of: int
    usually_seen_percent: int
    reviews: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class SameBuyer:
    """Evidence: one buyer (by pseudonym, not told here) behind so many reviewed sales of a month."""

    seller: str
    month: str
    count: int
    at_most: int
    reviews: tuple[Place, ...]


def find_brushing(
    seller: str,
    month: str,
    reviews: Iterable[Reviewed],
    usual: Usual | None,
    terms: BrushingTerms,
) -> tuple[Discovery, ...]:
    """Returns every sign of brushing in a seller's reviews of a month, at most one of a kind.

    month: YYYY-MM in China. usual: None where others are too few to tell.
    """
    ordered = sorted(reviews, key=lambda one: (one.at, one.review))
    return (
        *find_burst(seller, month, ordered, terms),
        *find_fast_reviews(seller, month, ordered, terms),
        *find_similar_reviews(seller, month, ordered, terms),
        *find_five_stars(seller, month, ordered, usual, terms),
        *find_unseen(seller, month, ordered, usual, terms),
        *find_same_buyer(seller, month, ordered, terms),
    )


def find_burst(
    seller: str,
    month: str,
    reviews: Iterable[Reviewed],
    terms: BrushingTerms,
) -> tuple[Discovery, ...]:
    """Returns `brushing.burst` if sales of one product came within minutes and so did their reviews.

    At least `burst_least` of them, and at least half of what was sold in those minutes and reviewed: of a
    true rush the reviews spread over days. The largest such group is the evidence.
    """
    within, least = terms.burst_within, terms.burst_least
    best: list[Reviewed] = []
    by_product: dict[str, list[Reviewed]] = defaultdict(list)
    for one in reviews:
        by_product[one.gtin].append(one)
    for goods in by_product.values():
        for sold in _windows(goods, lambda one: one.sold_at, within):
            for told in _windows(sold, lambda one: one.at, within):
                if len(told) >= least and 2 * len(told) >= len(sold):
                    best = max(best, told, key=_weight)
    if not best:
        return ()
    evidence = Burst(
        seller,
        month,
        len(best),
        min(one.sold_at for one in best),
        min(one.at for one in best),
        within // timedelta(minutes=1),
        some_places([one.review for one in best]),
    )
    return (Discovery("brushing.burst", seller, evidence, month, min(95, 50 + 5 * len(best))),)


def find_fast_reviews(
    seller: str,
    month: str,
    reviews: Iterable[Reviewed],
    terms: BrushingTerms,
) -> tuple[Discovery, ...]:
    """Returns `brushing.fast_reviews` if several reviews came before the goods, or right after them."""
    every, within = list(reviews), terms.fast_within
    fast = [r for r in every if r.signed_at is not None and r.at < r.signed_at + within]
    if len(fast) < terms.fast_least or 100 * len(fast) < terms.fast_percent * len(every):
        return ()
    before = sum(1 for r in fast if r.signed_at is not None and r.at < r.signed_at)
    evidence = FastReviews(
        seller,
        month,
        len(fast),
        len(every),
        before,
        within // timedelta(minutes=1),
        some_places([one.review for one in fast]),
    )
    confidence = 30 + 50 * before // len(fast)
    return (Discovery("brushing.fast_reviews", seller, evidence, month, confidence),)


def find_similar_reviews(
    seller: str,
    month: str,
    reviews: Iterable[Reviewed],
    terms: BrushingTerms,
) -> tuple[Discovery, ...]:
    """Returns `brushing.similar_reviews` if several reviews say almost the same.

    By the Jaccard measure of their shingles of three characters, of texts long enough to differ. Of
    more than MOST_TEXTS the earliest are compared, each with each.
    """
    percent = terms.similar_percent
    told = [(one, shingles(one.text)) for one in reviews if one.text is not None]
    long = [(one, parts) for one, parts in told if parts][:MOST_TEXTS]
    group = list(range(len(long)))

    def root(n: int) -> int:
        while group[n] != n:
            group[n] = group[group[n]]
            n = group[n]
        return n

    for n, (_, mine) in enumerate(long):
        for m in range(n):
            theirs = long[m][1]
            small, large = sorted((len(mine), len(theirs)))
            # The measure is at most the ratio of the sizes, which is quick to ask.
            if 100 * small >= percent * large and is_similar(mine, theirs, percent=percent):
                group[root(n)] = root(m)
    groups: dict[int, list[Reviewed]] = defaultdict(list)
    for n, (one, _) in enumerate(long):
        groups[root(n)].append(one)
    best = max(groups.values(), key=_weight, default=[])
    if len(best) < terms.similar_least:
        return ()
    places = some_places([one.review for one in best])
    evidence = SimilarReviews(seller, month, len(best), percent, places)
    confidence = min(90, 40 + 10 * len(best))
    return (Discovery("brushing.similar_reviews", seller, evidence, month, confidence),)


def find_five_stars(
    seller: str,
    month: str,
    reviews: Iterable[Reviewed],
    usual: Usual | None,
    terms: BrushingTerms,
) -> tuple[Discovery, ...]:
    """Returns `brushing.five_stars` if nearly all ratings are the best one and others' are not.

    Beyond SIGMAS standard deviations of what is usual, for a share of few may be chance.
    """
    every, least, percent = list(reviews), terms.five_stars_least, terms.five_stars_percent
    best = sum(1 for one in every if one.rating == 5)
    if usual is None or len(every) < least or 100 * best < percent * len(every):
        return ()
    expected = max(usual.five_percent, 50) / 100
    deviation = sqrt(expected * (1 - expected) / len(every))
    if best / len(every) - expected <= SIGMAS * deviation:
        return ()
    evidence = FiveStars(seller, month, best, len(every), usual.five_percent, usual.reviews)
    return (Discovery("brushing.five_stars", seller, evidence, month, 30),)


def find_unseen(
    seller: str,
    month: str,
    reviews: Iterable[Reviewed],
    usual: Usual | None,
    terms: BrushingTerms,
) -> tuple[Discovery, ...]:
    """Returns `brushing.unseen` if goods were signed for and reviewed but their codes hardly opened.

    Most buyers never scan, so it tells only where others' buyers do: where less than a third as
    many codes were opened as is usual, beyond SIGMAS standard deviations.
    """
    every = [one for one in reviews if one.signed_at is not None]
    unseen = [one for one in every if one.looks == 0]
    if usual is None or usual.seen_percent < terms.seen_usually_percent:
        return ()
    if len(unseen) < terms.unseen_least:
        return ()
    seen, expected = 1 - len(unseen) / len(every), usual.seen_percent / 100
    deviation = sqrt(expected * (1 - expected) / len(every))
    if 3 * seen >= expected or expected - seen <= SIGMAS * deviation:
        return ()
    places = some_places([one.review for one in unseen])
    evidence = Unseen(seller, month, len(unseen), len(every), usual.seen_percent, places)
    return (Discovery("brushing.unseen", seller, evidence, month, 20),)


def find_same_buyer(
    seller: str, month: str, reviews: Iterable[Reviewed], terms: BrushingTerms
) -> tuple[Discovery, ...]:
    """Returns `brushing.same_buyer` if one buyer reviewed more sales of a month than the policy counts."""
    by_buyer: dict[bytes, list[Reviewed]] = defaultdict(list)
    for one in reviews:
        if one.buyer is not None:
            by_buyer[one.buyer].append(one)
    best = max(by_buyer.values(), key=_weight, default=[])
    at_most = terms.same_buyer_most
    if len(best) <= at_most:
        return ()
    places = some_places([one.review for one in best])
    evidence = SameBuyer(seller, month, len(best), at_most, places)
    return (Discovery("brushing.same_buyer", seller, evidence, month, 50),)


def shingles(text: str) -> frozenset[str]:
    """Returns the runs of three letters of a text, without case, width and marks; empty if short."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
    if len(plain) < SHORTEST_TEXT:
        return frozenset()
    return frozenset(plain[n : n + _SHINGLE] for n in range(len(plain) - _SHINGLE + 1))


def is_similar(one: frozenset[str], other: frozenset[str], *, percent: int) -> bool:
    """Whether the Jaccard measure of two sets is at least `percent` hundredths."""
    common = len(one & other)
    return 100 * common >= percent * (len(one) + len(other) - common) > 0


def _windows(
    reviews: Iterable[Reviewed], moment: Callable[[Reviewed], datetime], within: timedelta
) -> Iterable[list[Reviewed]]:
    """Yields what lies within some time of each one, of which no window holds another whole."""
    ordered = sorted(reviews, key=lambda one: (moment(one), one.review))
    end, told = 0, 0
    for start, first in enumerate(ordered):
        while end < len(ordered) and moment(ordered[end]) - moment(first) <= within:
            end += 1
        if end > told:
            told = end
            yield ordered[start:end]


def _weight(group: Sequence[Reviewed]) -> tuple[int, tuple[int, ...], str]:
    """Orders groups: the larger one first, then by what stands in them, never by arrival."""
    if not group:
        return (0, (), "")
    first = min(one.review for one in group)
    return (len(group), (-first.seq,), first.stream)
