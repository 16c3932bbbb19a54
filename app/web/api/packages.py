"""Evidence packages as zip files: of a unit, a lot, a product, or the chain of a finding."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import StreamingResponse

from app.kit.errors import Unauthenticated
from app.oversight.packages import Package
from app.trace.code import Code
from app.web.api.subjects import GTINPath, SegmentPath, lot_code, product_code, unit_code
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Viewer
from app.web.openapi import problems

router = api_router(tag="codes")

_Sealed = Annotated[
    bool, Query(description="With the sealed sections that the key may open, and their salts.")
]
_Purpose = Annotated[
    str | None, Query(max_length=400, description="Why; asked of authorities, and logged.")
]
_ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}
_ANSWERS = {**_ZIP, **problems("forbidden", "code-unknown", "chain-too-long")}


@router.get(
    "/codes/{gtin}/{serial}/evidence.zip",
    summary="A unit's evidence package",
    response_class=StreamingResponse,
    responses=_ANSWERS,
)
def unit_package(
    rooms: InRooms,
    viewer: Viewer,
    gtin: GTINPath,
    serial: SegmentPath,
    sealed: _Sealed = False,
    purpose: _Purpose = None,
) -> StreamingResponse:
    """Returns the bundle with keys, verifier, statement and signed manifest; verify_proof.py checks it."""
    return _of(rooms, viewer, unit_code(gtin, serial), sealed=sealed, purpose=purpose)


@router.get(
    "/lots/{gtin}/{lot}/evidence.zip",
    summary="A lot's evidence package",
    response_class=StreamingResponse,
    responses=_ANSWERS,
)
def lot_package(
    rooms: InRooms,
    viewer: Viewer,
    gtin: GTINPath,
    lot: SegmentPath,
    sealed: _Sealed = False,
    purpose: _Purpose = None,
) -> StreamingResponse:
    """Returns the same of a lot."""
    return _of(rooms, viewer, lot_code(gtin, lot), sealed=sealed, purpose=purpose)


@router.get(
    "/products/{gtin}/evidence.zip",
    summary="A product's evidence package",
    response_class=StreamingResponse,
    responses=_ANSWERS,
)
def product_package(
    rooms: InRooms,
    viewer: Viewer,
    gtin: GTINPath,
    sealed: _Sealed = False,
    purpose: _Purpose = None,
) -> StreamingResponse:
    """Returns the same of a product."""
    return _of(rooms, viewer, product_code(gtin), sealed=sealed, purpose=purpose)


@router.get(
    "/findings/{finding}/evidence.zip",
    summary="The evidence package of a finding's chain",
    response_class=StreamingResponse,
    responses={**_ZIP, **problems("forbidden", "not-found", "no-chain", "chain-too-long")},
)
def finding_package(
    rooms: InRooms,
    principal: Caller,
    finding: Annotated[str, Path(max_length=80)],
    sealed: _Sealed = False,
    purpose: _Purpose = None,
) -> StreamingResponse:
    """Returns the chain's package with the finding in it, good or bad as the chain is stored."""
    made = rooms.packages.of_finding(finding, principal, sealed=sealed, purpose=purpose)
    return send_package(made)


def _of(
    rooms: InRooms, viewer: Viewer, code: Code, *, sealed: bool, purpose: str | None
) -> StreamingResponse:
    if sealed and viewer is None:
        raise Unauthenticated("key_required")
    return send_package(rooms.packages.of_code(code, viewer, sealed=sealed, purpose=purpose))


def send_package(package: Package) -> StreamingResponse:
    """Returns the answer that streams a package."""
    headers = {
        "Content-Disposition": f'attachment; filename="{package.file_name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(package.stream_zip(), media_type="application/zip", headers=headers)
