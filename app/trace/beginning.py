"""How far a seller has come on the way to its first parcel, and what comes next.

Told until goods have left the shop once: a newcomer is led from page to page, and nobody else is asked
to have printed labels who never needs any. What is told is where things are now: a listing that ended is
to be made again before the first sale, since a sale without one leaves a gap.

A licence that was told is the party's part done: whether it counts is for who verifies it. One that ended
is to be renewed: nothing is listed on it. Whoever the law exempts needs none; of who went on to a product
without any, the product's page says which licence it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from app.db.engine import Database
from app.kit.clock import Clock, china_day
from app.parties.licence_book import state_of
from app.parties.principal import Principal
from app.parties.standing import VERIFIED
from app.parties.store import find_party
from app.trace import beginstore

Step = Literal["verified", "licence", "product", "listing", "codes", "print", "dispatch"]
STEPS: Final[tuple[Step, ...]] = (
    "verified", "licence", "product", "listing", "codes", "print", "dispatch",
)  # fmt: skip
"""In the order in which they are to be done."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """done: steps of STEPS. gtin, batch_id: what the next one is done with, None where there is none yet."""

    done: frozenset[Step]
    gtin: str | None = None
    batch_id: str | None = None

    @property
    def next(self) -> Step | None:
        """The first step that is not done; None once goods have been sent."""
        if self.is_over:
            return None
        return next((step for step in STEPS if step not in self.done), None)

    @property
    def is_over(self) -> bool:
        return "dispatch" in self.done


_OVER: Final = Beginning(frozenset(STEPS))


class Beginnings:
    """Tells sellers how to begin. Read-only."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, principal: Principal) -> Beginning:
        """Returns how far the caller's party has come. Raises what `check_may` raises.

        Of a party that has sent goods all is done: what it left out it did not need.
        """
        principal.check_may("product.register")
        party, today = principal.own_party(), china_day(self._clock.now())
        with self._database.read() as connection:
            if beginstore.has_sent(connection, party):
                return _OVER
            row = find_party(connection, party)
            registered = beginstore.newest_product(connection, party)
            offered = beginstore.offered_product(connection, party)
            batch = beginstore.newest_batch(connection, party)
            has_printed = batch is not None and beginstore.has_printed(connection, party)
            waits = beginstore.licence_waits(connection, party)
        has_product = bool(registered or offered or batch)
        is_exempt = row is not None and row.exempt
        held = row.licences if row is not None else ()
        counts = any(state_of(one, today) == "in_force" for one in held)
        told: dict[Step, bool] = {
            "verified": row is not None and row.status == VERIFIED,
            "licence": waits or counts or is_exempt or (has_product and not held),
            "product": has_product,
            "listing": offered is not None,
            "codes": batch is not None,
            "print": has_printed,
        }
        return Beginning(
            frozenset(step for step, is_done in told.items() if is_done),
            gtin=offered or (batch.gtin if batch else registered),
            batch_id=batch.batch_id if batch else None,
        )
