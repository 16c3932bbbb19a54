"""`suxin labels`: the labels of a batch into a file, for whoever prints without a browser."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from app.config import load_settings
from app.i18n import Lang
from app.labels.layouts import LayoutName
from app.labels.zpl import DPI
from app.opening import opened_rooms
from app.parties.principal import OPERATOR
from app.terminal import OUT, fail, show_progress
from app.trace.printing import REASON_MAX, Form, PrintOrder

_FORMS: Final[Mapping[str, Form]] = {".pdf": "pdf", ".zpl": "zpl"}
_CSV = ".csv"


def print_labels(
    batch: Annotated[str, typer.Argument(help="The batch's id.")],
    out: Annotated[Path, typer.Option(help="The file: .pdf, .zpl or .csv says what it becomes.")],
    layout: Annotated[LayoutName, typer.Option(help="Paper of a PDF.")] = "a4-3x8",
    symbol: Annotated[Literal["qr", "datamatrix"], typer.Option(help="The symbol.")] = "qr",
    start: Annotated[int, typer.Option(help="The first label, counted from 0.")] = 0,
    count: Annotated[int | None, typer.Option(help="How many; at most 10,000 a file.")] = None,
    offset: Annotated[
        int, typer.Option(help="Places of the first sheet that are used up already.")
    ] = 0,
    dpi: Annotated[Literal["203", "300"], typer.Option(help="Of a ZPL printer.")] = "203",
    lang: Annotated[Lang, typer.Option(help="Of the words on a label.")] = "zh",
    reason: Annotated[str | None, typer.Option(help="Why these are printed once more.")] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
) -> None:
    """Write the labels of a batch into a file, and note the print. A refusal leaves no file."""
    ending = out.suffix.lower()
    if ending != _CSV and ending not in _FORMS:
        fail(f"{out}: the name must end in .pdf, .zpl or .csv", code=2)
    if reason is not None and len(reason) > REASON_MAX:
        fail(f"the reason has {len(reason)} characters, more than {REASON_MAX}", code=2)
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    with opened_rooms(load_settings()) as rooms:
        try:
            row = rooms.issuing.batch(batch)
            with part.open("wb") as file, show_progress("labels") as advance:
                if ending == _CSV:
                    file.writelines(rooms.printing.code_lines(row, advance))
                    told = {"codes": row.done}
                else:
                    resolution: DPI = 203 if dpi == "203" else 300
                    order = PrintOrder(
                        form=_FORMS[ending],
                        layout=layout,
                        symbol=symbol,
                        start=start,
                        count=count,
                        offset=offset,
                        dpi=resolution,
                        reason=reason,
                    )
                    printed = rooms.printing.write(
                        row,
                        order,
                        file,
                        by=OPERATOR.key_id,
                        key_id=OPERATOR.key_id,
                        lang=lang,
                        progress=advance,
                    )
                    told = {
                        "labels": printed.report.labels,
                        "pages": printed.report.pages,
                        "void": printed.void,
                        "reprinted": printed.again,
                        "left": row.done - printed.end,
                        "replaced": len(printed.report.replaced),
                    }
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    if as_json:
        OUT.print_json(json.dumps({"file": str(out), **told}))
    else:
        counts = ", ".join(f"{count} {name}" for name, count in told.items() if count)
        OUT.print(f"{out}: {counts}", markup=False)
