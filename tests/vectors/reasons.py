"""Why Python's modules refuse a vector, in the words that the browser's module has too."""

from __future__ import annotations

import base64
from typing import Any

from app.kit.canonical import canonical_bytes, parse_json
from app.kit.errors import Fault
from app.ledger.checkpoint import parse_checkpoint
from app.ledger.merkle import verify_consistency, verify_inclusion
from app.ledger.note import open_note, parse_vkey
from app.ledger.tiles import parse_tile_path


def reason(kind: str, vector: dict[str, Any]) -> str:
    """Returns "" where the vector is accepted, else the fault's key and the part that is wrong."""
    try:
        _VERIFY[kind](vector)
    except Fault as fault:
        part = fault.errors[0].kind if fault.errors else fault.params.get("part", "")
        return f"{fault.key}.{part}" if part else fault.key
    except _NotABody as wrong:
        return str(wrong)
    return ""


class _NotABody(Exception):
    """JSON, and no record's body; app.ledger.bundle asks the same and names nothing."""


def _verify_proof(vector: dict[str, Any]) -> None:
    numbers = {
        name: int(vector[name]) for name in ("index", "size", "size1", "size2") if name in vector
    }
    hashes = {name: _bytes(vector[name]) for name in ("root", "root1", "root2") if name in vector}
    told: dict[str, Any] = numbers | hashes | {"proof": [_bytes(part) for part in vector["proof"]]}
    if vector["kind"] == "inclusion":
        verify_inclusion(leaf_hash=_bytes(vector["leaf"]), **told)
    else:
        verify_consistency(**told)


def _verify_body(vector: dict[str, Any]) -> None:
    raw = _bytes(vector["body"])
    fields = parse_json(raw)
    if not isinstance(fields, dict):
        raise _NotABody("not_object")
    if canonical_bytes(fields) != raw:
        raise _NotABody("not_canonical")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


_VERIFY = {
    "vkeys": lambda vector: parse_vkey(vector["vkey"]),
    "notes": lambda vector: open_note(vector["note"], [parse_vkey(vector["vkey"])]),
    "checkpoints": lambda vector: parse_checkpoint(vector["text"]),
    "proofs": _verify_proof,
    "tile_paths": lambda vector: parse_tile_path(vector["path"]),
    "bodies": _verify_body,
}
