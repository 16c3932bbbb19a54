"""What a seller offers of one product or lot, as one small fact beside its records. Pure.

Each sale reads the fact and each listing writes it, inside the one transaction that everybody waits
for; so it is bounded whatever a seller sends. It follows from the seller's listing records of the
stream in order of seq, which hold all of them.

`live`: place -> {seq, at, independent}, at most MOST_LIVE; a listing that ended leaves it, and the
oldest gives way to one more. `late`: [{seq, at, recorded, independent}] by seq, whether ended since
or not: what closes the gap of a unit that was sold before its listing came in. A listing does that
for sales between the time it is said to be of and the time it was recorded, so of more than
MOST_LATE those with the shortest such span give way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

MOST_LIVE = 50
MOST_LATE = 50
_LONGEST_KEY = 64

Fact = Mapping[str, Any]
"""As above; an empty one stands for no listing yet."""


def listing_fact(seller: str) -> str:
    """Returns the key of the fact, in the stream of the product or lot."""
    return f"listing/{seller}"


@dataclass(frozen=True, slots=True)
class Told:
    """What the fact takes from one listing record. at, recorded: ms; place: platform or URL."""

    place: str
    seq: int
    at: int
    recorded: int
    ended: bool
    independent: bool


def fold_listing(fact: Fact, told: Told) -> dict[str, Any]:
    """Returns the fact after one more listing of the seller."""
    live = dict(fact.get("live", {}))
    late = list(fact.get("late", ()))
    kept = {"seq": told.seq, "at": told.at, "independent": told.independent}
    key = _key_of(told.place)
    live.pop(key, None)
    if not told.ended:
        live[key] = kept
        late.append({**kept, "recorded": told.recorded})
    if len(live) > MOST_LIVE:
        del live[min(live, key=lambda place: live[place]["seq"])]
    if len(late) > MOST_LATE:
        late.remove(min(late, key=lambda one: (one["recorded"] - one["at"], one["seq"])))
    return {"live": live, "late": late}


def live_listing(fact: Fact) -> Mapping[str, Any] | None:
    """Returns the live listing that a sale refers to: one that another vouches for, the newest."""
    live: Mapping[str, Mapping[str, Any]] | None = fact.get("live")
    if not live:
        return None
    return max(live.values(), key=lambda one: (one["independent"], one["seq"]))


def listings_since(fact: Fact, since: int) -> Iterator[Mapping[str, Any]]:
    """Yields the listings that were recorded at `since` (ms) or later, in order of seq."""
    for one in fact.get("late", ()):
        if one["recorded"] >= since:
            yield one


def _key_of(place: str) -> str:
    """Returns a place's key: a URL may be long, and fifty of them are not small."""
    return place if len(place) <= _LONGEST_KEY else sha256(place.encode("utf-8")).hexdigest()
