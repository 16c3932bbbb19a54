"""Audits through pages: asking for one, how far it is, what it met, its report, what was asked before."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.clock import from_ms, parse_time
from app.kit.errors import Fault, FieldFault, NotFound, TooMany, invalid
from app.oversight.audit_reports import PATH as REPORTS_PATH
from app.oversight.audits import MOST_MET
from app.oversight.report_content import (
    evidence_says,
    method_of,
    scope_says,
    unchecked_of,
)
from app.oversight.report_states import read_logs
from app.parties.roles import reach
from app.parties.sessions import Person, SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, as_typed, frame_of
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.pages.versions import DESK_PATH
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/audits"

_SCOPES: Final = ("all", "party", "gtin", "code")
_FEW: Final = 20
_MET: Final = 50
_AFTER = Annotated[int, Query(ge=-1, le=10**9)]


@dataclass(frozen=True, slots=True)
class Job:
    """An audit as its page shows it. total: streams, 0 before it is known."""

    id: str
    scope: str
    whole: bool
    status: str
    streams: int
    records: int
    findings: int
    total: int
    asked_at: datetime
    finished_at: datetime | None
    error: str | None

    @property
    def runs(self) -> bool:
        """Whether there is more to come."""
        return self.status in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Met:
    """A finding as the audit met it.

    page: of the goods or the party, "" for none. attributed: to whom, in words, "" while to nobody.
    """

    id: str
    kind: str
    place: str
    page: str
    party: str
    evidence: tuple[tuple[str, str], ...]
    opened_at: datetime
    status: str
    has_package: bool
    attributed: str


@router.get(PATH)
def show_audits(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    scope: str = "",
    about: str = "",
    after: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Shows the form, filled in where a page of goods leads here, and what was asked before."""
    sent = prefilled(scope=scope if scope in _SCOPES else "", about=about[:2048])
    return _audits(request, rooms, signed, lang, sent, after=after)


@router.post(PATH)
def ask_audit(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Asks for an audit; the next page follows it."""
    principal = signed.person.principal()
    try:
        job = rooms.audits.ask(principal, _scope(rooms, form))
    except Fault as fault:
        sent = _refused(request, form, fault)
        lang = form.text("lang") or None
        return _audits(request, rooms, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, form.text("lang"), PATH), f"{PATH}/{job.id}")


@router.get(f"{PATH}/{{job_id}}")
def show_audit(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    job_id: str,
    lang: AskedLang = None,
    after: _AFTER = -1,
) -> Response:
    """Shows how far an audit is, or what came of it."""
    frame = frame_of(request, lang, f"{PATH}/{job_id}", keeps=("after",))
    row = rooms.audits.own(signed.person.principal(), job_id)
    job = _job(row, frame.lang)
    seen = rooms.audits.seen(signed.person.principal(), row.id, after=after, limit=_MET + 1)
    met = seen.findings
    logs = read_logs(row.checkpoints, rooms.cosigning)
    return answer_signed(
        "audit.html",
        frame,
        signed,
        at="audits",
        told=told_of(request),
        job=job,
        met=[_met(one, frame.lang) for _, one in met[:_MET]],
        first=met[0][0] + 1 if met else 1,
        outside=seen.outside,
        next_after=met[_MET - 1][0] if len(met) > _MET else None,
        most=MOST_MET,
        logs=[
            {**one, "published_at": parse_time(one["published_at"]),
             "seen": [(w["name"], parse_time(w["at"])) for w in one["witnesses"]]}
            for one in logs
        ],
        method=method_of(whole=job.whole),
        not_checked=unchecked_of(logs, whole=job.whole),
        has_report=rooms.audit_reports.has(row.id),
        check_path=f"{REPORTS_PATH}/{row.id}",
        scripts=DESK_PATH,
    )  # fmt: skip


@router.post(f"{PATH}/{{job_id}}/report")
def make_report(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, job_id: str
) -> Response:
    """Makes the report, unless there is one."""
    rooms.audit_reports.make(signed.person.principal(), job_id)
    frame = frame_of(request, form.text("lang"), PATH)
    return go_on(frame, f"{PATH}/{job_id}", told="report_made")


@router.get(f"{PATH}/{{job_id}}/report.{{form}}")
def read_report(rooms: InRooms, signed: InSigned, job_id: str, form: str) -> Response:
    """Returns a file of the report: `json`, `zh.pdf`, `en.pdf`."""
    report = rooms.audit_reports.own(signed.person.principal(), job_id)
    match form:
        case "json":
            body, media = report.signed, "application/json"
        case "zh.pdf":
            body, media = report.pdf["zh"], "application/pdf"
        case "en.pdf":
            body, media = report.pdf["en"], "application/pdf"
        case _:
            raise NotFound("path_unknown")
    name = f"audit-{job_id}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=media, headers=headers)


# --- parts ---------------------------------------------------------------------------------------


def _scope(rooms: Rooms, form: Form) -> dict[str, str] | None:
    """Returns what the form asks for, None for all. Raises Invalid."""
    kind, about = form.text("scope"), form.text("about")
    if kind not in _SCOPES:
        params = {"expected": ", ".join(_SCOPES), "got": kind[:40]}
        raise invalid(FieldFault(("scope",), "enum", params))
    if kind == "all":
        return None
    if not about:
        raise invalid(FieldFault(("about",), "missing"))
    if kind == "code":
        return {kind: as_typed(rooms, about)}
    # Of the ids of parties none has a small letter, of GTINs none has a letter.
    return {kind: form.plain("about").upper()}


def _refused(request: Request, form: Form, fault: Fault) -> Sent:
    """Returns the form with the reason at the field that the scope was read from."""
    sent = refused(request, form, fault)
    if isinstance(fault, TooMany) or sent.errors.keys() & {"scope", "about"}:
        return sent
    reason = next(iter(sent.errors.values()), sent.message)
    lang = frame_of(request, form.text("lang"), PATH).lang
    return replace(sent, errors={"about": reason}, message=text(lang, "audits.refused"))


def _audits(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    after: str | None = None,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH, keeps=("scope", "about", "after"))
    kinds = _kinds(signed.person)
    if not sent.value("scope"):
        sent = replace(sent, items=(*sent.items, ("scope", kinds[0])))
    rows = rooms.audits.asked_by(signed.person.principal(), after=after, limit=_FEW + 1)
    return answer_signed(
        "audits.html",
        frame,
        signed,
        at="audits",
        status=status,
        told=told_of(request),
        sent=sent,
        kinds=[(kind, text(frame.lang, f"audits.scope.{kind}")) for kind in kinds],
        jobs=[_job(row, frame.lang) for row in rows[:_FEW]],
        next_after=rows[_FEW - 1].id if len(rows) > _FEW else None,
    )


def _kinds(person: Person) -> tuple[str, ...]:
    """Returns which scopes a person may ask for: who sells has its own alone audited."""
    everything = reach(person.roles, "audit.start") == "any"
    return _SCOPES if everything else _SCOPES[1:]


def _job(row: Any, lang: Lang) -> Job:
    scope = json.loads(row.scope)
    return Job(
        id=row.id,
        scope=scope_says(lang, scope),
        whole=scope == "all",
        status=row.status,
        streams=row.streams,
        records=row.records,
        findings=row.findings,
        total=row.total or 0,
        asked_at=from_ms(row.created_at),
        finished_at=None if row.finished_at is None else from_ms(row.finished_at),
        error=row.error,
    )


def _met(one: dict[str, Any], lang: Lang) -> Met:
    stream, party, to = one["stream"], one.get("party", ""), one.get("attributed_to")
    goods = stream.startswith("01/")
    page = page_path(stream) if goods else f"/credit/{party}" if party else ""
    place = stream
    if "seq" in one:
        place = text(lang, "report.finding.at", stream=stream, seq=one["seq"])
    return Met(
        id=one["id"],
        kind=one["kind"],
        place=place,
        page=page,
        party=party,
        evidence=tuple(
            (
                evidence_says(lang, name),
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            )
            for name, value in one["evidence"].items()
        ),
        opened_at=parse_time(one["opened_at"]),
        status=one["status"],
        has_package=goods,
        attributed=text(lang, f"report.attributed.{to}") if to else "",
    )
