"""Receipts as whoever holds one checks them: by the served keys and what was published, with code of its own.

Nothing of the ledger's is used here, so that a mistake in how it signs, hashes or reads is not made twice:
signed notes (c2sp.org/signed-note), entry bundles (c2sp.org/tlog-tiles), tree hashes (RFC 9162 2.1.1).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ED25519 = b"\x01"


class ReceiptBroken(AssertionError):
    """A receipt and the ledger contradict each other: one of the two tells what is not so."""


@dataclass(frozen=True)
class Published:
    """What anybody may fetch: the signed size, the entries below it, and when it was signed."""

    size: int
    entries: frozenset[bytes]
    at: datetime


def text_of(note: str, vkey: str) -> list[str]:
    """Returns the lines of a note's text. Raises ReceiptBroken unless this key signed it."""
    name, key_id, encoded = vkey.strip().split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    if key[:1] != _ED25519 or sha256(f"{name}\n".encode() + key).digest()[:4].hex() != key_id:
        raise ReceiptBroken(f"no key of Ed25519: {vkey}")
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        mark, signer, value = line.split(" ")
        signature = base64.b64decode(value, validate=True)
        if (mark, signer, signature[:4].hex()) == ("—", name, key_id):
            try:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(
                    signature[4:], f"{text}\n".encode()
                )
            except InvalidSignature as err:
                raise ReceiptBroken(f"{name} has not signed this") from err
            return text.split("\n")
    raise ReceiptBroken(f"no signature by {name}")


def read_published(connection: Any, log_key: str) -> Published:
    """Returns what stands under the newest checkpoint, of a ledger with one log. Read-only."""
    note, published_at = connection.exec_driver_sql(
        "SELECT note, published_at FROM checkpoint ORDER BY size DESC LIMIT 1"
    ).one()
    _, size, root, *_ = text_of(note, log_key)
    bundles = connection.exec_driver_sql(
        "SELECT data FROM tile WHERE level = -1 ORDER BY tile_index"
    ).scalars()
    entries = [entry for bundle in bundles for entry in _entries(bytes(bundle))][: int(size)]
    if _root([sha256(b"\x00" + entry).digest() for entry in entries]) != base64.b64decode(root):
        raise ReceiptBroken(f"what is published is not the tree of {size} that was signed")
    return Published(
        int(size), frozenset(entries), datetime.fromtimestamp(published_at / 1000, UTC)
    )


def kept_promises(
    connection: Any, receipts: Iterable[str], *, receipt_key: str, log_key: str
) -> set[str]:
    """Returns the receipts whose leaf stands under a checkpoint signed by `publish_by`. Read-only."""
    published = read_published(connection, log_key)
    told = {note: text_of(note, receipt_key) for note in receipts}
    return {
        note
        for note, (_, _, _, hash_, _, publish_by, *_) in told.items()
        if bytes.fromhex(hash_) in published.entries
        and published.at <= datetime.fromisoformat(publish_by)
    }


def check_receipts(
    connection: Any,
    receipts: Iterable[str],
    *,
    receipt_key: str,
    log_key: str,
    kept: Container[str] = (),
) -> None:
    """Raises ReceiptBroken unless the ledger keeps what each of these receipts says. Read-only.

    Each is signed by the served key, tells stream, seq, time and hash of a record that is stored, and that
    record's leaf stands in the published log: under a checkpoint that was signed by `publish_by`, or one
    was seen there that was (`kept`).
    """
    stored = _stored(connection)
    published = read_published(connection, log_key)
    for note in receipts:
        mark, stream, seq, hash_, recorded_at, publish_by, *more = text_of(note, receipt_key)
        place = f"{stream}#{seq}"
        if mark != "suxin-receipt/1" or more:
            raise ReceiptBroken(f"{place}: no receipt of version 1")
        if stored.get(bytes.fromhex(hash_)) != (stream, int(seq), recorded_at):
            raise ReceiptBroken(f"{place}: the record of this receipt is lost")
        if bytes.fromhex(hash_) not in published.entries:
            raise ReceiptBroken(f"{place}: not in the published log of {published.size}")
        if note not in kept and published.at > datetime.fromisoformat(publish_by):
            raise ReceiptBroken(f"{place}: published {published.at}, promised by {publish_by}")


def _stored(connection: Any) -> dict[bytes, tuple[str, int, str]]:
    """Returns stream, seq and recorded_at of the records that are there, by the hash of their bytes."""
    found = {}
    for body in connection.exec_driver_sql("SELECT body FROM record").scalars():
        fields = json.loads(bytes(body))
        found[sha256(bytes(body)).digest()] = fields["stream"], fields["seq"], fields["recorded_at"]
    return found


def _entries(bundle: bytes) -> Iterable[bytes]:
    while bundle:
        end = 2 + int.from_bytes(bundle[:2], "big")
        yield bundle[2:end]
        bundle = bundle[end:]


def _root(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    # The largest power of two that is smaller than their number.
    left = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + _root(hashes[:left]) + _root(hashes[left:])).digest()
