"""Events on a party's own stream, `code` = `party/{id}`: measures of regulators, and corrections."""

from __future__ import annotations

from dataclasses import dataclass

from app.kit.clock import Clock
from app.kit.errors import Denied, Fault, FieldFault, NotFound, invalid
from app.ledger.record import Claim, seal_commitment
from app.ledger.recorder import Recorder
from app.ledger.submission import Answer, Draft, Submission, View
from app.parties.identity import is_party_id
from app.parties.principal import Principal
from app.parties.rules import EVENT_DECISIONS
from app.trace.decide import Sending, sender_source, who_reads
from app.trace.events import check_event, check_time
from app.trace.recording import read_actor, record_id, seal_section
from app.trace.requests import EventRequest

_PREFIX = "party/"


class PartyCodeUnknown(NotFound):
    """The code names no party."""

    slug = "code-unknown"


@dataclass(frozen=True, slots=True)
class _PartyDecision:
    sending: Sending

    def __call__(self, claim: Claim, view: View) -> Draft:
        if not view.heads[claim.stream].exists:
            raise PartyCodeUnknown("code_unknown", code=claim.stream)
        source = sender_source(claim, view, self.sending, own_goods=True)
        draft = EVENT_DECISIONS[claim.type](claim, view)
        return Draft(
            draft.state, facts=draft.facts, effects=draft.effects, outbox=draft.outbox,
            source=source,
        )  # fmt: skip


class PartyEvents:
    """Records events on parties."""

    def __init__(self, recorder: Recorder, *, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    def takes(self, request: EventRequest) -> bool:
        """Whether the event goes to a party's stream."""
        return request.code.startswith(_PREFIX)

    def record(self, principal: Principal | None, request: EventRequest) -> Answer:
        """Returns the record, or the fault that refuses it."""
        try:
            submission = self._prepare(principal, request)
        except Fault as fault:
            return fault
        return self._recorder.submit_and_wait([submission])[0]

    def _prepare(self, principal: Principal | None, request: EventRequest) -> Submission:
        if principal is None or principal.party is None:
            raise Denied("admin_cannot_speak")
        party = request.code.removeprefix(_PREFIX)
        if not is_party_id(party):
            raise PartyCodeUnknown("code_unknown", code=request.code[:80])
        data = check_event(request.type, "party", request.data, request.sealed.keys())
        if request.type not in EVENT_DECISIONS:
            params = {"expected": ", ".join(EVENT_DECISIONS), "got": request.type}
            raise invalid(FieldFault(("type",), "enum", params))
        occurred_at = request.occurred_at or self._clock.now()
        check_time(occurred_at, self._clock.now())
        if request.signed is not None:
            raise invalid(FieldFault(("signed",), "unknown_field", {"name": "signed"}))
        seals = [seal_section(n, given, signed=False) for n, given in request.sealed.items()]
        actor = read_actor(principal, request.actor)
        sending = Sending(principal.party, principal.roles)
        claim = Claim(
            stream=request.code,
            id=record_id(request.id),
            type=request.type,
            actor=actor,
            occurred_at=occurred_at,
            data=data,
            sealed={s.name: seal_commitment(s.name, salt=s.salt, content=s.content) for s in seals},
        )
        return Submission(
            claim,
            actor,
            _PartyDecision(sending),
            via=principal.party if principal.party != actor else None,
            seals=tuple(seals),
            reads=who_reads(actor, sending),
            time_given=request.occurred_at is not None,
        )
