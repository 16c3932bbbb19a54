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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from app.credit.rules import Grade, Policy

Mode = Literal["boost", "tie_break"]
Base = Decimal | int | str | float

LARGEST_BASE = Decimal("1e300")
"""Every final still fits a reader that knows only binary doubles."""

_ZERO = Decimal(0)
_ONE = Decimal(1)
_SIXTH = Decimal("0.000001")
_NONE = Decimal("0.000000")
_MILLION = 10**6
# 301 digits before the point and six after it, and then room for a base written with more.
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)


class Offer(NamedTuple):
    """What ranking must know of one offer (seller × product). As it stands: an unknown one.

    base: >= 0, see `parse_base`. known: both product and seller are.
    traceable: units of the offer have chains that anyone can open.
    integrity_ok: no open integrity finding on the offer's streams.
    recalled, measure, black_listed: in force now. red_listed: so too, shown and worth nothing.
    grade, data_enough: the seller's.
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
    red_listed: bool = False
    sold: int = 0
    sold_without_open_gap: int = 0
    steps: int = 0
    independent_steps: int = 0
    orders_reported: int | None = None
    units_with_chain: int = 0
    grade: Grade = "B"
    data_enough: bool = False


class Factor(NamedTuple):
    """One reason. value: the factor in the formula. key, params: its sentence in the locales.

    max_boost × integrity × completeness × coverage × (0.6 + 0.4 × independence) × grade, with the
    policy's numbers, gives the boost; any other factor that is 0 makes it 0.
    """

    factor: str
    value: Decimal
    key: str
    params: tuple[tuple[str, int | str], ...] = ()


class Ranked(NamedTuple):
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
    return rank_candidates([(one.id, one.base, one) for one in offers], mode, band, policy)


def rank_candidates(
    candidates: Iterable[tuple[str, Base, Offer]], mode: Mode, band: Band, policy: Policy
) -> list[Ranked]:
    """Returns the same for (id, base, offer), the offer's own id and base aside.

    An offer that stands several times, as the same object, is judged once.
    """
    formula = _formula(policy)
    judged: dict[int, tuple[_Judged, Decimal]] = {}
    multiply, quantize = _ROUNDING.multiply, _ROUNDING.quantize
    scored: list[_Scored] = []
    for id_, given, offer in candidates:
        found = judged.get(id(offer))
        if found is None:
            told = formula.judge(offer)
            found = judged[id(offer)] = told, _ONE + told[0]
        (boost, traceable, why), raised = found
        base = parse_base(given)
        final = quantize(multiply(base, raised), _SIXTH)
        scored.append((id_, base, boost, final, traceable, why))
    groups = [scored] if mode == "boost" else _groups(scored, band)
    # Reversed, Python's sort is still stable: what is equal here stays as given.
    ordered = [one for group in groups for one in sorted(group, key=_PLACE, reverse=True)]
    return [
        Ranked(id_, place, base, boost, final, traceable, why)
        for place, (id_, base, boost, final, traceable, why) in enumerate(ordered, start=1)
    ]


def judge(offer: Offer, policy: Policy) -> _Judged:
    """Returns the boost that an offer has whatever its base, whether it is put first, and why."""
    return _formula(policy).judge(offer)


# Boost, whether it is put first, why.
_Judged = tuple[Decimal, bool, tuple[Factor, ...]]
# id, base, boost, final, traceable, why: plain until places are known, since a thousand are made.
_Scored = tuple[str, Decimal, Decimal, Decimal, bool, tuple[Factor, ...]]
_PLACE = itemgetter(3, 4)  # final, traceable


def _groups(scored: Iterable[_Scored], band: Band) -> Iterable[list[_Scored]]:
    by_base = sorted(scored, key=lambda one: one[1], reverse=True)
    group: list[_Scored] = []
    lowest = _ZERO
    for one in by_base:
        if group and one[1] < lowest:
            yield group
            group = []
        if not group:
            lowest = band.lowest(one[1])
        group.append(one)
    if group:
        yield group


class _Formula:
    """A policy's numbers as whole millionths, and the reasons that are the same for every offer.

    The policy's numbers have at most six decimals (loader), so nothing is lost, and products and
    quotients of whole numbers are exact however large the counts are.
    """

    def __init__(self, policy: Policy) -> None:
        terms = policy.ranking
        self.days = terms.window_days
        self.needed = policy.data_enough_count
        self.max_boost = _millionths(terms.max_boost)
        self.base = _millionths(terms.independence_base)
        self.share = _millionths(terms.independence_share)
        self.coverage_default = _millionths(terms.coverage_default)
        self.grades = {grade: _millionths(f) for grade, f in terms.grade_factors.items()}
        self.why_grade = {
            grade: Factor("grade", f, "rank.grade", (("grade", grade), ("value", str(f))))
            for grade, f in terms.grade_factors.items()
        }
        shown = str(terms.max_boost)
        self.why_max = Factor("max_boost", terms.max_boost, "rank.max_boost", (("value", shown),))
        default = str(terms.coverage_default)
        self.why_no_orders = Factor(
            "coverage",
            _decimal(self.coverage_default),
            "rank.no_orders",
            (("default", default),),
        )
        self.why_nothing_sold = _nothing("completeness", "rank.nothing_sold", days=self.days)
        self._judged: dict[tuple[Any, ...], _Judged] = {}

    def judge(self, offer: Offer) -> _Judged:
        """Returns what follows from the offer's numbers; the same numbers are judged once."""
        if not offer.known:
            why = _nothing("known", "rank.unknown", gtin=offer.gtin, seller=offer.seller)
            return _NONE, False, (why,)
        numbers = offer[4:]  # all but whose it is, and its base
        found = self._judged.get(numbers)
        if found is None:
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            found = self._judged[numbers] = _judge(offer, self)
        return found


_MOST_JUDGED = 1 << 14

# The policy that ranks now; another one is seldom asked, and then for many offers.
_last: tuple[Policy, _Formula] | None = None


def _formula(policy: Policy) -> _Formula:
    global _last  # noqa: PLW0603 - one slot, replaced whole, so that threads need no lock
    last = _last
    if last is None or last[0] is not policy:
        last = _last = policy, _Formula(policy)
    return last[1]


_WHY_INTEGRITY = {
    True: Factor("integrity", _ONE, "rank.intact"),
    False: Factor("integrity", _ZERO, "rank.broken"),
}

_WHY_RED = Factor("red_list", _ONE, "rank.red_list")


def _judge(offer: Offer, formula: _Formula) -> _Judged:
    stops = _stops(offer, formula)
    millionths, reasons = _apply(offer, formula)
    # What is recalled or broken is not put first for having a chain.
    in_order = not (offer.recalled or offer.measure or offer.black_listed)
    traceable = offer.traceable and offer.integrity_ok and in_order
    red = (_WHY_RED,) if offer.red_listed else ()
    return _NONE if stops else _decimal(millionths), traceable, (*stops, *reasons, *red)


def _stops(offer: Offer, formula: _Formula) -> list[Factor]:
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
        found.append(_nothing("data_enough", "rank.data_not_enough", needed=formula.needed))
    return found


def _apply(offer: Offer, formula: _Formula) -> tuple[int, tuple[Factor, ...]]:
    """Returns the boost in millionths, rounded half up once, and each factor with its sentence."""
    good, sold = _share(offer.sold_without_open_gap, offer.sold)
    if offer.sold > 0:
        completeness = Factor(
            "completeness",
            _quotient(good, sold),
            "rank.completeness",
            (("good", offer.sold_without_open_gap), ("sold", offer.sold), ("days", formula.days)),
        )
    else:
        completeness = formula.why_nothing_sold
    if offer.orders_reported is not None and offer.orders_reported > 0:
        covered, orders = _share(offer.units_with_chain, offer.orders_reported)
        coverage = Factor(
            "coverage",
            _quotient(covered, orders),
            "rank.coverage",
            (
                ("units", offer.units_with_chain),
                ("orders", offer.orders_reported),
                ("days", formula.days),
            ),
        )
    else:
        covered, orders = formula.coverage_default, _MILLION
        coverage = formula.why_no_orders
    vouched, steps = _share(offer.independent_steps, offer.steps)
    independence = Factor(
        "independence",
        _quotient(vouched, steps),
        "rank.independence",
        (("independent", offer.independent_steps), ("steps", offer.steps)),
    )
    grade = formula.grades[offer.grade]
    above = formula.max_boost * good * covered * grade * bool(offer.integrity_ok)
    above *= formula.base * steps + formula.share * vouched
    below = sold * orders * steps * _MILLION**2
    reasons = (
        _WHY_INTEGRITY[offer.integrity_ok],
        completeness,
        coverage,
        independence,
        formula.why_grade[offer.grade],
        formula.why_max,
    )
    return _round_half_up(above, below), reasons


def _share(part: int, whole: int) -> tuple[int, int]:
    """Returns part and whole with 0 <= part <= whole; of nothing: 0 of 1, for nothing was shown."""
    # Two counters read a moment apart, or a platform that counts late, must not break the bound.
    if whole <= 0 or part <= 0:
        return 0, max(whole, 1)
    return min(part, whole), whole


def _quotient(part: int, whole: int) -> Decimal:
    return _decimal(_round_half_up(part * _MILLION, whole))


def _round_half_up(above: int, below: int) -> int:
    return (2 * above + below) // (2 * below)


def _millionths(value: Decimal) -> int:
    return int(value.scaleb(6))


@lru_cache(maxsize=1 << 16)
def _decimal(millionths: int) -> Decimal:
    return Decimal(millionths).scaleb(-6)


def _nothing(factor: str, key: str, **params: int | str) -> Factor:
    return Factor(factor, _ZERO, key, tuple(params.items()))
