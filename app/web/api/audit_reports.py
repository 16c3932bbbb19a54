"""Audits that were asked for, what each met, and their signed reports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import Path, Query, Response
from pydantic import BaseModel

from app.oversight.audit_reports import Report
from app.web.api.oversight import AuditOut, audit_body
from app.web.body import api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems, repeated
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="oversight")

_Id = Annotated[str, Path(max_length=80)]
_SEEN = problems("forbidden", "not-found")


class FileOut(BaseModel):
    """A file by its SHA-256 in hexadecimal digits, and its length."""

    sha256: str
    bytes: int


class ReportSigned(BaseModel):
    """What was signed of a report. note: a signed note over all three hashes, by `key`."""

    format: str
    report_sha256: str
    pdf: dict[Literal["zh", "en"], FileOut]
    key: str
    note: str


class ReportOut(ReportSigned):
    """A report. report: what was checked, against which checkpoints and how, what was met, and the chains.

    docs/proof.md names its parts.
    """

    report: dict[str, Any]


@router.get(
    "/audits",
    summary="Audits that you asked for",
    response_model=PageBody[AuditOut],
    responses=problems("forbidden"),
)
def list_audits(rooms: InRooms, principal: Caller, page: InPage) -> Response:
    """Lists the audits that the key's party asked for, newest first."""
    after = page.after(str)
    rows = rooms.audits.asked_by(
        principal, after=None if after is None else after[0], limit=page.limit + 1
    )
    shown, following = page.cut(rows, lambda row: (row.id,))
    return page_response([audit_body(row) for row in shown], following)


class MetBody(PageBody[dict[str, Any]]):
    """Findings of an audit. outside: how many more it met that lie outside the caller's office."""

    outside: int


@router.get("/audits/{audit_id}/findings", summary="What an audit met", responses=_SEEN)
def list_met(rooms: InRooms, principal: Caller, audit_id: _Id, page: InPage) -> MetBody:
    """Lists findings as they were when the audit met them: what was altered first, then by age.

    An account with a region sees those about parties of its region, and the number of the others.
    """
    after = page.after(int)
    met = rooms.audits.seen(
        principal, audit_id, after=-1 if after is None else after[0], limit=page.limit + 1
    )
    shown, following = page.cut(met.findings, lambda one: (one[0],))
    return MetBody(items=[one for _, one in shown], next=following, outside=met.outside)


@router.post(
    "/audits/{audit_id}/report",
    status_code=201,
    summary="Make an audit's report",
    response_model=ReportOut,
    responses={**problems("forbidden", "not-found", "audit-not-done"), **repeated(ReportOut)},
)
def make_report(rooms: InRooms, principal: Caller, audit_id: _Id) -> Response:
    """Makes the report, once: a repeat answers with the one that was made."""
    report, new = rooms.audit_reports.make(principal, audit_id)
    return Response(report.signed, 201 if new else 200, media_type="application/json")


@router.get(
    "/audits/{audit_id}/report",
    summary="An audit's report as JSON",
    response_model=ReportOut,
    responses=_SEEN,
)
def read_report(rooms: InRooms, principal: Caller, audit_id: _Id) -> Response:
    """Returns the report as it was made, byte for byte; scripts/verify_proof.py checks it offline."""
    report = rooms.audit_reports.own(principal, audit_id)
    return Response(report.signed, media_type="application/json", headers=_as("report.json"))


@router.get(
    "/audits/{audit_id}/report.pdf",
    summary="An audit's report as PDF",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, **_SEEN},
)
def read_report_pdf(
    rooms: InRooms,
    principal: Caller,
    audit_id: _Id,
    lang: Annotated[Literal["zh", "en"], Query()] = "zh",
) -> Response:
    """Returns the paper; its symbol leads to where its hash is confirmed."""
    report = rooms.audit_reports.own(principal, audit_id)
    name = _as(f"audit-report-{lang}.pdf")
    return Response(report.pdf[lang], media_type="application/pdf", headers=name)


@router.get(
    "/audit-reports/{audit_id}", summary="Confirm a report", responses=problems("not-found")
)
def confirm_report(rooms: InRooms, audit_id: _Id) -> ReportSigned:
    """Returns the hashes and the signature of a report, for whoever holds one. It tells nothing of it."""
    return ReportSigned.model_validate(signed_part(rooms.audit_reports.get(audit_id)))


def signed_part(report: Report) -> dict[str, Any]:
    """Returns a report without its content."""
    told: dict[str, Any] = orjson.loads(report.signed)
    return {name: value for name, value in told.items() if name != "report"}


def _as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
