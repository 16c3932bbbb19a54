"""Decides events: the function that the recorder calls inside its transaction. Pure.

Order of the questions: is there such goods, may this sender speak for this actor, has the actor the
say about the goods, can it be true (life table, recall, suspension). Only then state, references
and index rows are drafted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from app.kit.clock import format_time, from_ms, to_ms
from app.kit.errors import NotFound
from app.ledger.record import Claim, stream_key
from app.ledger.submission import Draft, Effect, Read, StreamHead, View
from app.parties.identity import CONSUMER
from app.parties.roles import MERCHANT, PLATFORM
from app.parties.rules import is_suspended
from app.trace import lifecycle
from app.trace.asked import told_above
from app.trace.caserows import case_effects
from app.trace.categories import check_licences
from app.trace.code import Code, lot_stream
from app.trace.gaps import (
    Graces,
    responsible_for,
)
from app.trace.leaving import Left
from app.trace.life_table import STEPS, WORDS, Happening, LifecycleConflict
from app.trace.lifecycle import Around
from app.trace.listings import listing_fact, listings_since, live_listing
from app.trace.proof import Proofs
from app.trace.ratings import TYPES as RATINGS
from app.trace.ratings import Named, NotInShipment, rating_row
from app.trace.recalling import check_recall, recall_effect
from app.trace.requests import ConsumerProof
from app.trace.rights import check_right
from app.trace.sending import Sending, goods_reads, listing_reads, sender_sources
from app.trace.sides import seller_of
from app.trace.soldrows import sold_row
from app.trace.spoken import check_word
from app.trace.voices import TYPES as VOICES
from app.trace.voices import Said, check_referral, voice_effects


class CodeUnknown(NotFound):
    """No such product, lot or unit was registered."""

    slug = "code-unknown"


@dataclass(frozen=True, slots=True)
class Decision:
    """Decides one event on a unit, or on one consignment of a lot.

    subject: "" for a unit, `consignment/<id>` on a lot, where the life stands in a fact of that key.
    earlier: fields of the record that a correction or reply names.
    side: rows for the keyed side index, made beforehand because they need a key.
    named: the record that a rating names. left: out of which case a signature took the unit.
    """

    code: Code
    sending: Sending
    graces: Graces
    subject: str = ""
    proof: ConsumerProof | None = None
    proofs: Proofs | None = None
    side: tuple[tuple[str, bytes], ...] = ()
    named: Named | None = None
    left: Left | None = None

    def reads(self, actor: str) -> tuple[Read, ...]:
        """Returns what the decision wants to see beside the goods' own stream."""
        found = goods_reads(actor, self.sending, self.code.gtin)
        if not self.subject:
            return found
        stream = self.code.stream
        return (*found, Read(stream, self.subject), Read(stream, listing_fact(actor)))

    def reads_after(self, head: StreamHead) -> tuple[Read, ...]:
        """Returns what only the stream's own head can name: a unit's lot, the seller's listings."""
        if "holder" not in head.state:
            return ()
        if self.subject:
            # A consignment is sold by the lot's holder, whoever speaks of it.
            fact = listing_fact(str(head.state["holder"]))
            return Read(self.code.product_stream, fact), Read(head.stream, fact)
        seller = str(head.state.get("sale", {}).get("actor") or head.state["holder"])
        return listing_reads(self.code.gtin, head.state.get("lot"), seller)

    def __call__(self, claim: Claim, view: View) -> Draft:
        head = view.heads[claim.stream]
        if not head.exists:
            raise CodeUnknown("code_unknown", code=claim.stream)
        state = self._life(head, view, claim)
        sources = sender_sources(
            claim, view, self.sending, own_goods=state["holder"] == claim.actor
        )
        lot_stream = self._lot_stream(head)
        lot = None if lot_stream is None else view.heads.get(lot_stream)
        held = state if lot is None else {**state, "recall_agent": lot.state.get("recall_agent")}
        source = check_right(claim.type, held, claim.actor, sources)
        check_recall(claim, state)
        if self.proof is not None:
            self._check_proof(state)
            if self.named is not None and self.named.id != state.get("dispatch", {}).get("id"):
                raise NotInShipment("not_in_shipment")  # the proof is of the present purchase
        product = self.code.product_stream
        if claim.type == "listing":
            check_listing(claim, view, view.heads[product].state)
        listing = None
        if claim.type == "sale":  # of nothing else it is asked
            listing = _live_listing(view, claim, (claim.stream, lot_stream, product))
        happening = Happening(
            head.seq + 1,
            claim.id,
            claim.type,
            claim.actor,
            self.sending.party or CONSUMER,
            source,
            to_ms(claim.occurred_at),
            to_ms(view.now),
            claim.data,
            listing is not None,
            listing is not None and listing.independent,
        )
        around = self._around(view, claim, (product, lot_stream))
        new = lifecycle.advance(state, happening, self.graces, around=around)
        self._check_left(claim, state)
        if self.sending.unsays:
            raise LifecycleConflict("has_spoken")
        check_word(state, new, claim.type)
        # What is owed and whole is judged with a late listing taken in; stored is the bare fold,
        # which the stream's own records can tell again.
        seen_before, seen = self._healed(state, view), self._healed(new, view)
        refs: list[tuple[str, int]] = []
        if listing is not None:
            refs.append((listing.stream, listing.seq))
        if claim.type == "sale" and lot is not None and lot.stream != claim.stream:
            refs.append((lot.stream, lot.seq))
        return Draft(
            state=head.state if self.subject else new,
            facts={self.subject: new} if self.subject else {},
            refs=tuple(refs),
            effects=life_effects(self.code, claim.stream, self.subject, seen_before, seen)
            + self._recall(claim, new)
            + self._rating(claim, head, state, view)
            + self._voice(claim, head, state, view),
            outbox=life_outbox(self.code, self.subject, seen_before, seen, view.now)
            + told_above(claim, self.code, self.subject, new, view.now, self.sending.answers),
            side=self.side,
            source=source,
        )

    def _life(self, head: StreamHead, view: View, claim: Claim) -> Mapping[str, Any]:
        """Returns the state of the unit, or of the consignment, which may be a new one."""
        if not self.subject:
            return head.state
        found = view.facts.get((claim.stream, self.subject))
        if found is not None:
            return dict(found)
        # A consignment is a part of the lot, in the hands of the lot's holder until it is sold.
        return lifecycle.begin(str(head.state["holder"]), lot=self.code.lot)

    def _lot_stream(self, head: StreamHead) -> str | None:
        if self.subject:
            return head.stream
        lot = head.state.get("lot")
        return None if lot is None else lot_stream(self.code.gtin, lot)

    def _around(self, view: View, claim: Claim, above: tuple[str | None, ...]) -> Around:
        # Lifted ones too: what occurred meanwhile is no more allowed for being told afterwards.
        recalls = [
            window
            for stream in above
            if stream is not None
            for window in lifecycle.recall_windows(view.heads[stream].state)
        ]
        party = view.heads.get(f"party/{claim.actor}")
        return Around(tuple(recalls), suspended_at(party, claim.occurred_at))

    def _healed(self, state: Mapping[str, Any], view: View) -> Mapping[str, Any]:
        """Returns the state with the seller's late listings of product or lot taken into account.

        Of one from before the gap opened the sale was told; one after it counts though it ended.
        """
        seller = state.get("sale", {}).get("actor")
        gap = state.get("gaps", {}).get("listing")
        if seller is None or gap is None:
            return state
        wanted = listing_fact(seller)
        for (_, key), fact in view.facts.items():
            for told in listings_since(fact, gap["since"]) if key == wanted else ():
                listing = Happening(
                    seq=told["seq"],
                    id="",
                    type="listing",
                    actor=seller,
                    sender=PLATFORM if told["independent"] else seller,
                    source=PLATFORM if told["independent"] else MERCHANT,
                    occurred_ms=told["at"],
                    recorded_ms=told["recorded"],
                    data={},
                )
                state = lifecycle.heal(state, listing)
        return state

    def _check_left(self, claim: Claim, state: Mapping[str, Any]) -> None:
        """Raises LifecycleConflict where goods signed for did not leave the case that it names by that."""
        case = claim.data.get("case")
        if claim.type not in WORDS or state["state"] != "signed" or case is None:
            return
        if self.left != Left(state["signature"]["id"], case):
            raise LifecycleConflict("not_in_case")

    def _check_proof(self, state: Mapping[str, Any]) -> None:
        """Raises ProofInvalid for a token of another sale; an inner code was checked before."""
        if self.proof is None or self.proof.token is None or self.proofs is None:
            return
        subject = token_subject(self.code, self.subject)
        self.proofs.check_purchase(self.proof.token, subject=subject, state=state)

    def _recall(self, claim: Claim, new: Mapping[str, Any]) -> tuple[Effect, ...]:
        if claim.type not in ("recall", "recall_lifted"):
            return ()
        return tuple(
            recall_effect(self.code, recaller, entry, seller=seller_of(new))
            for recaller, entry in new["recalls"].items()
        )

    def _rating(
        self, claim: Claim, head: StreamHead, state: Mapping[str, Any], view: View
    ) -> tuple[Effect, ...]:
        if claim.type not in RATINGS:
            return ()
        row = rating_row(
            claim.stream,
            self.code.gtin,
            seq=head.seq + 1,
            type_=claim.type,
            actor=claim.actor,
            data=claim.data,
            at_ms=to_ms(view.now),
            seller=seller_of(state),
            named=self.named,
        )
        return (Effect("rating", row),)

    def _voice(
        self, claim: Claim, head: StreamHead, state: Mapping[str, Any], view: View
    ) -> tuple[Effect, ...]:
        if claim.type == "referral":
            check_referral(claim.actor, claim.data, state)
        if claim.type not in VOICES:
            return ()
        return voice_effects(
            Said(claim.stream, claim.id, claim.type, claim.actor, claim.data),
            self.code.gtin,
            seq=head.seq + 1,
            at_ms=to_ms(view.now),
            state=state,
            of=self.sending.answers,
        )


def token_subject(code: Code, subject: str) -> str:
    """Returns what a claim token is bound to: the unit, or the consignment of a lot."""
    return f"{code.stream}#{subject}" if subject else code.stream


class Listing(NamedTuple):
    """A seller's live listing, high up."""

    stream: str
    seq: int
    independent: bool


def check_listing(claim: Claim, view: View, product: Mapping[str, Any]) -> None:
    """Raises LicenceMissing where the seller may not offer goods of this product's category.

    Asked wherever goods can be listed, the unit too. Taking a listing off needs no licence.
    """
    if claim.data.get("ended") is not True:
        seller = view.heads[f"party/{claim.actor}"].state
        check_licences(product["category"], seller.get("licences", ()), view.now)


def recalled_since(state: Mapping[str, Any]) -> datetime | None:
    """Returns since when a product or lot is recalled by anybody, or None."""
    open_since = [r["since"] for r in state.get("recalls", {}).values() if "until" not in r]
    return from_ms(min(open_since)) if open_since else None


def suspended_at(party: StreamHead | None, at: datetime) -> datetime | None:
    """Returns `at` if a measure then bars the party from listing, selling and dispatching."""
    return at if party is not None and is_suspended(party.state, at) else None


def life_effects(
    code: Code, stream: str, subject: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[Effect, ...]:
    """Returns the index rows that follow the life: what is due, and the sale cycle as counted.

    stream: of the code.
    """
    key: dict[str, Any] = {"stream": stream_key(stream), "subject": subject}
    gaps = new["gaps"]
    effects = []
    for step in STEPS:
        gap = gaps.get(step)
        if gap is not None:
            effects.append(
                Effect(
                    "due",
                    {
                        **key,
                        "step": step,
                        "kind": gap["kind"],
                        "party": responsible_for(new, step),
                        "since_at": gap["since"],
                        "due_at": gap["due"],
                        "raised": False,
                    },
                )
            )
        elif step in old.get("gaps", {}):
            effects.append(Effect("due", {**key, "step": step}))  # met
    row = sold_row(code, stream, subject, old, new)
    if row is not None:
        effects.append(Effect("sold_unit", row))
    return tuple(effects) + case_effects(key["stream"], old, new)


def life_outbox(
    code: Code, subject: str, old: Mapping[str, Any], new: Mapping[str, Any], now: datetime
) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Returns what the rooms above must hear: a chain that is whole, a counted gap that is healed."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    if "completed" in new and "completed" not in old:
        told = {
            "code": code.stream,
            "subject": subject,
            "seller": seller_of(new),
            "sold": new["sale"]["seq"],
            "signed": new["signature"]["seq"],
            "at": format_time(now),
        }
        found.append(("chain.completed", told))
    healed = [
        step
        for step, gap in old.get("gaps", {}).items()
        if step not in new["gaps"] and gap["due"] <= to_ms(now)
    ]
    if healed:
        # A return or a void ends what a cycle still owed; that is no cure, and no delay either.
        over = new["state"] in ("returned", "void")
        topic = "gaps.ended" if over else "gaps.healed"
        found.append((topic, {"code": code.stream, "subject": subject, "steps": healed}))
    return tuple(found)


def _live_listing(view: View, claim: Claim, streams: tuple[str | None, ...]) -> Listing | None:
    """Returns the seller's live listing, the nearest to the goods first."""
    for stream in streams:
        if stream is not None:
            told = live_listing(view.facts.get((stream, listing_fact(claim.actor)), {}))
            if told is not None:
                return Listing(stream, told["seq"], told["independent"])
    return None
