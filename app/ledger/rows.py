"""What a new record writes beside its row and its stream's head: plain rows by the table they go to.

Made whole before any of it is kept, so that whatever cannot be written (a payload that is no JSON, a
salt of the wrong length) fails its own claim and leaves nothing half done.
"""

from __future__ import annotations

from typing import Any

import orjson

from app.ledger.record import id_bytes, stream_key
from app.ledger.submission import Draft, Submission
from app.ledger.vault import Vault

Rows = dict[str, list[dict[str, Any]]]
"""Rows by table, of those to which only some records add: `sealed`, `side`, `outbox`."""

TABLES = ("sealed", "side", "outbox")


def dump(value: object) -> bytes:
    """Returns the stored bytes of a state, fact or payload."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def rows_of(
    submission: Submission, draft: Draft, seq: int, at_ms: int, vault: Vault
) -> Rows | None:
    """Returns what a new record adds to TABLES, None for nothing. Seals its sections."""
    if not (submission.seals or draft.side or draft.outbox):
        return None
    claim = submission.claim
    key, id_ = stream_key(claim.stream), id_bytes(claim.id)
    place = {"stream": key, "seq": seq}
    sealed = []
    for seal in submission.seals:
        section = vault.seal(
            place=(claim.stream, claim.id, seal.name), salt=seal.salt, content=seal.content
        )
        sealed.append(
            {
                "stream": key,
                "record_id": id_,
                "name": seal.name,
                "sealed": section.sealed,
                "wrapped_key": section.wrapped_key,
                "erased_at": None,
            }
        )
    outbox = [
        {
            **place,
            "topic": topic,
            "payload": dump(payload),
            "available_at": at_ms,
            "attempts": 0,
            "last_error": None,
        }
        for topic, payload in draft.outbox
    ]
    return {
        "sealed": sealed,
        "side": [{**place, "kind": kind, "digest": digest} for kind, digest in draft.side],
        "outbox": outbox,
    }
