"""The two calls of a witness over HTTP (c2sp.org/tlog-witness), for `suxin witness serve`.

Plain text both ways, as the protocol has it: no JSON, no problem documents. Whoever asks needs no
key, since only a checkpoint that its log has signed does anything.
"""

from __future__ import annotations

import asyncio

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.kit.errors import Denied, Fault, Invalid, Malformed, NotFound
from app.ledger.witness import MAX_REQUEST, OldDiffers, Witness
from app.ledger.witnessclient import SIZE_TYPE

log = structlog.get_logger(__name__)

_BODY_TIMEOUT_S = 10.0
_STATUS: tuple[tuple[type[Fault], int], ...] = (
    (Malformed, 400),
    (Denied, 403),
    (NotFound, 404),
    (Invalid, 422),
)


def create_witness_app(witness: Witness) -> Starlette:
    """Returns the app of one witness."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_read(request), _BODY_TIMEOUT_S)
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("too slow\n", 408)
        if body is None:
            return PlainTextResponse("too large\n", 413)
        try:
            # It waits for the disk.
            line = await run_in_threadpool(witness.add_checkpoint, body)
        except OldDiffers as fault:
            # Its own header: Starlette would add a charset, which the protocol does not have.
            return Response(f"{fault.size}\n", 409, headers={"Content-Type": SIZE_TYPE})
        except Fault as fault:
            status = next((code for kind, code in _STATUS if isinstance(fault, kind)), 500)
            told = log.error if status == 500 else log.warning
            told("witness.refused", status=status, fault=str(fault))
            return PlainTextResponse(f"{fault.key}\n", status)
        log.info("witness.cosigned", bytes=len(body))
        return PlainTextResponse(line)

    async def read_checkpoint(request: Request) -> Response:
        note = await run_in_threadpool(witness.last, request.path_params["place"])
        if note is None:
            return PlainTextResponse("not found\n", 404)
        return PlainTextResponse(note, headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{place:str}/checkpoint", read_checkpoint, methods=["GET"]),
        ]
    )


async def _read(request: Request) -> bytes | None:
    """Returns the body, or None where it is longer than any request can be."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_REQUEST:
            return None
    return bytes(body)
