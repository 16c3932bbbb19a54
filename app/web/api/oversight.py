"""Audits, findings and their attribution; reports by anyone."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from app.i18n import LANGUAGES, key_of_kind, text
from app.kit.clock import format_ms_if, format_time, from_ms
from app.oversight.casestore import Wanted
from app.oversight.finding_rows import as_text
from app.oversight.kinds import Severity
from app.oversight.periods import read_period
from app.parties.identity import parse_region
from app.parties.principal import Principal
from app.web.body import Body, api_router
from app.web.checks import check_report_limit
from app.web.deps import Caller, InRooms, InVisit, Rooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody

router = api_router(tag="oversight")

_Id = Annotated[str, Path(max_length=80)]


class ScopeIn(Body):
    """One of: a party, a product, a code."""

    party: Annotated[str | None, Field(max_length=64)] = None
    gtin: Annotated[str | None, Field(max_length=32)] = None
    code: Annotated[str | None, Field(max_length=2048)] = None

    @model_validator(mode="after")
    def _one(self) -> ScopeIn:
        if sum(v is not None for v in (self.party, self.gtin, self.code)) != 1:
            raise PydanticCustomError("type", "one of party, gtin, code")
        return self


class AuditIn(Body):
    """What is to be audited."""

    model_config = {**Body.model_config, "json_schema_extra": {"examples": [{"scope": "all"}]}}

    scope: Literal["all"] | ScopeIn


class AuditOut(BaseModel):
    """How far an audit is. When it is done, its effects on credit are readable."""

    id: str
    status: Literal["waiting", "running", "done", "failed"]
    scope: Any
    streams: int
    records: int
    findings: int
    total: int | None = Field(default=None, description="Streams it goes through; once it began.")
    asked_at: str
    started_at: str | None = None
    finished_at: str | None = None
    error: str | None = None


class AttributionIn(Body):
    """Who answers for a finding, as a regulator decides."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"to": "operator", "reason": "restored disk"}]},
    }

    to: Literal["merchant", "carrier", "operator", "none"]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    party: Annotated[
        str | None,
        Field(max_length=64, description="The carrier, where the records name none."),
    ] = None


class DismissalIn(Body):
    """Why a finding is no fault; the reason is sealed, the record commits to it."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"reason": "three members of one household"}]},
    }

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class AssignmentIn(Body):
    """To whom: a login name of the caller's own authority, null for nobody."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"assignee": None}]},
    }

    assignee: Annotated[str | None, Field(min_length=1, max_length=40)]


class NoteIn(Body):
    """What is noted."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"text": "asked the merchant for the waybill"}]},
    }

    text: Annotated[str, Field(min_length=1, max_length=2000)]


class NoteOut(BaseModel):
    """One line. text: null where its words were erased; by: a login name, or an API key's id."""

    at: str
    by: str
    kind: str
    about: str
    text: str | None


class WorkOut(BaseModel):
    """Who of the caller's authority works on a finding, and what its people noted and did."""

    assignee: str | None
    items: list[NoteOut]


class ReportIn(Body):
    """A report by anyone; `contact` is for referral to 12315 and is kept sealed."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"text": "二维码贴在另一件商品上"}]},
    }

    code: Annotated[str | None, Field(max_length=2048)] = None
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    contact: Annotated[str | None, Field(max_length=100)] = None


class TicketOut(BaseModel):
    """The number under which a report is kept; with `query_code`, told here alone, its author erases it."""

    ticket: str
    query_code: str


@router.post(
    "/audits",
    status_code=202,
    summary="Start an audit",
    responses=problems("forbidden", "not-found", "code-unknown"),
    response_model_exclude_none=True,
)
def start_audit(rooms: InRooms, principal: Caller, body: AuditIn) -> AuditOut:
    """Re-verifies everything, or one party, product or code; a party may audit its own."""
    scope = None if body.scope == "all" else body.scope.model_dump(exclude_none=True)
    return audit_body(rooms.audits.ask(principal, scope))


@router.get(
    "/audits/{audit_id}",
    summary="How far an audit is",
    responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)
def read_audit(rooms: InRooms, principal: Caller, audit_id: _Id) -> AuditOut:
    """Returns progress, then the result."""
    return audit_body(rooms.audits.own(principal, audit_id))


@router.get("/findings", summary="Findings", responses=problems("forbidden"))
def list_findings(
    rooms: InRooms,
    principal: Caller,
    page: InPage,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    party: Annotated[str | None, Query(max_length=64)] = None,
    status: Annotated[
        Literal["grace", "open", "closed", "dismissed", "waiting"] | None,
        Query(description="`waiting`: open, or in its grace."),
    ] = None,
    severity: Annotated[Severity | None, Query()] = None,
    region: Annotated[str | None, Query(max_length=6, examples=["441200"])] = None,
    assignee: Annotated[
        str | None,
        Query(max_length=40, description="Login name of one's own; empty: nobody works on it."),
    ] = None,
    since: Annotated[str | None, Query(max_length=10, examples=["2026-01-01"])] = None,
    until: Annotated[str | None, Query(max_length=10, examples=["2026-12-31"])] = None,
) -> PageBody[dict[str, Any]]:
    """Lists findings, newest first; a party sees its own, an authority those in its office.

    `region`: where the party that it is about is registered. `since`, `until`: opened then (days in China).
    """
    since_ms, until_ms = read_period(since, until, loc=("query",))
    wanted = Wanted(
        kind=kind,
        party=party,
        status=status,
        severity=severity,
        region=None if region is None else parse_region(region, loc=("query", "region")),
        assignee=assignee,
        since_ms=since_ms,
        until_ms=until_ms,
    )
    after = page.after(int, str)
    rows = rooms.casework.list(principal, wanted, after=after, limit=page.limit + 1)
    shown, following = page.cut(rows, lambda one: (one.row.opened_at, one.row.id))
    items = [
        finding_body(one.row) | ({"assignee": one.assignee} if one.assignee else {})
        for one in shown
    ]
    return PageBody[dict[str, Any]](items=items, next=following)


@router.get(
    "/findings/{finding}", summary="A finding", responses=problems("forbidden", "not-found")
)
def read_finding(rooms: InRooms, principal: Caller, finding: _Id) -> dict[str, Any]:
    """Returns a finding with its evidence; of a missing step both sides of the sale see it.

    `history` tells each change of its status, by whom and why; `custody` of goods with a life, who held
    them when.
    """
    return _whole(rooms, rooms.casework.get(principal, finding))


@router.post(
    "/findings/{finding}/attribution",
    summary="Attribute a finding",
    responses=problems("forbidden", "not-found", "already-exists", "nobody-named"),
)
def attribute_finding(
    rooms: InRooms, principal: Caller, finding: _Id, body: AttributionIn
) -> dict[str, Any]:
    """Says who answers for a finding: the hold is lifted, or becomes an entry after notice.

    What was charged for a missing step moves to who answers for it, with notice, or is cancelled.
    """
    row = rooms.casework.attribute(principal, finding, body.to, body.reason, named=body.party)
    return _whole(rooms, row)


@router.post(
    "/findings/{finding}/dismissal",
    summary="Dismiss a finding",
    responses=problems("forbidden", "not-found", "already-exists", "not-dismissable"),
)
def dismiss_finding(
    rooms: InRooms, principal: Caller, finding: _Id, body: DismissalIn
) -> dict[str, Any]:
    """Says that a finding is no fault: it is closed, and what was charged for it is cancelled.

    The same facts raise it no more. Not for what the stored bytes themselves contradict, and not for
    what was dismissed before for another reason. A wrong attribution is undone by it.
    """
    return _whole(rooms, rooms.casework.dismiss(principal, finding, body.reason))


@router.get(
    "/findings/{finding}/work",
    summary="Who works on a finding",
    responses=problems("forbidden", "not-found"),
)
def read_work(rooms: InRooms, principal: Caller, finding: _Id) -> WorkOut:
    """Returns what the people of the caller's own authority noted and did, the oldest first."""
    return _work(rooms, principal, finding)


@router.post(
    "/findings/{finding}/assignment",
    summary="Give a finding to somebody",
    responses=problems("forbidden", "not-found"),
)
def assign_finding(rooms: InRooms, principal: Caller, finding: _Id, body: AssignmentIn) -> WorkOut:
    """Gives a finding to somebody of the caller's own authority, or to nobody."""
    rooms.casework.assign(principal, finding, body.assignee)
    return _work(rooms, principal, finding)


@router.post(
    "/findings/{finding}/notes",
    status_code=201,
    summary="Note something about a finding",
    responses=problems("forbidden", "not-found"),
)
def note_finding(rooms: InRooms, principal: Caller, finding: _Id, body: NoteIn) -> WorkOut:
    """Adds a note that only the caller's own authority reads; its words are kept sealed."""
    rooms.casework.note(principal, finding, body.text)
    return _work(rooms, principal, finding)


@router.post("/reports", status_code=201, summary="Report something suspicious")
def file_report(rooms: InRooms, visit: InVisit, body: ReportIn) -> TicketOut:
    """Takes a report by anyone, without key or proof. A person reads it; it weighs nothing by itself."""
    check_report_limit(rooms, visit)
    ticket = rooms.reports.file(body.code, body.text, body.contact)
    return TicketOut(ticket=ticket, query_code=rooms.reports.query_code(ticket))


def finding_body(row: Any) -> dict[str, Any]:
    """Returns a finding as the API shows it: its sentence, and what cures it, in both languages."""
    shown = as_text(row)
    for name, family in (("text", "finding"), ("cure", "cure")):
        key = key_of_kind(family, row.kind)
        shown[name] = {} if key is None else {lang: text(lang, key) for lang in LANGUAGES}
    return shown


def _whole(rooms: Rooms, row: Any) -> dict[str, Any]:
    """Returns a finding with its history, and who held the goods."""
    history = [
        {"status": one.status, "at": format_time(from_ms(one.at)), "by": one.by, "why": one.why}
        for one in rooms.findings.history(row.id)
    ]
    custody = [
        {"holder": one.holder, "role": one.role, "since": format_time(one.since), "seq": one.seq}
        for one in rooms.findings.custody(row)
    ]
    return {**finding_body(row), "history": history, "custody": custody}


def _work(rooms: Rooms, principal: Principal, finding: str) -> WorkOut:
    work = rooms.casework.work(principal, finding)
    notes = [
        NoteOut(at=format_time(one.at), by=one.by, kind=one.kind, about=one.about, text=one.text)
        for one in work.notes
    ]
    return WorkOut(assignee=work.assignee, items=notes)


def audit_body(row: Any) -> AuditOut:
    """Returns an audit as the API shows it."""
    return AuditOut(
        id=row.id,
        status=row.status,
        scope=json.loads(row.scope),
        streams=row.streams,
        records=row.records,
        findings=row.findings,
        total=row.total,
        asked_at=format_time(from_ms(row.created_at)),
        started_at=format_ms_if(row.started_at),
        finished_at=format_ms_if(row.finished_at),
        error=row.error,
    )
