"""Evidence bundles (`suxin-evidence/1`): all that a stranger needs to check a code without us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.kit.clock import format_time
from app.ledger import store
from app.ledger.bundle import FORMAT
from app.ledger.handover import handover_records
from app.ledger.headproof import prove_head
from app.ledger.heads import HEADS
from app.ledger.note import VerifierKey, encode_base64
from app.ledger.prover import InLog, Provers
from app.ledger.store import StoredRecord
from app.trace.story import Story, Verification

MOST_RECORDS = 5_000
"""Own records of a chain that is bundled: some 7 MB and a second of work, made at once."""
_KEY_TYPES = frozenset({"signing_key", "signing_key_revoked"})


def make_bundle(
    connection: Connection,
    story: Story,
    verification: Verification,
    *,
    log_keys: Sequence[VerifierKey],
    now: datetime,
) -> dict[str, Any]:
    """Returns the bundle of a story: records as they are, good or bad, with their proofs. Read-only.

    The signers' key records go along, so that signatures can be checked too. Where records stand in
    an older log, so do the hand-overs from that one to the log that goes on: then whoever has the key
    of any of them has all.
    So does a listing that was told after the sale: without it a step would seem to be missing.
    Where a published map of heads covers the code, so does the proof of its chain's last record then.
    """
    provers = Provers(connection, log_keys, newest=verification.checkpoint)
    by_stream: dict[str, list[StoredRecord]] = {story.code.stream: list(story.own)}
    for record in story.others:
        by_stream.setdefault(record.stream, []).append(record)
    in_log = dict(verification.in_log)
    late = verification.listed
    if late is not None:
        _add(by_stream, in_log, late.stream, [late], provers)
    for party in _signers([*story.records, *([late] if late else [])]):
        stream = f"party/{party}"
        keys = store.load_some(connection, stream, types=_KEY_TYPES)
        _add(by_stream, in_log, stream, keys, provers)
    heads = prove_head(connection, story.code.stream, provers)
    if heads is not None and heads.leaf is not None:
        _add(by_stream, in_log, HEADS, [heads.record], provers)
    origins = [key.name for key in log_keys]
    oldest = min(
        (origins.index(one.origin) for one in in_log.values() if one.origin in origins),
        default=len(origins) - 1,
    )
    handovers = handover_records(connection, since=oldest)
    if handovers:
        _add(by_stream, in_log, HEADS, handovers, provers)
    bundle: dict[str, Any] = {
        "format": FORMAT,
        "subject": story.code.stream,
        "streams": [_stream(stream, records, in_log) for stream, records in by_stream.items()],
        "checkpoints": _checkpoints(provers, log_keys[oldest:]),
        "pending": [
            {"stream": record.stream, **_body(record)}
            for records in by_stream.values()
            for record in records
            if in_log[(record.stream, record.seq)].standing == "pending"
        ],
        "made_at": format_time(now),
    }
    if heads is not None and heads.leaf is not None:
        bundle["heads"] = heads.as_bundle()
    return bundle


def make_handovers(connection: Connection, *, log_keys: Sequence[VerifierKey]) -> dict[str, Any]:
    """Returns how each log goes on from the one before, as bundles tell it. Read-only.

    `streams` and `checkpoints` of a bundle, over all logs: for whoever has the key of one and is
    shown another. Where there is one log only there are no hand-overs.
    """
    provers = Provers(connection, log_keys)
    by_stream: dict[str, list[StoredRecord]] = {}
    in_log: dict[tuple[str, int], InLog] = {}
    _add(by_stream, in_log, HEADS, handover_records(connection, since=0), provers)
    return {
        "streams": [_stream(HEADS, by_stream[HEADS], in_log)],
        "checkpoints": _checkpoints(provers, log_keys),
    }


def _stream(
    stream: str, records: Iterable[StoredRecord], in_log: Mapping[tuple[str, int], InLog]
) -> dict[str, Any]:
    """Returns a stream with those of its records that have their place in a log."""
    placed = ((record, in_log[(record.stream, record.seq)]) for record in records)
    items = [_item(record, place) for record, place in placed if place.standing != "pending"]
    return {"stream": stream, "records": items}


def _checkpoints(provers: Provers, log_keys: Sequence[VerifierKey]) -> list[dict[str, str]]:
    published = ((key, provers.published(key.name)) for key in log_keys)
    return [
        {"origin": key.name, "key": str(key), "note": one.note}
        for key, one in published
        if one is not None
    ]


def _add(
    by_stream: dict[str, list[StoredRecord]],
    in_log: dict[tuple[str, int], InLog],
    stream: str,
    records: Iterable[StoredRecord],
    provers: Provers,
) -> None:
    """Puts those of a stream's records that are not there yet into their places, with their proofs."""
    known = {record.seq: record for record in by_stream.get(stream, ())}
    for record in records:
        if record.seq not in known:
            known[record.seq] = record
            in_log[(stream, record.seq)] = provers.prove(record.leaf_index, record.entry)
    by_stream[stream] = [known[seq] for seq in sorted(known)]


def _item(record: StoredRecord, in_log: InLog) -> dict[str, Any]:
    return {
        **_body(record),
        "log": in_log.origin,
        "leaf_index": in_log.index,
        "inclusion": [encode_base64(part) for part in in_log.proof],
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
