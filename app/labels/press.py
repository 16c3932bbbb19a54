"""What a print is made of, and the program that makes large ones: `python -m app.labels.press`.

It knows what labels need and nothing else of Suxin: no database, no key, no setting. Whoever starts it
(`app.labels.apart`) hands it two open files by number: a socket, over which it asks for labels and says
how far it is, and the file to write into. A line of JSON is one message. From the press: `["want"]`
asks for labels, `["done", n]`, and at the end `["made", report, peak_mb]` or `["refused", fault]`.
To it: the order, then, each time it asks, a list of labels; an empty one is the end.

It needs no care when the one that started it dies: the socket ends with that one, and a press that
reads or says the next thing ends with the socket. Its file has no name and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from app.kit.errors import Fault, FieldFault, Invalid, Unavailable
from app.kit.memory import peak_memory_mb
from app.labels.layouts import LAYOUTS, LayoutName
from app.labels.placing import SheetLabel, SheetSymbol
from app.labels.sheet import SheetReport, write_sheet
from app.labels.zpl import DPI, write_zpl

_GONE: Final = 1
_KINDS: Final = {kind.slug: kind for kind in (Invalid, Unavailable)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintJob:
    """What is printed on what, but for the labels.

    layout, offset, title and lang: of a PDF alone; dpi: of ZPL alone. inner_word: above the box of a
    hidden code.
    """

    form: Literal["pdf", "zpl"]
    symbol: SheetSymbol
    font_path: Path
    layout: LayoutName = "a4-3x8"
    offset: int = 0
    dpi: DPI = 203
    inner_word: str = ""
    title: str = ""
    lang: str = "zh-CN"


def write_here(
    job: PrintJob,
    labels: Iterable[SheetLabel],
    out: BinaryIO,
    *,
    progress: Callable[[int], None] | None = None,
) -> SheetReport:
    """Writes the labels into `out` in this process. Raises as `sheet.write_sheet`, `zpl.write_zpl`."""
    if job.form == "pdf":
        return write_sheet(
            labels,
            out,
            layout=LAYOUTS[job.layout],
            symbol=job.symbol,
            font_path=job.font_path,
            offset=job.offset,
            inner_word=job.inner_word,
            document_title=job.title,
            lang=job.lang,
            progress=progress,
        )
    return write_zpl(
        labels,
        out,
        symbol=job.symbol,
        font_path=job.font_path,
        dpi=job.dpi,
        inner_word=job.inner_word,
        progress=progress,
    )


def job_line(job: PrintJob) -> bytes:
    """Returns the order as a message; the press may run in another folder."""
    return line_of(asdict(job) | {"font_path": str(job.font_path.absolute())})


def labels_line(labels: Iterable[SheetLabel]) -> bytes:
    """Returns labels as a message."""
    return line_of([(one.content, one.title, one.fields, one.inner) for one in labels])


def line_of(message: Any) -> bytes:
    """Returns a message: one line of ASCII."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def fault_of(told: Any) -> Fault:
    """Returns the refusal that the press has told."""
    errors = tuple(
        FieldFault(tuple(loc), kind, params, sentence)
        for loc, kind, params, sentence in told["errors"]
    )
    return _KINDS[told["slug"]](told["key"], errors=errors, **told["params"])


def report_of(told: Any) -> SheetReport:
    """Returns the report that the press has told."""
    return SheetReport(**(told | {"replaced": tuple(told["replaced"])}))


class _Line:
    """The press's end of the socket. Everything raises ConnectionError once nobody is there."""

    def __init__(self, channel: socket.socket, heard: BinaryIO) -> None:
        self._channel = channel
        self._heard = heard

    def hear(self) -> Any:
        line = self._heard.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("whoever wanted this print has gone")
        return json.loads(line)

    def say(self, *message: Any) -> None:
        self._channel.sendall(line_of(message))

    def labels(self) -> Iterator[SheetLabel]:
        """Yields labels, asking for more each time there are none left."""
        self.say("want")
        while part := self.hear():
            for content, title, fields, inner in part:
                yield SheetLabel(content, title, tuple(map(tuple, fields)), inner)
            self.say("want")


def _serve(line: _Line, out: BinaryIO) -> None:
    told = line.hear()
    job = PrintJob(**(told | {"font_path": Path(told["font_path"])}))
    try:
        report = write_here(job, line.labels(), out, progress=lambda done: line.say("done", done))
        out.flush()
    except (Invalid, Unavailable) as fault:
        errors = [astuple(error) for error in fault.errors]
        shown = {"key": fault.key, "errors": errors, "params": fault.params}
        line.say("refused", {"slug": fault.slug} | shown)
    else:
        line.say("made", asdict(report), peak_memory_mb())


def main(channel: str, out: str) -> None:
    """Makes one print. channel, out: numbers of the socket and of the file, both open."""
    with (
        socket.socket(fileno=int(channel)) as ours,
        ours.makefile("rb") as heard,
        os.fdopen(int(out), "wb") as file,
    ):
        try:
            _serve(_Line(ours, heard), file)
        except ConnectionError:
            # Nobody is left to be told, and a traceback in the service's log would tell nothing.
            sys.exit(_GONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
