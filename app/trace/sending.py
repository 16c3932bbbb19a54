"""Who sends an event: what must be read to judge it, and in which role they may speak. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from app.kit.errors import Denied
from app.ledger.record import Claim
from app.ledger.submission import Read, View
from app.parties.roles import sources_of
from app.parties.rules import party_reads
from app.parties.standing import check_mandate, check_verified
from app.trace.code import Code, lot_stream
from app.trace.listings import listing_fact


class EventNotYours(Denied):
    """No role of the sender may send this type."""

    words: Mapping[str, str] = {"type": "event"}


class Sending(NamedTuple):
    """Who sends: the key's party and roles; party None for a consumer.

    named: the source of the record that it corrects, whose role it then speaks in. answers: id of the
    review, follow-up or complaint (app.trace.voices) that it goes on with. unsays: whether it names another
    in the place of one that has spoken (app.trace.spoken).
    """

    party: str | None
    roles: frozenset[str]
    named: str | None = None
    answers: str | None = None
    unsays: bool = False


def who_reads(actor: str, sending: Sending) -> tuple[Read, ...]:
    """Returns the reads about who acts and who sends; consumers have no stream."""
    return () if sending.party is None else party_reads(actor, sending.party)


# The same few questions come with each event of a sender, of a product, of a lot.
@lru_cache(maxsize=4096)
def goods_reads(actor: str, sending: Sending, gtin: str) -> tuple[Read, ...]:
    """Returns what any event on goods wants to see: who acts and sends, the product, its listings."""
    product = Code(gtin).stream
    return (*who_reads(actor, sending), Read(product), Read(product, listing_fact(actor)))


@lru_cache(maxsize=4096)
def listing_reads(gtin: str, lot: str | None, seller: str) -> tuple[Read, ...]:
    """Returns what a unit of this product and lot wants to see of its seller's listings."""
    fact = listing_fact(seller)
    found = Read(Code(gtin).stream, fact)
    if lot is None:
        return (found,)
    stream = lot_stream(gtin, lot)
    return found, Read(stream), Read(stream, fact)


def sender_sources(
    claim: Claim, view: View, sending: Sending, *, own_goods: bool
) -> tuple[str, ...]:
    """Returns the sources the record may have, if this sender may speak for this actor.

    First that of a record which this one corrects, then the weakest. Raises EventNotYours,
    MandateMissing (no-mandate) or PartyUnverified.
    """
    if sending.party is None:
        sources = sources_of(sending.roles, claim.type)
    else:
        check_verified(view, sending.party)
        actor_roles = None
        if claim.actor != sending.party:
            check_mandate(
                view, actor=claim.actor, agent=sending.party, event_type=claim.type, now=view.now
            )
            check_verified(view, claim.actor)
            actor_roles = view.heads[f"party/{claim.actor}"].state["roles"]
        sources = sources_of(
            sending.roles, claim.type, actor_roles=actor_roles, own_goods=own_goods
        )
    if not sources:
        raise EventNotYours("event_not_yours", type=claim.type)
    if sending.named is None:
        return sources
    return tuple(sorted(sources, key=lambda source: source != sending.named))
