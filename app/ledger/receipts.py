"""Receipts: the service's signed word, with every answer, that it has taken a record.

A receipt is a pure function of the record and the key, so a repeated request gets the same one.
"""

from __future__ import annotations

from datetime import timedelta

from app.ledger.checkpoint import Receipt, sign_receipt
from app.ledger.note import NoteSigner, VerifierKey
from app.ledger.submission import Recorded


class Receipts:
    """Signs receipts. publish_within: the longest time from commit to a signed checkpoint."""

    def __init__(self, signer: NoteSigner, *, publish_within: timedelta) -> None:
        self._signer = signer
        self.publish_within = publish_within

    @property
    def vkey(self) -> VerifierKey:
        """The key that receipts verify with."""
        return self._signer.vkey

    def issue(self, recorded: Recorded) -> str:
        """Returns the receipt of a record as a signed note."""
        receipt = Receipt(
            recorded.stream,
            recorded.seq,
            recorded.hash,
            recorded.recorded_at,
            recorded.recorded_at + self.publish_within,
        )
        return sign_receipt(receipt, self._signer)
