"""Lists many products at once: one listing for each product and place, and none that says nothing new.

What a spreadsheet or a page hands over together. Each is decided by the recorder like any listing; what
can be known beforehand is told without writing, so that a dry run says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock
from app.kit.errors import Fault
from app.ledger.record import stream_key
from app.ledger.recorder import Recorder
from app.ledger.store import load_heads, load_record
from app.ledger.submission import Answer, Effect, StreamHead, Submission, with_effects
from app.parties.principal import Principal
from app.parties.roles import sources_of
from app.trace.catalogue import ProductUnknown
from app.trace.categories import check_licences
from app.trace.code import Code
from app.trace.decide import suspended_at
from app.trace.events import check_event, check_time
from app.trace.gtin import parse_gtin
from app.trace.lifecycle import Around, check_around, recall_windows
from app.trace.recording import Recording
from app.trace.requests import EventRequest
from app.trace.sending import EventNotYours
from app.trace.store import offers_at

_NAMESPACE = UUID("0b7e3a52-7c1f-5d0b-9a53-2f4d8c6e1a90")
MAX_OFFERS = 500

Listed = Answer | None
"""What came of one: None where it is listed there already, saying just that."""


class NewOffer(NamedTuple):
    """A product to be listed. data: of the listing event. listed_at: None for now.

    category: of a product that may not be registered yet; then an unknown GTIN, "" too, is no fault.
    """

    gtin: str
    data: Mapping[str, Any]
    listed_at: datetime | None = None
    category: str | None = None

    @property
    def place(self) -> str:
        """Where it is listed, as the index of offers has it."""
        return str(self.data.get("platform") or self.data.get("url"))


class Offering:
    """Says what would be listed, and lists it."""

    def __init__(
        self, database: Database, recorder: Recorder, recording: Recording, *, clock: Clock
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._recording = recording
        self._clock = clock

    def plan(
        self, principal: Principal, offers: Sequence[NewOffer]
    ) -> list[EventRequest | Fault | None]:
        """Returns of each the event to be recorded, what refuses it, or None where nothing is new.

        Of two at one place the later one is no repeat: who asks sees to it that there are none. Raises
        Denied where the caller sends no events. Read-only.
        """
        principal.check_may("event.send")
        party = principal.own_party()
        told: list[EventRequest | Fault | None] = []
        with self._database.read() as connection:
            known = {offer.gtin for offer in offers if offer.gtin}
            streams = {Code(gtin).stream for gtin in known}
            heads = load_heads(connection, [*streams, f"party/{party}"])
            rows = offers_at(connection, party, known)
            for offer in offers:
                row = rows.get((offer.gtin, offer.place))
                if _is_there(connection, offer, row):
                    told.append(None)  # whatever rule has come since
                    continue
                try:
                    self._check(principal, offer, heads)
                    told.append(_event(offer, party, row))
                except Fault as fault:
                    told.append(fault)
        return told

    def unlisted(self, principal: Principal, gtins: Sequence[str]) -> frozenset[str]:
        """Returns which of these products the caller's party offers nowhere now. Read-only."""
        with self._database.read() as connection:
            rows = offers_at(connection, principal.own_party(), gtins)
        return frozenset(gtins) - {gtin for (gtin, _), row in rows.items() if not row.ended}

    def list_all(
        self,
        principal: Principal,
        offers: Sequence[NewOffer],
        *,
        effects: Sequence[Effect] = (),
        low_priority: bool = False,
    ) -> list[Listed]:
        """Returns what came of each, in order; each stands for itself.

        effects: one for each, to be written with its record; a repeat writes none. Raises as `plan`.
        """
        results: dict[int, Listed] = {}
        submissions: dict[int, Submission] = {}
        for n, one in enumerate(self.plan(principal, offers)):
            if not isinstance(one, EventRequest):
                results[n] = one
                continue
            try:
                made = self._recording.prepare(principal, one, None)
            except Fault as fault:
                results[n] = fault
            else:
                submissions[n] = with_effects(made, effects[n]) if effects else made
        answers = self._recorder.submit_and_wait(
            list(submissions.values()), low_priority=low_priority
        )
        results |= zip(submissions, answers, strict=True)
        return [results[n] for n in range(len(offers))]

    def _check(
        self, principal: Principal, offer: NewOffer, heads: Mapping[str, StreamHead]
    ) -> None:
        """Raises the fault that would refuse this listing now."""
        check_event("listing", "product", offer.data, ())
        now = self._clock.now()
        at = offer.listed_at or now
        check_time(at, now)
        if not may_list(principal):
            raise EventNotYours("event_not_yours", type="listing")
        product = heads.get(Code(offer.gtin).stream) if offer.gtin else None
        state = product.state if product is not None and product.exists else {}
        category = state.get("category") or offer.category
        if category is None:
            raise ProductUnknown("product_unknown", gtin=offer.gtin)
        party = heads[f"party/{principal.own_party()}"]
        check_licences(category, party.state.get("licences", ()), now)
        around = Around(tuple(recall_windows(state)), suspended_at(party, at))
        check_around("listing", at, around)


def may_list(principal: Principal) -> bool:
    """Whether the roles of the caller list goods at all."""
    return bool(sources_of(principal.roles, "listing"))


def offers_of_form(gtins: Sequence[str], data: Mapping[str, Any]) -> list[NewOffer]:
    """Returns the same listing for several products, each once. Raises Invalid for what is no GTIN."""
    told = dict.fromkeys(parse_gtin(gtin, allow_item_code=True) for gtin in gtins)
    return [NewOffer(gtin, data) for gtin in told]


def _is_there(connection: Connection, offer: NewOffer, row: Any | None) -> bool:
    """Whether the live listing at this place says all that this one does.

    One of a lot of the product is another one: `row.seq` is that of the lot's stream then.
    """
    if row is None or row.ended or row.stream != stream_key(Code(offer.gtin).stream):
        return False
    record = load_record(connection, Code(offer.gtin).stream, row.seq)
    if record is None:
        return False
    told = record.fields["data"]
    return all(told.get(name) == value for name, value in offer.data.items())


def _event(offer: NewOffer, party: str, row: Any | None) -> EventRequest:
    """Returns the listing. Its id follows from what it says and what was last said of the place.

    So two processes at one job record it once, and what was taken off may be listed again.
    """
    stream = Code(offer.gtin).stream if offer.gtin else ""
    last = "-1" if row is None else str(row.seq)
    if row is not None and row.stream != stream_key(stream):
        last = f"{row.stream}#{last}"
    said = canonical_bytes(dict(offer.data)).decode()
    return EventRequest(
        code=stream,
        type="listing",
        data=offer.data,
        id=str(uuid5(_NAMESPACE, f"{party}\x00{offer.gtin}\x00{last}\x00{said}")),
        occurred_at=offer.listed_at,
    )
