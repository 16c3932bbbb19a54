"""The ledger of credit: entries, objection 异议, repair 修复, and who decides them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from app.credit.document_uses import Named, digests_of
from app.credit.documents import Told
from app.credit.ledger import Filed, Given, Taken
from app.credit.policy import ScoreCard
from app.credit.rules import Rule
from app.i18n import Lang
from app.kit.clock import format_time, format_time_if, to_ms
from app.parties.principal import Principal
from app.trace.claims import record_id
from app.web.api.documents import NamedDocumentOut, named_out
from app.web.body import Body, Day, api_router
from app.web.deps import Caller, InRooms, Language, Rooms, Viewer
from app.web.openapi import problems, repeated
from app.web.paging import InPage, PageBody, encode_place, page_response

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]
EntryId = Annotated[str, Path(max_length=80, examples=["0192f3a0-0000-7000-8000-00000000beef"])]
Purpose = Annotated[
    str | None,
    Query(max_length=400, description="Why an authority opens what others said; logged."),
]
_Id = Annotated[str, Field(max_length=64)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Line = Annotated[str, Field(min_length=1, max_length=200)]
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class StepOut(BaseModel):
    """A step that was taken; `text` and `attachments` for the party itself and authorities alone.

    `closed`: an authority opens `text` for a stated `purpose`. `documents`: which of the attachments are
    kept here; each link is for those who may read it.
    """

    step: str
    status: str
    at: str
    by: str
    reason: str | None = None
    decide_by: str | None = None
    attachments: list[str] | None = None
    documents: tuple[NamedDocumentOut, ...] | None = None
    text: str | None = None
    closed: Literal[True] | None = None


class EntryOut(BaseModel):
    """An entry of the ledger of credit; `weight` is what it counts now, `why` says why.

    `documents`: which attachments of the evidence are kept here, for the party itself and regulators.
    `approximate`: its dates count working days of a year whose official calendar is not known yet.
    """

    id: str
    party: str
    rule: str
    title: str
    points: int
    weight: int
    why: str
    status: str
    policy: int
    entered_at: str
    entered_by: str
    effective_at: str
    earliest_repair_at: str | None = None
    expires_at: str | None = None
    ended_at: str | None = None
    object_until: str | None = None
    day: str
    chains: int | None = None
    approximate: bool | None = None
    evidence: dict[str, Any]
    documents: tuple[NamedDocumentOut, ...] | None = None
    steps: list[StepOut]
    links: dict[str, str]


class EvidenceIn(Body):
    """What an entry rests on, public with it: no personal data. At least one thing to look up."""

    title: _Line
    number: _Line | None = None
    issuer: _Line | None = None
    url: Annotated[str, Field(pattern=r"^https://[!-~]{1,300}$")] | None = None
    record: Digest | None = None
    finding: Annotated[str, Field(max_length=80)] | None = None
    attachments: Annotated[list[Digest], Field(min_length=1, max_length=20)] | None = None


class EntryIn(Body):
    """An entry by a regulator or, where the policy lets it, the operator."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "id": "0192f3a0-0000-7000-8000-00000000beef",
                    "rule": "spot_check_failed",
                    "evidence": {
                        "title": "抽检报告", "number": "2026-1123", "attachments": [_DIGEST],
                    },
                    "occurred_on": "2026-11-20",
                }
            ]
        },
    }  # fmt: skip

    id: _Id | None = None
    rule: Annotated[str, Field(max_length=40)]
    evidence: EvidenceIn
    occurred_on: Day | None = None


class StatementIn(Body):
    """What a party says to its entry.

    `attachments`: SHA-256 of documents, handed in at `/documents` or kept by who sends them.
    """

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [{"text": "已按期发货，见揽收凭证", "attachments": [_DIGEST]}]
        },
    }

    id: _Id | None = None
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    attachments: Annotated[list[Digest], Field(max_length=20)] = []


class DecisionIn(Body):
    """A regulator's decision: `upheld`, `dismissed` on an objection, `granted`, `refused` on a repair.

    `withdrawn` takes an entry back that was made in error.
    """

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"outcome": "dismissed", "reason": "揽收凭证不符"}]},
    }

    id: _Id | None = None
    outcome: Literal["upheld", "dismissed", "granted", "refused", "withdrawn"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    attachments: Annotated[list[Digest], Field(max_length=20)] = []


_REPEATED = repeated(EntryOut)
_STEPS = {**_REPEATED, **problems("forbidden", "not-found", "lifecycle-conflict", "id-conflict")}


@router.get(
    "/credit/{party}/entries",
    summary="A party's entries",
    responses=problems("not-found"),
    response_model=PageBody[EntryOut],
)
def read_entries(
    rooms: InRooms,
    viewer: Viewer,
    lang: Language,
    page: InPage,
    party: PartyId,
    purpose: Purpose = None,
) -> Response:
    """Returns each entry with rule, points, weight now, evidence, status and dates.

    Repaired, lapsed, cancelled and announced entries are shown to the party itself and to regulators
    alone; an announced one becomes public when it takes effect. What others said with a step an authority
    opens with `purpose`, and each look is logged.
    """
    after = page.after(int, str)
    place = None if after is None else (after[0], after[1])
    shown, more, card = rooms.credit_ledger.page_of(
        party, viewer, after=place, limit=page.limit, purpose=purpose
    )
    following = encode_place(_place(shown[-1])) if more else None
    told = _documents(rooms, viewer, party, shown)
    return page_response([_entry(rooms, lang, card, one, told) for one in shown], following)


@router.post(
    "/credit/{party}/entries",
    status_code=201,
    summary="Enter a fact",
    responses={**_REPEATED, **problems("forbidden", "not-found", "id-conflict")},
    response_model_exclude_none=True,
)
def enter_fact(
    rooms: InRooms, caller: Caller, lang: Language, party: PartyId, body: EntryIn, answer: Response
) -> EntryOut:
    """By a regulator or the operator, as the policy's `entered_by` says; never in one's own case.

    Priced and dated by the policy in force. Repeating the same content under one `id` is safe.
    """
    filed, replayed = rooms.credit_ledger.enter(
        caller,
        party,
        rule=body.rule,
        evidence=body.evidence.model_dump(exclude_none=True),
        day=None if body.occurred_on is None else date.fromisoformat(body.occurred_on),
        id=None if body.id is None else record_id(body.id),
    )
    return _one(rooms, caller, lang, filed, answer, replayed)


@router.post(
    "/credit/entries/{entry}/objection",
    status_code=201,
    summary="Object to an entry (异议)",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def object_to_entry(
    rooms: InRooms, caller: Caller, lang: Language, entry: EntryId, body: StatementIn,
    answer: Response,
) -> EntryOut:  # fmt: skip
    """By the party that it charges, while the policy's days run; it is decided by `decide_by`."""
    filed, replayed = rooms.credit_ledger.object(caller, entry, _given(body, body.text))
    return _one(rooms, caller, lang, filed, answer, replayed)


@router.post(
    "/credit/entries/{entry}/repair",
    status_code=201,
    summary="Ask for repair (修复)",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def ask_for_repair(
    rooms: InRooms, caller: Caller, lang: Language, entry: EntryId, body: StatementIn,
    answer: Response,
) -> EntryOut:  # fmt: skip
    """By the party that it charges, from `earliest_repair_at` on; it is decided by `decide_by`."""
    filed, replayed = rooms.credit_ledger.ask_repair(caller, entry, _given(body, body.text))
    return _one(rooms, caller, lang, filed, answer, replayed)


@router.post(
    "/credit/entries/{entry}/decision",
    status_code=201,
    summary="Decide on an entry",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def decide_on_entry(
    rooms: InRooms, caller: Caller, lang: Language, entry: EntryId, body: DecisionIn,
    answer: Response,
) -> EntryOut:  # fmt: skip
    """By a regulator, never in its own case."""
    filed, replayed = rooms.credit_ledger.decide(
        caller, entry, body.outcome, _given(body, body.reason)
    )
    return _one(rooms, caller, lang, filed, answer, replayed)


def _given(body: StatementIn | DecisionIn, text: str) -> Given:
    return Given(text, tuple(body.attachments), None if body.id is None else record_id(body.id))


def _place(filed: Filed) -> tuple[int, str]:
    return to_ms(filed.entry.effective_at), filed.entry.id


def _one(
    rooms: Rooms, caller: Principal, lang: Lang, filed: Filed, answer: Response, replayed: bool
) -> EntryOut:
    if replayed:
        answer.status_code = 200
    party = filed.entry.party
    answer.headers["Location"] = f"/api/v1/credit/{party}/entries"
    told = _documents(rooms, caller, party, [filed])
    return _entry(rooms, lang, rooms.credit.card(party), filed, told)


def _documents(
    rooms: Rooms, viewer: Principal | None, party: str, filed: Sequence[Filed]
) -> Mapping[Named, Told]:
    return rooms.documents.tell(viewer, party, [pair for one in filed for pair in one.named()])


def _entry(
    rooms: Rooms, lang: Lang, card: ScoreCard, filed: Filed, told: Mapping[Named, Told]
) -> EntryOut:
    entry, now = filed.entry, rooms.clock.now()
    rules: Mapping[str, Rule] = rooms.credit.policy.rules
    weight, rule = card.weights.get(entry.id), rules.get(entry.rule)
    links = {"policy": f"/api/v1/credit/policy/{entry.policy_version}"}
    if "finding" in entry.evidence:
        links["finding"] = f"/api/v1/findings/{entry.evidence['finding']}"
    return EntryOut(
        id=entry.id,
        party=entry.party,
        rule=entry.rule,
        title=rule.title[lang] if rule is not None else entry.rule,
        points=entry.points,
        weight=0 if weight is None else weight.points,
        why="ended" if weight is None else str(weight.reason),
        status=filed.status_at(now),
        policy=entry.policy_version,
        entered_at=format_time(filed.entered_at),
        entered_by=filed.actor,
        effective_at=format_time(entry.effective_at),
        earliest_repair_at=format_time_if(entry.earliest_repair_at),
        expires_at=format_time_if(entry.expires_at),
        ended_at=format_time_if(entry.ended_at),
        object_until=format_time_if(filed.object_until),
        day=entry.day.isoformat(),
        chains=entry.facts.chains,
        approximate=filed.approximate or None,
        evidence=dict(entry.evidence),
        documents=named_out(told, filed.actor, digests_of({"evidence": entry.evidence})),
        steps=[_step(step, told) for step in filed.steps],
        links=links,
    )


def _step(step: Taken, told: Mapping[Named, Told]) -> StepOut:
    return StepOut(
        step=step.step,
        status=step.status,
        at=format_time(step.at),
        by=step.actor,
        reason=step.reason,
        decide_by=format_time_if(step.decide_by),
        attachments=list(step.attachments) or None,
        documents=named_out(told, step.actor, step.attachments),
        text=step.text,
        closed=step.closed or None,
    )
