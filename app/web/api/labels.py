"""Labels of a batch: as sheets, rolls and printer commands, one of them to look at, and who printed."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import Path, Query, Response
from pydantic import BaseModel

from app.i18n import Lang, text
from app.kit.clock import format_time, from_ms
from app.labels.calibration import write_calibration
from app.labels.fonts import find_font
from app.labels.layouts import LAYOUTS, LayoutName
from app.trace.issuing import MAX_COUNT
from app.trace.printing import REASON_MAX, SHEET_MAX, Form, PrintOrder
from app.web.api.codes import BatchId
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Language, Rooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="codes")

_MEDIA = {"pdf": "application/pdf", "zpl": "text/plain; charset=us-ascii"}
_PLACE = ("query",)

LayoutIn = Annotated[LayoutName, Query(description="Paper and grid.")]
SymbolIn = Annotated[Literal["qr", "datamatrix"], Query()]
Start = Annotated[int, Query(ge=0, le=MAX_COUNT, description="The first label, counted from 0.")]
Count = Annotated[
    int | None, Query(ge=1, le=SHEET_MAX, description="How many; all there are unless told.")
]
Offset = Annotated[
    int,
    Query(ge=0, le=MAX_COUNT, description="Places of the first sheet that are used up already."),
]
Reason = Annotated[
    str | None, Query(max_length=REASON_MAX, description="Why these are printed once more.")
]


class PrintOut(BaseModel):
    """One print: `again` of its `count` labels were in an earlier one, `void` were left out."""

    id: str
    at: str
    by: str
    key: str
    form: str
    layout: str
    symbol: str
    start: int
    count: int
    void: int
    again: int
    reason: str | None = None


@router.get(
    "/batches/{batch_id}/labels.pdf",
    summary="The labels as sheets or a roll",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}},
        **problems("forbidden", "not-found"),
    },
)
def read_labels(
    rooms: InRooms,
    principal: Caller,
    lang: Language,
    batch_id: BatchId,
    layout: LayoutIn = "a4-3x8",
    symbol: SymbolIn = "qr",
    start: Start = 0,
    count: Count = None,
    offset: Offset = 0,
    reason: Reason = None,
) -> Response:
    """Returns at most 10,000 labels from `start` on, and notes the print.

    Where there are more, the `Link` header (`rel="next"`) leads to the next file. Void units are left
    out (`Suxin-Void` says how many); `Suxin-Reprinted` says how many were printed before.
    """
    order = PrintOrder(
        form="pdf",
        layout=layout,
        symbol=symbol,
        start=start,
        count=count,
        offset=offset,
        reason=reason,
        place=_PLACE,
    )
    return _print(rooms, principal, lang, batch_id, order)


@router.get(
    "/shipments/labels.pdf",
    summary="The labels of parcels that have none yet",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, **problems("forbidden")},
)
def read_parcel_labels(
    rooms: InRooms,
    principal: Caller,
    lang: Language,
    layout: LayoutIn = "a4-3x8",
    symbol: SymbolIn = "qr",
    offset: Offset = 0,
) -> Response:
    """Returns one file for the shipments of the last two weeks that issued codes nobody has printed.

    At most 500 parcels and about 1,000 labels, in the order of packing, each with the end of its waybill
    number; notes a print of each (`Suxin-Parcels` says how many), so that the next call has the
    following ones. 422 `no_labels` where there is none.
    """
    out = io.BytesIO()
    done = rooms.parcel_labels.write(
        principal, out, layout=layout, symbol=symbol, offset=offset, lang=lang, place=_PLACE
    )
    headers = {
        "Content-Disposition": 'attachment; filename="labels-parcels.pdf"',
        "Suxin-Parcels": str(len(done.batches)),
    }
    return Response(out.getvalue(), media_type=_MEDIA["pdf"], headers=headers)


@router.get(
    "/batches/{batch_id}/labels.zpl",
    summary="The labels as ZPL II",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}},
        **problems("forbidden", "not-found"),
    },
)
def read_commands(
    rooms: InRooms,
    principal: Caller,
    lang: Language,
    batch_id: BatchId,
    symbol: SymbolIn = "qr",
    dpi: Annotated[Literal["203", "300"], Query(description="The printer's resolution.")] = "203",
    start: Start = 0,
    count: Count = None,
    reason: Reason = None,
) -> Response:
    """Returns commands for a thermal printer with labels of 60 × 40 mm; otherwise like the sheets."""
    order = PrintOrder(
        form="zpl",
        layout="roll-60x40",
        symbol=symbol,
        dpi=203 if dpi == "203" else 300,
        start=start,
        count=count,
        reason=reason,
        place=_PLACE,
    )
    return _print(rooms, principal, lang, batch_id, order)


@router.get(
    "/batches/{batch_id}/label.{form}",
    summary="A label of a batch to look at",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}, "image/svg+xml": {}}},
        **problems("forbidden", "not-found"),
    },
)
def preview_label(
    rooms: InRooms,
    principal: Caller,
    lang: Language,
    batch_id: BatchId,
    form: Annotated[Literal["png", "svg"], Path()],
    layout: LayoutIn = "a4-3x8",
    symbol: SymbolIn = "qr",
    start: Start = 0,
) -> Response:
    """Returns the label that a print from `start` on would begin with. Notes no print."""
    batch = rooms.issuing.own_batch(principal, batch_id)
    drawn = rooms.printing.preview(
        batch, form=form, layout=layout, symbol=symbol, start=start, lang=lang, place=_PLACE
    )
    return Response(drawn, media_type="image/png" if form == "png" else "image/svg+xml")


@router.get(
    "/batches/{batch_id}/prints",
    summary="Who printed the labels",
    responses=problems("forbidden", "not-found"),
    response_model=PageBody[PrintOut],
)
def list_prints(rooms: InRooms, principal: Caller, batch_id: BatchId, page: InPage) -> Response:
    """Returns the prints of a batch, oldest first."""
    batch = rooms.issuing.own_batch(principal, batch_id)
    after = page.after(str)
    rows = rooms.printing.prints(
        batch.batch_id, after=None if after is None else after[0], limit=page.limit + 1
    )
    shown, following = page.cut(rows, lambda row: (row.print_id,))
    return page_response([_print_out(row) for row in shown], following)


@router.get(
    "/labels/calibration.pdf",
    summary="A page to check a printer with",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
def read_calibration(rooms: InRooms, lang: Language, layout: LayoutIn = "a4-3x8") -> Response:
    """Returns the edges of a layout's labels and a ruler, to hold against the paper."""
    out = io.BytesIO()
    write_calibration(
        LAYOUTS[layout],
        out,
        font_path=find_font(rooms.font),
        advice=text(lang, "labels.calibration"),
    )
    return Response(out.getvalue(), media_type="application/pdf")


def _print(
    rooms: Rooms, principal: Caller, lang: Lang, batch_id: str, order: PrintOrder
) -> Response:
    batch = rooms.issuing.own_batch(principal, batch_id)
    out = io.BytesIO()
    printed = rooms.printing.write(
        batch,
        order,
        out,
        by=principal.party or principal.key_id,
        key_id=principal.key_id,
        lang=lang,
    )
    name = f"labels-{batch.batch_id}-{order.start + 1}-{printed.end}.{order.form}"
    shown = "inline" if order.form == "pdf" else "attachment"
    headers = {
        "Content-Disposition": f'{shown}; filename="{name}"',
        "Suxin-Layout": order.layout,
        "Suxin-Module-Mm": f"{printed.report.module_mm:.3f}",
        "Suxin-Void": str(printed.void),
        "Suxin-Reprinted": str(printed.again),
    }
    if printed.end < batch.done:
        headers["Link"] = f'<{_following(batch.batch_id, order, printed.end)}>; rel="next"'
    if printed.report.replaced:
        # Characters that the font lacks stand on the labels as a visible sign; say which.
        headers["Suxin-Replaced"] = quote("".join(printed.report.replaced))
    return Response(out.getvalue(), media_type=_MEDIA[order.form], headers=headers)


def _following(batch_id: str, order: PrintOrder, start: int) -> str:
    form: Form = order.form
    query: dict[str, Any] = {"symbol": order.symbol, "start": start}
    query |= {"layout": order.layout} if form == "pdf" else {"dpi": order.dpi}
    if order.count is not None:
        query["count"] = order.count
    return f"/api/v1/batches/{batch_id}/labels.{form}?{urlencode(query)}"


def _print_out(row: Any) -> PrintOut:
    return PrintOut(
        id=row.print_id,
        at=format_time(from_ms(row.printed_at)),
        by=row.printed_by,
        key=row.key_id,
        form=row.form,
        layout=row.layout,
        symbol=row.symbol,
        start=row.first,
        count=row.count,
        void=row.void,
        again=row.again,
        reason=row.reason,
    )
