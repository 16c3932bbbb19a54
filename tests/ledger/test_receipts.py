"""Receipts: the same record gets the same receipt, and anybody can open it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.ledger.checkpoint import open_receipt
from app.ledger.note import NoteSigner
from app.ledger.receipts import Receipts
from app.ledger.submission import Recorded

RECORDED = Recorded(
    stream="01/06901234567892/21/8F3K2M9QZ7AB",
    seq=3,
    id="0192f3a0-0000-7000-8000-000000000001",
    type="sale",
    hash=b"\xab" * 32,
    prev=bytes(32),
    recorded_at=datetime(2026, 11, 23, 7, 0, 1, 123_000, tzinfo=UTC),
    body=b"{}",
    replayed=False,
)
RECEIPTS = Receipts(
    NoteSigner("suxin.test/log/receipt", b"\x01" * 32), publish_within=timedelta(seconds=60)
)


def test_a_receipt_says_what_was_taken_and_until_when_it_is_published():
    note = RECEIPTS.issue(RECORDED)
    lines = [
        "suxin-receipt/1",
        "01/06901234567892/21/8F3K2M9QZ7AB",
        "3",
        "ab" * 32,
        "2026-11-23T07:00:01.123Z",
        "2026-11-23T07:01:01.123Z",
    ]
    assert note.startswith("\n".join([*lines, "", "— suxin.test/log/receipt "]))
    receipt = open_receipt(note, RECEIPTS.vkey)
    assert (receipt.stream, receipt.seq, receipt.hash) == (RECORDED.stream, 3, RECORDED.hash)


def test_a_repeat_gets_the_same_receipt():
    assert RECEIPTS.issue(RECORDED) == RECEIPTS.issue(RECORDED)
