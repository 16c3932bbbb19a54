"""What the service signs: checkpoints of the log (c2sp.org/tlog-checkpoint) and receipts.

Both are texts inside signed notes (app.ledger.note). A checkpoint says how large the log is and
what its root is; a receipt says that one record was taken, and until when a checkpoint will cover
it. With a receipt a merchant can prove a record that was lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.kit.clock import format_time, parse_time
from app.kit.errors import Invalid
from app.ledger.merkle import EMPTY_ROOT, HASH_BYTES
from app.ledger.note import (
    Signer,
    VerifierKey,
    decode_base64,
    encode_base64,
    is_key_name,
    open_note,
    sign_note,
)

MAX_SIZE = 2**63 - 1  # what a database integer holds

_DECIMAL = re.compile("0|[1-9][0-9]{0,18}")
_RECEIPT_MARK = "suxin-receipt/1"


class CheckpointMalformed(Invalid):
    """This text is no checkpoint; `params` name the part that is wrong."""


class OriginDiffers(Invalid):
    """A true checkpoint, but of another log."""


class ReceiptMalformed(Invalid):
    """This text is no receipt; `params` name the part that is wrong."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log.

    origin: the log's name, a URL prefix without scheme and trailing slash. size: number of leaves.
    root: 32 bytes. extensions: further lines, which we read but never write.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns the signed text."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Returns the checkpoint of a text that has one spelling only. Raises CheckpointMalformed.

    The text is believed only when it comes from `open_checkpoint` or an opened note.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise CheckpointMalformed("checkpoint_form", part="lines")
    origin, size, root, *extensions = lines
    if not _DECIMAL.fullmatch(size) or int(size) > MAX_SIZE:
        raise CheckpointMalformed("checkpoint_form", part="size")
    try:
        root_hash = decode_base64(root)
    except ValueError as err:
        raise CheckpointMalformed("checkpoint_form", part="root") from err
    if len(root_hash) != HASH_BYTES or (size == "0" and root_hash != EMPTY_ROOT):
        raise CheckpointMalformed("checkpoint_form", part="root")
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> str:
    """Returns the checkpoint as a signed note.

    Raises CheckpointMalformed if it could not be read back as it is.
    """
    text = checkpoint.text()
    if not is_key_name(checkpoint.origin) or parse_checkpoint(text) != checkpoint:
        raise CheckpointMalformed("checkpoint_form", part="origin")
    return sign_note(text, *signers)


def open_checkpoint(
    note: str | bytes, vkeys: Sequence[VerifierKey], *, origin: str | None = None
) -> Checkpoint:
    """Returns the checkpoint of a note that one of `vkeys` signed.

    origin: the log it must be of, where the caller knows. Raises what `open_note` raises,
    CheckpointMalformed or OriginDiffers.
    """
    checkpoint = parse_checkpoint(open_note(note, vkeys).text)
    if origin is not None and checkpoint.origin != origin:
        raise OriginDiffers("checkpoint_origin", expected=origin, got=checkpoint.origin)
    return checkpoint


# ------------------------------------------------------------------------------------ receipts


class Receipt(NamedTuple):
    """The service's word that it has taken a record.

    stream: canonical name. hash: the record's 32 bytes. publish_by: when at the latest a signed
    checkpoint will cover it.
    """

    stream: str
    seq: int
    hash: bytes
    recorded_at: datetime
    publish_by: datetime

    def text(self) -> str:
        """Returns the signed text."""
        return (
            f"{_RECEIPT_MARK}\n{self.stream}\n{self.seq}\n{self.hash.hex()}\n"
            f"{format_time(self.recorded_at)}\n{format_time(self.publish_by)}\n"
        )


def parse_receipt(text: str) -> Receipt:
    """Returns the receipt of a text that has one spelling only. Raises ReceiptMalformed."""
    lines = text.split("\n")
    if len(lines) != 7 or lines[0] != _RECEIPT_MARK or lines[6] != "":
        raise ReceiptMalformed("receipt_form", part="lines")
    _, stream, seq, digest, recorded_at, publish_by, _ = lines
    if not stream or not _DECIMAL.fullmatch(seq) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ReceiptMalformed("receipt_form", part="record")
    try:
        receipt = Receipt(
            stream, int(seq), bytes.fromhex(digest), parse_time(recorded_at), parse_time(publish_by)
        )
    except ValueError as err:
        raise ReceiptMalformed("receipt_form", part="time") from err
    if receipt.text() != text:
        raise ReceiptMalformed("receipt_form", part="time")
    return receipt


def sign_receipt(receipt: Receipt, signer: Signer) -> str:
    """Returns the receipt as a signed note."""
    return sign_note(receipt.text(), signer)


def open_receipt(note: str | bytes, vkey: VerifierKey) -> Receipt:
    """Returns the receipt of a note that `vkey` signed.

    Raises what `open_note` raises, or ReceiptMalformed.
    """
    return parse_receipt(open_note(note, [vkey]).text)
