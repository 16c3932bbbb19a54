"""Findings as an authority's people work through them: the queue, one finding, who does what about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.clock import from_ms, to_ms
from app.kit.errors import Fault, FieldFault, invalid
from app.oversight.casestore import WAITING, Order, Wanted
from app.oversight.casework import MOST_COUNTED
from app.oversight.finding_rows import as_json
from app.oversight.findings import ATTRIBUTIONS
from app.oversight.kinds import SEVERITIES, severity_of
from app.parties.identity import parse_region
from app.parties.principal import Principal
from app.parties.roles import may
from app.parties.sessions import SignedIn
from app.trace.events import MEASURE_KINDS
from app.trace.requests import EventRequest
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.clues import clues_of, parties_named
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.parties import deals
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/findings"
_PAGE: Final = 30
_ORDERS: Final[tuple[Order, ...]] = ("gravest", "newest", "oldest")
_SEEN_DIGITS: Final = 6
_AGES: Final = ("1", "3", "7", "30")
_FAMILIES: Final = (
    "integrity", "log", "index", "identity", "brushing", "licence", "listing", "continuity",
)  # fmt: skip
_STATES: Final = (WAITING, "open", "grace", "closed", "dismissed")
_ME, _NOBODY = "@me", "@nobody"
_FILTERS: Final = ("status", "kind", "severity", "region", "party", "age", "assignee")

_Text = Annotated[str, Query(max_length=64)]


@router.get(PATH)
def show_findings(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    status: _Text = WAITING,
    kind: _Text = "",
    severity: _Text = "",
    region: _Text = "",
    party: _Text = "",
    age: _Text = "",
    assignee: _Text = "",
    sort: _Text = "gravest",
    after: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Shows the findings of one's office by what was chosen, the gravest first unless asked otherwise."""
    principal = signed.person.principal()
    principal.check_may("finding.work")
    asked = prefilled(
        status=status, kind=kind, severity=severity, region=region, party=party, age=age,
        assignee=assignee, sort=sort,
    )  # fmt: skip
    frame = frame_of(request, lang, PATH, keeps=(*_FILTERS, "sort", "after"))
    rows: Any = ()
    count, sent = 0, asked
    try:
        wanted = _wanted(rooms, signed, asked)
        place = Page(_PAGE, after or None).after(int, str)
        count = rooms.casework.count(principal, wanted)
        rows = rooms.casework.list(
            principal,
            wanted,
            after=None if place is None else (place[0], place[1]),
            limit=_PAGE + 1,
            order=_order(asked),
        )
    except Fault as fault:
        if fault.slug != "invalid":
            raise
        sent = refused(request, Form(asked.items), fault)
    shown = rows[:_PAGE]
    last = encode_place((shown[-1].row.opened_at, shown[-1].row.id)) if len(rows) > _PAGE else None
    now = rooms.clock.now()
    return answer_signed(
        "findings.html",
        frame,
        signed,
        at="findings",
        status=422 if sent.errors else 200,
        told=told_of(request),
        sent=sent,
        count=count,
        most=MOST_COUNTED,
        items=[
            (one, severity_of(one.row.kind), (now - from_ms(one.row.opened_at)).days)
            for one in shown
        ],
        names={
            party: view.name
            for party, view in rooms.parties.get_some(
                {one.row.party for one in shown if one.row.party}
            ).items()
        },
        kept=[(name, sent.value(name)) for name in (*_FILTERS, "sort") if sent.value(name)],
        order=sort if sort in _ORDERS else _ORDERS[0],
        next=last,
        choices=_choices(rooms, principal, frame.lang),
        narrowed=any(sent.value(name) for name in _FILTERS[1:]),
    )


def _order(asked: Sent) -> Order:
    value = asked.value("sort")
    for order in _ORDERS:
        if order == value:
            return order
    params = {"expected": ", ".join(_ORDERS), "got": value[:40]}
    raise invalid(FieldFault(("sort",), "enum", params))


def _wanted(rooms: Rooms, signed: SignedIn, asked: Sent) -> Wanted:
    """Raises Invalid at the field of the form."""
    value = asked.value
    severity: Any = value("severity") or None
    if severity not in (None, *SEVERITIES):
        params = {"expected": ", ".join(SEVERITIES), "got": value("severity")[:40]}
        raise invalid(FieldFault(("severity",), "enum", params))
    until_ms = None
    if value("age") in _AGES:
        until_ms = to_ms(rooms.clock.now() - timedelta(days=int(value("age"))))
    who = {_ME: signed.person.name, _NOBODY: "", "": None}
    return Wanted(
        kind=value("kind") or None,
        severity=severity,
        party=value("party") or None,
        status=value("status") or None,
        region=parse_region(value("region"), loc=("region",)) if value("region") else None,
        assignee=who.get(value("assignee"), value("assignee")),
        until_ms=until_ms,
    )


def _choices(rooms: Rooms, principal: Principal, lang: Lang) -> dict[str, list[tuple[str, str]]]:
    def named(prefix: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
        return [
            ("", text(lang, "casework.any")),
            *((v, text(lang, f"{prefix}.{v}")) for v in values),
        ]

    people = [(name, name) for name in rooms.casework.colleagues(principal)]
    return {
        "status": [(one, text(lang, f"casework.status.{one}")) for one in _STATES],
        "kind": named("casework.family", _FAMILIES),
        "severity": named("casework.severity", SEVERITIES),
        "age": named("casework.age", _AGES),
        "sort": [(one, text(lang, f"casework.list.{one}")) for one in _ORDERS],
        "assignee": [
            ("", text(lang, "casework.any")),
            (_ME, text(lang, "casework.me")),
            (_NOBODY, text(lang, "casework.nobody")),
            *people,
        ],
    }


@router.get(f"{PATH}/{{finding}}")
def show_finding(
    request: Request, rooms: InRooms, signed: InSigned, finding: str, lang: AskedLang = None
) -> Response:
    """Shows a finding, and what was done about it."""
    return _finding(request, rooms, signed, finding, lang)


@router.post(f"{PATH}/{{finding}}")
def work_on_finding(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, finding: str
) -> Response:
    """Does one thing about a finding: gives it to somebody, notes, decides, records a measure."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    do = form.text("do")
    try:
        told = _do(rooms, principal, finding, do, form)
    except Fault as fault:
        if fault.slug in ("forbidden", "not-found"):
            raise
        return _finding(request, rooms, signed, finding, lang, do, form, fault)
    path = f"{PATH}/{finding}"
    return go_on(frame_of(request, lang, path), path, told=told)


def _do(rooms: Rooms, principal: Principal, finding: str, do: str, form: Form) -> str:
    """Returns the word of what was done."""
    match do:
        case "assign":
            if not rooms.casework.assign(principal, finding, form.text("assignee") or None):
                return "finding_unmoved"
            return "finding_assigned" if form.text("assignee") else "finding_released"
        case "note":
            rooms.casework.note(principal, finding, form.text("text"))
            return "finding_noted"
        case "attribute":
            rooms.casework.attribute(
                principal,
                finding,
                form.text("to"),
                form.text("reason"),
                named=form.text("party") or None,
                seen=_seen(form),
            )
            return "finding_attributed"
        case "dismiss":
            rooms.casework.dismiss(principal, finding, form.text("reason"), seen=_seen(form))
            return "finding_dismissed"
        case "measure":
            _measure(rooms, principal, finding, form)
            return "measure_recorded"
        case _:
            raise invalid(FieldFault(("do",), "enum", {"expected": "assign", "got": do[:40]}))


def _seen(form: Form) -> int | None:
    """Returns how many moves of the finding stood on the page on which this was decided."""
    told = form.text("seen")
    return int(told) if told.isascii() and told.isdigit() and len(told) <= _SEEN_DIGITS else None


def _measure(rooms: Rooms, principal: Principal, finding: str, form: Form) -> None:
    principal.check_may("event.send")
    row = rooms.casework.get(principal, finding)
    if row.party is None:
        raise invalid(FieldFault(("kind",), "missing", {"name": "party"}))
    request = EventRequest(
        code=f"party/{row.party}",
        type="measure",
        data={"kind": form.text("kind"), "basis": form.text("basis")},
        id=form.text("record") or None,
    )
    answer = rooms.recording.record_one(principal, request)
    if not answer.replayed:
        rooms.casework.note_measure(principal, finding, kind=form.text("kind"), record=answer.id)


def _finding(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    finding: str,
    lang: str | None,
    which: str = "",
    form: Form | None = None,
    fault: Fault | None = None,
) -> Response:
    """which: the form that was refused with `fault`."""
    principal = signed.person.principal()
    work = rooms.casework.work(principal, finding)
    row = rooms.casework.get(principal, finding)
    frame = frame_of(request, lang, f"{PATH}/{row.id}")
    sent = refused(request, form, fault) if form and fault else BLANK
    forms = ("assign", "note", "attribute", "dismiss", "measure")
    told = as_json(row)
    decides = may(principal.roles, "finding.attribute")
    custody = rooms.findings.custody(row)
    asked = {*(one.holder for one in custody), *parties_named(told["evidence"])}
    names = {one.id: one.name for one in rooms.parties.get_some(asked).values() if one.name}
    settled = row.attributed_to is not None or row.status == "dismissed"
    history = [(one, from_ms(one.at)) for one in rooms.findings.history(row.id)]
    sents = {name: sent if name == which else BLANK for name in forms}
    # What nothing can be decided with any more is still somebody's words: a note may keep them.
    unkept = form.text("reason") if form and settled and which in ("attribute", "dismiss") else ""
    if unkept:
        sents["note"] = prefilled(text=unkept)
    known = _seen(form) if form and fault and fault.slug == "already-exists" else None
    return answer_signed(
        "finding.html",
        frame,
        signed,
        at="findings",
        status=status_of(fault) if fault else 200,
        told=told_of(request),
        row=row,
        finding=told,
        severity=severity_of(row.kind),
        party=rooms.parties.get(row.party, principal) if row.party else None,
        work=work,
        history=history,
        news=[] if known is None else history[known:],
        unkept=unkept,
        clues=clues_of(frame.lang, told["evidence"], names),
        custody=custody,
        holders=names,
        sent=sent,
        sents=sents,
        assign=prefilled(assignee=work.assignee or "") if which != "assign" else sent,
        colleagues=[
            ("", text(frame.lang, "casework.nobody")),
            *((name, name) for name in rooms.casework.colleagues(principal)),
        ],
        may_attribute=decides and not settled,
        may_dismiss=decides
        and not settled
        and not row.kind.startswith(("integrity.", "log.", "index.")),
        may_measure=may(principal.roles, "finding.attribute")
        and "events" in principal.scopes
        and row.party is not None,
        attributions=[(one, text(frame.lang, f"casework.to.{one}")) for one in ATTRIBUTIONS],
        measures=[(one, text(frame.lang, f"casework.measure.{one}")) for one in MEASURE_KINDS],
        deals=deals(signed.person),
        enters=does("credit.enter")(signed.person),
    )
