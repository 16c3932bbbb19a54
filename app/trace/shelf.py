"""Decides events on products and lots: what is written once, high up, and holds for all units below.

Listings by seller and place, recalls, notices, inspections, customs releases. State of a product's
or lot's head: its facts as registered and `recalls` by recaller, as in a unit's life; a seller's
listings stand in a fact of their own (app.trace.listings). A lot also has a `party` (who registered
it) and a `holder`, whom a transfer and its acceptance change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.kit.clock import to_ms
from app.ledger.record import Claim, stream_key
from app.ledger.submission import Draft, Effect, Read, View
from app.parties.roles import MERCHANT, REGULATOR
from app.trace.asked import Told as Heard
from app.trace.asked import recall_told, refusal_told
from app.trace.code import Code
from app.trace.decide import (
    CodeUnknown,
    check_listing,
    suspended_at,
)
from app.trace.life_table import LifecycleConflict
from app.trace.lifecycle import Around, check_around, recall_windows
from app.trace.listings import Told, fold_listing, listing_fact
from app.trace.recalling import check_recall, recall_effect
from app.trace.replay import fold_recall
from app.trace.rights import NotTheHolder
from app.trace.sending import Sending, sender_sources, who_reads
from app.trace.voices import Said, voice_effects


@dataclass(frozen=True, slots=True)
class ShelfDecision:
    """Decides one event on a product or lot (the life of a lot's consignments is decided elsewhere)."""

    code: Code
    sending: Sending
    side: tuple[tuple[str, bytes], ...] = ()

    def reads(self, actor: str) -> tuple[Read, ...]:
        """Returns what the decision wants to see beside the product's or lot's own stream."""
        return (
            *who_reads(actor, self.sending),
            Read(Code(self.code.gtin).stream),
            Read(self.code.stream, listing_fact(actor)),
        )

    def __call__(self, claim: Claim, view: View) -> Draft:
        head = view.heads[claim.stream]
        if not head.exists:
            raise CodeUnknown("code_unknown", code=claim.stream)
        sources = sender_sources(claim, view, self.sending, own_goods=True)
        source = self._check_say(claim, head.state, sources)
        product = view.heads[Code(self.code.gtin).stream].state
        if claim.type == "listing":
            return self._list(claim, view, product, source)
        if self.sending.unsays:
            raise LifecycleConflict("has_spoken")
        state = dict(head.state)
        effects: tuple[Effect, ...] = ()
        heard: tuple[Heard, ...] = ()
        if claim.type in ("recall", "recall_lifted"):
            check_recall(claim, state)
            heard = recall_told(claim, self.code)
            state["recalls"] = fold_recall(
                state.get("recalls", {}),
                lifted=claim.type == "recall_lifted",
                actor=claim.actor,
                source=source,
                at=to_ms(claim.occurred_at),
            )
            # What one seller recalls must not touch its competitors' offers.
            seller = None if self.code.level == "product" else str(state["party"])
            effects = tuple(
                recall_effect(self.code, recaller, entry, seller=seller)
                for recaller, entry in state["recalls"].items()
            )
        elif claim.type == "transfer":
            state["transfer"] = {"to": claim.data["to"]}
        elif claim.type == "acceptance":
            self._check_receiver(claim, state)
            state["holder"] = claim.actor
            del state["transfer"]
        elif claim.type == "reply" and self.code.level == "lot":
            effects = voice_effects(
                Said(claim.stream, claim.id, claim.type, claim.actor, claim.data),
                self.code.gtin,
                seq=head.seq + 1,
                at_ms=to_ms(view.now),
                state=head.state,
                of=self.sending.answers,
            )
            heard = refusal_told(claim, self.sending.answers)
        return Draft(state, effects=effects, outbox=heard, side=self.side, source=source)

    def _check_receiver(self, claim: Claim, state: Mapping[str, Any]) -> None:
        named = state.get("transfer", {}).get("to") == claim.actor
        if not named or claim.data["from"] != state["holder"]:
            raise LifecycleConflict("no_transfer")

    def _check_say(self, claim: Claim, state: Mapping[str, Any], sources: Sequence[str]) -> str:
        """Returns the source in which the actor has the say. Raises NotTheHolder.

        Recalls and notices are the brand owner's, or the lot's own party's, or a regulator's.
        """
        if claim.type == "transfer" and claim.actor != state.get("holder"):
            raise NotTheHolder("not_the_holder", type=claim.type)
        if claim.type == "reply" and claim.actor not in (
            state.get("brand_owner"),
            state.get("registrant"),
            state.get("party"),
            state.get("holder"),
        ):
            raise NotTheHolder("not_the_holder", type=claim.type)
        if claim.type not in ("recall", "recall_lifted", "notice"):
            return sources[0]
        allowed = (
            {state.get("brand_owner")}
            if self.code.level == "product"
            else {state["party"], state["holder"], state.get("recall_agent")}
        )
        if claim.actor in allowed:
            return sources[0]
        if REGULATOR in sources:
            return REGULATOR
        raise NotTheHolder("not_the_brand_owner", type=claim.type)

    def _list(self, claim: Claim, view: View, product: Mapping[str, Any], source: str) -> Draft:
        head = view.heads[claim.stream]
        party = view.heads[f"party/{claim.actor}"]
        ended = claim.data.get("ended") is True
        check_listing(claim, view, product)
        if not ended:
            around = Around(
                recalls=(*recall_windows(product), *recall_windows(head.state)),
                suspended_since=suspended_at(party, claim.occurred_at),
            )
            check_around(claim.type, claim.occurred_at, around)
        fact = listing_fact(claim.actor)
        told = Told(
            place=str(claim.data.get("platform") or claim.data.get("url")),
            seq=head.seq + 1,
            at=to_ms(claim.occurred_at),
            recorded=to_ms(view.now),
            ended=ended,
            independent=source != MERCHANT and self.sending.party != claim.actor,
        )
        offers = fold_listing(view.facts.get((claim.stream, fact), {}), told)
        offer = {
            "gtin": self.code.gtin,
            "seller": claim.actor,
            "place": told.place,
            "stream": stream_key(claim.stream),
            "seq": told.seq,
            "title": claim.data.get("title"),
            "ended": ended,
            "listed_at": told.at,
        }
        heard = {"code": claim.stream, "seller": claim.actor, "at": told.at}
        return Draft(
            head.state,
            facts={fact: offers},
            effects=(Effect("offer", offer),),
            outbox=() if ended else (("listing.recorded", heard),),
            side=self.side,
            source=source,
        )
