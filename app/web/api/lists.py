"""Red list, black list, monthly grades and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.credit.document_uses import Named, digests_of
from app.credit.documents import Told
from app.credit.ledger import Given
from app.credit.listed import Listed
from app.i18n import Lang
from app.kit.clock import format_time, format_time_if, from_ms, to_ms
from app.parties.offices import check_office
from app.parties.principal import Principal
from app.trace.claims import record_id
from app.web.api.documents import NamedDocumentOut, named_out
from app.web.api.entries import Digest, EvidenceIn, Purpose
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms, Language, Rooms, Viewer
from app.web.openapi import problems, repeated
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]
ListingId = Annotated[str, Path(max_length=80, examples=["0192f3a0-0000-7000-8000-00000000b1ac"])]
Name = Annotated[Literal["red", "black"], Path(examples=["black"])]
_Id = Annotated[str, Field(max_length=64)]


class ListStepOut(BaseModel):
    """A step of a listing; `text`, `attachments` for the party itself and regulators alone.

    `closed`: a regulator opens `text` for a stated `purpose`. `documents`: which of the attachments are kept
    here; each link is for those who may read it.
    """

    step: str
    status: str
    at: str
    by: str
    decide_by: str | None = None
    attachments: list[str] | None = None
    documents: tuple[NamedDocumentOut, ...] | None = None
    text: str | None = None
    closed: Literal[True] | None = None


class ListingOut(BaseModel):
    """A listing. `listed_at`: when it takes effect, after the days to state a case.

    `documents`: which attachments of the evidence are kept here, for the party itself and regulators.
    """

    id: str
    party: str
    list: Literal["red", "black"]
    criterion: str
    title: str
    policy: int
    status: str
    noticed_at: str
    listed_at: str
    until: str
    removal_from: str | None = None
    object_until: str | None = None
    ended_at: str | None = None
    approximate: bool | None = None
    evidence: dict[str, Any]
    documents: tuple[NamedDocumentOut, ...] | None = None
    entered_by: str
    steps: tuple[ListStepOut, ...]
    links: dict[str, str]


class ListEvidenceIn(EvidenceIn):
    """What a listing rests on, public with it. `entry`: of the ledger of credit."""

    entry: Annotated[str, Field(max_length=80)] | None = None


class ListingIn(Body):
    """A regulator's listing, on the ground of a decision."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "party": "91441200MA4TE5T00Q",
                    "criterion": "decision_evaded",
                    "evidence": {"title": "行政处罚决定书", "number": "肇市监罚〔2026〕1号"},
                }
            ]
        },
    }

    id: _Id | None = None
    party: Annotated[str, Field(max_length=64)]
    criterion: Annotated[str, Field(max_length=40)]
    evidence: ListEvidenceIn


class ListTextIn(Body):
    """What a party says to its listing; it and regulators read it, the record only commits to it.

    `attachments`: SHA-256 of documents, handed in at `/documents` or kept by who sends them.
    """

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"text": "处罚决定已经履行，见缴款凭证"}]},
    }

    id: _Id | None = None
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    attachments: Annotated[list[Digest], Field(max_length=20)] = []


class ListDecisionIn(Body):
    """`upheld`, `dismissed` on an objection; `granted`, `refused` on a removal; `withdrawn`."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"outcome": "granted", "reason": "已履行完毕"}]},
    }

    id: _Id | None = None
    outcome: Literal["upheld", "dismissed", "granted", "refused", "withdrawn"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    attachments: Annotated[list[Digest], Field(max_length=20)] = []


class GradeOut(BaseModel):
    """A party's grade at the end of a month; `entries` weighed then."""

    month: str
    as_of: str
    score: int
    score_without_holds: int
    grade: Literal["A", "B", "C", "D"]
    data_enough: bool
    policy: int
    entries: int


class WarningOut(BaseModel):
    """A line that was crossed: `score` now, `before` as it was, `line` where the warning begins."""

    id: str
    kind: Literal["grade_fell", "near_border", "drop"]
    at: str
    score: int
    grade: str
    before: int
    line: int
    policy: int


_REPEATED = repeated(ListingOut)
_STEPS = {**_REPEATED, **problems("forbidden", "not-found", "lifecycle-conflict", "id-conflict")}


@router.get("/lists/{name}", summary="Who is on a list", response_model=PageBody[ListingOut])
def read_list(rooms: InRooms, lang: Language, page: InPage, name: Name) -> Response:
    """Returns the listings in force, longest first. Public."""
    found = rooms.lists.page(name, after=page.after(int, str), limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: (to_ms(one.listed_at), one.id))
    return page_response([_shown(rooms, one, lang, {}) for one in shown], following)


@router.post(
    "/lists/{name}",
    status_code=201,
    summary="List a party",
    responses={**_REPEATED, **problems("forbidden", "not-found", "already-exists", "id-conflict")},
    response_model_exclude_none=True,
)
def enter_list(
    rooms: InRooms, caller: Caller, lang: Language, name: Name, body: ListingIn, answer: Response
) -> ListingOut:
    """By a regulator, never itself: announced now, in effect after the policy's working days."""
    made, replayed = rooms.lists.enter(
        caller,
        name,
        body.party,
        criterion=body.criterion,
        evidence=body.evidence.model_dump(exclude_none=True),
        id=str(uuid4()) if body.id is None else record_id(body.id),
    )
    return _answer(rooms, caller, made, lang, answer, replayed)


@router.post(
    "/lists/items/{listing}/objection",
    status_code=201,
    summary="Object to a listing (异议)",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def object_to_listing(
    rooms: InRooms, caller: Caller, lang: Language, listing: ListingId, body: ListTextIn,
    answer: Response,
) -> ListingOut:  # fmt: skip
    """By the party on the black list, within the policy's days; decided by `decide_by`."""
    made, replayed = rooms.lists.object(caller, listing, _given(body, body.text))
    return _answer(rooms, caller, made, lang, answer, replayed)


@router.post(
    "/lists/items/{listing}/removal",
    status_code=201,
    summary="Ask for early removal",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def ask_for_removal(
    rooms: InRooms, caller: Caller, lang: Language, listing: ListingId, body: ListTextIn,
    answer: Response,
) -> ListingOut:  # fmt: skip
    """By the party on the black list, from `removal_from` on; decided by `decide_by`."""
    made, replayed = rooms.lists.ask_removal(caller, listing, _given(body, body.text))
    return _answer(rooms, caller, made, lang, answer, replayed)


@router.post(
    "/lists/items/{listing}/decision",
    status_code=201,
    summary="Decide on a listing",
    responses=_STEPS,
    response_model_exclude_none=True,
)
def decide_on_listing(
    rooms: InRooms, caller: Caller, lang: Language, listing: ListingId, body: ListDecisionIn,
    answer: Response,
) -> ListingOut:  # fmt: skip
    """By a regulator, never in its own case."""
    given = _given(body, body.reason)
    made, replayed = rooms.lists.decide(caller, listing, body.outcome, given)
    return _answer(rooms, caller, made, lang, answer, replayed)


@router.get(
    "/credit/{party}/lists",
    summary="A party's listings",
    responses=problems("not-found"),
    response_model=PageBody[ListingOut],
)
def read_listings(
    rooms: InRooms, viewer: Viewer, lang: Language, party: PartyId, purpose: Purpose = None
) -> Response:
    """Returns those in force; to the party itself and regulators also announced and ended ones.

    What others said with a step a regulator opens with `purpose`, and each look is logged.
    """
    found = rooms.lists.of_party(party, viewer, purpose=purpose)
    told = rooms.documents.tell(viewer, party, [pair for one in found for pair in one.named()])
    return page_response([_shown(rooms, one, lang, told) for one in found], None)


@router.get(
    "/credit/{party}/history",
    summary="A party's monthly grades",
    responses=problems("not-found"),
    response_model=PageBody[GradeOut],
)
def read_history(rooms: InRooms, page: InPage, party: PartyId) -> Response:
    """Returns score and grade at the end of each month, oldest first. Public."""
    after = page.after(str)
    rows = rooms.lists.grades(party, after="" if after is None else after[0], limit=page.limit + 1)
    shown, following = page.cut(rows, lambda row: (row.month,))
    return page_response(
        [
            GradeOut(
                month=row.month, as_of=format_time(from_ms(row.weighed_at)), score=row.score,
                score_without_holds=row.score_without_holds, grade=row.grade,
                data_enough=bool(row.data_enough), policy=row.policy, entries=row.entries,
            )
            for row in shown
        ],
        following,
    )  # fmt: skip


@router.get(
    "/credit/{party}/warnings",
    summary="A party's warnings",
    responses=problems("forbidden", "not-found"),
    response_model=PageBody[WarningOut],
)
def read_warnings(rooms: InRooms, caller: Caller, page: InPage, party: PartyId) -> Response:
    """Returns lines that score or trend crossed, oldest first. For the party and regulators alone."""
    caller.check_may("warning.read", owner=party)
    check_office(rooms.database, caller, party)
    rows = rooms.lists.warnings(party, after=page.after(int, str), limit=page.limit + 1)
    shown, following = page.cut(rows, lambda row: (row.at, row.id))
    return page_response(
        [
            WarningOut(
                id=row.id, kind=row.kind, at=format_time(from_ms(row.at)), score=row.score,
                grade=row.grade, before=row.before, line=row.line, policy=row.policy,
            )
            for row in shown
        ],
        following,
    )  # fmt: skip


def _given(body: ListTextIn | ListDecisionIn, text: str) -> Given:
    return Given(text, tuple(body.attachments), None if body.id is None else record_id(body.id))


def _answer(
    rooms: Rooms, caller: Principal, made: Listed, lang: Lang, answer: Response, replayed: bool
) -> ListingOut:
    if replayed:
        answer.status_code = 200
    answer.headers["Location"] = f"/api/v1/credit/{made.party}/lists"
    return _shown(rooms, made, lang, rooms.documents.tell(caller, made.party, made.named()))


def _shown(rooms: Rooms, one: Listed, lang: Lang, told: Mapping[Named, Told]) -> ListingOut:
    criteria = rooms.credit.policies.get(one.policy).lists[one.list].criteria
    known = criteria.get(one.criterion)
    return ListingOut(
        id=one.id,
        party=one.party,
        list=one.list,
        criterion=one.criterion,
        title=one.criterion if known is None else known.title[lang],
        policy=one.policy,
        status=one.status,
        noticed_at=format_time(one.noticed_at),
        listed_at=format_time(one.listed_at),
        until=format_time(one.until),
        removal_from=format_time_if(one.removal_from),
        object_until=format_time_if(one.object_until),
        ended_at=format_time_if(one.ended_at),
        approximate=one.approximate or None,
        evidence=dict(one.evidence),
        documents=named_out(told, one.by, digests_of({"evidence": one.evidence})),
        entered_by=one.by,
        steps=tuple(
            ListStepOut(
                step=step.step, status=step.status, at=format_time(step.at), by=step.actor,
                decide_by=format_time_if(step.decide_by), text=step.text,
                closed=step.closed or None,
                attachments=list(step.attachments) or None,
                documents=named_out(told, step.actor, step.attachments),
            )
            for step in one.steps
        ),
        links={
            "party": f"/api/v1/parties/{one.party}",
            "credit": f"/api/v1/credit/{one.party}",
            "policy": f"/api/v1/credit/policy/{one.policy}",
        },
    )  # fmt: skip
