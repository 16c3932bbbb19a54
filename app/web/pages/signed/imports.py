"""Spreadsheets through pages: templates, the file and its dry run, applying it, how far it is.

A file's dry run is kept as a planned job, sealed and for an hour, so that what was looked at is what is
applied, and nobody picks a file twice.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.imports.columns import KINDS, Kind, columns_of, names_of
from app.imports.export import error_rows
from app.imports.grid import MAX_ROWS
from app.imports.mapping import Layout, presets
from app.imports.plans import check_may, kinds_of
from app.imports.problems import Problem, of_row
from app.kit.clock import from_ms
from app.kit.errors import Fault, FieldFault, invalid
from app.kit.tables import write_csv
from app.parties.principal import Principal
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.csvfile import answer_csv
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, form_reader, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.pages.versions import DESK_PATH
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/imports"

_AFTER = Annotated[int, Query(ge=-1, le=10**9)]
_InFile = Annotated[Form, Depends(form_reader(max_files=1))]
_FEW = 20
_ROWS = 50
# A small file is done before the next page is drawn.
_WAIT_S = 1.5


@dataclass(frozen=True, slots=True)
class Job:
    """A file as its page shows it. counts: rows by what came of them; of a dry run, would come.

    listings: how many products it was found to list, by place.
    """

    id: str
    kind: Kind
    status: str
    total: int
    done: int
    counts: dict[str, int]
    error: str | None
    at: datetime
    finished_at: datetime | None
    about: dict[str, Any]
    listings: dict[str, int]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line of what is wrong. expected: words, each with the page that they link to, or ""."""

    row: int
    column: str
    value: str
    reason: str
    expected: tuple[tuple[str, str], ...]
    is_warning: bool


_NEXT: Final[Mapping[str, str]] = {
    "products": "/desk/products",
    "lots": "/desk/products",
    "shipments": "/desk/shipments",
    "events": "/desk/shipments",
}
"""Where somebody goes on after a file was applied: to codes, or to the labels of what was packed."""

_TITLES: Final[Mapping[str, str]] = {
    "/desk/imports/mapping": "imports.mapping.title",
    "/desk/products": "nav.products",
}
"""Pages that what is asked of a row names, as the command line and the API tell them too."""
_TO_PAGE: Final = re.compile(f"({'|'.join(_TITLES)})")


@router.get(PATH)
def show_imports(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None, kind: str = ""
) -> Response:
    """Shows what can be sent, a form for it, and what was sent before."""
    return _imports(request, rooms, signed, lang, prefilled(kind=kind) if kind else BLANK)


@router.post(PATH)
def plan_import(request: Request, rooms: InRooms, signed: InSigned, form: _InFile) -> Response:
    """Reads a file and keeps its dry run; the next page shows it."""
    principal = signed.person.principal()
    try:
        kind = _kind(form)
        check_may(principal, kind)
        plan = rooms.imports.plan(
            principal, kind, _raw(form), _layout(rooms, principal, kind, form)
        )
        job = rooms.imports.store(principal, plan, planned=True)
    except Fault as fault:
        lang = form.text("lang") or None
        sent = refused(request, form, fault)
        page = _imports(request, rooms, signed, lang, sent, status=status_of(fault))
        if fault.retry_after_s is not None:
            page.headers["Retry-After"] = str(fault.retry_after_s)
        return page
    return go_on(frame_of(request, form.text("lang"), PATH), f"{PATH}/{job}")


@router.get(f"{PATH}/{{job_id}}")
def show_import(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    job_id: str,
    lang: AskedLang = None,
    after: _AFTER = -1,
) -> Response:
    """Shows a dry run, how far a job is, or what came of it."""
    frame = frame_of(request, lang, f"{PATH}/{job_id}", keeps=("after",))
    principal = signed.person.principal()
    job = _own(rooms, principal, job_id)
    rows = rooms.imports.rows(principal, job_id, after=after, limit=_ROWS + 1, told=True)
    shown = rows[:_ROWS]
    return answer_signed(
        "import.html",
        frame,
        signed,
        at="imports",
        told=told_of(request),
        job=job,
        faults=[one for row in shown for one in _faults(row.row, of_row(row), job.kind, frame.lang)],
        next_after=shown[-1].row if len(rows) > _ROWS else None,
        fields=[(c.names[frame.lang][0], job.about["columns"].get(c.field, ""))
                for c in columns_of(job.kind) if c.field in job.about["columns"]],
        next=_NEXT[job.kind] if job.status == "done" and job.counts.get("created") else "",
        preset=next((p.title[frame.lang] for p in presets() if p.id == job.about.get("preset")), ""),
        scripts=DESK_PATH,
    )  # fmt: skip


@router.post(f"{PATH}/{{job_id}}")
def act_on_import(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, job_id: str
) -> Response:
    """Applies a dry run, or forgets it."""
    principal = signed.person.principal()
    _own(rooms, principal, job_id)
    frame = frame_of(request, form.text("lang"), PATH)
    if form.text("do") == "drop":
        rooms.imports.drop(principal, job_id)
        return go_on(frame, PATH, told="import_dropped")
    rooms.imports.begin(principal, job_id)
    until = time.monotonic() + _WAIT_S
    while rooms.imports.work_on(job_id) and time.monotonic() < until:
        pass
    return go_on(frame, f"{PATH}/{job_id}")


@router.get(f"{PATH}/{{job_id}}/errors.csv")
def read_faults(
    request: Request, rooms: InRooms, signed: InSigned, job_id: str, lang: AskedLang = None
) -> Response:
    """Returns every fault of a file as CSV."""
    principal = signed.person.principal()
    job = _own(rooms, principal, job_id)
    told = lang_of(request, lang)
    lines = error_rows(told, rooms.imports.faults(principal, job_id), job.kind)
    return answer_csv(write_csv(lines), name=f"import-errors-{job_id}")


# --- parts ---------------------------------------------------------------------------------------


def _kind(form: Form) -> Kind:
    for kind in KINDS:
        if form.text("kind") == kind:
            return kind
    params = {"expected": ", ".join(KINDS), "got": form.text("kind")[:40]}
    raise invalid(FieldFault(("kind",), "enum", params))


def _raw(form: Form) -> bytes:
    file = form.files.get("file")
    # A browser sends a file without a name where none was chosen.
    if file is None or not file.filename:
        raise invalid(FieldFault(("file",), "missing"))
    return file.file.read()


def _layout(rooms: Rooms, principal: Principal, kind: Kind, form: Form) -> Layout:
    of, _, name = form.text("mapping").partition("/")
    return rooms.imports.mapping(principal, kind, name) if name and of == kind else Layout()


def _own(rooms: Rooms, principal: Principal, job_id: str) -> Job:
    row, counts = rooms.imports.job(principal, job_id)
    check_may(principal, row.kind)
    return _job(row, counts)


def _job(row: Any, counts: dict[str, int]) -> Job:
    about = json.loads(row.about)
    planned, listings = about.pop("planned", None), about.pop("listings", {})
    return Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        total=row.total,
        done=row.total - counts.get("waiting", 0),
        counts=planned if row.status == "planned" and planned is not None else counts,
        error=row.error,
        at=from_ms(row.created_at),
        finished_at=None if row.finished_at is None else from_ms(row.finished_at),
        about=about,
        listings=listings,
    )


def _faults(number: int, problems: Sequence[Problem], kind: Kind, lang: Lang) -> Iterator[Wrong]:
    for problem in problems:
        # What a mapping puts into every row stands in no column of the file.
        one = problem.at_column(names_of(kind, lang))
        yield Wrong(
            number, one.column or one.field, one.value, one.told(lang),
            tuple(_linked(one.expected(lang), lang)), one.is_warning,
        )  # fmt: skip


def _linked(words: str, lang: Lang) -> Iterator[tuple[str, str]]:
    """Yields a sentence in parts, a page of ours by its title and path, all else with ""."""
    for part in _TO_PAGE.split(words):
        if part in _TITLES:
            yield text(lang, _TITLES[part]), part
        elif part:
            yield part, ""


def _imports(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH)
    principal = signed.person.principal()
    kinds = kinds_of(principal)
    if not sent.value("kind"):
        sent = replace(sent, items=(*sent.items, ("kind", kinds[0])))
    found = rooms.imports.jobs(principal, after=None, limit=_FEW)
    mappings = [
        (f"{kind}/{name}", f"{text(frame.lang, f'import.kind.{kind}')}: {name}")
        for kind, name, _, _ in rooms.imports.mappings(principal)
        if kind in kinds
    ]
    return answer_signed(
        "imports.html",
        frame,
        signed,
        at="imports",
        status=status,
        told=told_of(request),
        sent=sent,
        kinds=[(kind, text(frame.lang, f"import.kind.{kind}")) for kind in kinds],
        mappings=mappings,
        jobs=[_job(*one) for one in found if one[0].kind in kinds],
        most=MAX_ROWS,
    )  # fmt: skip
