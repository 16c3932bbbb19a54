"""One run of the bench: the figures asked for, as a table or as JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from app.bench.age import Age
from app.bench.bare import version
from app.bench.desk import measure_desk_search
from app.bench.detectors import SEED, describe_detectors, measure_detectors
from app.bench.figures import Figure, describe_machine, load_now
from app.bench.heads import measure_heads_map
from app.bench.jobs import measure_import, measure_issue, measure_label_sheet
from app.bench.plan import Plan
from app.bench.posts import measure_bulk_post, measure_single_post
from app.bench.processes import BenchFailed
from app.bench.reads import Reads
from app.bench.search import measure_search

# What has no database in it, or asks what CPython costs.
_NOT_OF_A_SERVER = ("audit_floor", "label_sheet")


def run_bench(
    *,
    scale: float,
    only: str | None,
    server: str | None,
    as_json: bool,
    out: Console,
    err: Console,
) -> None:
    """Measures every figure, or the one called `only`, and prints what came of it.

    scale: times the usual number of records. server: a PostgreSQL on which databases are made for it and
    dropped again; None is SQLite. Raises BadParameter, and Exit where one failed.
    """
    if only == "detectors":
        _tell_detectors(out, as_json=as_json)
        return
    if not 0 < scale <= 100:
        raise typer.BadParameter("above 0, at most 100", param_hint="--scale")
    with tempfile.TemporaryDirectory(prefix="suxin-bench-") as folder:
        root = Path(folder)
        figures = []
        with err.status("starting") as status, ExitStack() as stack:
            plan = Plan(scale, root, status.update, server)
            chosen = _choose(_measures(plan), only)
            try:
                machine = describe_machine(root, version(server or "sqlite:///"))
            except psycopg.OperationalError as failed:
                raise typer.BadParameter(str(failed), param_hint="--database") from failed
            stack.enter_context(plan.cleaning())
            for name, measure in chosen.items():
                status.update(name)
                try:
                    figures.append(measure())
                except BenchFailed as failed:
                    err.print(f"suxin: {name} could not be measured: {failed}", markup=False)
                    raise typer.Exit(2) from failed
        machine["load_after"] = load_now()
    told = {"machine": machine, "scale": scale, "figures": [one.as_json() for one in figures]}
    if as_json:
        out.print_json(json.dumps(told, ensure_ascii=False))
    else:
        _print(out, machine, figures)


def _measures(plan: Plan) -> Mapping[str, Callable[[], Figure]]:
    reads, age = Reads(plan), Age(plan)
    measures: dict[str, Callable[[], Figure]] = {
        "single_post": lambda: measure_single_post(plan),
        "bulk_post": lambda: measure_bulk_post(plan),
        "audit": reads.measure_audit,
        "audit_two": lambda: reads.measure_audit(processes=2),
        "audit_floor": reads.measure_audit_floor,
        "audit_signed": reads.measure_audit_signed,
        "proof": reads.measure_proof,
        "scan_page": reads.measure_scan_page,
        "label_sheet": lambda: measure_label_sheet(plan),
        "issue": lambda: measure_issue(plan),
        "import": lambda: measure_import(plan),
        "ranking": reads.measure_ranking,
        "search": lambda: measure_search(plan),
        "desk_search": lambda: measure_desk_search(plan),
        "age_inserts": age.measure_inserts,
        "age_reads": age.measure_reads,
        "heads_map": lambda: measure_heads_map(plan),
    }
    for name in _NOT_OF_A_SERVER if plan.server is not None else ():
        del measures[name]
    return measures


def _tell_detectors(out: Console, *, as_json: bool) -> None:
    """Prints how the detectors do on made-up lives, as docs/detectors.md has it. No measurement of time."""
    rows = measure_detectors()
    if as_json:
        told = [{**asdict(row), "precision": row.precision, "recall": row.recall} for row in rows]
        out.print_json(json.dumps({"synthetic": True, "seed": SEED, "detectors": told}))
    else:
        out.print(describe_detectors(rows), markup=False, soft_wrap=True, highlight=False)


def _choose(
    measures: Mapping[str, Callable[[], Figure]], only: str | None
) -> Mapping[str, Callable[[], Figure]]:
    if only is None:
        return measures
    if only not in measures:
        raise typer.BadParameter(
            f"{only} is no figure; there are {', '.join(measures)}, detectors", param_hint="--only"
        )
    return {only: measures[only]}


def _print(out: Console, machine: Mapping[str, Any], figures: list[Figure]) -> None:
    for name, value in machine.items():
        out.print(f"{name:12} {value}", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for column in ("value", "", "ceiling", "ratio", "p50 ms", "p99 ms", "MB", "n"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_column("also")
    for figure in figures:
        told = figure.as_json()
        shown = [told.get(name) for name in ("ceiling", "ratio", "p50_ms", "p99_ms", "memory_mb")]
        table.add_row(
            figure.name,
            _plain(told["value"]),
            figure.unit,
            *map(_plain, shown),
            str(figure.n),
            ", ".join(f"{name} {_plain(v)}" for name, v in told.get("also", {}).items()),
        )
    out.print(table, soft_wrap=False, overflow="fold")
    for figure in figures:
        if figure.cpu_us:
            _print_cpu(out, figure)


def _print_cpu(out: Console, figure: Figure) -> None:
    """Prints which process and thread the processor's time goes to, the most of it first."""
    out.print(f"\n{figure.name}: µs of CPU an event, in brackets where nothing is recorded")
    for part, us in sorted(figure.cpu_us.items(), key=lambda one: -one[1]):
        ceiling = figure.ceiling_cpu_us.get(part, 0.0)
        if max(us, ceiling) >= 1:
            out.print(f"{us:7.0f} ({ceiling:.0f})  {part}", markup=False, highlight=False)
    all_us, most = sum(figure.cpu_us.values()), sum(figure.ceiling_cpu_us.values())
    out.print(f"{all_us:7.0f} ({most:.0f})  all", markup=False, highlight=False)


def _plain(value: object) -> str:
    """Returns a number without an exponent, and nothing for nothing."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:g}"
    return "" if value is None else str(value)
