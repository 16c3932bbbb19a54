"""The transparency log as C2SP tlog-tiles serves it, and its state as JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time, from_ms
from app.kit.errors import FieldFault, NotFound, Unavailable, invalid
from app.ledger import logstore
from app.ledger.checkpoint import open_checkpoint
from app.ledger.note import encode_base64
from app.ledger.prover import Prover, format_proof, prove_consistency
from app.ledger.served import load_checkpoint
from app.ledger.tiles import (
    MAX_INDEX,
    TILE_WIDTH,
    EntryBundleMalformed,
    TileMissing,
    cut_tile,
    parse_tile_path,
    published_tiles,
)
from app.web.body import StrictRoute, api_router
from app.web.deps import InRooms
from app.web.openapi import problems

router = APIRouter(prefix="/log", tags=["log"], route_class=StrictRoute)
api = api_router(tag="log")

_SHORT = "public, max-age=1"
_FOREVER = "public, max-age=31536000, immutable"
_TEXT = "text/plain; charset=utf-8"


class NothingPublished(NotFound):
    """The log has no signed checkpoint yet, or none that covers this."""


class LogDamaged(Unavailable):
    """What is stored of the log no longer gives what was signed; the audit says where."""


class ConsistencyOut(BaseModel):
    """A proof that the tree of `from` leaves begins that of `to`, in base64, RFC 9162 2.1.4.1's order."""

    from_: int = Field(alias="from")
    to: int
    hashes: list[str]


class LedgerOut(BaseModel):
    """The last signed checkpoint. `pending`: committed records that it does not cover."""

    origin: str
    size: int
    root: str
    published_at: str
    pending: int


@router.get(
    "/checkpoint",
    summary="The signed checkpoint",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problems("not-found")},
)
def read_checkpoint(rooms: InRooms) -> Response:
    """Returns the newest signed checkpoint (c2sp.org/tlog-checkpoint)."""
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
    if published is None:
        raise NothingPublished("nothing_published")
    return Response(published.note, media_type=_TEXT, headers={"Cache-Control": _SHORT})


@router.get(
    "/tile/{path:path}",
    summary="A tile or entry bundle",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **problems("not-found")},
)
def read_tile(rooms: InRooms, path: str) -> Response:
    """Returns a tile `<L>/<N>[.p/<W>]` or entry bundle `entries/<N>[.p/<W>]` (c2sp.org/tlog-tiles)."""
    tile = parse_tile_path(f"tile/{path}")
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        stored = logstore.load_tile(connection, tile.level, tile.index)
    size = 0 if published is None else published.size
    known = next((t for t in published_tiles(size) if t.level == tile.level), None)
    widest = 0
    if known is not None:
        widest = TILE_WIDTH if tile.index < known.full else known.partial
        widest = 0 if tile.index > known.full else widest
    if tile.width > widest:
        # What no signed checkpoint covers is not public yet.
        raise NothingPublished("tile_not_published")
    full = tile.width == TILE_WIDTH
    try:
        content = cut_tile(stored, tile)
    except (TileMissing, EntryBundleMalformed) as err:
        raise LogDamaged("log_damaged") from err
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Cache-Control": _FOREVER if full else "public, max-age=86400"},
    )


@router.get(
    "/proof/{leaf_index}",
    summary="A record's proof as one file",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problems("not-found")},
)
def read_proof(rooms: InRooms, leaf_index: Annotated[int, Path(ge=0, le=MAX_INDEX)]) -> Response:
    """Returns index, inclusion proof and checkpoint as one `.tlog-proof` (c2sp.org/tlog-proof).

    With the record's hash as the entry it is all that an offline check needs.
    """
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        entry = logstore.leaf_hashes(connection, leaf_index, leaf_index + 1).get(leaf_index)
        if published is None or entry is None or leaf_index >= published.size:
            raise NothingPublished("leaf_not_published")
        checkpoint = open_checkpoint(published.note, [rooms.keyring.log.vkey])
        proven = Prover(connection, checkpoint).prove(leaf_index, entry)
    if proven.standing == "unproven":
        raise LogDamaged("log_damaged")
    return Response(
        format_proof(leaf_index, proven.proof, published.note),
        media_type=_TEXT,
        headers={
            "Cache-Control": _SHORT,
            "Content-Disposition": f'attachment; filename="{leaf_index}.tlog-proof"',
        },
    )


@router.get(
    "/key",
    summary="The log's key",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def read_key(rooms: InRooms) -> Response:
    """Returns the vkey that checkpoints verify with, one line."""
    return Response(
        f"{rooms.keyring.log.vkey}\n",
        media_type=_TEXT,
        headers={"Cache-Control": "public, max-age=3600"},
    )


@router.get(
    "/receipt-key",
    summary="The key of receipts",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def read_receipt_key(rooms: InRooms) -> Response:
    """Returns the vkey that receipts verify with, one line."""
    return Response(
        f"{rooms.receipts.vkey}\n",
        media_type=_TEXT,
        headers={"Cache-Control": "public, max-age=3600"},
    )


@api.get("/ledger", summary="The state of the log", responses=problems("not-found"))
def read_ledger(rooms: InRooms) -> LedgerOut:
    """Returns size, root and time of the last signed checkpoint, and what it does not cover yet."""
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        state = logstore.load_state(connection)
        waiting = logstore.count_waiting(connection)
    if published is None or state is None:
        raise NothingPublished("nothing_published")
    return LedgerOut(
        origin=state.origin,
        size=published.size,
        root=encode_base64(published.root),
        published_at=format_time(from_ms(published.published_at_ms)),
        pending=waiting + state.size - published.size,
    )


@api.get(
    "/ledger/consistency",
    summary="That the log only grew",
    responses=problems("not-found"),
)
def read_consistency(
    rooms: InRooms,
    from_: Annotated[int, Query(alias="from", ge=1, le=MAX_INDEX)],
    to: Annotated[int | None, Query(ge=1, le=MAX_INDEX)] = None,
) -> ConsistencyOut:
    """Returns the proof that the log of `from` entries is the beginning of the one of `to`.

    `to` is the last signed size unless given. Whoever kept a checkpoint of `from` checks it against
    a newer one: a log that was rewritten in between cannot have such a proof.
    """
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        if published is None:
            raise NothingPublished("nothing_published")
        size = published.size if to is None else to
        for name, value, most in (("to", size, published.size), ("from", from_, size)):
            if value > most:
                place = FieldFault(
                    ("query", name), "range", {"expected": f"1-{most}", "got": value}
                )
                raise invalid(place)
        try:
            hashes = prove_consistency(connection, from_, size)
        except TileMissing as err:
            raise LogDamaged("log_damaged") from err
    return ConsistencyOut(**{"from": from_}, to=size, hashes=[encode_base64(h) for h in hashes])
