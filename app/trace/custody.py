"""责任倒查, who held it: the chain of custody that a life's records tell, and which feed fell silent.

Said by records alone: who received, who sold, who carried, who signed. The buyer is never named.
A feed that ended (`abort` of a carrier's or aggregator's tracking) tells nothing of the goods: from
then on the silence is the feed's, not the shop's. Who answers for a missed step, which also asks how a
party is registered, is told by `app.oversight.answering` alone. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from app.parties.identity import is_party_id
from app.parties.roles import AGGREGATOR, CARRIER
from app.trace.life_table import Happening

BUYER = "buyer"
ABORTED = frozenset({"abort", "aborted"})
"""What `status` of a transit record says when the tracking ended and no more will come."""

_FEEDS = (CARRIER, AGGREGATOR)


@dataclass(frozen=True, slots=True)
class Holding:
    """Goods in somebody's hands. holder: a party id, a carrier's mere name, or BUYER; seq: the record."""

    holder: str
    role: str
    since: datetime
    seq: int
    until: datetime | None = None


def tell_custody(records: Iterable[Happening]) -> tuple[Holding, ...]:
    """Returns who held goods one after the other, in order of the records."""
    found: list[Holding] = []
    seller = ""

    def pass_on(to: str, role: str, record: Happening) -> None:
        if found and (found[-1].holder, found[-1].role) == (to, role):
            return
        if found:
            last = found.pop()
            found.append(Holding(last.holder, last.role, last.since, last.seq, record.occurred_at))
        found.append(Holding(to, role, record.occurred_at, record.seq))

    def hand_over_again(record: Happening) -> None:
        """The carrier's own signature after the seller's: it tells when the buyer received them."""
        del found[-1]
        if found:
            found[-1] = replace(found[-1], until=record.occurred_at)
        found.append(Holding(BUYER, "buyer", record.occurred_at, record.seq))

    for one in sorted(records, key=lambda told: told.seq):
        match one.type:
            case "registration":
                seller = str(one.data.get("issuer", one.actor))
                pass_on(seller, "seller", one)
            case "acceptance" | "sale":
                seller = one.actor
                pass_on(seller, "seller", one)
            case "dispatch":
                pass_on(str(one.data.get("carrier", "")), "carrier", one)
            case "signature":
                if found and (found[-1].holder, found[-1].role) == (BUYER, "buyer"):
                    hand_over_again(one)
                else:
                    pass_on(BUYER, "buyer", one)
            case "return" | "refusal":
                if one.type == "refusal" and len(found) > 1 and found[-1].role == "buyer":
                    del found[-1]  # the carrier's word after the seller's: the buyer never had them
                pass_on(seller or one.actor, "seller", one)
            case _:
                pass
    return tuple(found)


def silent_feed(records: Iterable[Happening]) -> str | None:
    """Returns the party whose tracking ended before the signature, None while none did.

    records: of the present cycle. It is whoever sent the last word of the parcel, the aggregator rather
    than the carrier for whom it spoke. A shop's own word that the tracking ended excuses nobody.
    """
    last: Happening | None = None
    for one in sorted(records, key=lambda told: told.seq):
        if one.type in ("signature", "refusal", "return"):
            return None
        if one.type == "transit" and one.source in _FEEDS:
            last = one
    if last is None or str(last.data.get("status", "")).strip().lower() not in ABORTED:
        return None
    feed = last.sender if is_party_id(last.sender) else last.actor
    return feed if is_party_id(feed) else None
