"""The signed states of logs as a report tells them: size, root, when, by whom cosigned, the note itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.kit.clock import format_time, from_ms
from app.ledger.checkpoint import open_checkpoint
from app.ledger.note import encode_base64, parse_vkey
from app.ledger.witnesses import Cosigning
from app.oversight.chains import Anchor


def read_logs(checkpoints: str | None, cosigning: Cosigning) -> Sequence[dict[str, Any]]:
    """Returns the signed states that an audit began with, and who had cosigned each by then."""
    told = []
    for one in json.loads(checkpoints or "[]"):
        key = parse_vkey(one["key"])
        signed = open_checkpoint(one["note"], [key], origin=key.name)
        state = _state(
            key.name, signed.size, signed.root, from_ms(one["published_at"]), one["note"], cosigning
        )
        told.append({**state, "key": one["key"]})
    return told


def tell_anchor(anchor: Anchor, cosigning: Cosigning) -> dict[str, Any]:
    """Returns the signed state under which a record first stood, and who has cosigned it."""
    return _state(anchor.origin, anchor.size, anchor.root, anchor.at, anchor.note, cosigning)


def _state(
    origin: str, size: int, root: bytes, at: datetime, note: str, cosigning: Cosigning
) -> dict[str, Any]:
    return {
        "origin": origin,
        "size": size,
        "root": encode_base64(root),
        "published_at": format_time(at),
        "note": note,
        "witnesses": [
            {"name": seen.key.name, "at": format_time(seen.at)} for seen in cosigning.read(note)
        ],
    }
