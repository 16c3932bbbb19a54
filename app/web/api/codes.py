"""Codes: issuing, their lists, single labels, and a code as it stands now."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from app.kit.errors import FieldFault, invalid
from app.labels.symbols import Label, label_png, label_svg
from app.trace.code import Code, digital_link, symbol_text
from app.trace.identifiers import parse_code
from app.trace.issuing import MAX_COUNT
from app.web.api.products import GTIN
from app.web.api.subjects import look_body, unit_code
from app.web.body import Body, api_router
from app.web.csvfile import answer_csv
from app.web.deps import Caller, InRooms
from app.web.openapi import problems

router = api_router(tag="codes")

_BATCH_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Serial = Annotated[
    str, Path(description="GS1 serial, AI (21).", examples=["8F3K2M9QZ7AB"], max_length=200)
]
BatchId = Annotated[str, Path(max_length=80)]
Symbol = Literal["qr", "datamatrix", "ean13"]


class CodesIn(Body):
    """An order for codes. `inner` adds a second, hidden code for each unit."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"gtin": "6901234567892", "count": 24}]},
    }

    id: Annotated[str | None, Field(max_length=64)] = None
    gtin: Annotated[str, Field(max_length=32)]
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    lot: Annotated[str | None, Field(max_length=64)] = None
    inner: bool = False


class BatchOut(BaseModel):
    """How far an order for codes is."""

    batch_id: str
    status: Literal["running", "done", "failed"]
    done: int
    count: int
    error: str | None = None
    links: dict[str, str]


class InnerIn(Body):
    """A hidden code as found in the pack."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"inner": "ABCD2345EFGH6"}]},
    }

    inner: Annotated[str, Field(min_length=1, max_length=64)]


class InnerOut(BaseModel):
    """Whether the hidden code is this unit's, and how often codes were tried on it."""

    ok: bool
    tries: int


@router.post(
    "/codes",
    status_code=202,
    summary="Issue codes",
    responses={
        200: {"description": "The same order again.", "model": BatchOut},
        **problems("forbidden", "code-unknown", "party-unverified", "id-conflict"),
    },
    response_model_exclude_none=True,
)
def issue_codes(rooms: InRooms, principal: Caller, body: CodesIn, response: Response) -> BatchOut:
    """Orders 1 to 100,000 codes of a product or lot; a job makes them, and survives any stop."""
    if body.id is not None and not _BATCH_ID.fullmatch(body.id):
        raise invalid(FieldFault(("id",), "form", {"got": body.id[:80]}, "batch_id"))
    batch, replayed = rooms.issuing.order(
        principal,
        order_id=body.id,
        gtin=body.gtin,
        count=body.count,
        lot=body.lot,
        inner=body.inner,
    )
    response.status_code = 200 if replayed else 202
    return _batch(batch)


@router.get(
    "/batches/{batch_id}",
    summary="How far an order is",
    responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)
def read_batch(rooms: InRooms, principal: Caller, batch_id: BatchId) -> BatchOut:
    """Returns the progress of an order for codes."""
    return _batch(rooms.issuing.own_batch(principal, batch_id))


@router.get(
    "/batches/{batch_id}/codes.csv",
    summary="The codes as CSV",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {}}},
        **problems("forbidden", "not-found"),
    },
)
def read_codes(rooms: InRooms, principal: Caller, batch_id: BatchId) -> Response:
    """Returns `code,uri,serial,inner`, in the order of printing; UTF-8 with a mark for Excel."""
    batch = rooms.issuing.own_batch(principal, batch_id)
    return answer_csv(rooms.printing.code_lines(batch), name=f"codes-{batch.batch_id}")


@router.get(
    "/codes/{gtin}/{serial}/label.{form}",
    summary="One label",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}, "image/svg+xml": {}}},
        **problems("code-unknown", "lifecycle-conflict"),
    },
)
def read_label(
    rooms: InRooms,
    gtin: GTIN,
    serial: Serial,
    form: Literal["png", "svg"],
    symbol: Annotated[Symbol, Query()] = "qr",
) -> Response:
    """Returns one label: QR holds the Digital Link, DataMatrix the element string, EAN-13 the GTIN.

    A void unit has none any more.
    """
    code = rooms.printing.unit(unit_code(gtin, serial))
    content = {
        "qr": digital_link(rooms.base_url, code),
        "datamatrix": symbol_text(code),
        "ean13": code.gtin,
    }[symbol]
    label = Label(content, () if symbol == "ean13" else _human(code))
    if form == "png":
        return Response(label_png(label, symbol), media_type="image/png")
    return Response(label_svg(label, symbol), media_type="image/svg+xml")


@router.get(
    "/codes/{gtin}/{serial}",
    summary="A unit as it stands now",
    responses=problems("code-unknown"),
)
def read_unit(rooms: InRooms, gtin: GTIN, serial: Serial) -> dict[str, Any]:
    """Returns state, verdict and warnings, re-computed now.

    Below it are `/events`, `/verification` and `/evidence`.
    """
    return look_body(rooms, unit_code(gtin, serial))


@router.get("/code", summary="Any form of a code", responses=problems("code-unknown"))
def read_any(
    rooms: InRooms,
    code: Annotated[str, Query(max_length=2048, examples=["01/06901234567892/21/8F3K2M9QZ7AB"])],
) -> dict[str, Any]:
    """Returns the product, lot or unit that a code names: Digital Link, element string, our own form."""
    return look_body(rooms, parse_code(code))


@router.post(
    "/codes/{gtin}/{serial}/check",
    summary="Is the hidden code right",
    responses=problems("code-unknown", "proof-invalid"),
)
def check_inner(rooms: InRooms, gtin: GTIN, serial: Serial, body: InnerIn) -> InnerOut:
    """Tells whether a hidden code is this unit's; tries are counted, and limited."""
    code = unit_code(gtin, serial)
    rooms.catalogue.unit(code)
    ok, tries = rooms.issuing.try_inner(code, body.inner)
    return InnerOut(ok=ok, tries=tries)


def _batch(row: Any) -> BatchOut:
    path = f"/api/v1/batches/{row.batch_id}"
    return BatchOut(
        batch_id=row.batch_id,
        status="done" if row.done >= row.count else row.status,
        done=row.done,
        count=row.count,
        error=row.error,
        links={
            "self": path,
            "codes_csv": f"{path}/codes.csv",
            "labels_pdf": f"{path}/labels.pdf",
        },
    )


def _human(code: Code) -> tuple[str, ...]:
    lines = [f"(01){code.gtin}"]
    if code.lot is not None:
        lines.append(f"(10){code.lot}")
    if code.serial is not None:
        lines.append(f"(21){code.serial}")
    return tuple(lines)
