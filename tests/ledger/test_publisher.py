"""The publisher: signs nothing that does not extend what was signed, whatever the database says."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from app.ledger import logstore
from app.ledger.anchor import AnchorMoved
from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.merkle import EMPTY_ROOT, edge_append, edge_root, leaf_hash
from app.ledger.note import NoteMalformed, NoteSigner, NoteUnsigned
from app.ledger.publisher import (
    AnchorMissing,
    DatabaseBehindAnchor,
    DatabaseContradictsAnchor,
    LogFault,
    LogOfOtherOrigin,
    Publisher,
)
from app.ledger.record import record_hash, stream_key
from app.ledger.served import load_checkpoint
from app.ledger.verifier import Problem
from tests.ledger.ledgers import ORIGIN, OTHER, UNIT, check_log, submission
from tests.sentences import explain


def anchored(ledger) -> Checkpoint:
    return open_checkpoint(ledger.anchor.read(), [ledger.keys.log.vkey])


def refused(ledger, fault: type[LogFault]) -> None:
    """Neither starting nor publishing goes on, and nothing is signed."""
    note = ledger.anchor.read()
    for act in (ledger.publisher.check_start, ledger.publisher.publish):
        with pytest.raises(fault) as found:
            act()
        explain(found.value)
    assert ledger.anchor.read() == note


def test_an_empty_log_is_signed_too(ledger):
    ledger.publisher.check_start()
    published = ledger.publisher.publish()
    assert (published.size, published.root) == (0, EMPTY_ROOT)
    assert ledger.publisher.publish() is None
    check_log(ledger, records=0)


def test_each_checkpoint_extends_the_one_before(ledger, clock):
    sizes = []
    for n in (1, 3, 4):
        ledger.record(*(submission() for _ in range(n)))
        ledger.sequence()
        clock.advance(1)
        published = ledger.publisher.publish()
        assert ledger.anchor.read() == published.note
        assert anchored(ledger) == Checkpoint(ORIGIN, published.size, published.root)
        sizes.append(published.size)
        ledger.reopen()
        ledger.publisher.check_start()
        assert ledger.publisher.publish() is None
    assert sizes == [1, 4, 8]
    check_log(ledger, records=8)


def test_what_is_not_sequenced_is_not_signed(ledger):
    ledger.add()
    assert ledger.publisher.publish().size == 0
    ledger.sequence()
    ledger.add()
    assert ledger.publisher.publish().size == 1
    check_log(ledger, records=2)


def test_several_chunks_are_one_tree(quick_ledger, monkeypatch):
    from app.ledger import publisher

    monkeypatch.setattr(publisher, "_CHUNK", 3)
    monkeypatch.setattr(logstore, "_CHUNK", 3)
    monkeypatch.setattr(logstore, "_BODIES", 2)
    quick_ledger.grow(7)
    quick_ledger.publish()
    quick_ledger.grow(4)
    (quick_ledger.keys_dir / "anchor.edge").unlink()
    quick_ledger.publish()
    check_log(quick_ledger, records=11)


# ------------------------------------------------------------------ another database than signed


def test_an_old_copy_of_the_database_is_refused(ledger):
    ledger.record(submission(), submission())
    ledger.publish()
    with ledger.database.read() as connection:
        old = logstore.load_state(connection)
    ledger.add()
    ledger.publish()
    # As a restored backup has it: smaller tree, its own checkpoint.
    ledger.sql("UPDATE log_state SET size = ?, root = ?, edge = ?", 2, old.root, b"".join(old.edge))
    ledger.sql("DELETE FROM log_leaf WHERE leaf_index = 2")
    ledger.sql("DELETE FROM checkpoint WHERE size = 3")
    refused(ledger, DatabaseBehindAnchor)


def test_another_root_at_the_signed_size_is_refused(ledger):
    ledger.record(submission(), submission())
    ledger.publish()
    ledger.sql("UPDATE log_state SET root = ?", b"\x01" * 32)
    refused(ledger, DatabaseContradictsAnchor)


def test_an_old_copy_that_grew_past_the_anchor_is_not_signed(ledger):
    """A backup restored while the service was stopped, then fed: as large, but another log."""
    ledger.record(submission(), submission())
    ledger.publish()
    ledger.sql("DELETE FROM log_leaf")
    ledger.sql("INSERT INTO unsequenced SELECT stream, seq, recorded_at, hash FROM record")
    ledger.sql("DELETE FROM tile")
    ledger.sql("UPDATE log_state SET size = 0, root = ?, edge = ?", EMPTY_ROOT, b"")
    ledger.sql("UPDATE record SET hash = ?, body = ? WHERE seq = 0", b"\x01" * 32, b"{}")
    ledger.sql("UPDATE unsequenced SET hash = ? WHERE seq = 0", b"\x01" * 32)
    ledger.record(submission(), submission(OTHER))
    ledger.sequence()
    with pytest.raises(LogFault):
        ledger.publisher.publish()
    assert anchored(ledger).size == 2
    (ledger.keys_dir / "anchor.edge").unlink()
    with pytest.raises(LogFault):
        ledger.publisher.publish()
    assert anchored(ledger).size == 2


def test_a_database_whose_anchor_is_gone_is_refused(ledger):
    ledger.add()
    ledger.publish()
    (ledger.keys_dir / "anchor").unlink()
    refused(ledger, AnchorMissing)


def test_the_keys_of_another_log_sign_nothing(ledger):
    ledger.publish()
    ledger.sql("UPDATE log_state SET origin = 'another.test/log'")
    refused(ledger, LogOfOtherOrigin)


def test_an_anchor_that_this_key_did_not_sign_is_refused(ledger):
    ledger.add()
    ledger.publish()
    theirs = NoteSigner(ORIGIN, b"\x09" * 32)
    (ledger.keys_dir / "anchor").write_text(
        sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), theirs)
    )
    with pytest.raises(NoteUnsigned):
        ledger.publisher.check_start()
    for damaged in (b"", b"\xff\xfe", b"suxin.test/log\n1\n"):
        (ledger.keys_dir / "anchor").write_bytes(damaged)
        with pytest.raises(NoteMalformed):
            ledger.publisher.publish()


def test_a_log_that_was_never_begun_is_not_signed(ledger):
    ledger.sql("DELETE FROM log_state")
    refused(ledger, LogFault)


# ------------------------------------------------------------------ what was lost on the way


@pytest.mark.parametrize("damage", ["gone", "empty", "wrong", "not text", "ahead"])
def test_the_log_goes_on_over_a_lost_edge(ledger, damage):
    for _ in range(5):
        ledger.add()
    ledger.publish()
    path = ledger.keys_dir / "anchor.edge"
    match damage:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "wrong":
            path.write_text("AAAA\n" * 2)
        case "not text":
            path.write_bytes(b"\xff\x00")
        case "ahead":
            # A crash between the edge and its note.
            edge = edge_append(0, (), [leaf_hash(bytes([n]) * 32) for n in range(6)])
            ledger.anchor.replace(old=ledger.anchor.read(), new=ledger.anchor.read(), edge=edge)
    ledger.reopen()
    ledger.publisher.check_start()
    ledger.add()
    ledger.publish()
    assert anchored(ledger).size == 6
    kept = ledger.anchor.read_edge()
    assert edge_root(6, kept) == anchored(ledger).root
    check_log(ledger, records=6)


class DiesBeforeServing:
    """A database that is gone when the checkpoint is to be served."""

    def __init__(self, database) -> None:
        self._database = database

    def __getattr__(self, name):
        return getattr(self._database, name)

    @contextmanager
    def write(self):
        raise OperationalError("BEGIN", {}, sqlite3.OperationalError("gone"))
        yield


def test_a_death_between_anchor_and_checkpoint_serves_what_was_signed(ledger, clock):
    ledger.add()
    ledger.publish()
    ledger.add()
    ledger.sequence()
    dying = Publisher(
        DiesBeforeServing(ledger.database),
        signer=ledger.keys.log,
        anchor=ledger.anchor,
        clock=clock,
    )
    with pytest.raises(OperationalError):
        dying.publish()
    signed = ledger.anchor.read()
    assert anchored(ledger).size == 2
    ledger.reopen()
    ledger.publisher.check_start()
    assert ledger.publisher.publish().note == signed
    assert ledger.publisher.publish() is None
    check_log(ledger, records=2)


def test_a_death_before_the_first_checkpoint_is_served_is_no_missing_anchor(ledger, clock):
    dying = Publisher(
        DiesBeforeServing(ledger.database),
        signer=ledger.keys.log,
        anchor=ledger.anchor,
        clock=clock,
    )
    with pytest.raises(OperationalError):
        dying.publish()
    ledger.publisher.check_start()
    assert ledger.publisher.publish().size == 0
    check_log(ledger, records=0)


def test_a_checkpoint_row_that_was_changed_is_served_again_as_signed(ledger):
    ledger.add()
    ledger.publish()
    ledger.sql("UPDATE checkpoint SET note = 'forged'")
    ledger.publisher.check_start()
    assert ledger.publisher.publish().note == ledger.anchor.read()
    check_log(ledger, records=1)


FOREIGN = {
    "beyond the tree": (10**7, "junk"),
    "at the tree's size": (2, "junk"),
    "before it": (1, ""),
    "signed by somebody else": (
        2, sign_checkpoint(Checkpoint(ORIGIN, 2, b"\x05" * 32), NoteSigner(ORIGIN, b"\x09" * 32)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", FOREIGN)
def test_a_foreign_checkpoint_row_is_not_served_is_reported_and_goes(ledger, how):
    size, note = FOREIGN[how]
    ledger.add()
    ledger.publish()
    signed = ledger.anchor.read()
    ledger.add()
    ledger.sequence()
    ledger.sql("DELETE FROM checkpoint WHERE size = ?", size)
    ledger.sql(
        "INSERT INTO checkpoint (log, size, root, note, published_at) VALUES (0, ?, ?, ?, ?)",
        size,
        b"\x05" * 32,
        note,
        1,
    )
    with ledger.database.read() as connection:
        served = load_checkpoint(connection, ledger.keys.log.vkey)
    assert (served.note if served else None) == (None if size == 1 else signed)
    evidence = {"size": str(size), "log": ORIGIN}
    mismatch = Problem("log.checkpoint_mismatch", None, evidence=evidence)
    assert ledger.problems() == [mismatch]
    ledger.publisher.check_start()
    assert ledger.publisher.publish().note == ledger.anchor.read() != signed
    assert ledger.reported == [mismatch]
    check_log(ledger, records=2)


def test_a_foreign_checkpoint_row_goes_even_where_nothing_is_new(ledger):
    ledger.add()
    ledger.publish()
    ledger.sql(
        "INSERT INTO checkpoint (log, size, root, note, published_at) VALUES (0, ?, ?, ?, ?)",
        10**7,
        b"",
        "junk",
        1,
    )
    assert ledger.publisher.publish().note == ledger.anchor.read()
    assert ledger.publisher.publish() is None
    check_log(ledger, records=1)


def test_no_number_of_foreign_rows_hides_the_signed_one(quick_ledger):
    ledger = quick_ledger
    ledger.add()
    ledger.publish()
    ledger.grow(300)
    ledger.sql(
        "INSERT INTO checkpoint (log, size, root, note, published_at)"
        " SELECT 0, leaf_index + 2, hash, 'junk', 1 FROM log_leaf"
    )
    with ledger.database.read() as connection:
        assert load_checkpoint(connection, ledger.keys.log.vkey).size == 1
    ledger.publisher.publish()
    check_log(ledger, records=301)
    assert ledger.sql("SELECT count(*) FROM checkpoint WHERE note = 'junk'") == [(0,)]


def test_of_two_who_sign_the_second_notices(ledger, monkeypatch):
    ledger.add()
    ledger.publish()
    ledger.add()
    ledger.sequence()
    second = Publisher(
        ledger.database, signer=ledger.keys.log, anchor=ledger.anchor, clock=ledger.clock
    )
    read = ledger.anchor.read
    seen = [read()]
    monkeypatch.setattr(
        ledger.anchor, "read", lambda: seen.pop() if seen else read()
    )  # it looked before the other one signed
    ledger2 = ledger.anchor.__class__(ledger.keys_dir)
    Publisher(ledger.database, signer=ledger.keys.log, anchor=ledger2, clock=ledger.clock).publish()
    with pytest.raises(AnchorMoved):
        second.publish()
    check_log(ledger, records=2)


@pytest.mark.parametrize("act", ["start", "publish"])
def test_of_two_who_sign_for_the_first_time_the_second_misses_no_anchor(ledger, monkeypatch, act):
    """Two leaders at once met it: no anchor when it looked, and a checkpoint a moment later."""
    ledger.add()
    ledger.sequence()
    theirs = ledger.anchor.__class__(ledger.keys_dir)
    other = Publisher(ledger.database, signer=ledger.keys.log, anchor=theirs, clock=ledger.clock)
    read = ledger.anchor.read

    def read_just_before() -> str | None:
        note = read()
        other.publish()
        return note

    monkeypatch.setattr(ledger.anchor, "read", read_just_before)
    if act == "start":
        ledger.publisher.check_start()
    else:
        with pytest.raises(AnchorMoved):
            ledger.publisher.publish()
    monkeypatch.undo()
    assert ledger.publisher.publish() is None
    check_log(ledger, records=1)


# ------------------------------------------------------------------ what was altered


def test_an_altered_body_is_the_audits_matter_and_does_not_stop_publishing(ledger, logs):
    ledger.record(submission(UNIT), submission(OTHER))
    ledger.sequence()
    ledger.sql("UPDATE record SET body = ?", b'{"altered":1}')
    assert ledger.publisher.publish().size == 2
    assert sum(e["event"] == "publisher.record_altered" for e in logs) == 2
    assert [p.kind for p in ledger.problems()] == ["integrity.hash_mismatch"] * 2
    # What is in the signed log already is not asked about again.
    logs.clear()
    ledger.add("01/06901234567892/21/NEW")
    ledger.publish()
    assert not logs


def test_a_record_that_is_gone_does_not_stop_publishing(ledger):
    ledger.record(submission(), submission())
    ledger.sequence()
    ledger.sql("DELETE FROM record WHERE seq = 1")
    assert ledger.publisher.publish().size == 2
    assert [p.kind for p in ledger.problems()] == ["integrity.record_missing"]


@pytest.mark.parametrize("when", ["before its index", "after it"])
def test_a_record_hashed_again_before_it_was_signed_does_not_stop_publishing(ledger, logs, when):
    """What was promised is signed, as queue and tree say it; the audit reports the record."""
    ledger.publish()
    ledger.record(submission(UNIT), submission(OTHER))
    if when == "after it":
        ledger.sequence()
    change = "UPDATE record SET body = ?, hash = ? WHERE stream = ?"
    ledger.sql(change, b"{}", record_hash(b"{}"), stream_key(UNIT))
    ledger.sequence()
    assert ledger.publisher.publish().size == 2
    assert [e["leaf_index"] for e in logs if e["event"] == "publisher.record_altered"]
    found = {(p.kind, p.stream, p.seq) for p in ledger.problems()}
    assert ("integrity.leaf_mismatch", UNIT, 0) in found
    ledger.add(OTHER)
    ledger.publish()
    assert anchored(ledger).size == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_leaf SET hash = x WHERE leaf_index = 1",
        "DELETE FROM log_leaf WHERE leaf_index = 1",
        "DELETE FROM log_leaf WHERE leaf_index = 2",
        "UPDATE tile SET data = x WHERE level = 0",
    ],
)
def test_an_altered_leaf_or_tile_that_is_not_signed_yet_does_not_stop_publishing(ledger, statement):
    ledger.publish()
    for _ in range(3):
        ledger.add()
    ledger.sequence()
    with ledger.database.read() as connection:
        root = logstore.load_state(connection).root
    values = [b"\x01" * 32] if " x" in statement else []
    ledger.sql(statement.replace("= x", "= ?"), *values)
    assert ledger.publisher.publish().root == root
    assert {p.kind.split(".")[0] for p in ledger.problems()} == {"log"}


def test_a_tree_that_nothing_explains_is_not_signed(ledger):
    ledger.publish()
    for _ in range(3):
        ledger.add()
    ledger.sequence()
    ledger.sql("UPDATE log_state SET root = ?", b"\x01" * 32)
    with pytest.raises(DatabaseContradictsAnchor) as found:
        ledger.publisher.publish()
    explain(found.value)
    assert anchored(ledger).size == 0
    assert ledger.publisher.fault is found.value


def test_an_altered_leaf_or_tile_of_the_signed_log_does_not_stop_publishing(ledger):
    ledger.record(submission(), submission())
    ledger.publish()
    ledger.sql("UPDATE log_leaf SET hash = ? WHERE leaf_index = 0", b"\x01" * 32)
    ledger.sql("DELETE FROM tile")
    ledger.add()
    ledger.publish()
    assert anchored(ledger).size == 3
    assert ledger.problems()
