"""Spreadsheets: products, lots and shipments by the file. Dry run, job, faults, templates, mappings."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

from fastapi import Path, Query, Response

from app.i18n import Lang
from app.imports.columns import Kind
from app.imports.export import MEDIA_TYPES, Form, error_rows, write_template
from app.imports.mapping import Layout, presets
from app.imports.plans import Plan, check_may, kinds_of
from app.imports.problems import Problem, of_row
from app.kit.canonical import parse_json
from app.kit.clock import format_ms_if, format_time, from_ms, to_ms
from app.kit.errors import FieldFault, Malformed, invalid, not_of_type
from app.kit.tables import write_csv
from app.parties.principal import Principal
from app.web.api.import_bodies import (
    FORM,
    DoubtOut,
    ImportOut,
    ImportRowOut,
    MappingIn,
    MappingKeptOut,
    MappingOut,
    Outcome,
    PresetOut,
    RowErrorOut,
)
from app.web.body import api_router
from app.web.csvfile import answer_csv
from app.web.deps import Caller, InRooms, Language, Rooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response
from app.web.problems import describe
from app.web.upload import InUpload, Upload

router = api_router(tag="imports")

# A small file is done while its sender waits; a large one is a job that goes on by itself.
_WAIT_S = 2.0
_SHOWN = 100

ImportId = Annotated[str, Path(max_length=80, examples=["0192f3a0-0000-7000-8000-0000000000aa"])]
KindPath = Annotated[Kind, Path(examples=["shipments"])]
Name = Annotated[str, Path(min_length=1, max_length=64, examples=["my-shop"])]
DryRun = Annotated[bool, Query(description="Say what would happen, and write nothing.")]

_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "It is a job now: look at `links.self`.", "model": ImportOut},
    **problems("forbidden", "not-found", "party-unverified", "malformed"),
}


@router.post(
    "/products/import", summary="Import products", responses=_ANSWERS,
    response_model_exclude_none=True, openapi_extra=FORM,
)  # fmt: skip
def import_products(
    rooms: InRooms, principal: Caller, lang: Language, upload: InUpload, response: Response,
    dry_run: DryRun = False,
) -> ImportOut:  # fmt: skip
    """Registers products from a spreadsheet; each row stands for itself, a repeat changes nothing."""
    return _import(rooms, principal, "products", upload, lang, response, dry_run=dry_run)


@router.post(
    "/lots/import", summary="Import lots", responses=_ANSWERS,
    response_model_exclude_none=True, openapi_extra=FORM,
)  # fmt: skip
def import_lots(
    rooms: InRooms, principal: Caller, lang: Language, upload: InUpload, response: Response,
    dry_run: DryRun = False,
) -> ImportOut:  # fmt: skip
    """Registers lots from a spreadsheet; each row stands for itself, a repeat changes nothing."""
    return _import(rooms, principal, "lots", upload, lang, response, dry_run=dry_run)


@router.post(
    "/shipments/import", summary="Import shipments from an order export", responses=_ANSWERS,
    response_model_exclude_none=True, openapi_extra=FORM,
)  # fmt: skip
def import_shipments(
    rooms: InRooms, principal: Caller, lang: Language, upload: InUpload, response: Response,
    dry_run: DryRun = False,
) -> ImportOut:  # fmt: skip
    """Issues, sells and sends the units of an order export, a line of an order as one shipment.

    Columns that are not mapped (names, telephone numbers, addresses) are dropped before anything is
    stored. The same export again is a repeat, by order and line.
    """
    return _import(rooms, principal, "shipments", upload, lang, response, dry_run=dry_run)


@router.post(
    "/events/import", summary="Import events", responses=_ANSWERS,
    response_model_exclude_none=True, openapi_extra=FORM,
)  # fmt: skip
def import_events(
    rooms: InRooms, principal: Caller, lang: Language, upload: InUpload, response: Response,
    dry_run: DryRun = False,
) -> ImportOut:  # fmt: skip
    """Records signatures, refusals, returns and states on the way, by waybill, order or code.

    A row that is about several units holds for all of them or for none. Rows are recorded in the order
    of their times; the same row again is a repeat.
    """
    return _import(rooms, principal, "events", upload, lang, response, dry_run=dry_run)


@router.get(
    "/imports", summary="Your imports", responses=problems("forbidden"),
    response_model=PageBody[ImportOut],
)  # fmt: skip
def list_imports(rooms: InRooms, principal: Caller, lang: Language, page: InPage) -> Response:
    """Returns the imports of the caller's party of the kinds that its key may do, kept 30 days."""
    kinds = kinds_of(principal)
    found = rooms.imports.jobs(principal, after=page.after(int, str), limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: (one[0].created_at, one[0].id))
    told = [
        _job(rooms, principal, one, lang, faults=False) for one in shown if one[0].kind in kinds
    ]
    return page_response(told, following)


@router.get(
    "/imports/{import_id}", summary="How far an import is",
    responses=problems("forbidden", "not-found"), response_model_exclude_none=True,
)  # fmt: skip
def read_import(
    rooms: InRooms, principal: Caller, lang: Language, import_id: ImportId
) -> ImportOut:
    """Returns the progress of an import, and what became of its rows."""
    return _job(rooms, principal, _own(rooms, principal, import_id), lang)


@router.get(
    "/imports/{import_id}/rows", summary="The rows of an import",
    responses=problems("forbidden", "not-found"), response_model=PageBody[ImportRowOut],
)  # fmt: skip
def list_import_rows(
    rooms: InRooms, principal: Caller, lang: Language, page: InPage, import_id: ImportId,
    outcome: Annotated[Outcome | None, Query()] = None,
) -> Response:  # fmt: skip
    """Returns what came of each row, in the file's order."""
    _own(rooms, principal, import_id)
    after = page.after(int)
    rows = rooms.imports.rows(
        principal, import_id, outcomes=[outcome] if outcome else (),
        after=after[0] if after else -1, limit=page.limit + 1,
    )  # fmt: skip
    shown, following = page.cut(rows, lambda row: (row.row,))
    told = []
    for row in shown:
        found = of_row(row)
        told.append(
            ImportRowOut(
                row=row.row,
                outcome=row.outcome,
                errors=[_told(row.row, one, lang) for one in found if not one.is_warning],
                warnings=[_told(row.row, one, lang) for one in found if one.is_warning],
            )
        )
    return page_response(told, following)


@router.get(
    "/imports/{import_id}/errors.csv", summary="The faults of an import as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, **problems("forbidden", "not-found")},
)  # fmt: skip
def read_import_errors(
    rooms: InRooms, principal: Caller, lang: Language, import_id: ImportId
) -> Response:
    """Returns row, column, value, reason and what was expected, in the reader's language."""
    job, _ = _own(rooms, principal, import_id)
    lines = error_rows(lang, rooms.imports.faults(principal, import_id), job.kind)
    return answer_csv(write_csv(lines), name=f"import-errors-{import_id}")


@router.get(
    "/import-templates/{kind}", summary="An empty spreadsheet", response_class=Response,
    responses={200: {"content": {"text/csv": {}, MEDIA_TYPES["xlsx"]: {}}}},
)  # fmt: skip
def read_template(
    lang: Language, kind: KindPath, form: Annotated[Form, Query(alias="format")] = "xlsx"
) -> Response:
    """Returns the columns of a kind with one example row, headed in the reader's language."""
    headers = {"Content-Disposition": f'attachment; filename="suxin-{kind}.{form}"'}
    return Response(write_template(kind, form, lang), media_type=MEDIA_TYPES[form], headers=headers)


@router.get("/import-presets", summary="Known order exports", response_model=PageBody[PresetOut])
def list_presets(lang: Language) -> Response:
    """Returns the shop exports that are recognised, with the headers that are read of each."""
    told = [
        PresetOut(
            id=one.id,
            title=one.title[lang],
            recognised_by=list(one.needs),
            columns={name: list(headers) for name, headers in one.columns.items()},
            defaults=dict(one.defaults),
        )
        for one in presets()
    ]
    return page_response(told, None)


@router.get(
    "/import-mappings", summary="Your remembered mappings", responses=problems("forbidden"),
    response_model=PageBody[MappingOut],
)  # fmt: skip
def list_mappings(rooms: InRooms, principal: Caller) -> Response:
    """Returns how the caller's spreadsheets are read, of the kinds that its key may do."""
    kinds = kinds_of(principal)
    found = rooms.imports.mappings(principal)
    return page_response([_mapping(*one) for one in found if one[0] in kinds], None)


@router.put(
    "/import-mappings/{kind}/{name}", summary="Remember a mapping", responses=problems("forbidden")
)
def put_mapping(
    rooms: InRooms, principal: Caller, lang: Language, kind: KindPath, name: Name, body: MappingIn
) -> MappingKeptOut:
    """Keeps a mapping under a name of the caller's, in place of an earlier one.

    `warnings` names each carrier that is not registered here: nobody could sign for its parcels.
    """
    check_may(principal, kind)
    kept = rooms.imports.remember(principal, kind, name, body.model_dump())
    doubts = describe(invalid(*rooms.imports.doubts(principal, kept)), lang=lang, instance="")
    told = _mapping(kind, name, kept, to_ms(rooms.clock.now()))
    warnings = [DoubtOut(**one) for one in doubts.get("errors", ())]
    return MappingKeptOut(**told.model_dump(), warnings=warnings)


@router.delete(
    "/import-mappings/{kind}/{name}", status_code=204, summary="Forget a mapping",
    responses=problems("forbidden"),
)  # fmt: skip
def delete_mapping(rooms: InRooms, principal: Caller, kind: KindPath, name: Name) -> None:
    """Forgets a mapping. Again is no harm."""
    check_may(principal, kind)
    rooms.imports.forget(principal, kind, name)


def _import(
    rooms: Rooms, principal: Principal, kind: Kind, upload: Upload, lang: Lang,
    response: Response, *, dry_run: bool,
) -> ImportOut:  # fmt: skip
    mapping = _mapping_of(rooms, principal, kind, upload, keep=not dry_run)
    plan = rooms.imports.plan(principal, kind, upload.raw, mapping)
    if dry_run:
        return _plan(plan, lang)
    job = rooms.imports.store(principal, plan)
    until = time.monotonic() + _WAIT_S
    while rooms.imports.work_on(job) and time.monotonic() < until:
        pass
    told = _job(rooms, principal, rooms.imports.job(principal, job), lang)
    response.status_code = 202 if told.status == "running" else 200
    return told


def _mapping_of(
    rooms: Rooms, principal: Principal, kind: Kind, upload: Upload, *, keep: bool
) -> Layout:
    check_may(principal, kind)
    name, told = upload.fields.get("mapping_name"), upload.fields.get("mapping")
    if name is not None and not 1 <= len(name) <= 64:
        params = {"expected": "1..64", "got": len(name)}
        raise invalid(FieldFault(("mapping_name",), "length", params))
    if told is None:
        return Layout() if name is None else rooms.imports.mapping(principal, kind, name)
    try:
        parsed = parse_json(told.encode())
    except Malformed as err:
        if err.key == "duplicate_key":  # a word that stands for two things
            twice = FieldFault(("mapping",), "duplicate", {"got": str(err.params["name"])})
            raise invalid(twice) from err
        raise invalid(not_of_type(("mapping",), "object")) from err
    if name is not None and keep:
        return rooms.imports.remember(principal, kind, name, parsed)
    return rooms.imports.check_mapping(principal, kind, parsed)


def _own(rooms: Rooms, principal: Principal, import_id: str) -> tuple[Any, dict[str, int]]:
    found = rooms.imports.job(principal, import_id)
    check_may(principal, found[0].kind)
    return found


def _plan(plan: Plan, lang: Lang) -> ImportOut:
    counts = plan.counts()
    rows = plan.in_file()
    faults = [(row.row, one) for row in rows for one in row.problems]
    warned = [(row.row, one) for row in rows for one in row.warnings]
    return ImportOut(
        kind=plan.sheet.kind,
        status="planned",
        rows=len(plan.rows),
        done=0,
        created=counts["created"],
        unchanged=counts["unchanged"],
        skipped=counts["skipped"],
        refused=counts["refused"],
        errors=[_told(number, one, lang) for number, one in faults[:_SHOWN]],
        warnings=[_told(number, one, lang) for number, one in warned[:_SHOWN]],
        file=plan.about(),
        listings=dict(plan.listings) or None,
        links={},
    )


def _job(
    rooms: Rooms, principal: Principal, found: tuple[Any, dict[str, int]], lang: Lang, *,
    faults: bool = True,
) -> ImportOut:  # fmt: skip
    job, counts = found
    about = json.loads(job.about)
    about.pop("planned", None)  # of a page's dry run
    listings = about.pop("listings", None)
    told: list[tuple[int, Problem]] = []
    if faults:
        rows = rooms.imports.rows(principal, job.id, limit=2 * _SHOWN, told=True)
        told = [(row.row, one) for row in rows for one in of_row(row)]
    path = f"/api/v1/imports/{job.id}"
    return ImportOut(
        id=job.id,
        kind=job.kind,
        status=job.status,
        rows=job.total,
        done=job.total - counts.get("waiting", 0),
        created=counts.get("created", 0),
        unchanged=counts.get("unchanged", 0),
        skipped=counts.get("skipped", 0),
        refused=counts.get("refused", 0),
        errors=[_told(n, one, lang) for n, one in told if not one.is_warning][:_SHOWN],
        warnings=[_told(n, one, lang) for n, one in told if one.is_warning][:_SHOWN],
        file=about,
        listings=listings,
        error=job.error,
        created_at=format_time(from_ms(job.created_at)),
        finished_at=format_ms_if(job.finished_at),
        links={"self": path, "rows": f"{path}/rows", "errors_csv": f"{path}/errors.csv"},
    )


def _told(number: int, problem: Problem, lang: Lang) -> RowErrorOut:
    return RowErrorOut(
        row=number,
        field=problem.field,
        column=problem.column,
        value=problem.value,
        kind=problem.kind,
        msg=problem.told(lang),
        expected=problem.expected(lang),
    )


def _mapping(kind: Kind, name: str, mapping: Layout, updated_at: int) -> MappingOut:
    at = format_time(from_ms(updated_at))
    return MappingOut(kind=kind, name=name, mapping=mapping.as_json(), updated_at=at)
