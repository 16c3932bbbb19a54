"""What would raise an offer's boost, and by how much: the formula asked the other way round. Pure.

Each step says what its seller can do about one factor and what the boost would be with that factor
at its best and all others as they are. Where something takes the whole boost away (a recall, too few
chains), the other steps are told as if it were gone: `waits` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from app.credit.ranking import Offer, judge
from app.credit.rules import GRADES, Policy


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. gain: of the boost, six decimals, >= 0. key, params: its sentence."""

    factor: str
    gain: Decimal
    boost: Decimal
    key: str
    params: tuple[tuple[str, int | str], ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """boost: now. possible: with every step done. waits: nothing counts before the stops are gone."""

    boost: Decimal
    possible: Decimal
    waits: bool
    steps: tuple[Step, ...]


def advise(offer: Offer, policy: Policy, *, score: int, completed_chains: int) -> Advice:
    """Returns the steps, the largest gain first. score, completed_chains: the seller's now."""
    now, _, _ = judge(offer, policy)
    unstopped = offer._replace(
        recalled=False, measure=False, black_listed=False, traceable=True, data_enough=True
    )
    base, _, _ = judge(unstopped, policy)
    steps: list[Step] = []

    def add(factor: str, better: Offer, key: str, **params: int | str) -> None:
        boost, _, _ = judge(better, policy)
        steps.append(Step(factor, boost - base, boost, key, tuple(params.items())))

    stops = list(_stops(offer, policy, completed_chains))
    for factor, key, params in stops:
        steps.append(Step(factor, base, base, key, params))
    if not offer.integrity_ok:
        add("integrity", unstopped._replace(integrity_ok=True), "advice.integrity")
    gaps = max(0, offer.sold - offer.sold_without_open_gap)
    if gaps:
        better = unstopped._replace(sold_without_open_gap=offer.sold)
        add("completeness", better, "advice.completeness", gaps=gaps)
    if offer.orders_reported is None:
        covered = unstopped._replace(orders_reported=1, units_with_chain=1)
        add("coverage", covered, "advice.no_orders")
    elif offer.units_with_chain < offer.orders_reported:
        better = unstopped._replace(units_with_chain=offer.orders_reported)
        missing = offer.orders_reported - offer.units_with_chain
        add("coverage", better, "advice.coverage", missing=missing)
    own = max(0, offer.steps - offer.independent_steps)
    if own:
        better = unstopped._replace(independent_steps=offer.steps)
        add("independence", better, "advice.independence", own=own, steps=offer.steps)
    place = GRADES.index(offer.grade)
    if place:
        better_grade = GRADES[place - 1]
        lowest = next(step.lowest for step in policy.grades if step.grade == better_grade)
        add(
            "grade",
            unstopped._replace(grade=better_grade),
            "advice.grade",
            grade=better_grade,
            points=max(0, lowest - score),
        )
    best = unstopped._replace(
        integrity_ok=True,
        sold=max(1, offer.sold),
        sold_without_open_gap=max(1, offer.sold),
        orders_reported=1,
        units_with_chain=1,
        steps=1,
        independent_steps=1,
        grade=GRADES[max(0, place - 1)],
    )
    steps.sort(key=lambda step: -step.gain)
    return Advice(now, judge(best, policy)[0], bool(stops), tuple(steps))


def _stops(
    offer: Offer, policy: Policy, completed_chains: int
) -> Iterator[tuple[str, str, tuple[tuple[str, int | str], ...]]]:
    if offer.recalled:
        yield "recall", "advice.recall", ()
    if offer.measure:
        yield "measure", "advice.measure", ()
    if offer.black_listed:
        yield "black_list", "advice.black_list", ()
    if not offer.traceable:
        yield "traceable", "advice.traceable", ()
    if not offer.data_enough:
        missing = max(1, policy.data_enough_count - completed_chains)
        yield "data_enough", "advice.data_enough", (("missing", missing),)
