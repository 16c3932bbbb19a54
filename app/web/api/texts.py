"""What people wrote: a complaint followed by its ticket, a text hidden with a reason, one's own erased."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from app.kit.clock import format_time, format_time_if
from app.kit.errors import Unauthenticated
from app.ledger.submission import Recorded
from app.oversight.cases import Case, Said
from app.oversight.outcomes import Outcome, Word
from app.trace.identifiers import parse_code
from app.trace.texts import HidingReason
from app.web.api.proofs import ClaimHeader, InnerHeader, QueryHeader, read_proof
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems

router = api_router(tag="texts")

_CODE = "01/06901234567892/21/8F3K2M9QZ7AB"
_ID = "0192f3a0-0000-7000-8000-0000000000aa"


class HidingIn(Body):
    """Which text is to be read no more, and why; `shown`: it is to be read again."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"code": _CODE, "of": _ID, "reason": "personal_data"}]},
    }

    code: Annotated[str, Field(max_length=2048)]
    of: Annotated[str, Field(max_length=80)]
    reason: HidingReason
    shown: bool = False
    id: Annotated[str | None, Field(max_length=80)] = None


class ErasureIn(Body):
    """Which of one's own texts is to be gone."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"code": _CODE, "of": _ID}]},
    }

    code: Annotated[str, Field(max_length=2048)]
    of: Annotated[str, Field(max_length=80)]


class RecordOut(BaseModel):
    """A record that tells of it, in the goods' own chain."""

    id: str
    code: str
    seq: int
    type: str
    of: str
    hash: str
    recorded_at: str


class RecordsOut(BaseModel):
    """The records of an erasure: one a text."""

    items: list[RecordOut]


class SaidOut(BaseModel):
    """What was said or done. `text`: null where it was erased; `hidden`: why it is not to be read."""

    kind: str
    at: str
    actor: str
    text: str | None
    hidden: str = ""
    outcome: str = ""
    reason: str = ""
    rating: int | None = None
    settled: bool = False


class DueOut(BaseModel):
    """Until when the merchant owes a first answer, or a proposal."""

    name: Literal["reply", "proposal"]
    due_at: str
    met_at: str | None
    late: bool


class OutcomeOut(BaseModel):
    """What stands of the seller's own outcomes: an acceptance, which nothing takes back, else a refusal.

    `at`: since when. `refused`: of what is accepted, whether the seller refused it too, before it or after.
    """

    stands: Word
    at: str
    refused: Literal["before", "after"] | None = None


class CaseOut(BaseModel):
    """A complaint and what came of it. `accepted_by`, `mediated_by`: if it goes to 12315 today.

    `approximate`: these two count days for which no notice on holidays is out yet. `left_out`: how many
    things were said between the first and the newest hundred that are here.
    """

    ticket: str
    code: str
    id: str
    category: str
    wish: str
    at: str
    status: Literal["settled", "returned", "answered", "overdue", "waiting"]
    said: list[SaidOut]
    outcome: OutcomeOut | None = None
    dues: list[DueOut]
    accepted_by: str
    mediated_by: str
    approximate: bool
    left_out: int = 0


@router.post(
    "/hidings",
    status_code=201,
    summary="Hide a text",
    responses=problems("forbidden", "not-found", "code-unknown", "id-conflict"),
)
def hide_text(rooms: InRooms, principal: Caller, body: HidingIn) -> RecordOut:
    """Hides the text of a review, a follow-up or a reply with a reason, or shows it again.

    The text is kept, the page says why it is hidden, and the chain holds who hid it: a regulator, or the
    operator (`system`).
    """
    code = parse_code(body.code)
    recorded = rooms.texts.hide(
        principal, code, body.of, body.reason, shown=body.shown, id_=body.id
    )
    return _record(recorded, body.of)


@router.post(
    "/erasures",
    status_code=201,
    summary="Erase one's own text",
    responses=problems("unauthenticated", "proof-invalid", "not-found", "code-unknown"),
)
def erase_text(
    rooms: InRooms,
    body: ErasureIn,
    claim: ClaimHeader = None,
    inner: InnerHeader = None,
    query: QueryHeader = None,
) -> RecordsOut:
    """Erases what the sender of the proof wrote: of a complaint also what they added in its matter.

    Content and key are destroyed; the record and its hash stay, so that the chain verifies on.
    """
    proof = read_proof(claim, inner, query)
    recorded = rooms.texts.erase(parse_code(body.code), body.of, proof)
    return RecordsOut(items=[_record(one, body.of) for one in recorded])


@router.get(
    "/tickets/{ticket}",
    summary="Follow a complaint",
    responses=problems("unauthenticated", "proof-invalid"),
)
def read_ticket(
    rooms: InRooms,
    ticket: Annotated[str, Path(max_length=64, examples=["7KQ2M9XW4T"])],
    query: QueryHeader = None,
) -> CaseOut:
    """Returns what came of a complaint, with its clocks; `Suxin-Ticket` is its query code."""
    if query is None:
        raise Unauthenticated("key_or_proof_required")
    return _case(rooms.cases.find(ticket, query))


def _record(recorded: Recorded, of: str) -> RecordOut:
    return RecordOut(
        id=recorded.id,
        code=recorded.stream,
        seq=recorded.seq,
        type=recorded.type,
        of=of,
        hash=recorded.hash.hex(),
        recorded_at=format_time(recorded.recorded_at),
    )


def said_fields(one: Said) -> dict[str, Any]:
    """Returns what was said or done, as `SaidOut` has it."""
    return {
        "kind": one.kind,
        "at": format_time(one.at),
        "actor": one.actor,
        "text": one.text,
        "hidden": one.hidden,
        "outcome": one.outcome,
        "reason": one.reason,
        "rating": one.rating,
        "settled": one.settled,
    }


def outcome_of(told: Outcome | None) -> OutcomeOut | None:
    """Returns what stands of a complaint's outcomes."""
    if told is None:
        return None
    return OutcomeOut(stands=told.stands, at=format_time(told.at), refused=told.refused or None)


def dues_of(case: Case) -> list[DueOut]:
    """Returns the clocks of a complaint."""
    return [
        DueOut(
            name=due.name,
            due_at=format_time(due.due_at),
            met_at=format_time_if(due.met_at),
            late=due.late,
        )
        for due in case.dues
    ]


def _case(case: Case) -> CaseOut:
    return CaseOut(
        ticket=case.ticket,
        code=case.code,
        id=case.id,
        category=case.category,
        wish=case.wish,
        at=format_time(case.at),
        status=case.status,
        said=[SaidOut(**said_fields(one)) for one in case.said],
        outcome=outcome_of(case.outcome),
        dues=dues_of(case),
        accepted_by=format_time(case.accepted_by),
        mediated_by=format_time(case.mediated_by),
        approximate=case.approximate,
        left_out=case.left_out,
    )
