"""Labels of a batch: which units, what stands on each, and the log of who printed them.

A print is a line in that log and no record of a chain: it says nothing about the goods, and nothing
that anybody else relies on. What takes a damaged label out of the world is `void`, which is a record;
void units are left out of every print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal

import uuid_utils

from app.db.engine import Database
from app.i18n import Lang, text
from app.kit.clock import Clock, to_ms
from app.kit.errors import FieldFault, Invalid, invalid
from app.kit.tables import write_csv
from app.labels.apart import FEW, write_apart
from app.labels.fonts import find_font
from app.labels.layouts import LAYOUTS, LayoutName
from app.labels.placing import SheetLabel, SheetSymbol
from app.labels.press import PrintJob, write_here
from app.labels.previews import preview_png, preview_svg
from app.labels.sheet import SheetReport
from app.labels.zpl import DPI
from app.trace import batchstore, printstore
from app.trace.catalogue import Catalogue
from app.trace.code import Code, digital_link, symbol_text
from app.trace.issuing import Issuing
from app.trace.life_table import LifecycleConflict

SHEET_MAX = 10_000
REASON_MAX = 200
CODE_COLUMNS = ("code", "uri", "serial", "inner")
_TOLD_EVERY = 500  # lines of a list
_PREVIEW_PART = 8  # units; the first that is not void is shown

Form = Literal["pdf", "zpl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintOrder:
    """What is asked for. start: from 0; count: None for all there are, at most SHEET_MAX.

    offset: places of the first sheet that are used up. dpi: of ZPL alone. reason: why again. place:
    where in the request these stand, for whoever is told that one is wrong.
    """

    form: Form
    layout: LayoutName
    symbol: SheetSymbol
    start: int = 0
    count: int | None = None
    offset: int = 0
    dpi: DPI = 203
    reason: str | None = None
    place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Printed:
    """What came of it.

    end: the number behind the last label. void: units left out. again: how many an earlier print had.
    """

    report: SheetReport
    end: int
    void: int
    again: int


class Printing:
    """Prints labels and remembers it. base_url: what symbols lead to. font: a setting, or None."""

    def __init__(
        self,
        database: Database,
        issuing: Issuing,
        catalogue: Catalogue,
        *,
        clock: Clock,
        base_url: str,
        font: Path | None,
    ) -> None:
        self._database = database
        self._issuing = issuing
        self._catalogue = catalogue
        self._clock = clock
        self._base_url = base_url
        self._font = font

    def write(
        self,
        batch: Any,
        order: PrintOrder,
        out: BinaryIO,
        *,
        by: str,
        key_id: str,
        lang: Lang,
        progress: Callable[[int], None] | None = None,
    ) -> Printed:
        """Writes the labels of a batch that `by` may print, then one line of the log.

        Raises Invalid (kind `range` for start, count and offset) and as `draw`. Writes `label_print`.
        """
        end = self._end_of(batch, order)
        chosen = _Chosen(self._issuing.units(batch, order.start, end))
        title = self._catalogue.product(batch.gtin).name
        labels = self._labels(batch, chosen, title, order.symbol, lang)
        most = end - order.start
        report = self.draw(order, labels, out, most=most, title=title, lang=lang, progress=progress)
        again = self._remember(batch, order, end, chosen.void, by=by, key_id=key_id)
        return Printed(report, end, chosen.void, again)

    def draw(
        self,
        order: PrintOrder,
        labels: Iterable[SheetLabel],
        out: BinaryIO,
        *,
        most: int,
        title: str,
        lang: Lang,
        progress: Callable[[int], None] | None = None,
    ) -> SheetReport:
        """Writes labels as the order wants them; more than a few in a process of their own.

        most: how many codes were chosen. title: of the document. Raises Invalid (`all_void` where none of
        them has a label) and what `app.labels` refuses.
        """
        labels = _begun(labels, most)
        job = PrintJob(
            form=order.form,
            symbol=order.symbol,
            font_path=find_font(self._font),
            layout=order.layout,
            offset=order.offset,
            dpi=order.dpi,
            inner_word=text(lang, "codes.inner_word"),
            title=title,
            lang="zh-CN" if lang == "zh" else "en",
        )
        if most > FEW:
            return write_apart(job, labels, out, progress=progress).report
        return write_here(job, labels, out, progress=progress)

    def unit(self, code: Code) -> Code:
        """Returns an issued unit, with its lot, whose label may be printed. Read-only.

        Raises CodeUnknown, and LifecycleConflict if it is void.
        """
        code = self._catalogue.unit(code)
        with self._database.read() as connection:
            if batchstore.void_among(connection, [code.stream]):
                raise LifecycleConflict("void")
        return code

    def code_lines(
        self,
        batch: Any,
        progress: Callable[[int], None] | None = None,
        *,
        head: Sequence[str] = CODE_COLUMNS,
    ) -> Iterator[bytes]:
        """Returns a batch as CSV, in pieces: these columns under such a head, in the order of printing.

        All that were issued, void or not: a list is no label. Read-only.
        """
        return write_csv(self._code_rows(batch, progress or (lambda _: None), head))

    def _code_rows(
        self, batch: Any, progress: Callable[[int], None], head: Sequence[str]
    ) -> Iterator[Sequence[str]]:
        yield head
        for done, serial in enumerate(self._issuing.serials(batch.batch_id), 1):
            code = Code(batch.gtin, lot=batch.lot, serial=serial)
            inner = self._issuing.inner_code(code) if batch.inner else ""
            yield code.stream, digital_link(self._base_url, code), serial, inner
            if done % _TOLD_EVERY == 0:
                progress(done)

    def preview(
        self,
        batch: Any,
        *,
        form: Literal["png", "svg"],
        layout: LayoutName,
        symbol: SheetSymbol,
        start: int,
        lang: Lang,
        count: int | None = None,
        place: tuple[str, ...] = (),
    ) -> bytes:
        """Returns the label that such a print would begin with, as a picture. Read-only.

        Raises as `write`.
        """
        order = PrintOrder(
            form="pdf", layout=layout, symbol=symbol, start=start, count=count, place=place
        )
        end = self._end_of(batch, order)
        chosen = _Chosen(self._issuing.units(batch, start, end, part=_PREVIEW_PART))
        title = self._catalogue.product(batch.gtin).name
        label = next(_begun(self._labels(batch, chosen, title, symbol, lang), end - start))
        draw = preview_png if form == "png" else preview_svg
        return draw(
            label,
            LAYOUTS[layout],
            symbol,
            font_path=find_font(self._font),
            inner_word=text(lang, "codes.inner_word"),
        )

    def void_of(self, batch: Any, *, start: int, count: int | None) -> int:
        """Returns how many codes a print is of where all of them are void, else 0. Read-only.

        Raises Invalid as `write` for start and count.
        """
        order = PrintOrder(form="pdf", layout="a4-3x8", symbol="qr", start=start, count=count)
        end = self._end_of(batch, order)
        if any(not void for _, void in self._issuing.units(batch, start, end)):
            return 0
        return end - start

    def prints(self, batch_id: str, *, after: str | None, limit: int) -> list[Any]:
        """Returns the log of a batch, oldest first, behind `after`. Read-only."""
        with self._database.read() as connection:
            return printstore.prints(connection, batch_id, after=after, limit=limit)

    def whole(self, batch: Any, *, title: str, symbol: SheetSymbol, lang: Lang) -> Whole:
        """Returns the labels of all of a batch, for a file that has those of others too. Read-only."""
        chosen = _Chosen(self._issuing.units(batch, 0, batch.done))
        return Whole(batch, self._labels(batch, chosen, title, symbol, lang), chosen)

    def note_whole(self, part: Whole, order: PrintOrder, *, by: str, key_id: str) -> None:
        """Writes a line of the log of a batch that was printed whole, `label_print`."""
        batch = part.batch
        self._remember(batch, order, batch.done, part.chosen.void, by=by, key_id=key_id)

    def _end_of(self, batch: Any, order: PrintOrder) -> int:
        places = LAYOUTS[order.layout].places if order.form == "pdf" else 1
        count = SHEET_MAX if order.count is None else order.count
        for name, given, least, most in (
            ("start", order.start, 0, max(batch.done - 1, 0)),
            ("count", count, 1, SHEET_MAX),
            ("offset", order.offset, 0, places - 1),
        ):
            if not least <= given <= most or (name == "start" and not batch.done):
                params = {"expected": f"{least}..{most}", "got": given}
                raise invalid(FieldFault((*order.place, name), "range", params))
        return int(min(order.start + count, batch.done))

    def _labels(
        self, batch: Any, codes: Iterable[Code], title: str, symbol: SheetSymbol, lang: Lang
    ) -> Iterator[SheetLabel]:
        gtin_word, lot_word, serial_word = (
            text(lang, f"codes.{name}_word") for name in ("gtin", "lot", "serial")
        )
        for code in codes:
            content = digital_link(self._base_url, code) if symbol == "qr" else symbol_text(code)
            yield SheetLabel(
                content=content,
                title=title,
                fields=(
                    (gtin_word, f"(01){code.gtin}"),
                    (lot_word, f"(10){code.lot}" if code.lot else ""),
                    (serial_word, f"(21){code.serial}"),
                ),
                inner=self._issuing.inner_code(code) if batch.inner else "",
            )

    def _remember(
        self, batch: Any, order: PrintOrder, end: int, void: int, *, by: str, key_id: str
    ) -> int:
        with self._database.write() as connection:
            parts = printstore.printed_before(
                connection, batch.batch_id, start=order.start, end=end
            )
            again = _covered(parts)
            printstore.insert_print(
                connection,
                {
                    "print_id": str(uuid_utils.uuid7()),
                    "batch_id": batch.batch_id,
                    "printed_by": by,
                    "key_id": key_id,
                    "printed_at": to_ms(self._clock.now()),
                    "form": order.form if order.form == "pdf" else f"zpl-{order.dpi}",
                    "layout": order.layout,
                    "symbol": order.symbol,
                    "first": order.start,
                    "count": end - order.start,
                    "void": void,
                    "again": again,
                    "reason": (order.reason or "").strip() or None,
                },
            )
        return again


class _Chosen:
    """The units that are printed; `void` counts those that are not, as they come by."""

    def __init__(self, units: Iterable[tuple[Code, bool]]) -> None:
        self._units = units
        self.void = 0

    def __iter__(self) -> Iterator[Code]:
        for code, void in self._units:
            if void:
                self.void += 1
            else:
                yield code


@dataclass(frozen=True, slots=True)
class Whole:
    """A batch on its way into a file. labels: to be taken once. chosen: counts what is void meanwhile."""

    batch: Any
    labels: Iterator[SheetLabel]
    chosen: _Chosen


def _begun(labels: Iterable[SheetLabel], most: int) -> Iterator[SheetLabel]:
    """Returns the labels, of which there is one. Raises Invalid where all `most` codes are void."""
    rest = iter(labels)
    first = next(rest, None)
    if first is None:
        raise Invalid("all_void", count=most)
    return chain((first,), rest)


def _covered(parts: Iterable[tuple[int, int]]) -> int:
    """Returns how many numbers lie in at least one of these parts (first, end)."""
    covered, reached = 0, 0
    for first, end in sorted(parts):
        covered += max(0, end - max(first, reached))
        reached = max(reached, end)
    return covered
