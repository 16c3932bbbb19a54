"""Where a chain ended by the last published map of heads, with the proof; by exact name only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from app.kit.clock import format_time
from app.ledger.headmap import HEADS_STREAM, Leaf, map_key
from app.ledger.headproof import HeadProof, prove_head
from app.ledger.note import encode_base64
from app.ledger.prover import Provers
from app.ledger.served import load_checkpoint
from app.trace.identifiers import parse_code
from app.web.api.log import NothingPublished
from app.web.body import api_router
from app.web.deps import InRooms
from app.web.openapi import problems

api = api_router(tag="log")


class HeadOut(BaseModel):
    """A chain's last record when the map was made."""

    seq: int
    hash: str


class NeighbourOut(HeadOut):
    """The only stream below the place where the asked one would stand; `key` is a hash of its name."""

    key: str


class MapRecordOut(BaseModel):
    """The record of `log/heads` that holds the map's root, as in an evidence bundle."""

    body: str
    hash: str
    log: str
    leaf_index: int
    inclusion: list[str]


class HeadsOut(BaseModel):
    """A stream's place in the map. `head` null: it was not there, which is what `siblings` prove.

    `siblings` in base64 from the one beside the leaf up to the root's child; `neighbour` only where
    the place is another stream's. The root, the size of the log it covers and the number of streams
    stand in the record's body; `checkpoint` is the signed one to which `inclusion` leads.
    """

    stream: str
    key: str
    head: HeadOut | None
    neighbour: NeighbourOut | None
    siblings: list[str]
    record: MapRecordOut
    recorded_at: str
    checkpoint: str


@api.get(
    "/ledger/heads",
    summary="Where a chain ended, proven",
    responses=problems("not-found"),
)
def read_heads(
    rooms: InRooms,
    stream: Annotated[str, Query(max_length=2_048, examples=["01/06901234567892"])],
) -> HeadsOut:
    """Returns the chain's last record when the newest published map was made, or that it had none.

    Whoever holds a chain sees by it whether its end is missing. `stream` is a product, lot or unit in
    any form that `/api/v1/code` takes, or `log/heads`; there is no list, and chains of parties are
    not asked for here.
    """
    if stream != HEADS_STREAM:
        stream = parse_code(stream, loc=("query", "stream")).stream
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        if published is None:
            raise NothingPublished("nothing_published")
        provers = Provers(connection, rooms.keyring.logs, newest=published)
        proof = prove_head(connection, stream, provers)
        signed = None if proof is None else provers.published(proof.in_log.origin)
    if proof is None or signed is None:
        raise NothingPublished("no_heads_published")
    return HeadsOut(
        stream=stream,
        key=map_key(stream).hex(),
        head=None if proof.leaf is None else HeadOut(**_head(proof.leaf)),
        neighbour=None
        if proof.other is None
        else NeighbourOut(key=proof.other.key.hex(), **_head(proof.other)),
        siblings=[encode_base64(sibling) for sibling in proof.siblings],
        record=_record(proof),
        recorded_at=format_time(proof.recorded_at),
        checkpoint=signed.note,
    )


def _head(leaf: Leaf) -> dict[str, Any]:
    return {"seq": leaf.seq, "hash": leaf.hash.hex()}


def _record(proof: HeadProof) -> MapRecordOut:
    record = proof.record
    assert proof.in_log.index is not None, "it was proven"
    return MapRecordOut(
        body=record.body.decode(),
        hash=record.hash.hex(),
        log=proof.in_log.origin,
        leaf_index=proof.in_log.index,
        inclusion=[encode_base64(part) for part in proof.in_log.proof],
    )
