"""Evidence bundles (`suxin-evidence/1`): all that a stranger needs to check a code without us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.kit.clock import format_time
from app.ledger import store
from app.ledger.bundle import FORMAT
from app.ledger.checkpoint import open_checkpoint
from app.ledger.note import VerifierKey, encode_base64
from app.ledger.prover import InLog, Prover
from app.ledger.store import StoredRecord
from app.trace.story import Story, Verification

_KEY_TYPES = frozenset({"signing_key", "signing_key_revoked"})


def make_bundle(
    connection: Connection,
    story: Story,
    verification: Verification,
    *,
    log_key: VerifierKey,
    now: datetime,
) -> dict[str, Any]:
    """Returns the bundle of a story: records as they are, good or bad, with their proofs. Read-only.

    The signers' key records go along, so that signatures can be checked too.
    """
    by_stream: dict[str, list[StoredRecord]] = {story.code.stream: list(story.own)}
    for record in story.others:
        by_stream.setdefault(record.stream, []).append(record)
    in_log = dict(verification.in_log)
    for party in _signers(story.records):
        stream = f"party/{party}"
        known = {record.seq: record for record in by_stream.get(stream, ())}
        keys = store.load_some(connection, stream, types=_KEY_TYPES)
        added = [record for record in keys if record.seq not in known]
        by_stream[stream] = sorted([*known.values(), *added], key=lambda record: record.seq)
        in_log |= _prove(connection, verification, added, log_key)
    checkpoint = verification.checkpoint
    bundle: dict[str, Any] = {
        "format": FORMAT,
        "subject": story.code.stream,
        "streams": [
            {
                "stream": stream,
                "records": [
                    _item(record, in_log, log_key.name)
                    for record in records
                    if in_log[(record.stream, record.seq)].standing != "pending"
                ],
            }
            for stream, records in by_stream.items()
        ],
        "checkpoints": []
        if checkpoint is None
        else [{"origin": log_key.name, "key": str(log_key), "note": checkpoint.note}],
        "pending": [
            {"stream": record.stream, **_body(record)}
            for records in by_stream.values()
            for record in records
            if in_log[(record.stream, record.seq)].standing == "pending"
        ],
        "made_at": format_time(now),
    }
    return bundle


def _item(
    record: StoredRecord, in_log: Mapping[tuple[str, int], InLog], origin: str
) -> dict[str, Any]:
    proof = in_log[(record.stream, record.seq)].proof
    return {
        **_body(record),
        "log": origin,
        "leaf_index": record.leaf_index,
        "inclusion": [encode_base64(part) for part in proof],
    }


def _body(record: StoredRecord) -> dict[str, str]:
    # Altered bytes may be no text at all; what cannot be shown cannot match its hash either.
    return {"body": record.body.decode("utf-8", "replace"), "hash": record.hash.hex()}


def _signers(records: Iterable[StoredRecord]) -> list[str]:
    found: dict[str, None] = {}
    for record in records:
        try:
            fields = record.fields
        except ValueError:
            continue
        if "signed" in fields:
            found[str(fields["actor"])] = None
    return list(found)


def _prove(
    connection: Connection,
    verification: Verification,
    records: Iterable[StoredRecord],
    log_key: VerifierKey,
) -> dict[tuple[str, int], InLog]:
    if verification.checkpoint is None:
        return {(r.stream, r.seq): InLog("pending") for r in records}
    prover = Prover(connection, open_checkpoint(verification.checkpoint.note, [log_key]))
    found = {}
    for record in records:
        standing = InLog("pending")
        if record.leaf_index is not None and record.entry is not None:
            standing = prover.prove(record.leaf_index, record.entry)
        found[(record.stream, record.seq)] = standing
    return found
