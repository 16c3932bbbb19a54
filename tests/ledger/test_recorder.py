"""The one write path: what is answered is what is written, whatever fails beside it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from app.kit.errors import Conflict, Fault, Overloaded, Unavailable
from app.ledger import recorder as recorder_module
from app.ledger.recorder import Recorder
from app.ledger.stage import ClockBehind, IdConflict
from app.ledger.submission import Abandoned, Draft, Effect, Recorded
from tests.ledger.ledgers import (
    OTHER,
    PRODUCT,
    UNIT,
    check_log,
    count,
    make_seal,
    new_id,
    referring,
    submission,
)
from tests.sentences import explain


class Refused(Conflict):
    """A rule's refusal."""


def refuse(claim, view) -> Draft:
    raise Refused("abandoned")


def stumble(claim, view) -> Draft:
    raise KeyError("a bug in a room's rules")


def rows(ledger, table: str = "record") -> int:
    with ledger.database.read() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


# ------------------------------------------------------------------ what is written


def test_records_of_a_stream_are_linked_in_order(ledger):
    answers = [ledger.add(data={"n": n}) for n in range(3)]
    assert [a.seq for a in answers] == [0, 1, 2]
    assert [a.prev for a in answers[1:]] == [a.hash for a in answers[:-1]]
    assert answers[0].prev == bytes(32)
    check_log(ledger, records=3)


def test_claims_of_one_request_see_each_other(ledger):
    seen = []

    def look(claim, view) -> Draft:
        seen.append((view.heads[UNIT].seq, view.heads[UNIT].state.get("count", 0)))
        return count(claim, view)

    ledger.record(*(submission(decide=look) for _ in range(3)))
    ledger.add(decide=look)
    assert seen == [(-1, 0), (0, 1), (1, 2), (2, 3)]
    check_log(ledger, records=4)


def test_a_reference_holds_the_hash_of_the_record_also_of_one_in_the_same_request(ledger):
    product = ledger.add(PRODUCT)
    unit, other = ledger.record(
        referring((PRODUCT, 0)), referring((UNIT, 0), (PRODUCT, 0), stream=OTHER)
    )
    ledger.publish()
    check_log(ledger, records=3)
    assert product.hash.hex() in unit.body.decode()
    assert unit.hash.hex() in other.body.decode()


def test_effects_are_written_by_their_kinds_writer_in_the_records_transaction(ledger):
    def mark(connection, found):
        for row in found:
            connection.exec_driver_sql("INSERT INTO cursor VALUES ('{name}', 1, 1)".format(**row))

    def decide(claim, view) -> Draft:
        return Draft({}, effects=(Effect("mark", {"name": claim.data["name"]}),))

    ledger.writers["mark"] = mark
    ledger.record(*(submission(data={"name": n}, decide=decide) for n in ("a", "b")))
    assert rows(ledger, "cursor") == 2


def test_a_record_is_never_dated_before_the_one_it_follows(ledger, clock):
    first = ledger.add()
    clock.advance(-3)
    second = ledger.add()
    assert second.recorded_at == first.recorded_at
    check_log(ledger, records=2)


def test_a_clock_far_behind_refuses_that_stream_only(ledger, clock, logs):
    ledger.add()
    clock.advance(-5)
    ledger.add()  # five seconds are waited out
    clock.advance(-0.001)
    behind, other = ledger.record(submission(UNIT), submission(OTHER))
    assert isinstance(behind, ClockBehind)
    assert behind.slug == "unavailable"
    assert behind.retry_after_s
    explain(behind)
    assert isinstance(other, Recorded)
    assert [e["log_level"] for e in logs if e["event"] == "recorder.clock_behind"] == ["error"]
    clock.advance(1)
    ledger.add()
    check_log(ledger, records=4)


# ------------------------------------------------------------------ repeats


def test_a_repeat_gives_the_first_answer_again(ledger):
    given = submission(data={"list": (1, 2)})
    first = ledger.add(given)
    again = ledger.add(given)
    assert again.replayed
    assert not first.replayed
    assert (again.seq, again.hash, again.body) == (first.seq, first.hash, first.body)
    check_log(ledger, records=1)


@pytest.mark.parametrize("atomic", [True, False])
def test_a_repeat_within_one_request_is_one_record(ledger, atomic):
    given = submission()
    first, again = ledger.record(given, given, atomic=atomic)
    assert again.replayed
    assert again.hash == first.hash
    check_log(ledger, records=1)


@pytest.mark.parametrize("together", [True, False])
def test_a_repeat_sealed_with_another_salt_is_the_same_content(ledger, together):
    id_ = new_id()
    sent = [submission(id=id_, seals=[make_seal(salt=salt * 32)]) for salt in (b"a", b"b")]
    if together:
        first, again = ledger.record(*sent)
    else:
        first, again = ledger.add(sent[0]), ledger.add(sent[1])
    assert again.replayed
    assert again.hash == first.hash
    check_log(ledger, records=1)


OTHER_CONTENT = (
    {"data": {"n": 2}},
    {"type": "void"},
    {"actor": "92441202MA4TE5T01M"},
    {"via": "91441204MA4TE5T02Q"},
    {"seals": [make_seal(content={"number": "TEST0000000002"})]},
    {"seals": [make_seal("order")]},
    {"seals": []},
)


@pytest.mark.parametrize("together", [True, False])
def test_the_same_id_with_other_content_is_a_conflict(ledger, together):
    for other in OTHER_CONTENT:
        told = {"id": new_id(), "data": {"n": 1}, "seals": [make_seal()]}
        sent = [submission(**told), submission(**(told | other))]
        if together:
            first, conflict = ledger.record(*sent)
        else:
            first, (conflict,) = ledger.add(sent[0]), ledger.record(sent[1])
        assert isinstance(first, Recorded)
        assert isinstance(conflict, IdConflict), other
        explain(conflict)
    check_log(ledger, records=len(OTHER_CONTENT))


def test_a_repeat_need_not_agree_on_a_time_that_the_sender_did_not_name(ledger):
    given = submission(time_given=False)
    later = submission(id=given.claim.id, time_given=False)
    later = later._replace(claim=later.claim._replace(occurred_at=ledger.clock.now()))
    first, again = ledger.record(given, later)
    assert again.replayed
    assert again.hash == first.hash
    timed = later._replace(time_given=True)
    assert isinstance(ledger.record(timed)[0], IdConflict)


def test_a_repeat_of_an_erased_section_compares_its_name_alone(ledger):
    given = submission(seals=[make_seal()])
    first = ledger.add(given)
    ledger.sql("UPDATE sealed_section SET sealed = NULL, wrapped_key = NULL, erased_at = 1")
    other = submission(id=first.id, seals=[make_seal(content={"number": "gone"})])
    assert ledger.add(other).replayed
    ledger.add(type="erasure", source="system", data={"of": first.id, "sections": ["waybill"]})
    check_log(ledger, records=2)


def test_one_id_may_stand_in_two_streams(ledger):
    id_ = new_id()
    first, second = ledger.record(submission(UNIT, id=id_), submission(OTHER, id=id_))
    assert not second.replayed
    assert first.hash != second.hash


# ------------------------------------------------------------------ refusals


def test_a_refused_neighbour_fails_alone_and_leaves_no_trace(ledger):
    answers = ledger.record(submission(), submission(decide=refuse), submission())
    assert [type(a) for a in answers] == [Recorded, Refused, Recorded]
    assert answers[2].prev == answers[0].hash
    check_log(ledger, records=2)


def test_a_bug_in_a_rule_fails_alone(ledger, logs):
    answers = ledger.record(submission(), submission(decide=stumble), submission())
    assert [type(a) for a in answers] == [Recorded, Fault, Recorded]
    assert answers[1].slug == "internal"
    assert any(e["event"] == "recorder.decision_failed" for e in logs)
    check_log(ledger, records=2)


def test_a_bug_in_what_a_rule_wants_to_see_fails_alone(ledger):
    def reads_after(head):
        raise KeyError("lot")

    answers = ledger.record(submission(), submission(OTHER, reads_after=reads_after), submission())
    assert [type(a) for a in answers] == [Recorded, Fault, Recorded]
    check_log(ledger, records=2)


UNWRITABLE = {
    "payload": Draft({}, outbox=(("told", {"n": object()}),)),
    "state": Draft({"n": {1, 2}}),
    "fact": Draft({}, facts={"key": object()}),
    "reference": Draft({}, refs=((OTHER, 7),)),
    "effect": Draft({}, effects=(Effect("nobody writes these", {}),)),
    "two rows of one topic": Draft({}, outbox=(("told", {}), ("told", {}))),
    "digest": Draft({}, side=(("waybill", 2.5),)),
}


def test_what_cannot_be_written_fails_alone(ledger):
    for n, (what, draft) in enumerate(UNWRITABLE.items()):
        if ledger.database.dialect == "sqlite" and what == "digest":
            continue  # SQLite takes any type in any column
        stream = f"{PRODUCT}/21/S{n}"
        bad = submission(stream, decide=lambda claim, view, draft=draft: draft)
        answers = ledger.record(submission(), bad, submission())
        assert [type(a) for a in answers] == [Recorded, Fault, Recorded], what
        assert answers[1].slug == "internal"
        # Nothing half done stays behind: the next record of that stream is its first.
        assert ledger.add(stream).seq == 0
    check_log(ledger)


def test_a_salt_of_the_wrong_length_fails_alone(ledger):
    answers = ledger.record(submission(OTHER, seals=[make_seal(salt=b"short")]), submission())
    assert [type(a) for a in answers] == [Fault, Recorded]
    check_log(ledger, records=1)


def test_an_id_that_is_none_fails_alone(ledger):
    ledger.add()
    answers = ledger.record(submission(), submission(id="no uuid"), submission(OTHER))
    assert [type(a) for a in answers] == [Recorded, Fault, Recorded]
    check_log(ledger, records=3)


def test_other_requests_of_a_batch_survive_one_that_cannot_be_written(ledger):
    clash = Draft({}, side=(("waybill", b"1"), ("waybill", b"2")))
    sent = [submission(UNIT), submission(OTHER, decide=lambda c, v: clash), submission(PRODUCT)]
    with paused(ledger.recorder):
        waiting = [in_thread(ledger.recorder, one) for one in sent]
    answers = [wait()[0] for wait in waiting]
    assert [type(a) for a in answers] == [Recorded, Fault, Recorded]
    check_log(ledger, records=2)


def test_an_event_that_is_too_large_is_refused(ledger):
    (fault,) = ledger.record(submission(data={"text": "x" * 65_536}))
    assert fault.slug == "too-large"
    explain(fault)
    check_log(ledger, records=0)


def test_two_names_with_one_key_are_never_mixed(ledger):
    ledger.add(UNIT)
    ledger.sql("UPDATE head SET name = 'another name with this key'")
    taken, other = ledger.record(submission(UNIT), submission(OTHER))
    assert taken.key == "stream_key_taken"
    explain(taken)
    assert isinstance(other, Recorded)


# ------------------------------------------------------------------ all or none


def test_all_or_none_writes_all(ledger):
    answers = ledger.record(submission(UNIT), submission(OTHER), submission(UNIT), atomic=True)
    assert [a.seq for a in answers] == [0, 0, 1]
    check_log(ledger, records=3)


def test_all_or_none_writes_nothing_when_one_is_refused(ledger):
    ledger.add(UNIT)
    answers = ledger.record(
        submission(UNIT), submission(OTHER, decide=refuse), submission(PRODUCT), atomic=True
    )
    assert [type(a) for a in answers] == [Abandoned, Refused, Abandoned]
    for fault in answers:
        explain(fault)
    # Its overlay is gone too: the next one follows what was there.
    assert ledger.add(UNIT).seq == 1
    check_log(ledger, records=2)


def test_all_or_none_and_its_neighbours_of_the_same_batch_see_each_other(ledger):
    with paused(ledger.recorder):
        waiting = [
            in_thread(ledger.recorder, submission(UNIT)),
            in_thread(ledger.recorder, submission(UNIT), submission(decide=refuse), atomic=True),
            in_thread(ledger.recorder, submission(UNIT), submission(OTHER), atomic=True),
            in_thread(ledger.recorder, submission(UNIT)),
        ]
    answers = [wait() for wait in waiting]
    assert [[getattr(a, "seq", None) for a in group] for group in answers] == [
        [0],
        [None, None],
        [1, 0],
        [2],
    ]
    check_log(ledger, records=4)


def test_all_or_none_that_cannot_be_written_writes_nothing(ledger):
    bad = submission(OTHER, decide=lambda c, v: UNWRITABLE["two rows of one topic"])
    answers = ledger.record(submission(), bad, atomic=True)
    assert {a.slug for a in answers} == {"internal"}
    check_log(ledger, records=0)


# ------------------------------------------------------------------ commits that fail


class Failing:
    """A database whose next commits fail: before anything is kept, or after everything is."""

    def __init__(self, database, *, persisted: bool, times: int = 1) -> None:
        self._database = database
        self._persisted = persisted
        self.times = times

    def __getattr__(self, name):
        return getattr(self._database, name)

    @contextmanager
    def write(self):
        if not self.times:
            with self._database.write() as connection:
                yield connection
            return
        self.times -= 1
        error = OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))
        if self._persisted:
            with self._database.write() as connection:
                yield connection
            raise error
        with self._database.write() as connection:
            yield connection
            raise CommitError("COMMIT", {}, error)


class CommitError(OperationalError):
    """Raised in the place of the commit, so that nothing is kept."""


@contextmanager
def recording_on(ledger, database):
    recorder = ledger.new_recorder(database)
    yield recorder
    recorder.close()


class Slow(Failing):
    """A database whose commits wait to be let through."""

    def __init__(self, database) -> None:
        super().__init__(database, persisted=True, times=0)
        self.reached, self.go = threading.Event(), threading.Event()

    @contextmanager
    def write(self):
        with self._database.write() as connection:
            yield connection
            self.reached.set()
            assert self.go.wait(10)


def test_nothing_is_answered_before_its_commit_has_returned(ledger):
    slow, told = Slow(ledger.database), []
    recorder = Recorder(
        slow,
        vault=ledger.vault,
        clock=ledger.clock,
        writers={},
        on_commit=lambda: told.append("commit"),
    )
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(recorder.submit_and_wait([submission()]))
    )
    thread.start()
    assert slow.reached.wait(10)
    time.sleep(0.05)
    assert (answers, told, rows(ledger)) == ([], [], 0)
    slow.go.set()
    thread.join(10)
    assert rows(ledger) == 1
    recorder.close()
    assert told == ["commit"]


def test_a_failed_commit_answers_unavailable_and_writes_nothing(ledger, logs):
    with recording_on(ledger, Failing(ledger.database, persisted=False)) as recorder:
        answers = recorder.submit_and_wait([submission(), submission(OTHER, decide=refuse)])
        assert all(isinstance(a, Unavailable) for a in answers)
        assert answers[0].retry_after_s
        explain(answers[0])
        assert any(e["log_level"] == "error" for e in logs)
        assert rows(ledger) == 0
        # It goes on: the same again is recorded now.
        assert isinstance(recorder.submit_and_wait([submission()])[0], Recorded)
    check_log(ledger, records=1)


def test_a_commit_that_failed_but_persisted_is_found_and_answered_as_done(ledger):
    given = submission()
    with recording_on(ledger, Failing(ledger.database, persisted=True)) as recorder:
        answers = recorder.submit_and_wait([given, given, submission(OTHER, decide=refuse)])
    assert [type(a) for a in answers] == [Recorded, Recorded, Refused]
    assert [a.replayed for a in answers[:2]] == [False, True]
    assert ledger.add(given).hash == answers[0].hash
    check_log(ledger, records=1)


def test_a_failed_commit_does_not_take_an_older_record_with_its_id_for_its_own(ledger):
    # Otherwise other content under a known id would be answered as recorded.
    first = ledger.add(data={"n": 1})
    conflict = submission(id=first.id, data={"n": 2})
    with recording_on(ledger, Failing(ledger.database, persisted=False)) as recorder:
        answers = recorder.submit_and_wait([conflict, submission(OTHER)])
    assert all(isinstance(a, Unavailable) for a in answers)
    check_log(ledger, records=1)


def test_a_database_that_does_not_answer_is_unavailable_for_all_and_tried_once(ledger):
    class Down(Failing):
        @contextmanager
        def write(self):
            self.times += 1
            raise OperationalError("BEGIN", {}, sqlite3.OperationalError("unable to open"))
            yield

    down = Down(ledger.database, persisted=False, times=0)
    with recording_on(ledger, down) as recorder:
        answers = recorder.submit_and_wait([submission() for _ in range(8)])
    assert all(isinstance(a, Unavailable) for a in answers)
    assert down.times == 1


def test_the_writer_outlives_whatever_is_told_of_a_commit(ledger):
    def told():
        raise RuntimeError("nobody listens")

    recorder = Recorder(
        ledger.database, vault=ledger.vault, clock=ledger.clock, writers={}, on_commit=told
    )
    answers = []
    thread = threading.Thread(
        target=lambda: answers.extend(
            recorder.submit_and_wait([submission()])[0] for _ in range(2)
        ),
        daemon=True,
    )
    thread.start()
    thread.join(10)
    assert [type(answer) for answer in answers] == [Recorded, Recorded]
    recorder.close()


# ------------------------------------------------------------------ the queue


@contextmanager
def paused(recorder):
    """Lets requests gather, so that they become one batch when the block ends."""
    go, started = threading.Event(), threading.Event()

    def hold(claim, view) -> Draft:
        started.set()
        go.wait(10)
        raise Refused("abandoned")

    held = submission("01/06901234567892/10/HOLD", decide=hold)
    thread = threading.Thread(target=lambda: recorder.submit_and_wait([held]))
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        go.set()
        thread.join()


def in_thread(recorder, *submissions, **options):
    """Queues in a paused recorder, from a thread; returns a function that waits for the answers."""
    answers = []
    before = recorder._queued
    thread = threading.Thread(
        target=lambda: answers.append(recorder.submit_and_wait(submissions, **options))
    )
    thread.start()
    deadline = time.monotonic() + 10
    while recorder._queued == before:
        assert time.monotonic() < deadline
        time.sleep(0.001)

    def wait():
        thread.join(20)
        assert not thread.is_alive()
        return answers[0]

    return wait


def test_a_full_queue_refuses_at_once_and_nothing_of_it_is_done(ledger, monkeypatch):
    monkeypatch.setattr(recorder_module, "MAX_QUEUE", 3)
    with paused(ledger.recorder):
        waiting = [in_thread(ledger.recorder, submission()) for _ in range(3)]
        with pytest.raises(Overloaded) as refused:
            ledger.recorder.submit_and_wait([submission()])
    assert refused.value.retry_after_s
    explain(refused.value)
    assert all(isinstance(wait()[0], Recorded) for wait in waiting)
    check_log(ledger, records=3)


def test_a_request_larger_than_the_queue_is_taken_when_it_is_empty(quick_ledger, monkeypatch):
    monkeypatch.setattr(recorder_module, "MAX_QUEUE", 3)
    assert len(quick_ledger.record(*(submission() for _ in range(5)))) == 5


def test_low_priority_waits_for_everything_else(quick_ledger):
    order = []

    def noting(name):
        def decide(claim, view) -> Draft:
            order.append(name)
            return count(claim, view)

        return decide

    recorder = quick_ledger.recorder
    with paused(recorder):
        waiting = [
            in_thread(recorder, submission(decide=noting("low")), low_priority=True),
            in_thread(recorder, submission(decide=noting("high"))),
        ]
    for wait in waiting:
        wait()
    assert order == ["high", "low"]


def test_closing_answers_what_is_queued_and_takes_no_more(ledger):
    with paused(ledger.recorder):
        wait = in_thread(ledger.recorder, submission())
    ledger.recorder.close()
    assert isinstance(wait()[0], Recorded)
    with pytest.raises(Unavailable):
        ledger.recorder.submit_and_wait([submission()])


def test_nothing_submitted_is_nothing_answered(quick_ledger):
    assert quick_ledger.recorder.submit_and_wait([]) == []
    assert asyncio.run(quick_ledger.recorder.submit([])) == []


# ------------------------------------------------------------------ many at once


def test_threads_and_loops_at_once_lose_and_fork_nothing(ledger):
    """Six threads and two event loops write the same streams; every answer is a record."""
    streams = [f"{PRODUCT}/21/S{n}" for n in range(4)]
    answered: list[Recorded] = []

    def by_threads():
        for n in range(12):
            answered.extend(ledger.record(submission(streams[n % 4]), submission(UNIT)))

    def by_loop():
        async def one(n):
            answers = await ledger.recorder.submit([submission(streams[n % 4])], atomic=n % 2 == 0)
            answered.extend(answers)

        async def many():
            await asyncio.gather(*(one(n) for n in range(20)))

        asyncio.run(many())

    threads = [threading.Thread(target=t) for t in [by_threads] * 6 + [by_loop] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered) == 6 * 24 + 2 * 20
    assert all(isinstance(a, Recorded) for a in answered)
    assert len({(a.stream, a.seq) for a in answered}) == len(answered)
    ledger.publish()
    check_log(ledger, records=len(answered))


def test_what_comes_in_with_one_turn_of_the_loop_is_one_batch(ledger, monkeypatch):
    batches: list[int] = []
    real = ledger.recorder._record

    def counted(works):
        batches.append(len(works))
        return real(works)

    monkeypatch.setattr(ledger.recorder, "_record", counted)

    async def many():
        asked = [ledger.recorder.submit([submission(f"{PRODUCT}/21/T{n}")]) for n in range(20)]
        return await asyncio.gather(*asked)

    answers = asyncio.run(many())

    assert all(isinstance(answer, Recorded) for (answer,) in answers)
    assert batches == [20]


def test_a_client_that_went_away_harms_nobody(ledger):
    async def leave():
        task = asyncio.create_task(ledger.recorder.submit([submission()]))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    assert isinstance(ledger.add(), Recorded)
    ledger.reopen()
    assert ledger.problems() == []


def test_two_processes_on_one_postgresql_lose_and_fork_no_seq(
    postgresql_database_url, tmp_path, clock
):
    """Two recorders with pools of their own write the same streams, some of them new."""
    from tests.ledger.ledgers import Ledger

    ledgers = [Ledger(postgresql_database_url, tmp_path / "keys", clock=clock) for _ in range(2)]
    streams = [f"{PRODUCT}/21/S{n}" for n in range(6)]
    answers: list[object] = []
    shared = [submission(streams[n % 6]) for n in range(12)]

    def write(ledger, start):
        for n in range(20):
            mine = [submission(streams[(start + n + k) % 6]) for k in range(3)]
            answers.extend(ledger.record(*mine, atomic=n % 3 == 0))
        # What both send is recorded once.
        answers.extend(ledger.record(*shared))

    threads = [threading.Thread(target=write, args=(one, n)) for one in ledgers for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(a, Recorded) for a in answers), answers
    new = [a for a in answers if not a.replayed]
    assert len(new) == 4 * 20 * 3 + len(shared)
    assert len({(a.stream, a.seq) for a in new}) == len(new)
    ledgers[1].close()
    ledgers[0].publish()
    check_log(ledgers[0], records=len(new))
    ledgers[0].close()


def test_who_lost_no_head_is_not_held_up_by_those_who_did(postgresql_database_url, tmp_path, clock):
    from tests.ledger.ledgers import Ledger

    ledger = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    other = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    ledger.add(UNIT)
    decided = {UNIT: 0, OTHER: 0}

    def interrupted(claim, view) -> Draft:
        decided[claim.stream] += 1
        if claim.stream == UNIT and decided[UNIT] <= 3:
            other.add(UNIT)  # another process is faster, three times
        return count(claim, view)

    with paused(ledger.recorder):
        waiting = [
            in_thread(ledger.recorder, submission(stream, decide=interrupted))
            for stream in (UNIT, OTHER)
        ]
    answers = [wait()[0] for wait in waiting]
    assert [a.seq for a in answers] == [4, 0]
    assert decided == {UNIT: 4, OTHER: 2}
    other.close()
    check_log(ledger, records=6)
    ledger.close()


def test_endless_contention_ends_in_unavailable(postgresql_database_url, tmp_path, clock):
    from tests.ledger.ledgers import Ledger

    ledger = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    other = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)

    def always_later(claim, view) -> Draft:
        other.add(UNIT)
        return count(claim, view)

    (answer,) = ledger.record(submission(UNIT, decide=always_later))
    assert answer.key == "contended"
    assert answer.slug == "unavailable"
    explain(answer)
    other.close()
    ledger.reopen()
    assert ledger.problems() == []
    ledger.close()
