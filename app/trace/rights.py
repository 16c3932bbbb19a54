"""Who may say what about these goods: beyond the role, the relation to the goods. Pure.

The table of roles says who may send a type at all. Here is asked whether the actor is the one whom
the fact concerns: only the holder sells, only the dispatch's carrier signs for its parcel. Asked
before the life table: who has no say learns nothing about the life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.kit.errors import Denied
from app.parties.identity import CONSUMER, is_party_id
from app.parties.roles import AGGREGATOR, CARRIER, MERCHANT, PLATFORM, REGULATOR
from app.trace.sides import seller_of

State = Mapping[str, Any]
Right = Callable[[State, str, str], bool]
"""Whether (state, actor, source) has the say; state is the fold of the goods."""


class NotTheHolder(Denied):
    """The actor has no say in this about these goods."""

    words: Mapping[str, str] = {"type": "event"}


def _holder(state: State, actor: str, _source: str) -> bool:
    return bool(state["holder"] == actor)


def _maker(state: State, actor: str, source: str) -> bool:
    return source == REGULATOR or actor in (
        state["issuer"],
        state["holder"],
        state.get("recall_agent"),
    )


def _seller_side(state: State, actor: str, source: str) -> bool:
    if actor in (seller_of(state), state["holder"]):
        return True
    return source == PLATFORM and state.get("sale", {}).get("platform") == actor


def _carrier_side(state: State, actor: str, source: str) -> bool:
    """The dispatch's carrier; any carrier while no dispatch names one, for records come late.

    A carrier that the shop gave as a mere name is nobody who could send.
    """
    if source not in (CARRIER, AGGREGATOR):
        return False
    named = state.get("dispatch", {}).get("carrier")
    return named is None or (is_party_id(str(named)) and named == actor)


def _delivery(state: State, actor: str, source: str) -> bool:
    return (
        source == CONSUMER
        or _carrier_side(state, actor, source)
        or (source in (MERCHANT, PLATFORM) and _seller_side(state, actor, source))
    )


def _named_carrier(state: State, actor: str, source: str) -> bool:
    return "dispatch" in state and _carrier_side(state, actor, source)


def _ending(state: State, actor: str, source: str) -> bool:
    """Ends a sale, so a carrier must be the one that the dispatch names."""
    return _seller_side(state, actor, source) or _named_carrier(state, actor, source)


def _turning_away(state: State, actor: str, source: str) -> bool:
    return (
        source == CONSUMER
        or _named_carrier(state, actor, source)
        or (source in (MERCHANT, PLATFORM) and _seller_side(state, actor, source))
    )


def _in_matter(state: State, actor: str, source: str) -> bool:
    return source == CONSUMER or _seller_side(state, actor, source)


def _anyone(_state: State, _actor: str, _source: str) -> bool:
    return True


RIGHTS: Mapping[str, Right] = {
    "listing": _holder,
    "pack": _holder,
    "unpack": _holder,
    "transfer": _holder,
    "acceptance": _anyone,  # the life table asks whether this is the named receiver
    "sale": _holder,
    "dispatch": _holder,
    "transit": _carrier_side,
    "signature": _delivery,
    "refusal": _turning_away,
    "return": _ending,
    "review": _anyone,
    "follow_up": _anyone,
    "carrier_rating": _anyone,  # who had a part in the shipment that it names: see `ratings`
    "buyer_rating": _anyone,
    "complaint": _anyone,
    "message": _in_matter,  # the recording checks the query code of the complaint it names
    "referral": _seller_side,
    "recall": _maker,
    "recall_lifted": _maker,
    "void": _holder,  # and no issuer that has given the unit away
    "reply": _seller_side,
    "notice": _maker,
    "inspection": _anyone,
    "customs_release": _anyone,
    "customs_hold": _anyone,
    "correction": _anyone,  # the actor of the record it names, which the recording checks
}
"""For units and consignments."""


def check_right(event_type: str, state: State, actor: str, sources: Iterable[str]) -> str:
    """Returns the first of the sources in which the actor has the say about goods in this state.

    Raises NotTheHolder where it has none.
    """
    for source in sources:
        if RIGHTS[event_type](state, actor, source):
            return source
    raise NotTheHolder("not_the_holder", type=event_type)
