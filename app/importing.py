"""`suxin import`: a spreadsheet at the command line, by the service's own rules and as its own job.

Stopped in between, the job is still there: the worker of a running service goes on with it, and the
same file again is a repeat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.config import load_settings
from app.i18n import LANGUAGES, Lang, text
from app.imports.columns import KINDS, Kind
from app.imports.export import error_rows
from app.imports.mapping import Layout
from app.imports.problems import Problem
from app.kit.canonical import parse_json
from app.kit.errors import Malformed
from app.kit.tables import write_csv
from app.opening import opened_rooms
from app.parties.principal import Principal
from app.terminal import ERR, OUT, fail, sentence_of

if TYPE_CHECKING:
    from app.web.deps import Rooms

_SHOWN = 50
Told = Sequence[tuple[int, Sequence[Problem]]]


def import_file(
    kind_or_file: Annotated[
        str,
        typer.Argument(
            metavar="KIND|FILE",
            help="products, lots, shipments or events; or at once the file, of products.",
        ),
    ],
    file: Annotated[Path | None, typer.Argument(help="A .csv or .xlsx file.")] = None,
    party: Annotated[
        str | None,
        typer.Option(help="Whose file it is; may be left out where one seller is registered."),
    ] = None,
    mapping: Annotated[
        str | None, typer.Option(help="A JSON file, or the name of a remembered mapping.")
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(help="Write the faults into this CSV file.")
    ] = None,
    lang: Annotated[str, typer.Option(help="Language of the faults: zh or en.")] = "en",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
) -> None:
    """Import a spreadsheet of products, lots, orders or events. Exit: 0 all rows taken, 1 some refused.

    2: the file cannot be read, or not for this party.
    """
    kind, path = _kind_of(kind_or_file, file)
    reader: Lang | None = next((one for one in LANGUAGES if one == lang), None)
    if reader is None:
        fail(f"{lang} is no language; there are {', '.join(LANGUAGES)}", code=2)
    try:
        raw = path.read_bytes()
    except OSError as err:
        fail(f"{path}: {err.strerror}; name a .csv or .xlsx file", code=2)
    with opened_rooms(load_settings(), log_level="error") as rooms:
        principal = _principal(rooms, party)
        plan = rooms.imports.plan(principal, kind, raw, _mapping(rooms, principal, kind, mapping))
        if dry_run:
            outcomes = plan.counts()
            counts = {name: outcomes[name] for name in _OUTCOMES}
            rows: Told = [(row.row, (*row.problems, *row.warnings)) for row in plan.in_file()]
            told: dict[str, Any] = {"dry_run": True, "rows": len(plan.rows), "file": plan.about()}
            told |= _listings(plan.listings)
        else:
            job = rooms.imports.store(principal, plan)
            _apply(rooms, principal, job, total=len(plan.rows))
            row, found = rooms.imports.job(principal, job)
            counts = {name: found.get(name, 0) for name in _OUTCOMES}
            rows = list(rooms.imports.told(principal, job))
            about = json.loads(row.about)
            told = _listings(about.pop("listings", {})) | {
                "id": job,
                "status": row.status,
                "rows": row.total,
                "file": about,
            }
            if row.status == "failed":
                fail(f"the import ended: {row.error}", code=2)
    faults, warnings = _of(rows, warnings=False), _of(rows, warnings=True)
    if errors is not None:
        errors.write_bytes(b"".join(write_csv(error_rows(reader, faults, kind))))
    if as_json:
        told |= counts | {"errors": _as_json(faults), "warnings": _as_json(warnings)}
        OUT.print_json(json.dumps(told, ensure_ascii=False))
    else:
        _print(counts, told, reader)
        _print_rows(reader, kind, faults, beyond="others" if errors else "more")
        if warnings:
            OUT.print(text(reader, "import.summary.warnings"), markup=False)
            _print_rows(reader, kind, warnings, beyond="others")
    raise typer.Exit(1 if counts["refused"] else 0)


def _of(rows: Told, *, warnings: bool) -> Told:
    found = ((n, [one for one in told if one.is_warning == warnings]) for n, told in rows)
    return [(n, told) for n, told in found if told]


def _as_json(told: Told) -> list[dict[str, object]]:
    names, *lines = error_rows("en", told)
    return [dict(zip(map(str, names), line, strict=True)) for line in lines]


def _listings(places: Mapping[str, int]) -> dict[str, Any]:
    return {"listings": dict(places)} if places else {}


_OUTCOMES = ("created", "unchanged", "skipped", "refused")


def _kind_of(given: str, file: Path | None) -> tuple[Kind, Path]:
    for kind in KINDS:
        if given == kind:
            if file is None:
                fail(f"name the file: suxin import {kind} FILE", code=2)
            return kind, file
    if file is not None:
        fail(f"{given} is nothing that can be imported; there are {', '.join(KINDS)}", code=2)
    return "products", Path(given)


def _principal(rooms: Rooms, party: str | None) -> Principal:
    if party is None:
        sellers = rooms.imports.sellers(limit=2)
        if len(sellers) != 1:
            why = "no seller is registered" if not sellers else "several sellers are registered"
            fail(f"{why}; say whose goods they are: --party ID", code=2)
        party = sellers[0]
    return rooms.imports.acting_for(party)


def _mapping(rooms: Rooms, principal: Principal, kind: Kind, given: str | None) -> Layout:
    if given is None:
        return Layout()
    path = Path(given)
    if not path.is_file():
        return rooms.imports.mapping(principal, kind, given)
    try:
        told = parse_json(path.read_bytes())
    except Malformed as err:
        fail(f"{given}: {sentence_of(err)} docs/imports.md has an example", code=2)
    return rooms.imports.check_mapping(principal, kind, told)


def _apply(rooms: Rooms, principal: Principal, job: str, *, total: int) -> None:
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task("rows", total=total)
        try:
            while rooms.imports.work_on(job):
                _, counts = rooms.imports.job(principal, job)
                bar.update(task, completed=total - counts.get("waiting", 0))
        except KeyboardInterrupt:
            fail(
                "stopped; what is applied stays, and a running service goes on with the rest. "
                "The same file again doubles nothing",
                code=130,
            )


def _print(counts: dict[str, int], told: dict[str, Any], lang: Lang) -> None:
    file = told["file"]
    form = " ".join(str(file[name]) for name in ("form", "encoding", "sheet") if name in file)
    say = partial(text, lang)
    OUT.print(say("import.summary.rows", count=told["rows"], form=form), markup=False)
    for outcome, count in counts.items():
        word = say(f"import.summary.{outcome}")
        OUT.print(f"{word}{' ' * (11 - cell_len(word))}{count}", markup=False)
    for place, count in told.get("listings", {}).items():
        OUT.print(say("import.summary.listed", place=place, count=count), markup=False)


def _print_rows(lang: Lang, kind: Kind, told: Told, *, beyond: str) -> None:
    names, *lines = error_rows(lang, told, kind)
    if not lines:
        return
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(str(name), overflow="fold")
    for line in lines[:_SHOWN]:
        table.add_row(*(str(cell) for cell in line))
    OUT.print(table)
    if len(lines) > _SHOWN:
        OUT.print(text(lang, f"import.summary.{beyond}", count=len(lines) - _SHOWN), markup=False)
