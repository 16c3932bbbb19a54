"""What a receipt proves, and that the check of receipts which every fault is followed by can fail."""

from __future__ import annotations

import base64

import pytest

from app.ledger import logstore
from app.ledger.fsck import LogCheck
from app.ledger.record import stream_key
from tests.faults.life import PUBLISH_WITHIN, Life, served_keys
from tests.faults.receipts import ReceiptBroken, check_receipts
from tests.ledger.drills import flipped
from tests.ledger.ledgers import UNIT, check_log


def check(life: Life, *receipts: str, **more) -> None:
    with life.ledger.database.read() as connection:
        given = receipts or life.receipts.values()
        check_receipts(connection, given, **{**served_keys(life.ledger), **more})


def lose_newest(life: Life) -> None:
    """Takes a stream's newest record away, before the log had it, as though it had never been."""
    ledger = life.ledger
    last, before = ledger.sql(
        "SELECT seq, hash, recorded_at FROM record WHERE stream = ? ORDER BY seq DESC LIMIT 2",
        stream_key(UNIT),
    )
    for table in ("record", "unsequenced"):
        where = "stream = ? AND seq = ?"
        ledger.sql(f"DELETE FROM {table} WHERE {where}", stream_key(UNIT), last.seq)
    ledger.sql(
        "UPDATE head SET seq = ?, hash = ?, recorded_at = ? WHERE stream = ?",
        before.seq, bytes(before.hash), before.recorded_at, stream_key(UNIT),
    )  # fmt: skip


def test_a_record_that_is_lost_without_a_trace_is_proven_by_its_receipt_alone(ledger):
    life = Life(ledger).begin()
    life.turn()
    life.ask(*(one for one in life.sent.values() if one.claim.stream == UNIT))  # repeats
    told = len(life.receipts)
    life.settle()
    newest = life.ledger.add()
    life.acknowledge(newest)
    lose_newest(life)
    life.ledger.publish()
    # Nobody else knows that it ever was: audit, fsck and plain arithmetic find a whole ledger.
    check_log(life.ledger, records=told)
    with life.ledger.database.read() as connection:
        assert list(LogCheck(connection, life.ledger.signed(connection)).check()) == []
    with pytest.raises(ReceiptBroken, match=f"{UNIT}#{newest.seq}: the record .* is lost"):
        check(life)


def test_a_record_that_waits_is_not_published_yet(ledger):
    life = Life(ledger).begin()
    life.settle()
    life.acknowledge(life.ledger.add())
    with pytest.raises(ReceiptBroken, match="not in the published log"):
        check(life)
    life.ledger.sequence()  # in the tree, and not signed yet
    with pytest.raises(ReceiptBroken, match="not in the published log"):
        check(life)
    life.ledger.publisher.publish()
    check(life)


def test_a_promise_that_is_kept_late_is_not_kept(ledger, clock):
    life = Life(ledger).begin()
    clock.advance(PUBLISH_WITHIN.total_seconds())
    life.ledger.publish()
    check(life)
    life.acknowledge(life.ledger.add())
    clock.advance(PUBLISH_WITHIN.total_seconds() + 0.001)
    life.ledger.publish()
    with pytest.raises(ReceiptBroken, match="promised by"):
        check(life)
    # Who had seen the others there in time holds nothing against the service; nobody saw this one.
    life.look()
    with pytest.raises(ReceiptBroken, match="promised by"):
        check(life, kept=life.kept)


def test_a_receipt_is_believed_only_as_it_was_signed(sqlite_ledger):
    life = Life(sqlite_ledger).begin()
    life.settle()
    receipt = next(iter(life.receipts.values()))
    key = served_keys(life.ledger)["receipt_key"]
    check(life, receipt)
    text, _, signature = receipt.rpartition("\n\n")
    for other in (f"{text[:-1]}0\n\n{signature}", receipt.replace("\n0\n", "\n1\n"), text + "\n\n"):
        with pytest.raises(ReceiptBroken, match="sign"):
            check(life, other)
    with pytest.raises(ReceiptBroken, match="no signature by"):
        check(life, receipt, receipt_key=served_keys(life.ledger)["log_key"])
    name, _, encoded = key.split("+", 2)
    other_key = base64.b64encode(base64.b64decode(encoded)[:-1] + b"\x00").decode()
    with pytest.raises(ReceiptBroken, match="no key"):
        check(life, receipt, receipt_key=f"{name}+00000000+{other_key}")


def test_a_published_tree_that_is_not_the_signed_one_is_noticed(ledger):
    life = Life(ledger).begin()
    life.settle()
    with life.ledger.database.read() as connection:
        state = logstore.load_state(connection)
    assert state is not None
    ((data,),) = life.ledger.sql("SELECT data FROM tile WHERE level = -1")
    altered = flipped(bytes(data), len(data) - 1)
    life.ledger.sql("UPDATE tile SET data = ? WHERE level = -1", altered)
    with pytest.raises(ReceiptBroken, match=f"not the tree of {state.size}"):
        check(life)
