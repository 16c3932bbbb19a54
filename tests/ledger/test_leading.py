"""Several processes on one PostgreSQL: who lost the lease writes nothing, and all sign under one anchor."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError

from app.db.lease import Lease, NotLeading
from app.ledger import logstore
from app.ledger.adopting import adopt_anchor
from app.ledger.anchor import Anchor, AnchorMoved
from app.ledger.checkpoint import open_checkpoint
from app.ledger.logstore import Fenced
from app.ledger.publisher import AnchorBehind, AnchorForeign, Publisher
from app.ledger.sequencer import Sequencer
from app.ledger.served import load_checkpoint
from app.ledger.witnesses import Cosigning
from app.worker import Loop, Worker, log_loops
from tests.ledger.ledgers import Ledger, check_log, submission
from tests.sentences import explain

INTERVALS = {"sequence_interval_s": 1, "publish_interval_s": 1}


class Process:
    """What of a process matters to the log. `asleep`: it believes in its lease, whatever happened."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        anchor: Anchor | None = None,
        own_anchor: bool = False,
        cosigning: Cosigning | None = None,
        lease_s: float = 30,
    ) -> None:
        self.ledger = ledger
        self.lease = Lease(ledger.database, lease_s=lease_s)
        self.sequencer = Sequencer(ledger.database, lease=self.lease)
        self.anchor = anchor or ledger.anchor
        self.publisher = Publisher(
            ledger.database,
            signer=ledger.keys.log,
            frozen=ledger.keys.frozen,
            anchor=self.anchor,
            clock=ledger.clock,
            lease=self.lease,
            own_anchor=own_anchor,
            cosigning=cosigning,
        )

    def take_over(self) -> Process:
        """Leads, as if whoever led had not been heard of for its time."""
        until = time.monotonic() + 20
        while True:
            self.ledger.sql("UPDATE leader SET expires_at = 0")
            if self.lease.renew():
                return self
            assert time.monotonic() < until, "whoever leads renewed it in between, each time"

    def work(self, leaves: int = 3) -> None:
        self.ledger.record(*(submission() for _ in range(leaves)))
        while self.sequencer.sequence():
            pass
        self.publisher.publish()


@pytest.fixture
def ledger(postgresql_database_url: str, tmp_path: Path, clock):
    opened = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


def served_size(ledger: Ledger) -> int:
    with ledger.database.read() as connection:
        published = load_checkpoint(connection, ledger.keys.log.vkey)
    return 0 if published is None else published.size


def anchored_size(ledger: Ledger, anchor: Anchor) -> int:
    vkey = ledger.keys.log.vkey
    return open_checkpoint(anchor.read() or "", [vkey], origin=vkey.name).size


# --- fencing ------------------------------------------------------------------------------------


def test_one_works_after_the_other_and_the_log_is_one(ledger):
    first, second = Process(ledger), Process(ledger)
    first.work()
    with pytest.raises(NotLeading):
        second.work()
    second.take_over().work()
    with pytest.raises(Fenced):
        first.work()  # it has not looked at its lease since
    assert not first.lease.renew()
    first.take_over().work()
    # Also what was recorded by who might not sequence it: recording needs no lease.
    assert served_size(ledger) == 15
    check_log(ledger, records=15)


def test_who_slept_through_its_lease_extends_nothing(ledger):
    first, second = Process(ledger), Process(ledger)
    first.work()
    ledger.record(submission())
    second.take_over()
    with pytest.raises(Fenced):
        first.sequencer.sequence()
    assert ledger.size == 3
    assert second.sequencer.sequence() == 1
    check_log(ledger, records=4)


def test_who_slept_through_its_lease_anchors_nothing(ledger):
    first, second = Process(ledger), Process(ledger)
    first.work()
    before = ledger.anchor.read()
    ledger.record(submission())
    first.sequencer.sequence()
    second.take_over()
    with pytest.raises(Fenced):
        first.publisher.publish()
    assert (ledger.anchor.read(), served_size(ledger)) == (before, 3)
    second.publisher.publish()
    assert served_size(ledger) == 4
    check_log(ledger)


def test_who_sleeps_between_anchoring_and_serving_serves_nothing(ledger, monkeypatch):
    """The anchor is one, and what is anchored is committed: the next one serves that very note."""
    first, second = Process(ledger), Process(ledger)
    first.work()
    ledger.record(submission())
    first.sequencer.sequence()
    replace = first.anchor.replace

    def replace_and_sleep(**given):
        replace(**given)
        second.take_over()

    monkeypatch.setattr(first.anchor, "replace", replace_and_sleep)
    with pytest.raises(Fenced):
        first.publisher.publish()
    assert served_size(ledger) == 3
    note = ledger.anchor.read()
    assert second.publisher.publish().note == note
    assert served_size(ledger) == 4
    check_log(ledger)


def test_who_sleeps_just_before_anchoring_finds_another_note_there(ledger, monkeypatch):
    first, second = Process(ledger), Process(ledger, anchor=Anchor(ledger.keys_dir))
    first.work()
    ledger.record(submission())
    first.sequencer.sequence()
    replace = first.anchor.replace

    def sleep_and_replace(**given):
        second.take_over().work(2)
        replace(**given)

    monkeypatch.setattr(first.anchor, "replace", sleep_and_replace)
    with pytest.raises(AnchorMoved):
        first.publisher.publish()
    assert served_size(ledger) == 6
    check_log(ledger)


def signs_after_each_look(
    anchor: Anchor, other: Process, monkeypatch: pytest.MonkeyPatch, *, times: int
) -> list[str | None]:
    """Another one leads and signs just after the anchor was read, so often; returns what was read."""
    read, notes = anchor.read, []

    def read_and_sleep() -> str | None:
        notes.append(read())
        if len(notes) <= times:
            other.take_over().work(1)
        return notes[-1]

    monkeypatch.setattr(anchor, "read", read_and_sleep)
    return notes


def test_who_sleeps_between_anchor_and_tree_has_lost_and_has_no_old_anchor(ledger, monkeypatch):
    """What it then finds served was never in the anchor that it read: so is an old copy's."""
    first, second = Process(ledger), Process(ledger, anchor=Anchor(ledger.keys_dir))
    first.work()
    signs_after_each_look(first.anchor, second, monkeypatch, times=1)
    with pytest.raises(AnchorMoved):
        first.publisher.publish()
    assert not first.lease.renew()
    assert first.publisher.fault is None, "who leads now publishes"
    check_log(ledger, records=4)


def test_who_starts_beside_a_leader_looks_again(ledger, monkeypatch):
    first, starting = Process(ledger), Process(ledger, anchor=Anchor(ledger.keys_dir))
    first.work()
    notes = signs_after_each_look(starting.anchor, first, monkeypatch, times=2)
    starting.publisher.check_start()
    assert len(set(notes)) == 3


def test_an_anchor_that_is_another_one_at_each_look_ends_the_start(ledger, monkeypatch):
    first, starting = Process(ledger), Process(ledger, anchor=Anchor(ledger.keys_dir))
    first.work()
    notes = signs_after_each_look(starting.anchor, first, monkeypatch, times=100)
    with pytest.raises(AnchorBehind):
        starting.publisher.check_start()
    assert len(notes) < 12
    starting.publisher.check_start(signs=False)


def test_nobody_takes_over_while_a_checkpoint_is_being_served(ledger):
    """Whoever takes over then waits for that transaction: no checkpoint is served after it."""
    first, second = Process(ledger), Process(ledger)
    first.work()
    with ledger.database.write() as connection:
        logstore.check_epoch(connection, 1)
        with second.ledger.database.write() as other, pytest.raises(Exception, match="lock"):
            other.exec_driver_sql("SET LOCAL lock_timeout = 100")
            other.exec_driver_sql("UPDATE log_state SET epoch = 2")


# --- the anchor ---------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(ledger, tmp_path: Path) -> Anchor:
    """The anchor of a host that shares none, which has the keys."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Anchor(folder)


def test_an_anchor_folder_has_a_name_of_its_own_for_good(tmp_path):
    names = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        names.add(Anchor(tmp_path / name).identify())
        assert Anchor(tmp_path / name).identify() in names
    assert len(names) == 2
    assert all(len(name) == 32 for name in names)


def test_a_host_with_another_anchor_does_not_sign(ledger, elsewhere):
    first, second = Process(ledger), Process(ledger, anchor=elsewhere)
    first.work()
    second.take_over()
    for act in (second.publisher.check_start, second.publisher.publish):
        with pytest.raises(AnchorForeign) as found:
            act()
        assert found.value.params == {
            "known": ledger.anchor.identify(), "got": elsewhere.identify(),
        }  # fmt: skip
    assert elsewhere.read() is None
    assert served_size(ledger) == 3
    second.publisher.check_start(signs=False)  # it may serve what others sign


def test_two_hosts_that_begin_at_once_do_not_both_sign(ledger, elsewhere):
    """Neither anchor is known when they start; the first who signs decides."""
    first, second = Process(ledger), Process(ledger, anchor=elsewhere)
    second.publisher.check_start()
    first.work()
    second.take_over()
    ledger.record(submission())
    second.sequencer.sequence()
    with pytest.raises(AnchorForeign):
        second.publisher.publish()
    assert elsewhere.read() is None


def test_a_copy_of_the_whole_keys_folder_is_no_shared_anchor(ledger, tmp_path):
    """Its id is the same, but it does not hold what was signed since."""
    first = Process(ledger)
    first.work()
    shutil.copytree(ledger.keys_dir, tmp_path / "copy")
    first.work()
    second = Process(ledger, anchor=Anchor(tmp_path / "copy")).take_over()
    for act in (second.publisher.check_start, second.publisher.publish):
        with pytest.raises(AnchorBehind) as found:
            act()
        assert found.value.params == {"served": 6, "anchored": 3}


def test_who_cannot_reach_its_anchor_lets_others_lead_and_says_why(ledger, tmp_path):
    first = Process(ledger)
    first.work()
    shutil.copytree(ledger.keys_dir, tmp_path / "mount")
    gone = Process(ledger, anchor=Anchor(tmp_path / "mount")).take_over()
    shutil.rmtree(tmp_path / "mount")
    ledger.record(submission())
    gone.sequencer.sequence()
    rooms = mock.MagicMock(publisher=gone.publisher, lease=gone.lease)
    (publish,) = [loop for loop in log_loops(rooms, **INTERVALS) if loop.name == "publish"]
    with pytest.raises(FileNotFoundError):
        publish.work()
    assert not gone.lease.leads()
    assert gone.publisher.fault.params == {"why": "FileNotFoundError"}
    explain(gone.publisher.fault)
    assert first.lease.renew()  # at once
    first.work()
    assert served_size(ledger) == 7
    with pytest.raises(NotLeading):
        publish.work()
    assert gone.publisher.fault is not None  # it could not lead again


def test_who_is_alone_and_could_not_sign_for_a_while_signs_again_soon(ledger, monkeypatch, logs):
    """It steps down again and again, and nobody takes over: what was in its way has to pass."""
    alone = Process(ledger, lease_s=4)
    assert alone.lease.renew()
    publish, failed, signed = alone.publisher._publish, [], threading.Event()

    def fail_twice():
        if len(failed) < 2:
            failed.append(time.monotonic())
            raise OSError("no space left on device")
        published = publish()
        signed.set()
        return published

    monkeypatch.setattr(alone.publisher, "_publish", fail_twice)
    rooms = SimpleNamespace(publisher=alone.publisher, sequencer=alone.sequencer, lease=alone.lease)
    (loop,) = [loop for loop in log_loops(rooms, **INTERVALS) if loop.name == "publish"]
    lease = Loop("lease", alone.lease.keep, alone.lease.pause_s, everywhere=True)
    worker = Worker([loop, lease], leads=alone.lease.leads)
    ledger.add()
    alone.sequencer.sequence()
    worker.start()
    try:
        assert signed.wait(60)
        again = time.monotonic()
    finally:
        worker.stop()
    assert served_size(ledger) == 1
    assert again - failed[-1] < 8, "two seconds on an idle machine"
    assert alone.publisher.fault is None
    assert sum(one["event"] == "worker.loop_failed" for one in logs) == 2


def test_a_database_that_does_not_answer_makes_nobody_step_down(ledger, monkeypatch):
    first = Process(ledger).take_over()
    error = OperationalError("SELECT 1", {}, Exception("gone"))
    monkeypatch.setattr(first.publisher, "_publish", mock.Mock(side_effect=error))
    rooms = mock.MagicMock(publisher=first.publisher, lease=first.lease)
    (publish,) = [loop for loop in log_loops(rooms, **INTERVALS) if loop.name == "publish"]
    with pytest.raises(OperationalError):
        publish.work()
    assert first.lease.leads()
    assert first.publisher.fault is not None
    Process(ledger).take_over()
    assert not first.lease.renew()
    assert first.publisher.fault is None, "who leads now publishes"


def test_what_the_database_said_is_told_by_its_own_name(ledger, monkeypatch):
    first = Process(ledger).take_over()
    error = OperationalError("SELECT 1", {}, LockNotAvailable("55P03"))
    monkeypatch.setattr(first.publisher, "_publish", mock.Mock(side_effect=error))
    with pytest.raises(OperationalError):
        first.publisher.publish()
    assert first.publisher.fault.params == {"why": "LockNotAvailable"}


def test_who_slept_through_its_lease_mends_no_final_checkpoint(ledger):
    first = Process(ledger)
    first.work()
    ledger.rotate()
    ledger.sql("UPDATE log_state SET epoch = 0")
    first, second = Process(ledger), Process(ledger)
    first.take_over()
    ledger.sql("DELETE FROM checkpoint WHERE log = 0")
    second.take_over()
    with pytest.raises(Fenced):
        first.publisher.publish()
    assert ledger.sql("SELECT size FROM checkpoint WHERE log = 0") == []
    second.publisher.publish()
    assert ledger.sql("SELECT size FROM checkpoint WHERE log = 0") == [(4,)]


def test_an_anchor_that_is_adopted_is_brought_up_to_what_was_served(ledger, elsewhere):
    Process(ledger).work()
    told = adopt_anchor(ledger.database, elsewhere, ledger.keys.logs)
    assert told is not None
    assert (told.size, anchored_size(ledger, elsewhere)) == (3, 3)
    second = Process(ledger, anchor=elsewhere).take_over()
    second.work()
    assert served_size(ledger) == 6
    third = Process(ledger).take_over()
    with pytest.raises(AnchorForeign):
        third.publisher.check_start()


def test_sqlite_alone_minds_no_anchors_name(databases, tmp_path, clock, elsewhere):
    """One folder, one process: a deployment that is moved keeps its anchor and needs no word of it."""
    url = databases.new(tmp_path / "one", kind="sqlite")
    ledger = Ledger(url, tmp_path / "one-keys", clock=clock)
    ledger.add()
    ledger.publish()
    with ledger.database.read() as connection:
        assert logstore.anchor_of_log(connection) is None
    assert not (tmp_path / "one-keys" / "anchor.id").exists()
    ledger.close()
