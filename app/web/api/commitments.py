"""Commitments 信用承诺: templates, signing in public, withdrawing, and who judges a breach."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.credit.commitments import Commitment, StepSeen
from app.credit.templates import Template, templates
from app.i18n import Lang
from app.kit.clock import format_time, format_time_if, to_ms
from app.trace.claims import record_id
from app.web.api.entries import EvidenceIn, Purpose
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language, Viewer
from app.web.openapi import problems, repeated
from app.web.paging import InPage, PageBody, encode_place, page_response

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]
CommitmentId = Annotated[
    str, Path(max_length=80, examples=["0192f3a0-0000-7000-8000-0000000c0ffe"])
]
_Id = Annotated[str, Field(max_length=64)]
_DIGEST = next(iter(templates().values())).digest


class TemplateOut(BaseModel):
    """A text to sign. `digest`: SHA-256 of the canonical `{template, text: {en, zh}, version}`."""

    template: str
    version: int
    category: Literal["law", "information", "quality", "service", "duty"]
    title: dict[str, str]
    text: dict[str, str]
    term_months: int
    computed: bool
    digest: str


class CommitmentStepOut(BaseModel):
    """A step; `evidence` and `text`, the reason, for the party itself and regulators alone.

    `closed`: another authority's reason, opened for a stated `purpose`.
    """

    step: str
    status: str
    at: str
    by: str
    public_from: str | None = None
    evidence: dict[str, Any] | None = None
    text: str | None = None
    closed: Literal[True] | None = None


class CommitmentOut(BaseModel):
    """A commitment. `questioned` is seen by the party and regulators alone: others read `active`."""

    id: str
    party: str
    template: str
    version: int
    category: str
    title: str
    status: Literal["active", "questioned", "withdrawn", "kept", "broken", "overturned"]
    text_digest: str
    signed_at: str
    until: str
    ended_at: str | None = None
    steps: list[CommitmentStepOut]
    links: dict[str, str]


class CommitmentIn(Body):
    """Which text is signed. `text_digest` as the template tells it: what is signed is what was read."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [{"template": "lawful_trade", "version": 1, "text_digest": _DIGEST}]
        },
    }

    id: _Id | None = None
    template: Annotated[str, Field(max_length=40)]
    version: Annotated[int, Field(ge=1, le=10_000)] | None = None
    text_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class WithdrawalIn(Body):
    """A withdrawal. `id`: of its record, safe to repeat."""

    model_config = {**Body.model_config, "json_schema_extra": {"examples": [{}]}}

    id: _Id | None = None


class JudgementIn(Body):
    """A regulator's judgement: `broken`, or `cleared` of what put it in question."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"outcome": "cleared", "reason": "属于除外商品"}]},
    }

    id: _Id | None = None
    outcome: Literal["broken", "cleared"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    evidence: EvidenceIn | None = None


_REPEATED = repeated(CommitmentOut)
_STEPS = {**_REPEATED, **problems("forbidden", "not-found", "lifecycle-conflict", "id-conflict")}


@router.get("/commitments/templates", summary="Texts to sign")
def list_templates() -> list[TemplateOut]:
    """Returns the newest version of each template, in both languages."""
    return [_template(one) for one in templates().values()]


@router.get(
    "/parties/{party}/commitments",
    summary="A party's commitments",
    responses=problems("not-found"),
    response_model=PageBody[CommitmentOut],
)
def list_commitments(
    rooms: InRooms,
    viewer: Viewer,
    lang: Language,
    page: InPage,
    party: PartyId,
    purpose: Purpose = None,
) -> Response:
    """Returns every commitment of a party, oldest first, ended ones too. Public.

    Another authority's reasons a regulator opens with `purpose`, and each look is logged.
    """
    after = page.after(int, str)
    place = None if after is None else (after[0], after[1])
    shown, more = rooms.commitments.page_of(
        party, viewer, after=place, limit=page.limit, purpose=purpose
    )
    following = encode_place(_place(shown[-1])) if more else None
    return page_response([_shown(one, lang) for one in shown], following)


@router.post(
    "/parties/{party}/commitments",
    status_code=201,
    summary="Sign a commitment",
    responses={
        **_REPEATED,
        **problems("forbidden", "party-unverified", "not-found", "already-exists", "id-conflict"),
    },
    response_model_exclude_none=True,
)
def sign_commitment(
    rooms: InRooms, caller: Caller, lang: Language, party: PartyId, body: CommitmentIn,
    answer: Response,
) -> CommitmentOut:  # fmt: skip
    """By the party itself, in public; one a template at a time. Repeating one `id` is safe."""
    made, replayed = rooms.commitments.sign(
        caller,
        party,
        template=body.template,
        version=body.version,
        digest=body.text_digest,
        id=str(uuid4()) if body.id is None else record_id(body.id),
    )
    return _answer(made, lang, answer, replayed)


@router.post(
    "/parties/{party}/commitments/{commitment}/withdrawal",
    status_code=201,
    summary="Withdraw a commitment",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def withdraw_commitment(
    rooms: InRooms, caller: Caller, lang: Language, party: PartyId, commitment: CommitmentId,
    body: WithdrawalIn, answer: Response,
) -> CommitmentOut:  # fmt: skip
    """By the party itself: it earns nothing more. Refused while the commitment is in question."""
    id = None if body.id is None else record_id(body.id)
    made, replayed = rooms.commitments.withdraw(caller, party, commitment, id=id)
    return _answer(made, lang, answer, replayed)


@router.post(
    "/parties/{party}/commitments/{commitment}/decision",
    status_code=201,
    summary="Judge a commitment",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def judge_commitment(
    rooms: InRooms, caller: Caller, lang: Language, party: PartyId, commitment: CommitmentId,
    body: JudgementIn, answer: Response,
) -> CommitmentOut:  # fmt: skip
    """By a regulator, never in its own case. `broken` is public after the days to state a case."""
    evidence = {} if body.evidence is None else body.evidence.model_dump(exclude_none=True)
    made, replayed = rooms.commitments.judge(
        caller,
        party,
        commitment,
        body.outcome,
        reason=body.reason,
        evidence=evidence,
        id=None if body.id is None else record_id(body.id),
    )
    return _answer(made, lang, answer, replayed)


def _place(one: Commitment) -> tuple[int, str]:
    return to_ms(one.signed_at), one.id


def _answer(made: Commitment, lang: Lang, answer: Response, replayed: bool) -> CommitmentOut:
    if replayed:
        answer.status_code = 200
    answer.headers["Location"] = f"/api/v1/parties/{made.party}/commitments"
    return _shown(made, lang)


def _shown(one: Commitment, lang: Lang) -> CommitmentOut:
    return CommitmentOut.model_validate({
        "id": one.id,
        "party": one.party,
        "template": one.template.id,
        "version": one.template.version,
        "category": one.template.category,
        "title": one.template.title[lang],
        "status": one.status,
        "text_digest": one.digest,
        "signed_at": format_time(one.signed_at),
        "until": format_time(one.until),
        "ended_at": format_time_if(one.ended_at),
        "steps": [_step(step) for step in one.steps],
        "links": {
            "party": f"/api/v1/parties/{one.party}",
            "credit": f"/api/v1/credit/{one.party}",
            "templates": "/api/v1/commitments/templates",
        },
    })  # fmt: skip


def _step(step: StepSeen) -> CommitmentStepOut:
    return CommitmentStepOut(
        step=step.step,
        status=step.status,
        at=format_time(step.at),
        by=step.actor,
        public_from=format_time_if(step.public_from),
        evidence=step.more.get("evidence"),
        text=step.text,
        closed=step.closed or None,
    )


def _template(one: Template) -> TemplateOut:
    return TemplateOut.model_validate({
        "template": one.id, "version": one.version, "category": one.category,
        "title": dict(one.title), "text": dict(one.text), "term_months": one.term_months,
        "computed": one.computed is not None, "digest": one.digest,
    })  # fmt: skip
