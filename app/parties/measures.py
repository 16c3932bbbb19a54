"""Measures of regulators on parties, until they are made public where the law wants it.

An authority publishes its decision on its own site or on that of the credit system within 7 working days
(行政处罚决定自作出之日起七个工作日内上网公开). Suxin shows a measure at once, which is not that; so the
authority records where it published it (`publication`), and until then the measure is due. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from app.kit.clock import china_day, from_ms, parse_time, to_ms
from app.kit.errors import Conflict, FieldFault, invalid
from app.ledger.record import Claim
from app.ledger.submission import Draft, Effect, View
from app.parties.rules import (
    Decide,
    decide_measure,
    decide_measure_lifted,
    decide_remark,
    measures_of,
    own_state,
)

TYPES = frozenset({"measure", "publication"})


class NothingToPublish(Conflict):
    """The party has no such measure, or its publication is recorded."""

    slug = "lifecycle-conflict"


def measure_row(
    data: Mapping[str, Any], *, party: str, id: str, authority: str, at: datetime
) -> dict[str, Any]:
    """Returns the row of a measure that is not published."""
    return {
        "party": party,
        "id": id,
        "kind": data["kind"],
        "basis": data["basis"],
        "authority": authority,
        "decided_at": to_ms(at),
        "published_on": None,
        "url": None,
    }


def told_rows(party: str, records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the rows of a party's measures by record id, from its records alone, in order."""
    rows: dict[str, dict[str, Any]] = {}
    for fields in records:
        data = fields["data"]
        if fields["type"] == "measure":
            rows[fields["id"]] = measure_row(
                data,
                party=party,
                id=fields["id"],
                authority=fields["actor"],
                at=parse_time(fields["occurred_at"]),
            )
        elif fields["type"] == "publication" and data["of"] in rows:
            rows[data["of"]] |= {"published_on": data["on"], "url": data.get("url")}
    return rows


def decide_listed_measure(claim: Claim, view: View) -> Draft:
    """Puts a measure on the party, which is due to be published. Raises as `decide_measure`."""
    draft = decide_measure(claim, view)
    row = measure_row(
        claim.data,
        party=claim.stream.removeprefix("party/"),
        id=claim.id,
        authority=claim.actor,
        at=claim.occurred_at,
    )
    return draft._replace(effects=(*draft.effects, Effect("measure", row)))


def decide_publication(claim: Claim, view: View) -> Draft:
    """Notes where and on which day (China) a measure was made public, once.

    Raises PartyUnknown, NothingToPublish; Invalid, kind `range`, for a day before the measure or to come.
    """
    state = own_state(claim, view)
    of = claim.data["of"]
    for name in ("measures", "measures_lifted"):
        known = measures_of(state, name).get(of)
        if known is not None and "published_on" not in known:
            _check_day(claim.data["on"], china_day(from_ms(known["since_ms"])), china_day(view.now))
            state[name] = {**state[name], of: {**known, "published_on": claim.data["on"]}}
            row = {
                "party": claim.stream.removeprefix("party/"),
                "id": of,
                "published_on": claim.data["on"],
                "url": claim.data.get("url"),
            }
            return Draft(state, effects=(Effect("measure_published", row),))
    raise NothingToPublish("nothing_to_publish", of=of)


def _check_day(day: str, first: str, last: str) -> None:
    if not date.fromisoformat(first) <= date.fromisoformat(day) <= date.fromisoformat(last):
        params = {"expected": f"{first}..{last}", "got": day}
        raise invalid(FieldFault(("data", "on"), "range", params))


EVENT_DECISIONS: Mapping[str, Decide] = {
    "measure": decide_listed_measure,
    "measure_lifted": decide_measure_lifted,
    "publication": decide_publication,
    "correction": decide_remark,
}
"""Types that the events API sends to a party's stream."""
