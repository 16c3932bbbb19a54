"""Events on a party's own stream, `code` = `party/{id}`: measures of regulators, and corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.kit.errors import Denied, FieldFault, NotFound, invalid
from app.ledger.record import Claim, seal_commitment
from app.ledger.submission import Draft, Submission, View
from app.parties.identity import is_party_id
from app.parties.measures import EVENT_DECISIONS
from app.parties.principal import Principal
from app.trace.claims import read_actor, record_id, seal_section
from app.trace.events import check_event, check_time
from app.trace.requests import EventRequest
from app.trace.sending import Sending, sender_sources, who_reads

PREFIX = "party/"


class PartyCodeUnknown(NotFound):
    """The code names no party."""

    slug = "code-unknown"


_MEASURES = frozenset({"measure", "measure_lifted"})
"""Nobody takes or lifts one in its own case."""


@dataclass(frozen=True, slots=True)
class _PartyDecision:
    sending: Sending

    def __call__(self, claim: Claim, view: View) -> Draft:
        if not view.heads[claim.stream].exists:
            raise PartyCodeUnknown("code_unknown", code=claim.stream)
        source = sender_sources(claim, view, self.sending, own_goods=True)[0]
        draft = EVENT_DECISIONS[claim.type](claim, view)
        return Draft(
            draft.state, facts=draft.facts, effects=draft.effects, outbox=draft.outbox,
            source=source,
        )  # fmt: skip


def prepare_party_event(
    principal: Principal | None,
    request: EventRequest,
    *,
    now: datetime,
    source_of: Callable[[Claim], str | None],
) -> Submission:
    """Returns an event on a party ready for the recorder. Raises the Fault that refuses it.

    source_of: returns the source of the record that a correction names, or raises.
    """
    if principal is None or principal.party is None:
        raise Denied("admin_cannot_speak")
    if not is_party_id(request.code.removeprefix(PREFIX)):
        raise PartyCodeUnknown("code_unknown", code=request.code[:80])
    data = check_event(request.type, "party", request.data, request.sealed.keys())
    if request.type not in EVENT_DECISIONS:
        params = {"expected": ", ".join(EVENT_DECISIONS), "got": request.type}
        raise invalid(FieldFault(("type",), "enum", params))
    occurred_at = request.occurred_at or now
    check_time(occurred_at, now)
    if request.signed is not None:
        raise invalid(FieldFault(("signed",), "unknown_field", {"name": "signed"}))
    seals = [seal_section(name, given, signed=False) for name, given in request.sealed.items()]
    actor = read_actor(principal, request.actor)
    if request.type in _MEASURES and request.code.removeprefix(PREFIX) in (actor, principal.party):
        raise Denied("credit_own_case")
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
    if request.type == "correction":
        sending = sending._replace(named=source_of(claim))
    return Submission(
        claim,
        actor,
        _PartyDecision(sending),
        via=principal.party if principal.party != actor else None,
        seals=tuple(seals),
        reads=who_reads(actor, sending),
        time_given=request.occurred_at is not None,
    )
