"""Applies rows of a file through the rooms that the same calls go through.

Each row comes with an effect that marks it as done, which is written with its last record: what is
marked is wholly there. Applied twice, a row is a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.imports import happenings, sending
from app.imports.columns import Kind
from app.imports.listings import offer_of, result_of
from app.imports.plans import others_facts
from app.imports.problems import Outcome, Problem, of_fault
from app.kit.errors import Fault, Unavailable
from app.ledger.stage import IdConflict
from app.ledger.submission import Effect
from app.parties.principal import Principal
from app.trace.bulk import Bulk, NewLot, NewProduct, Taken
from app.trace.offering import NewOffer, Offering
from app.trace.requests import SealedInput
from app.trace.rowevents import RowEvents
from app.trace.shipments import Shipments

Told = tuple[Any, Effect]
"""A row's payload, and the mark that it is done."""

Result = tuple[Outcome, tuple[Problem, ...]]


class Applying:
    """Applies rows, each of which stands for itself."""

    def __init__(
        self, bulk: Bulk, shipments: Shipments, offering: Offering, events: RowEvents
    ) -> None:
        self._bulk = bulk
        self._shipments = shipments
        self._offering = offering
        self._events = events

    def apply(self, principal: Principal, kind: Kind, told: Sequence[Told]) -> list[Result]:
        """Returns what came of each row, in order. Raises Unavailable, and what the party may no more."""
        match kind:
            case "products":
                return self._put_products(principal, told)
            case "lots":
                lots = [
                    NewLot(p["gtin"], p["lot"], p["facts"], _sealed(p["sealed"]), effect)
                    for p, effect in told
                ]
                return [_result(one) for one in self._bulk.register_lots(principal, lots)]
            case "shipments":
                return [self._ship(principal, payload, effect) for payload, effect in told]
            case "events":
                return self._put_events(principal, told)

    def _put_products(self, principal: Principal, told: Sequence[Told]) -> list[Result]:
        """Registers, then lists; a row is marked as done with the last record that it makes."""
        products = [
            NewProduct(p["gtin"], p["facts"], p["claim"], None if "listing" in p else effect)
            for p, effect in told
        ]
        taken = self._bulk.register_products(principal, products)
        results = [_result(one) for one in taken]
        at: list[int] = []
        offers: list[NewOffer] = []
        for n, one in enumerate(taken):
            offer = offer_of(told[n][0], one.gtin) if isinstance(one, Taken) else None
            if offer is not None:
                at.append(n)
                offers.append(offer)
        if offers:
            effects = [told[n][1] for n in at]
            answers = self._offering.list_all(principal, offers, effects=effects, low_priority=True)
            for n, answer in zip(at, answers, strict=True):
                product = taken[n]
                if isinstance(answer, Unavailable):
                    raise answer
                if isinstance(product, Taken):
                    outcome, problems = result_of(product, answer)
                    results[n] = outcome, (*results[n][1], *problems)
        return results

    def _put_events(self, principal: Principal, told: Sequence[Told]) -> list[Result]:
        rows = [happenings.event_of(payload) for payload, _ in told]
        effects = [effect for _, effect in told]
        results: list[Result] = []
        answers = self._events.record(principal, rows, effects=effects)
        for (payload, _), one in zip(told, answers, strict=True):
            if isinstance(one, Fault):
                results.append(("refused", (happenings.fault_of(payload, one),)))
            else:
                results.append(("created" if one.is_new else "unchanged", ()))
        return results

    def _ship(self, principal: Principal, told: Mapping[str, Any], effect: Effect) -> Result:
        shipment = sending.shipment_of(told)
        try:
            done = self._shipments.ship(principal, shipment, effects=(effect,), low_priority=True)
        except Unavailable:
            raise
        except IdConflict:
            return "refused", (sending.differing(told),)
        except Fault as fault:
            return "refused", (sending.fault_of(told, fault),)
        return ("unchanged" if done.events[0].replayed else "created"), ()


def _result(taken: Taken | Fault) -> Result:
    if isinstance(taken, Unavailable):
        raise taken
    if isinstance(taken, Fault):
        return "refused", (of_fault(taken),)
    return ("created" if taken.is_new else "unchanged"), others_facts(taken.differs)


def _sealed(told: Mapping[str, Any]) -> dict[str, SealedInput]:
    return {name: SealedInput(content) for name, content in told.items()}
