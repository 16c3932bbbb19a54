"""Whether a bundle's chain ends where the map of heads says that it ended.

Pure. What a map cannot say: what came after it, and whether its maker left something out; the latter
is for those who have the records, by deriving the map again (`suxin audit`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.ledger.headmap import (
    HEADS_STREAM,
    MAP_ROOT,
    HeadsProofError,
    Leaf,
    map_key,
    verify_head,
)
from app.ledger.note import decode_base64


class Found(Protocol):
    """A record of the bundle: the hash of its body, its fields, whether the signed log holds it."""

    @property
    def hash(self) -> bytes: ...
    @property
    def fields(self) -> dict[str, Any]: ...
    @property
    def proven(self) -> bool: ...


class HeadsRefused(Exception):
    """The map or the proof in the bundle is no use, or shows that a record was left out.

    key, params: of a sentence `bundle.<key>`.
    """

    def __init__(self, key: str, **params: str | int) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


def check_heads(
    heads: Mapping[str, Any],
    subject: str,
    find: Callable[[str, int], Found | None],
    is_map_root: Callable[[Mapping[str, Any]], bool],
) -> Mapping[str, str | int]:
    """Returns up to which record the chain was complete, when, and at which size of the log.

    heads: of the shape that bundle_shape asks for. find: a record of the bundle by stream and seq.
    is_map_root: whether a record's data has that of a map's root. Raises HeadsRefused.
    """
    seq: int = heads["seq"]
    record = find(HEADS_STREAM, seq)
    if record is None:
        raise HeadsRefused("heads_record_missing", seq=seq)
    fields = record.fields
    told = fields["data"]
    if (fields["type"], fields["actor"]) != (MAP_ROOT, "system") or not is_map_root(told):
        raise HeadsRefused("heads_record_form", seq=seq)
    if not record.proven:
        raise HeadsRefused("heads_unproven", seq=seq)
    head = heads["head"]
    try:
        verify_head(
            Leaf(map_key(subject), head["seq"], bytes.fromhex(head["hash"])),
            [decode_base64(sibling) for sibling in heads["siblings"]],
            root=bytes.fromhex(told["root"]),
        )
    except (HeadsProofError, ValueError) as err:
        raise HeadsRefused("heads_proof", seq=seq) from err
    last = find(subject, head["seq"])
    at: str = fields["recorded_at"]
    if last is None or last.hash.hex() != head["hash"]:
        raise HeadsRefused("tail_hidden", stream=subject, seq=head["seq"], at=at)
    return {"seq": head["seq"], "at": at, "size": told["size"]}
