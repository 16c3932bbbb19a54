"""Takes events: checks what can be checked without the goods, and hands the rest to the recorder.

Before queueing: code, shape, time, sealed sections, the actor's signature. In the transaction, by
app.trace.decide and app.trace.shelf: who may, and whether it can be true.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from app.db.engine import Database
from app.kit.clock import Clock
from app.kit.errors import Denied, Fault, Invalid
from app.ledger.forwarding import TakesSubmissions
from app.ledger.record import Claim, seal_commitment
from app.ledger.submission import Abandoned, Answer, Recorded, Submission
from app.parties.identity import CONSUMER
from app.parties.offices import check_office
from app.parties.principal import Principal
from app.trace.claims import read_actor, read_data, record_id, seal_section, with_tail
from app.trace.code import Code
from app.trace.decide import Decision
from app.trace.events import check_time
from app.trace.gaps import Graces
from app.trace.identifiers import parse_code
from app.trace.leaving import Whereabouts, names_case, of_cases
from app.trace.lives import Lives
from app.trace.messages import (
    IN_MATTER,
    check_matter,
    check_message,
    check_own_message,
    guard_message,
)
from app.trace.naming import NAMES_ANOTHER, Naming
from app.trace.party_events import PREFIX as PARTY_PREFIX
from app.trace.party_events import prepare_party_event
from app.trace.proof import Proofs
from app.trace.proving import Proving
from app.trace.ratings import BUYER_RATING, NAMING, Named, check_opinion
from app.trace.repeating import Repeats, as_recorded, may_stand
from app.trace.requests import ConsumerProof, EventRequest
from app.trace.secret_index import SecretIndex
from app.trace.sending import Sending
from app.trace.shape import told_whole
from app.trace.shelf import ShelfDecision
from app.trace.signing import SignedDecision, check_signature
from app.trace.underway import Underway, in_order, parts_of, runs_of

MAX_BATCH = 1_000

Decide = Decision | ShelfDecision


@dataclass(frozen=True, slots=True)
class Target:
    """The stream an event goes to. subject: "" or the consignment on a lot."""

    code: Code
    subject: str = ""


class Recording:
    """Records events on products, lots, units. Owns no transaction: the recorder does."""

    def __init__(
        self,
        database: Database,
        recorder: TakesSubmissions,
        *,
        clock: Clock,
        proofs: Proofs,
        graces: Graces,
        index: SecretIndex,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._proofs = proofs
        self._graces = graces
        self._index = index
        self._lives = Lives(database, graces)
        self._proving = Proving(database, proofs, self._lives)
        self._naming = Naming(database)

    async def record(
        self,
        principal: Principal | None,
        requests: Sequence[EventRequest],
        *,
        proof: ConsumerProof | None = None,
        atomic: bool = False,
    ) -> list[Answer]:
        """Returns one answer an event, in order; each stands for itself, or (atomic) all or none.

        principal None: a consumer, who speaks with `proof`.
        """
        answered: list[Answer] = []
        for run in runs_of(requests, atomic=atomic):
            prepared = self._prepare_all(principal, run, proof, atomic=atomic, asks=False)
            if any(map(may_stand, run, prepared)):
                # As a repeat, which is found in the database: not in the event loop.
                prepared = await asyncio.to_thread(
                    self._prepare_all, principal, run, proof, atomic=atomic
                )
            if atomic and any(isinstance(one, Fault) for one in prepared):
                return _abandon(prepared)
            submissions = [one for one in prepared if isinstance(one, Submission)]
            recorded: list[Answer] = []
            if submissions:
                recorded = await self._recorder.submit(submissions, atomic=atomic)
            if principal is None and any(isinstance(a, Recorded) and a.replayed for a in recorded):
                recorded = await asyncio.to_thread(self._proving.guard_repeats, recorded, proof)
            answered += in_order(prepared, recorded)
        return answered

    def record_and_wait(
        self,
        principal: Principal | None,
        requests: Sequence[EventRequest],
        *,
        proof: ConsumerProof | None = None,
        atomic: bool = False,
    ) -> list[Answer]:
        """Like `record`, for threads."""
        answered: list[Answer] = []
        for run in runs_of(requests, atomic=atomic):
            prepared = self._prepare_all(principal, run, proof, atomic=atomic)
            if atomic and any(isinstance(one, Fault) for one in prepared):
                return _abandon(prepared)
            submissions = [one for one in prepared if isinstance(one, Submission)]
            recorded: list[Answer] = []
            if submissions:
                recorded = self._recorder.submit_and_wait(submissions, atomic=atomic)
            if principal is None:
                recorded = self._proving.guard_repeats(recorded, proof)
            answered += in_order(prepared, recorded)
        return answered

    def record_one(self, principal: Principal, request: EventRequest) -> Recorded:
        """Returns what one event was recorded as. For threads. Raises what it is refused with."""
        answer = self.record_and_wait(principal, [request])[0]
        if isinstance(answer, Fault):
            raise answer
        return answer

    def hand_over(self, principal: Principal, requests: Sequence[EventRequest]) -> Underway:
        """Returns what is being recorded of a program's events, each of which stands for itself.

        For threads. In parts, so that some are recorded while the next are made ready. Raises
        Overloaded and Unavailable where nothing was handed over; what comes later is an answer.
        """
        underway = Underway()
        for run in runs_of(requests, atomic=False):
            underway.wait()
            for part in parts_of(run):
                prepared = self._prepare_all(principal, part, None, atomic=False)
                submissions = [one for one in prepared if isinstance(one, Submission)]
                underway.add(prepared, functools.partial(self._recorder.hand_over, submissions))
        return underway

    def check_proof(self, code: Code, proof: ConsumerProof) -> None:
        """Raises ProofInvalid or CodeUnknown unless this proves the present purchase of a unit. Read-only."""
        self._proving.check(code, proof)

    def promises(self, recorded: Recorded) -> dict[str, str]:
        """Returns what an answer hands over beside the record: a claim token, a ticket. Read-only."""
        return self.all_promises([recorded])[0]

    def all_promises(self, records: Sequence[Recorded]) -> list[dict[str, str]]:
        """Returns the same of many, read at once."""
        return self._proving.promises(records)

    def reads_database(self, request: EventRequest, proof: ConsumerProof | None) -> bool:
        """Whether preparing this event asks the database, and so must not run in the event loop."""
        return (
            request.signed is not None
            or (proof is not None and (proof.inner is not None or proof.query is not None))
            or request.type in NAMES_ANOTHER
            or request.type in IN_MATTER
            or names_case(request)
            or request.code.startswith(PARTY_PREFIX)  # whose office that is, the database says
        )

    def prepare(
        self,
        principal: Principal | None,
        request: EventRequest,
        proof: ConsumerProof | None,
        *,
        before: Sequence[Submission | Fault] = (),
        at: Mapping[str, Whereabouts] = MappingProxyType({}),
        repeats: Repeats | None = None,
    ) -> Submission:
        """Returns the event ready for the recorder. Raises the Fault that refuses it.

        before: those of the same all-or-none request that are recorded if this one is. at: where units are
        then, by stream, as far as it is known. What is recorded already is a repeat, though a rule that came
        since would refuse it. repeats: of all events of its request, None: it came alone.
        """
        try:
            return self._prepare(principal, request, proof, before, at)
        except Invalid as refused:
            if not may_stand(request, refused):
                raise
            recorded = (repeats or Repeats(self._database, [request])).data_of(request)
            if recorded is None:
                raise
            try:
                return self._prepare(principal, request, proof, before, at, recorded)
            except Invalid:
                raise refused from None

    def _prepare(
        self,
        principal: Principal | None,
        request: EventRequest,
        proof: ConsumerProof | None,
        before: Sequence[Submission | Fault],
        at: Mapping[str, Whereabouts],
        recorded: Mapping[str, Any] | None = None,
    ) -> Submission:
        """Returns the event ready for the recorder. recorded: the data of the record that has its id."""
        sending = (
            Sending(None, frozenset({CONSUMER}))
            if principal is None
            else Sending(principal.party, principal.roles)
        )
        if principal is not None and principal.party is None:
            # The operator administers; it is nobody in a chain.
            raise Denied("admin_cannot_speak")
        if request.code.startswith(PARTY_PREFIX):
            return self._prepare_of_party(principal, request, before)
        code = parse_code(request.code)
        signed = request.signed is not None
        data = with_tail(request)
        if recorded is None:
            kept = read_data(request, code.level, data)
        else:
            kept = as_recorded(request.type, code.level, data, recorded)
        if request.compared is not None:
            kept["documents"] = request.compared
        if principal is None:
            kept["proof"] = self._proving.kind(code, proof, request.type)
        subject = f"consignment/{kept['consignment']}" if "consignment" in kept else ""
        now = self._clock.now()
        occurred_at = request.occurred_at or now
        check_time(occurred_at, now)
        seals = [seal_section(name, given, signed=signed) for name, given in request.sealed.items()]
        actor = read_actor(principal, request.actor)
        claim = Claim(
            stream=code.stream,
            id=record_id(request.id),
            type=request.type,
            actor=actor,
            occurred_at=occurred_at,
            data=kept,
            sealed={s.name: seal_commitment(s.name, salt=s.salt, content=s.content) for s in seals},
        )
        if request.signed is not None:
            check_signature(self._database, claim, request.signed)
        rated = None
        if request.type in NAMING:
            if request.type == BUYER_RATING:
                check_opinion({name: given.content for name, given in request.sealed.items()})
            rated = self._naming.find_rated(claim)
        elif request.type in NAMES_ANOTHER and recorded is None:
            of = self._naming.about(claim, before)
            sending = sending._replace(named=of.source, answers=of.root, unsays=of.unsays)
        elif request.type in IN_MATTER:
            # Every one is about a complaint, whoever says it.
            sending = sending._replace(answers=str(claim.data["of"]))
        side = self._index.digests(request.sealed)
        guard = None
        if request.type == "message" and principal is None:
            check_message(self._database, self._proofs, claim, proof)
            guard = guard_message(self._database, claim)
        elif request.type == "message":
            check_own_message(self._database, claim)
        elif request.type == "referral":
            check_matter(self._database, claim)
        elif request.type == "complaint":
            number = self._proofs.ticket(claim.stream, claim.id)
            side += (("ticket", self._index.digest("ticket", number)),)
        decide = self._decision(code, sending, subject, proof, side, rated)
        if isinstance(decide, Decision) and names_case(request):
            found = at if code.stream in at else self._lives.find_whereabouts([code.stream])
            decide = replace(decide, left=found[code.stream].left)
        own = None if request.signed is None else SignedDecision(decide, request.signed.key)
        return Submission(
            claim=claim,
            source=sending.party or CONSUMER,
            via=sending.party if sending.party != actor else None,
            decide=own or decide,
            signed=request.signed,
            seals=tuple(seals),
            reads=(*decide.reads(actor), *(own.reads(actor) if own else ())),
            reads_after=decide.reads_after if isinstance(decide, Decision) else None,
            time_given=request.occurred_at is not None,
            guard=guard,
        )

    def _prepare_of_party(
        self,
        principal: Principal | None,
        request: EventRequest,
        before: Sequence[Submission | Fault],
    ) -> Submission:
        if principal is not None:
            check_office(self._database, principal, request.code.removeprefix(PARTY_PREFIX))
        source_of = functools.partial(self._naming.source_of, before=before)
        made = prepare_party_event(principal, request, now=self._clock.now(), source_of=source_of)
        if request.type == "publication":
            self._naming.check_publisher(made.claim)
        return made

    def _prepare_all(
        self,
        principal: Principal | None,
        requests: Sequence[EventRequest],
        proof: ConsumerProof | None,
        *,
        atomic: bool,
        asks: bool = True,
    ) -> list[Submission | Fault]:
        """Returns each event ready, or why not. asks: whether the database may be asked for repeats."""
        prepared: list[Submission | Fault] = []
        at = self._lives.find_whereabouts(of_cases(requests))
        repeats = Repeats(self._database, requests)
        for request in requests:
            before = prepared if atomic else ()
            try:
                if asks:
                    one = self.prepare(
                        principal, request, proof, before=before, at=at, repeats=repeats
                    )
                else:
                    one = self._prepare(principal, request, proof, before, at)
                prepared.append(one)
                if atomic and (stream := one.claim.stream) in at:
                    at[stream] = at[stream].after(one.claim)
            except Fault as fault:
                prepared.append(told_whole(fault, request, self._clock.now()))
        return prepared

    def _decision(
        self,
        code: Code,
        sending: Sending,
        subject: str,
        proof: ConsumerProof | None,
        side: tuple[tuple[str, bytes], ...],
        rated: Named | None,
    ) -> Decide:
        if code.level == "unit" or subject:
            return Decision(code, sending, self._graces, subject, proof, self._proofs, side, rated)
        return ShelfDecision(code, sending, side)


def find_refusal(answers: Iterable[Answer]) -> tuple[int, Fault] | None:
    """Returns the fault that refused an all-or-none request, with its place; None where none did."""
    for n, answer in enumerate(answers):
        if isinstance(answer, Fault) and not isinstance(answer, Abandoned):
            return n, answer
    return None


def _abandon(prepared: Sequence[Submission | Fault]) -> list[Answer]:
    return [one if isinstance(one, Fault) else Abandoned("abandoned") for one in prepared]
