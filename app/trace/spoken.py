"""Whose word stands: what is not recorded, because it would take the place of who spoke of a delivery.

A correction shows another carrier or platform, and rights, proofs and the counting signature go by who is
named. So who has spoken as the named one stays named: else a seller could name its own in the place of a
carrier that has signed, and the buyer's proof would be void. Asked at the door alone; the fold takes what
is recorded. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.parties.identity import is_party_id
from app.parties.roles import PLATFORM
from app.trace.life_table import LifecycleConflict, State
from app.trace.sides import is_unrelated, is_witnessed

Fields = Mapping[str, Any]

_NAMING = {"dispatch": "carrier", "sale": "platform"}
_ENDS = frozenset({"return", "refusal"})
_OF_CARRIERS = frozenset({"transit", "signature", *_ENDS})


def names_anew(of: Fields, changes: object) -> bool:
    """Whether these changes of a record name a carrier or platform, perhaps the same."""
    return isinstance(changes, Mapping) and _NAMING.get(of["type"]) in changes


def has_spoken(of: Fields, changes: Mapping[str, Any], records: Iterable[Fields]) -> bool:
    """Whether another than the one that `changes` name was named in the record `of` and has spoken since.

    records: fields, of this life and of what corrects `of`, in order of seq. What software of the seller's
    said in the named one's name does not count: no proof goes out with it. Nor does what an aggregator tells
    of the way: it speaks of a waybill in the name of whomever the dispatch names, rightly or not.
    """
    field, seller = _NAMING[of["type"]], of["actor"]
    names, said, agents = [of["data"].get(field)], [], set()
    over = False
    for one in records:
        type_, sender = one["type"], one.get("via", one["actor"])
        if type_ == "correction" and one["data"].get("of") == of["id"]:
            told = one["data"].get("changes")
            if one["actor"] == seller and names_anew(of, told):
                names.append(told[field])
            continue
        if over:
            continue  # of a later sale it says nothing
        since = one["seq"] > of["seq"]
        if type_ in _NAMING and one["actor"] == seller:
            agents.add(sender)
        elif since and type_ == "transit" and sender != one["actor"]:
            continue
        elif since and (type_ in _OF_CARRIERS if field == "carrier" else one["source"] == PLATFORM):
            said.append((one["actor"], sender))
        if type_ in _ENDS and since:
            over = True
        elif type_ in _ENDS:
            agents = set()
    others = {name for name in names if isinstance(name, str) and is_party_id(name)}
    others -= {changes[field], seller}
    return any(
        actor in others and sender != seller and (sender == actor or sender not in agents)
        for actor, sender in said
    )


def check_word(state: State, new: State, type_: str) -> None:
    """Raises LifecycleConflict where a record would take away the word of the signature that stands.

    state: before this record; new: as it would be after it. Asked in the record's own transaction, where
    no signature can come between.
    """
    if state["state"] != "signed" or new["state"] != "signed" or type_ == "signature":
        return
    if type_ == "correction" and _renames_signer(state, new):
        raise LifecycleConflict("has_spoken")
    if is_witnessed(state) != is_witnessed(new):
        # Neither by a sale told late, by software that has signed for the carrier.
        raise LifecycleConflict("has_spoken")


def _renames_signer(state: State, new: State) -> bool:
    signed = state["signature"]
    actor, sender = str(signed["actor"]), str(signed["sender"])
    if not is_unrelated(state, actor, sender):
        return False
    carrier = state.get("dispatch", {}).get("carrier")
    for type_, field in _NAMING.items():
        told = state.get(type_, {})
        if type_ == "sale" and actor == carrier:
            continue  # it spoke as the carrier
        if told.get(field) == actor and signed["seq"] > told["seq"]:
            return bool(new[type_].get(field) != actor)
    return False
