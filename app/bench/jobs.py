"""Work that takes seconds: issuing codes, importing a spreadsheet, printing a sheet of labels."""

from __future__ import annotations

from pathlib import Path

from app.bench.figures import Figure, median
from app.bench.plan import Plan
from app.bench.processes import BenchFailed, run_alone
from app.labels.layouts import LAYOUTS

_CODES = 100_000
_ISSUE_RUNS = 3
_LABELS = 10_000
_ROWS = 10_000
_TIMEOUT_S = 600


def measure_issue(plan: Plan) -> Figure:
    """Measures ordering and making codes until all are sequenced, each time on a new database."""
    count = min(plan.count(_CODES), _CODES)
    told: list[dict[str, float]] = []
    runs = min(plan.runs, _ISSUE_RUNS)
    for run in range(runs):
        one = run_alone("issue", plan.folder(f"issue-{run}"), count, timeout_s=_TIMEOUT_S)
        if one["done"] != count:
            raise BenchFailed(f"{one['done']:.0f} of {count} codes were issued")
        told.append(one)
        plan.tell(f"issue: run {run + 1} of {runs}, {one['seconds']:.1f} s")
    return Figure(
        "issue",
        median(one["seconds"] for one in told),
        "s",
        n=count,
        memory_mb=median(one["memory_mb"] for one in told),
        also={
            "codes_per_s": count / median(one["seconds"] for one in told),
            "made_s": median(one["made_seconds"] for one in told),
            "cpu_s": median(one["cpu_seconds"] for one in told),
        },
    )


def measure_import(plan: Plan) -> Figure:
    """Measures importing a spreadsheet of products, and others after it, each time into a new database."""
    count = min(plan.count(_ROWS), _ROWS)
    told: list[dict[str, float]] = []
    runs = min(plan.runs, _ISSUE_RUNS)
    for run in range(runs):
        one = run_alone("import", plan.folder(f"import-{run}"), count, timeout_s=_TIMEOUT_S)
        if (one["created"], one["unchanged"]) != (count, count):
            raise BenchFailed(f"{one['created']:.0f} of {count} rows were imported")
        if (one["others"], one["sent"]) != (count, 1):
            raise BenchFailed(
                f"not all lots, products of the .xlsx and orders were imported: {one}"
            )
        told.append(one)
        plan.tell(f"import: run {run + 1} of {runs}, {one['seconds']:.1f} s")
    return Figure(
        "import",
        median(one["seconds"] for one in told),
        "s",
        n=count,
        memory_mb=median(one["memory_mb"] for one in told),
        also={
            "rows_per_s": count / median(one["seconds"] for one in told),
            "plan_s": median(one["plan_seconds"] for one in told),
            "again_s": median(one["again_seconds"] for one in told),
            "xlsx_s": median(one["xlsx_seconds"] for one in told),
            "lots_s": median(one["lots_seconds"] for one in told),
            "order_ms": median(one["order_ms"] for one in told),
            "cpu_s": median(one["cpu_seconds"] for one in told),
        },
    )


def measure_label_sheet(plan: Plan) -> Figure:
    """Measures printing labels into one PDF of each layout, and as ZPL.

    The figure is that of the first layout, its memory that of the process that draws; the others, once each,
    are beside it.
    """
    count = min(plan.count(_LABELS), _LABELS)
    folder = plan.folder("label_sheet")
    first, *others = (*LAYOUTS, "zpl")
    of_first = _print(plan, folder, count, first, runs=plan.runs)
    of_others = {name: _print(plan, folder, count, name, runs=1)[0] for name in others}
    return Figure(
        "label_sheet",
        median(one["seconds"] for one in of_first),
        "s",
        n=count,
        memory_mb=median(one["memory_mb"] for one in of_first),
        also={
            name: median(one[name] for one in of_first)
            for name in ("file_mb", "cpu_seconds", "asker_mb", "asker_grew_mb")
        }
        | {
            f"{name}_{unit}": one[of]
            for name, one in of_others.items()
            for unit, of in (("s", "seconds"), ("mb", "memory_mb"))
        },
    )


def _print(
    plan: Plan, folder: Path, count: int, layout: str, *, runs: int
) -> list[dict[str, float]]:
    told: list[dict[str, float]] = []
    for run in range(runs):
        file = folder / f"{run}.{layout}"
        told.append(run_alone("sheet", file, count, layout, timeout_s=_TIMEOUT_S))
        plan.tell(f"label_sheet: {layout}, {run + 1} of {runs}, {told[-1]['seconds']:.1f} s")
    return told
