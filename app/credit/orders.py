"""Order counts that platforms report: what coverage divides by. Each report is a record.

One request is one `order_counts` record of `party/{platform}`: its rows name seller, GTIN, period and
the number of orders, so that whoever has the records has every sum (`months.fold_count`). A report of
the same seller, GTIN and period corrects the one before; a corrected number of 0 takes it back.

The platform's word is all there is: more orders lower a seller's coverage, so a platform that is
itself the seller is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uuid_utils

from app.credit import rankstore, store
from app.credit.months import Period, fold_count, parse_period, told_month
from app.db.engine import Database
from app.kit.clock import Clock, local_day
from app.kit.errors import FieldFault, invalid
from app.ledger.record import Claim
from app.ledger.recorder import Recorder
from app.ledger.submission import Draft, Effect, Read, Recorded, Submission, View, all_recorded
from app.parties.chain import party_claim
from app.parties.identity import is_party_id
from app.parties.principal import Principal
from app.parties.roles import PLATFORM
from app.parties.standing import check_verified
from app.trace.claims import record_id
from app.trace.gtin import parse_gtin

RECORD_TYPE = "order_counts"
MAX_ROWS = 400
"""A record is at most 64 KiB; a row is about 100 bytes."""
MOST_ORDERS = 10**12


@dataclass(frozen=True, slots=True)
class OrderCount:
    """Orders of one seller's product in one period: a month `2026-11`, or a day of it."""

    seller: str
    gtin: str
    period: str
    orders: int


class OrderCounts:
    """Takes reports. Owns no transaction: the recorder does."""

    def __init__(self, database: Database, recorder: Recorder, *, clock: Clock) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock

    def report(
        self, principal: Principal, given: Sequence[OrderCount], *, id_: str | None
    ) -> Recorded:
        """Returns the record of a report; the same id and content again is answered as before.

        Raises Invalid for a period that is none or not over yet by its first day, a row twice, or a
        seller or product that is not registered.
        """
        principal.check_may("orders.report")
        platform = principal.own_party()
        rows = self._read(given, platform)
        identifier = record_id(id_) if id_ is not None else str(uuid_utils.uuid7())
        counts = [
            {"seller": r.seller, "gtin": r.gtin, "period": r.period, "orders": r.orders}
            for r in rows
        ]
        claim = party_claim(
            platform, identifier, RECORD_TYPE, {"counts": counts}, actor=platform,
            at=self._clock.now(),
        )  # fmt: skip
        keys = sorted({fact_key(row.seller, row.gtin, row.period[:7]) for row in rows})
        submission = Submission(
            claim,
            PLATFORM,
            decide_counts,
            reads=tuple(Read(claim.stream, key) for key in keys),
            time_given=False,
        )
        (recorded,) = all_recorded(self._recorder.submit_and_wait([submission]))
        return recorded

    def _read(self, given: Sequence[OrderCount], platform: str) -> list[OrderCount]:
        today = local_day(self._clock.now())
        rows: list[OrderCount] = []
        faults: list[FieldFault] = []
        for n, row in enumerate(given):
            loc = ("counts", n)
            gtin = parse_gtin(row.gtin, loc=(*loc, "gtin"), allow_item_code=True)
            try:
                begun = parse_period(row.period).first <= today
            except ValueError:
                params = {"expected": "YYYY-MM, YYYY-MM-DD", "got": row.period[:40]}
                raise invalid(FieldFault((*loc, "period"), "date", params)) from None
            if not begun:
                faults.append(
                    FieldFault(
                        (*loc, "period"), "range", {"expected": f"≤ {today}", "got": row.period}
                    )
                )
            if row.seller == platform:
                faults.append(FieldFault((*loc, "seller"), "own_seller"))
            rows.append(OrderCount(row.seller, gtin, row.period, row.orders))
        places = [(row.seller, row.gtin, row.period) for row in rows]
        for n, place in enumerate(places):
            if place in places[:n]:
                faults.append(FieldFault(("counts", n), "twice"))
        with self._database.read() as connection:
            sellers = store.known_parties(connection, sorted({row.seller for row in rows}))
            gtins = rankstore.known_products(connection, sorted({row.gtin for row in rows}))
        for n, row in enumerate(rows):
            if row.seller not in sellers or not is_party_id(row.seller):
                got = {"got": row.seller[:40]}
                faults.append(FieldFault(("counts", n, "seller"), "unknown_party", got))
            if row.gtin not in gtins:
                faults.append(
                    FieldFault(("counts", n, "gtin"), "unknown_product", {"got": row.gtin})
                )
        if faults:
            raise invalid(*faults)
        return rows


def fact_key(seller: str, gtin: str, month: str) -> str:
    """Returns the key of the fact that holds what a platform said of one offer and month."""
    return f"orders/{seller}/{gtin}/{month}"


def decide_counts(claim: Claim, view: View) -> Draft:
    """Takes a report: the months it touches, and their index rows. Raises PartyUnverified."""
    platform = claim.actor
    check_verified(view, platform)
    before = {key: fact for (stream, key), fact in view.facts.items() if stream == claim.stream}
    facts = fold_counts(before, claim.data["counts"])
    rows = [_row(platform, key, fact) for key, fact in facts.items()]
    effects = tuple(Effect("order_month", row) for row in rows)
    return Draft(view.heads[claim.stream].state, facts=facts, effects=effects)


def fold_counts(
    facts: Mapping[str, Mapping[str, Any]], counts: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Returns the facts that a record's counts change, as they are after it."""
    changed: dict[str, dict[str, Any]] = {}
    for count in counts:
        period: Period = parse_period(count["period"])
        key = fact_key(count["seller"], count["gtin"], period.month)
        fact = changed.get(key) or facts.get(key, {})
        changed[key] = fold_count(fact, period, count["orders"])
    return changed


def told_rows(platform: str, records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns by fact key the index rows that a platform's records give: for audits and rebuilding."""
    facts: dict[str, dict[str, Any]] = {}
    for fields in records:
        if fields["type"] == RECORD_TYPE:
            facts |= fold_counts(facts, fields["data"]["counts"])
    return {key: _row(platform, key, fact) for key, fact in facts.items()}


def _row(platform: str, key: str, fact: Mapping[str, Any]) -> dict[str, Any]:
    _, seller, gtin, month = key.split("/")
    told = told_month(month, fact)
    return {
        "seller": seller,
        "gtin": gtin,
        "month": month,
        "platform": platform,
        "orders": told.orders,
        "since_at": told.since,
        "until_at": told.until,
    }
