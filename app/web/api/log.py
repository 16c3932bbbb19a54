"""The transparency log as C2SP tlog-tiles serves it, and its state as JSON.

`/log/…` is the log that goes on. Each log, that one too, stands for ever at `/log/of/<number>/…`, the
first at 0: who mirrors or watches a log loses it by no rotation.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticKnownError

from app.kit.clock import format_time, from_ms
from app.kit.errors import FieldFault, NotFound, Unavailable, invalid
from app.ledger import logstore, tilestore
from app.ledger.note import VerifierKey, encode_base64
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
from app.trace.evidence import make_handovers
from app.web.body import StrictRoute, api_router
from app.web.deps import InRooms, Rooms
from app.web.openapi import problems

router = APIRouter(prefix="/log", tags=["log"], route_class=StrictRoute)
api = api_router(tag="log")

_SHORT = "public, max-age=1"
_FOREVER = "public, max-age=31536000, immutable"
# A narrower tile never changes either, but nobody asks for it once the log has grown.
_A_DAY = "public, max-age=86400"
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


class HandoversOut(BaseModel):
    """The stream `log/heads` with its hand-overs, and each log's checkpoint, as in an evidence bundle."""

    streams: list[dict[str, Any]]
    checkpoints: list[dict[str, str]]


class LogOut(BaseModel):
    """One log as last signed. `path`: below it, what tlog-tiles names; `frozen`: another goes on from it."""

    origin: str
    key: str
    size: int
    root: str
    frozen: bool
    path: str


class WitnessOut(BaseModel):
    """A witness that cosigned the checkpoint, by its key's name, and when."""

    name: str
    at: str


class LedgerOut(BaseModel):
    """The last signed checkpoint. `pending`: committed records that it does not cover.

    `logs`: all of them, oldest first; the one that goes on is the last. `witnesses`: whose cosignatures
    under the checkpoint verify by the policy of this deployment.
    """

    origin: str
    size: int
    root: str
    published_at: str
    pending: int
    logs: list[LogOut]
    witnesses: list[WitnessOut]


_CHECKPOINT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {}}},
    **problems("not-found"),
}
_TILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}},
    **problems("not-found"),
}


def _one_spelling(value: object) -> object:
    """Returns a number as it was written, if that is how it is written; as strict as tile paths."""
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


_DECIMAL = re.compile("0|-?[1-9][0-9]*")
_Decimal = Annotated[int, BeforeValidator(_one_spelling)]
_Number = Annotated[_Decimal, Path(ge=0, le=MAX_INDEX)]
_LeafIndex = Annotated[_Decimal, Path(ge=0, le=MAX_INDEX)]


@router.get(
    "/checkpoint",
    summary="The signed checkpoint",
    response_class=Response,
    responses=_CHECKPOINT,
)
def read_checkpoint(rooms: InRooms) -> Response:
    """Returns the newest signed checkpoint (c2sp.org/tlog-checkpoint)."""
    return _checkpoint(rooms, rooms.keyring.log.vkey)


@router.get(
    "/tile/{path:path}",
    summary="A tile or entry bundle",
    response_class=Response,
    responses=_TILE,
)
def read_tile(rooms: InRooms, path: str) -> Response:
    """Returns a tile `<L>/<N>[.p/<W>]` or entry bundle `entries/<N>[.p/<W>]` (c2sp.org/tlog-tiles)."""
    return _tile(rooms, rooms.keyring.log.vkey, path)


@router.get(
    "/proof/{leaf_index}",
    summary="A record's proof as one file",
    response_class=Response,
    responses=_CHECKPOINT,
)
def read_proof(rooms: InRooms, leaf_index: _LeafIndex) -> Response:
    """Returns index, inclusion proof and checkpoint as one `.tlog-proof` (c2sp.org/tlog-proof).

    With the record's hash as the entry it is all that an offline check needs.
    """
    return _proof(rooms, rooms.keyring.log.vkey, leaf_index)


@router.get(
    "/key",
    summary="The log's key",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def read_key(rooms: InRooms) -> Response:
    """Returns the vkey that checkpoints verify with, one line."""
    return _key(rooms.keyring.log.vkey)


@router.get(
    "/of/{number}/checkpoint",
    summary="The signed checkpoint of one log",
    response_class=Response,
    responses=_CHECKPOINT,
)
def read_checkpoint_of(rooms: InRooms, number: _Number) -> Response:
    """Returns the newest signed checkpoint of a log; of one that another goes on from, the final one."""
    return _checkpoint(rooms, _key_of(rooms, number))


@router.get(
    "/of/{number}/tile/{path:path}",
    summary="A tile or entry bundle of one log",
    response_class=Response,
    responses=_TILE,
)
def read_tile_of(rooms: InRooms, number: _Number, path: str) -> Response:
    """Returns a tile or entry bundle of a log, as `/log/tile/…` does of the one that goes on."""
    return _tile(rooms, _key_of(rooms, number), path)


@router.get(
    "/of/{number}/proof/{leaf_index}",
    summary="A record's proof from one log",
    response_class=Response,
    responses=_CHECKPOINT,
)
def read_proof_of(rooms: InRooms, number: _Number, leaf_index: _LeafIndex) -> Response:
    """Returns the `.tlog-proof` of a leaf of a log, by its index inside that log."""
    return _proof(rooms, _key_of(rooms, number), leaf_index)


@router.get(
    "/of/{number}/key",
    summary="The key of one log",
    response_class=Response,
    responses=_CHECKPOINT,
)
def read_key_of(rooms: InRooms, number: _Number) -> Response:
    """Returns the vkey that a log's checkpoints verify with, one line."""
    return _key(_key_of(rooms, number))


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
    """Returns size, root and time of the last signed checkpoint, what it does not cover yet, all logs."""
    keys = rooms.keyring.logs
    with rooms.database.read() as connection:
        logs = [(key, load_checkpoint(connection, key)) for key in keys]
        state = logstore.load_state(connection)
        waiting = logstore.count_waiting(connection)
    published = logs[-1][1]
    if published is None or state is None:
        raise NothingPublished("nothing_published")
    return LedgerOut(
        origin=state.origin,
        size=published.size,
        root=encode_base64(published.root),
        published_at=format_time(from_ms(published.published_at_ms)),
        pending=waiting + state.size - published.size,
        logs=[
            LogOut(
                origin=key.name,
                key=str(key),
                size=one.size,
                root=encode_base64(one.root),
                frozen=key is not keys[-1],
                path=f"/log/of/{number}",
            )
            for number, (key, one) in enumerate(logs)
            if one is not None
        ],
        witnesses=[
            WitnessOut(name=one.key.name, at=format_time(one.at))
            for one in rooms.cosigning.read(published.note)
        ],
    )


@api.get(
    "/ledger/consistency",
    summary="That the log only grew",
    responses=problems("not-found"),
)
def read_consistency(
    rooms: InRooms,
    from_: Annotated[_Decimal, Query(alias="from", ge=1, le=MAX_INDEX)],
    to: Annotated[_Decimal | None, Query(ge=1, le=MAX_INDEX)] = None,
    log: Annotated[_Decimal | None, Query(ge=0, le=MAX_INDEX)] = None,
) -> ConsistencyOut:
    """Returns the proof that the log of `from` entries is the beginning of the one of `to`.

    `to` is the last signed size unless given; `log` is the number of a log, the one that goes on
    unless given. Whoever kept a checkpoint of `from` checks it against a newer one: a log that was
    rewritten in between cannot have such a proof. Only a proof that leads to the signed root is given;
    where neither tiles nor leaves give one, 503.
    """
    key = rooms.keyring.log.vkey if log is None else _key_of(rooms, log)
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, key)
        if published is None:
            raise NothingPublished("nothing_published")
        size = published.size if to is None else to
        for name, value, most in (("to", size, published.size), ("from", from_, size)):
            if value > most:
                place = FieldFault(
                    ("query", name), "range", {"expected": f"1..{most}", "got": value}
                )
                raise invalid(place)
        signed = (published.size, published.root)
        hashes = prove_consistency(connection, published.log, from_, size, signed=signed)
    return ConsistencyOut(**{"from": from_}, to=size, hashes=[encode_base64(h) for h in hashes])


@api.get("/ledger/handovers", summary="How each log goes on from the one before")
def read_handovers(rooms: InRooms) -> HandoversOut:
    """Returns the records by which logs hand over, with their proofs and all checkpoints.

    Whoever kept the key of a log that has ended comes by them to trust the key of the one that goes on.
    """
    with rooms.database.read() as connection:
        return HandoversOut(**make_handovers(connection, log_keys=rooms.keyring.logs))


def _key_of(rooms: Rooms, number: int) -> VerifierKey:
    keys = rooms.keyring.logs
    if number >= len(keys):
        raise NothingPublished("log_unknown", number=number)
    return keys[number]


def _checkpoint(rooms: Rooms, key: VerifierKey) -> Response:
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, key)
    if published is None:
        raise NothingPublished("nothing_published")
    return Response(published.note, media_type=_TEXT, headers={"Cache-Control": _SHORT})


def _tile(rooms: Rooms, key: VerifierKey, path: str) -> Response:
    tile = parse_tile_path(f"tile/{path}")
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, key)
        stored = None
        if published is not None:
            stored = tilestore.load_tile(connection, published.log, tile.level, tile.index)
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
    # Never compressed: entries are hashes, which no algorithm makes shorter.
    try:
        content = cut_tile(stored, tile)
    except (TileMissing, EntryBundleMalformed) as err:
        raise LogDamaged("log_damaged") from err
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Cache-Control": _FOREVER if full else _A_DAY},
    )


def _proof(rooms: Rooms, key: VerifierKey, leaf_index: int) -> Response:
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, key)
        if published is None or leaf_index >= published.size:
            raise NothingPublished("leaf_not_published")
        leaf = logstore.leaf_at(connection, published.log.start + leaf_index)
        if leaf is None:
            raise NothingPublished("leaf_not_published")
        proven = Prover(connection, published).prove(leaf_index, leaf.hash)
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


def _key(key: VerifierKey) -> Response:
    return Response(f"{key}\n", media_type=_TEXT, headers={"Cache-Control": "public, max-age=3600"})
