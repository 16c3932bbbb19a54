"""Orders for codes: how far one is, its labels to look at and to print, and who printed them."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.clock import from_ms
from app.kit.errors import Fault, FieldFault, invalid, read_all
from app.labels.layouts import LAYOUTS, LayoutName
from app.parties.sessions import SignedIn
from app.trace.printing import CODE_COLUMNS, REASON_MAX, SHEET_MAX, PrintOrder
from app.trace.printing import Form as PrintForm
from app.web.body import StrictRoute
from app.web.csvfile import answer_csv
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.signed.entry import types_of
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.numbers import whole
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, told_of
from app.web.pages.versions import DESK_PATH
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/batches"

_OUTPUTS: Final = ("pdf", "zpl203", "zpl300")
_ROLL: Final = "roll-60x40"
_SYMBOLS: Final = ("qr", "datamatrix")
_MEDIA: Final = {"pdf": "application/pdf", "zpl": "text/plain; charset=us-ascii"}
_PRINTS = 200


@router.get(f"{PATH}/{{batch_id}}")
def show_batch(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    batch_id: str,
    lang: AskedLang = None,
    layout: LayoutName = "a4-3x8",
    symbol: Literal["qr", "datamatrix"] = "qr",
) -> Response:
    """Shows an order: progress, a label as it would be, the form to print, and what was printed."""
    sent = prefilled(layout=layout, symbol=symbol, output="pdf", start="1", offset="0")
    return _batch(request, rooms, signed, batch_id, lang, sent)


@router.post(f"{PATH}/{{batch_id}}/print")
def print_labels(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, batch_id: str
) -> Response:
    """Returns the labels as a file, and notes the print; or only shows how they would look."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    batch = rooms.issuing.own_batch(principal, batch_id)
    frame = frame_of(request, lang, f"{PATH}/{batch_id}")
    out = io.BytesIO()
    try:
        order = _order(form, batch)
        if form.text("do") == "look":
            return _batch(request, rooms, signed, batch_id, lang, Sent(form.items))
        printed = rooms.printing.write(
            batch,
            order,
            out,
            by=principal.party or principal.key_id,
            key_id=principal.key_id,
            lang=frame.lang,
        )
    except Fault as fault:
        sent = refused(request, form, fault)
        return _batch(request, rooms, signed, batch_id, lang, sent, status=status_of(fault))
    name = f"labels-{batch.batch_id}-{order.start + 1}-{printed.end}.{order.form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(out.getvalue(), media_type=_MEDIA[order.form], headers=headers)


@router.get(f"{PATH}/{{batch_id}}/label.png")
def preview_label(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    batch_id: str,
    lang: AskedLang = None,
    layout: LayoutName = "a4-3x8",
    symbol: Literal["qr", "datamatrix"] = "qr",
    start: Annotated[int, Query(ge=0, le=10**6)] = 0,
    count: Annotated[int | None, Query(ge=1, le=SHEET_MAX)] = None,
) -> Response:
    """Returns the label that such a print would begin with."""
    batch = rooms.issuing.own_batch(signed.person.principal(), batch_id)
    told = lang_of(request, lang)
    drawn = rooms.printing.preview(
        batch, form="png", layout=layout, symbol=symbol, start=start, count=count, lang=told
    )
    return Response(drawn, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.get(f"{PATH}/{{batch_id}}/codes.csv")
def read_codes(
    request: Request, rooms: InRooms, signed: InSigned, batch_id: str, lang: AskedLang = None
) -> Response:
    """Returns the codes as CSV, under a head in the reader's language; programs ask the API."""
    batch = rooms.issuing.own_batch(signed.person.principal(), batch_id)
    told = lang_of(request, lang)
    head = [text(told, f"batches.column.{name}") for name in CODE_COLUMNS]
    return answer_csv(rooms.printing.code_lines(batch, head=head), name=f"codes-{batch.batch_id}")


def _order(form: Form, batch: Any) -> PrintOrder:
    """Raises Invalid, fields named as the form has them."""
    output = form.text("output")
    *_, start, count, offset, reason = read_all(
        lambda: _check_known(form, "layout", LAYOUTS),
        lambda: _check_known(form, "symbol", _SYMBOLS),
        lambda: _check_known(form, "output", _OUTPUTS),
        lambda: _check_roll(form),
        lambda: whole(form, "start", 1, max(batch.done, 1), default=1) - 1,
        lambda: _how_many(form, batch),
        lambda: whole(form, "offset", 0, _most_used(form), default=0) if output == "pdf" else 0,
        lambda: _reason(form),
    )
    layout: Any = form.text("layout")
    symbol: Any = form.text("symbol")
    kind: PrintForm = "pdf" if output == "pdf" else "zpl"
    return PrintOrder(
        form=kind,
        layout=layout,
        symbol=symbol,
        start=start,
        count=count,
        offset=offset,
        dpi=300 if output == "zpl300" else 203,
        reason=reason,
    )


def _how_many(form: Form, batch: Any) -> int:
    """Returns how many labels are asked for. Raises Invalid: whoever types 99 counts on 99 labels."""
    count = whole(form, "count", 1, SHEET_MAX, default=SHEET_MAX)
    start = _number(form.text("start"), batch.done) or 1
    left = batch.done - start + 1
    if form.text("count") and count > left:
        params = {"expected": f"1..{left}", "got": count, "start": start, "left": left}
        raise invalid(FieldFault(("count",), "range", params, "codes_left"))
    return count


def _most_used(form: Form) -> int:
    """Returns how many places of a first sheet may be used up: one is left."""
    chosen = [one for name, one in LAYOUTS.items() if name == form.text("layout")]
    return max(one.places for one in chosen or LAYOUTS.values()) - 1


def _reason(form: Form) -> str | None:
    told = form.text("reason")
    if len(told) > REASON_MAX:
        params = {"expected": f"≤ {REASON_MAX}", "got": len(told)}
        raise invalid(FieldFault(("reason",), "length", params))
    return told or None


def _check_roll(form: Form) -> None:
    """Raises Invalid where a label printer's file is asked for on sheets, which it has none of."""
    if form.text("output") in _OUTPUTS[1:] and form.text("layout") != _ROLL:
        raise invalid(FieldFault(("layout",), "enum", {"expected": _ROLL}, "zpl_layout"))


def _check_known(form: Form, name: str, known: Collection[str]) -> None:
    if form.text(name) not in known:
        params = {"expected": ", ".join(known), "got": form.text(name)[:40]}
        raise invalid(FieldFault((name,), "enum", params))


def _number(told: str, most: int) -> int | None:
    """Returns a number of 1 to `most` as it was typed; None for anything else."""
    is_one = told.isdecimal() and len(told) < 10 and 1 <= int(told) <= most
    return int(told) if is_one else None


def _batch(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    batch_id: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, f"{PATH}/{batch_id}", keeps=("layout", "symbol"))
    batch = rooms.issuing.own_batch(signed.person.principal(), batch_id)
    prints = rooms.printing.prints(batch.batch_id, after=None, limit=_PRINTS)
    start = (_number(sent.value("start"), batch.done) or 1) - 1
    count = _number(sent.value("count"), SHEET_MAX)
    void = rooms.printing.void_of(batch, start=start, count=count) if batch.done else 0
    layout = sent.value("layout") if sent.value("layout") in LAYOUTS else "a4-3x8"
    symbol = sent.value("symbol") if sent.value("symbol") in _SYMBOLS else "qr"
    shown = {"layout": layout, "symbol": symbol, "start": start, "lang": frame.lang}
    shown |= {} if count is None else {"count": count}
    return answer_signed(
        "batch.html",
        frame,
        signed,
        at="products",
        status=status,
        told=told_of(request),
        batch=batch,
        title=rooms.catalogue.product(batch.gtin).name,
        running=batch.done < batch.count and batch.status == "running",
        sent=sent,
        preview=f"{PATH}/{batch.batch_id}/label.png?{urlencode(shown)}",
        no_preview=text(frame.lang, "fault.all_void", count=void) if void else "",
        layouts=layout_words(frame.lang),
        symbols=[(name, text(frame.lang, f"batches.symbol.{name}")) for name in _SYMBOLS],
        outputs=[(name, text(frame.lang, f"batches.output.{name}")) for name in _OUTPUTS],
        prints=[(one, from_ms(one.printed_at)) for one in reversed(prints)],
        most=SHEET_MAX,
        most_reason=REASON_MAX,
        used=_used_words(frame.lang),
        may_send=does("event.send")(signed.person),
        may_void="void" in types_of(signed.person),
        scripts=DESK_PATH,
    )


def _used_words(lang: Lang) -> str:
    """Returns for each paper how many places of a first sheet may be used up."""
    said = [
        text(lang, "batches.offset.sheet", columns=one.columns, rows=one.rows, most=one.places - 1)
        for one in LAYOUTS.values()
        if one.places > 1
    ]
    return text(lang, "page.list.join").join([*said, text(lang, "batches.offset.roll")])


def layout_words(lang: Lang) -> list[tuple[str, str]]:
    """Returns the papers with their words, for a form."""
    return [(name, text(lang, f"batches.layout.{name}")) for name in LAYOUTS]
