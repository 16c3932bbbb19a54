"""The logs of an evidence bundle: which of their checkpoints are to be believed.

Believed is what the keys that were given signed. A log goes on from another by two records
(app.ledger.handover), so whoever trusts one log's key may come to trust the next one's or the one
before: by a `rotated` record that a believed log proves to hold, or by a `continued` record of one that
names exactly this size and root. Nothing that only the bundle says is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.kit.errors import Fault
from app.ledger.bundle_shape import wrong_record_field
from app.ledger.checkpoint import Checkpoint, parse_checkpoint
from app.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from app.ledger.note import VerifierKey, decode_base64, open_note, parse_vkey
from app.ledger.record import record_hash

_HEADS = "log/heads"

ReadBody = Callable[[bytes], dict[str, Any] | None]


@dataclass(slots=True)
class ClaimedLog:
    """A checkpoint of the bundle, opened with the key that it brings along.

    wrong: why it is none, "" where it is one. trust: "given" by who asks, "handed" over by another
    log, or "" where nothing says that it is to be believed.
    """

    place: str
    origin: str
    vkey: str
    note: str
    key: VerifierKey | None = None
    checkpoint: Checkpoint | None = None
    wrong: str = ""
    trust: str = ""


def read_logs(
    bundle: Mapping[str, Any], keys: Collection[VerifierKey], read_body: ReadBody
) -> list[ClaimedLog]:
    """Returns the bundle's checkpoints in order, each with its trust; a second of one log is wrong.

    keys: that were given; where there are none each is taken at its word. read_body: a record's
    fields, None unless the body is canonical.
    """
    logs: dict[str, ClaimedLog] = {}
    found = []
    for n, item in enumerate(bundle["checkpoints"]):
        log = ClaimedLog(f"checkpoints[{n}]", item["origin"], item["key"], item["note"])
        found.append(log)
        if log.origin in logs:
            log.wrong = "checkpoint_twice"
            continue
        logs[log.origin] = log
        _open(log)
        if not keys or log.key in keys:
            log.trust = "given"
    handovers = list(_handovers(bundle["streams"], read_body))
    while any(_take(logs, item, fields) for item, fields in handovers):
        pass
    return found


def _open(log: ClaimedLog) -> None:
    wrong = "key_form"
    try:
        log.key = parse_vkey(log.vkey)
        wrong = "checkpoint_signature"
        text = open_note(log.note, [log.key]).text
        wrong = "checkpoint_form"
        checkpoint = parse_checkpoint(text)
    except Fault:
        log.wrong = wrong
        return
    if checkpoint.origin != log.origin:
        log.wrong = "checkpoint_origin"
        return
    log.checkpoint = checkpoint


def _handovers(
    streams: Sequence[Mapping[str, Any]], read_body: ReadBody
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yields the items that may hand a log over, with their fields."""
    for stream in streams:
        for item in stream["records"] if stream["stream"] == _HEADS else ():
            fields = read_body(item["body"].encode(errors="surrogatepass"))
            if fields is None or wrong_record_field(fields) or fields["stream"] != _HEADS:
                continue
            if fields["type"] in ("rotated", "continued"):
                yield item, fields


def _take(
    logs: Mapping[str, ClaimedLog], item: Mapping[str, Any], fields: Mapping[str, Any]
) -> bool:
    """Believes the log that a proven hand-over names; returns whether that is new."""
    data = fields["data"]
    origin, own = data.get("origin"), item.get("log")
    log = logs.get(origin) if isinstance(origin, str) else None
    holder = logs.get(own) if isinstance(own, str) else None
    if log is None or log.trust or log.vkey != data.get("key") or log.key is None:
        return False
    if holder is None or not holder.trust or not _holds(holder, item):
        return False
    if fields["type"] == "continued":
        # Of a log that has ended no other checkpoint is true than the one that was gone on from.
        size, final = data.get("size"), log.checkpoint
        if final is None or type(size) is not int:
            return False
        if (final.size, final.root.hex()) != (size, data.get("root")):
            return False
    log.trust = "handed"
    return True


def _holds(log: ClaimedLog, item: Mapping[str, Any]) -> bool:
    """Whether the log's checkpoint proves an item's record."""
    if log.checkpoint is None or item.get("leaf_index") is None:
        return False
    try:
        verify_inclusion(
            index=item["leaf_index"],
            size=log.checkpoint.size,
            leaf_hash=leaf_hash(record_hash(item["body"].encode(errors="surrogatepass"))),
            proof=[decode_base64(part) for part in item.get("inclusion") or ()],
            root=log.checkpoint.root,
        )
    except (ProofError, ValueError):
        return False
    return True
