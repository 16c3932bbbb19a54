"""The sides of a sale: who sells, who carries, and whose word of the delivery is a witness's.

The witness is the carrier that the dispatch names, where that is a party which has nothing to do with the
seller and no software of the seller's speaks for it. With its signature a claim token goes out, the
buyer's proof of purchase. So what the seller says of the delivery cannot take the place of its word: it
comes once more, after the seller's, and is the signature from then on, or ends the sale where the buyer
refused the parcel (Civil Code art. 512: the time of the receiver's signing is the time of delivery, and
who handed over knows it). Reads a state as `lifecycle` builds it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.parties.identity import CONSUMER, is_party_id

State = Mapping[str, Any]


def seller_of(state: State) -> str:
    """Returns the party of the present sale, of the last one after a return, else the holder."""
    if "sale" in state and (seller := state["sale"].get("actor")):
        return str(seller)
    return str(state.get("closed", {}).get("seller") or state["holder"])


def is_witness(state: State, *, actor: str, sender: str) -> bool:
    """Whether a signature of this actor, sent by this party, is the word of the carrier now named.

    A name that is no party can be nobody's: it signs for nothing.
    """
    named = str(state.get("dispatch", {}).get("carrier", ""))
    return named == actor and is_party_id(named) and is_unrelated(state, actor, sender)


def is_witnessed(state: State) -> bool:
    """Whether the signature that stands is such a word: a claim token went out with it.

    A dispatch that was told later makes nobody a witness of before.
    """
    sent, signed = state.get("dispatch"), state.get("signature")
    if not sent or not signed or signed["seq"] < sent["seq"]:
        return False
    actor, sender = str(signed.get("actor")), str(signed.get("sender"))
    if actor == sent.get("carrier"):
        return is_witness(state, actor=actor, sender=sender)
    # Signed by none of the others who may: then by the carrier that was named until a correction.
    others = (CONSUMER, state.get("sale", {}).get("platform"))
    return (
        bool(state["steps"].get("signature"))
        and actor not in others
        and is_unrelated(state, actor, sender)
    )


def may_speak_again(state: State, *, actor: str, sender: str) -> bool:
    """Whether goods that are signed for take this word too: a witness's, where none has spoken.

    It signs, or says that the parcel was refused. Every other word gives way to it: the seller's, the
    platform's, one by the hidden code that the seller printed, that of a carrier whom no dispatch had named
    and of software that spoke for another. A buyer who proved the purchase has spoken for good.
    """
    if is_witnessed(state) or not is_witness(state, actor=actor, sender=sender):
        return False
    return not (state["steps"].get("signature") and state["signature"].get("actor") == CONSUMER)


def outweighed(records: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Returns the ids of signatures after which the carrier's own word came and stands.

    records: fields, of goods in order of seq; of a lot each consignment is one of its own.
    """
    standing: dict[tuple[str, object], str] = {}
    found = set()
    for fields in records:
        life = fields["stream"], fields["data"].get("consignment")
        if fields["type"] == "signature":
            if life in standing:
                found.add(standing[life])
            standing[life] = fields["id"]
        elif fields["type"] == "return":
            standing.pop(life, None)
        elif fields["type"] == "refusal" and life in standing:
            found.add(standing.pop(life))  # of goods signed for, nobody but the carrier says so
    return frozenset(found)


def is_unrelated(state: State, actor: str, sender: str) -> bool:
    """Whether neither is the seller, or its software that told the sale or dispatch for it and now sends."""
    seller = seller_of(state)
    if seller in (actor, sender):
        return False
    told = (state.get("sale", {}), state.get("dispatch", {}))
    for_seller = {fact.get("sender") for fact in told if fact.get("actor") == seller}
    return sender == actor or sender not in for_seller
