"""Ranking: what is traceable comes first, everything else being equal (在同等条件下).

    final = base × (1 + boost)
    boost = max_boost × integrity × completeness × coverage
            × (independence_base + independence_share × independence) × grade factor

The numbers come from the policy, the base from the platform. The boost is 0 for what is unknown or
not traceable, and under recall, measure, black list or "data not enough"; it cannot be bought and
knows no reader. Boost and final are rounded half up to six decimals, once each: the boost from the
exact shares, the final from the base and that rounded boost, so that an answer can be checked from
what it shows. Every share lies in 0..1, whatever the counts, so the boost never exceeds max_boost.
Order: final, then traceable first, then as given. A base below 10^-6 is therefore too small to
matter; a platform with such scores scales them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Literal

from app.credit.rules import Grade, Policy, RankingTerms

Mode = Literal["boost", "tie_break"]
Base = Decimal | int | str | float

LARGEST_BASE = Decimal("1e300")
"""Every final still fits a reader that knows only binary doubles."""

_ZERO = Decimal(0)
_ONE = Decimal(1)
_SIXTH = Decimal("0.000001")
_NONE = Decimal("0.000000")
# Shares are quotients of counts: 60 digits leave the sixth decimal of a product beyond doubt.
_EXACT = Context(prec=60)
# 301 digits before the point and six after it, and then room for a base written with more.
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)
_INTEGRITY = {True: "rank.intact", False: "rank.broken"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What ranking must know of one offer (seller × product). As it stands: an unknown one.

    base: >= 0, see `parse_base`. known: both product and seller are.
    traceable: units of the offer have chains that anyone can open.
    integrity_ok: no open integrity finding on the offer's streams.
    recalled, measure, black_listed: in force now. grade, data_enough: the seller's.
    sold, sold_without_open_gap: units sold in the policy's window.
    steps, independent_steps: recorded on those units, and of them vouched for by somebody other
    than the seller. units_with_chain, orders_reported: in the same window; None or 0 orders:
    no platform reports, so there is nothing to compare with.
    """

    id: str
    gtin: str
    seller: str
    base: Base
    known: bool = False
    traceable: bool = False
    integrity_ok: bool = True
    recalled: bool = False
    measure: bool = False
    black_listed: bool = False
    sold: int = 0
    sold_without_open_gap: int = 0
    steps: int = 0
    independent_steps: int = 0
    orders_reported: int | None = None
    units_with_chain: int = 0
    grade: Grade = "B"
    data_enough: bool = False


@dataclass(frozen=True, slots=True)
class Factor:
    """One reason. value: the factor in the formula. key, params: its sentence in the locales.

    max_boost × integrity × completeness × coverage × (0.6 + 0.4 × independence) × grade, with the
    policy's numbers, gives the boost; any other factor that is 0 makes it 0.
    """

    factor: str
    value: Decimal
    key: str
    params: Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An offer in its place. rank: from 1. boost, final: six decimals."""

    id: str
    rank: int
    base: Decimal
    boost: Decimal
    final: Decimal
    traceable: bool
    why: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """How far two bases may differ and still be "equal": the larger of both tolerances.

    absolute: in units of the base. relative: as a share of the larger base. Raises ValueError if
    one is negative or no number.
    """

    absolute: Decimal = _ZERO
    relative: Decimal = _ZERO

    def __post_init__(self) -> None:
        for width in (self.absolute, self.relative):
            if not width.is_finite() or width < 0:
                raise ValueError(f"band: expected a number >= 0, got {width}")

    def lowest(self, top: Decimal) -> Decimal:
        """Returns the lowest base that is still equal to this one."""
        width = max(self.absolute, _ROUNDING.multiply(top, self.relative))
        return _ROUNDING.subtract(top, width)


EQUAL = Band()


def parse_base(value: Base) -> Decimal:
    """Returns a base as an exact decimal; a float as it is printed (0.1 is 0.1).

    Raises ValueError if it is negative, no finite number, or above LARGEST_BASE.
    """
    try:
        base = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation as err:
        raise ValueError(f"base: expected a number, got {str(value)[:40]}") from err
    if isinstance(value, bool) or not base.is_finite() or base < 0 or base > LARGEST_BASE:
        raise ValueError(f"base: expected 0..{LARGEST_BASE}, got {str(value)[:40]}")
    return base or _ZERO


def rank(
    offers: Sequence[Offer], *, mode: Mode = "boost", band: Band = EQUAL, policy: Policy
) -> list[Ranked]:
    """Returns the offers in their order, each with its reasons.

    boost: by final. tie_break: bases decide, and final re-orders only inside groups of equal base.
    Groups are formed from the top: the highest base opens one, every base within `band` of *that*
    one joins, the next lower opens the next. So no group is wider than the band, equal bases are
    never parted, and the order as given decides nothing about groups. `band` is not used by boost.
    Raises ValueError if a base is none (see `parse_base`).
    """
    scored = [_score(offer, policy) for offer in offers]
    groups = [scored] if mode == "boost" else _groups(scored, band)
    ordered = [one for group in groups for one in sorted(group, key=_place)]
    return [
        Ranked(one.id, place, one.base, one.boost, one.final, one.traceable, one.why)
        for place, one in enumerate(ordered, start=1)
    ]


def _place(one: Ranked) -> tuple[Decimal, bool]:
    # Python's sort is stable: what is equal here stays as given.
    return (-one.final, not one.traceable)


def _groups(scored: Iterable[Ranked], band: Band) -> Iterable[list[Ranked]]:
    by_base = sorted(scored, key=lambda one: one.base, reverse=True)
    group: list[Ranked] = []
    lowest = _ZERO
    for one in by_base:
        if group and one.base < lowest:
            yield group
            group = []
        if not group:
            lowest = band.lowest(one.base)
        group.append(one)
    if group:
        yield group


def _score(offer: Offer, policy: Policy) -> Ranked:
    base = parse_base(offer.base)
    if offer.known:
        stops = _stops(offer, policy)
        shares = _shares(offer, policy.ranking)
        boost = _NONE if stops else _boost(shares, policy.ranking)
        why = (*stops, *_formula(offer, shares, policy.ranking))
    else:
        boost = _NONE
        why = (_nothing("known", "rank.unknown", gtin=offer.gtin, seller=offer.seller),)
    final = _round(_ROUNDING.multiply(base, _ONE + boost))
    # What is recalled or broken is not put first for having a chain.
    in_order = not (offer.recalled or offer.measure or offer.black_listed)
    traceable = offer.known and offer.traceable and offer.integrity_ok and in_order
    return Ranked(offer.id, 0, base, boost, final, traceable, why)


def _stops(offer: Offer, policy: Policy) -> list[Factor]:
    """Returns what takes the whole boost away, beside the formula."""
    found: list[Factor] = []
    if offer.recalled:
        found.append(_nothing("recall", "rank.recall"))
    if offer.measure:
        found.append(_nothing("measure", "rank.measure"))
    if offer.black_listed:
        found.append(_nothing("black_list", "rank.black_list"))
    if not offer.traceable:
        found.append(_nothing("traceable", "rank.untraceable"))
    if not offer.data_enough:
        needed = policy.data_enough_count
        found.append(_nothing("data_enough", "rank.data_not_enough", needed=needed))
    return found


@dataclass(frozen=True, slots=True)
class _Shares:
    """The formula's factors, unrounded."""

    integrity: Decimal
    completeness: Decimal
    coverage: Decimal
    independence: Decimal
    grade: Decimal


def _shares(offer: Offer, terms: RankingTerms) -> _Shares:
    return _Shares(
        integrity=_ONE if offer.integrity_ok else _ZERO,
        completeness=_share(offer.sold_without_open_gap, offer.sold),
        coverage=_share(offer.units_with_chain, offer.orders_reported)
        if offer.orders_reported is not None and offer.orders_reported > 0
        else terms.coverage_default,
        independence=_share(offer.independent_steps, offer.steps),
        grade=terms.grade_factors[offer.grade],
    )


def _share(part: int, whole: int) -> Decimal:
    """Returns part ÷ whole within 0..1; of nothing: 0, for nothing was shown."""
    # Two counters read a moment apart, or a platform that counts late, must not break the bound.
    if whole <= 0 or part <= 0:
        return _ZERO
    return _ONE if part >= whole else _EXACT.divide(Decimal(part), Decimal(whole))


def _boost(shares: _Shares, terms: RankingTerms) -> Decimal:
    vouched = _EXACT.add(
        terms.independence_base, _EXACT.multiply(terms.independence_share, shares.independence)
    )
    boost = terms.max_boost
    for factor in (shares.integrity, shares.completeness, shares.coverage, vouched, shares.grade):
        boost = _EXACT.multiply(boost, factor)
    return _round(boost)


def _formula(offer: Offer, shares: _Shares, terms: RankingTerms) -> tuple[Factor, ...]:
    """Returns each factor of the formula with its sentence."""
    days = terms.window_days
    if offer.sold > 0:
        completeness = Factor(
            "completeness",
            _round(shares.completeness),
            "rank.completeness",
            {"good": offer.sold_without_open_gap, "sold": offer.sold, "days": days},
        )
    else:
        completeness = _nothing("completeness", "rank.nothing_sold", days=days)
    if offer.orders_reported is not None and offer.orders_reported > 0:
        coverage = Factor(
            "coverage",
            _round(shares.coverage),
            "rank.coverage",
            {"units": offer.units_with_chain, "orders": offer.orders_reported, "days": days},
        )
    else:
        shown = str(terms.coverage_default)
        coverage = Factor("coverage", _round(shares.coverage), "rank.no_orders", {"default": shown})
    return (
        Factor("integrity", shares.integrity, _INTEGRITY[offer.integrity_ok], {}),
        completeness,
        coverage,
        Factor(
            "independence",
            _round(shares.independence),
            "rank.independence",
            {"independent": offer.independent_steps, "steps": offer.steps},
        ),
        Factor(
            "grade",
            shares.grade,
            "rank.grade",
            {"grade": offer.grade, "value": str(shares.grade)},
        ),
        Factor("max_boost", terms.max_boost, "rank.max_boost", {"value": str(terms.max_boost)}),
    )


def _round(value: Decimal) -> Decimal:
    return _ROUNDING.quantize(value, _SIXTH)


def _nothing(factor: str, key: str, **params: int | str) -> Factor:
    return Factor(factor, _ZERO, key, params)
