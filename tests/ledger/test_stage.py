"""One batch in its transaction: what decisions see, and how little it asks of the database."""

from __future__ import annotations

from unittest import mock

import pytest
from sqlalchemy import event

from app.db import hot
from app.kit.errors import Fault
from app.ledger import store
from app.ledger.stage import Stage
from app.ledger.submission import Draft, Read, Recorded
from tests.ledger.ledgers import OTHER, PRODUCT, UNIT, count, make_seal, submission


def staged(ledger, connection) -> Stage:
    return Stage(connection, ledger.vault, ledger.clock.now())


def with_fact(value, **more):
    """Sets a fact of the claim's stream (None removes it)."""
    return submission(decide=lambda claim, view: Draft({}, facts={"listing": value}), **more)


def looking(seen: list, *reads: Read, **more):
    def decide(claim, view) -> Draft:
        seen.append(view)
        return count(claim, view)

    return submission(decide=decide, reads=reads, **more)


def test_a_decision_sees_heads_and_facts_as_the_batch_left_them(ledger):
    ledger.record(with_fact({"n": 1}, stream=PRODUCT))
    seen: list = []
    wanted = (Read(PRODUCT), Read(PRODUCT, "listing"), Read(PRODUCT, "absent"), Read(OTHER))
    ledger.record(
        looking(seen, *wanted),
        with_fact({"n": 2}, stream=PRODUCT),
        looking(seen, *wanted),
        with_fact(None, stream=PRODUCT),
        looking(seen, *wanted),
    )
    assert [view.heads[PRODUCT].seq for view in seen] == [0, 1, 2]
    assert [view.facts for view in seen] == [
        {(PRODUCT, "listing"): {"n": 1}},
        {(PRODUCT, "listing"): {"n": 2}},
        {},
    ]
    assert not seen[0].heads[OTHER].exists
    ledger.record(looking(seen, *wanted))
    assert seen[-1].facts == {}, "the fact was not removed from the database"


def test_a_decision_sees_what_only_its_own_head_can_name(ledger):
    ledger.record(
        with_fact({"n": 1}, stream=PRODUCT),
        submission(UNIT, decide=lambda claim, view: Draft({"of": PRODUCT})),
    )
    seen: list = []

    def reads_after(head):
        return (Read(head.state["of"]), Read(head.state["of"], "listing"))

    for _ in range(2):
        ledger.record(looking(seen, stream=UNIT, reads_after=reads_after))
        # The count that the first decision leaves names nothing: asked for anew, it fails alone.
        assert len(seen) == 1
    assert seen[0].heads[PRODUCT].seq == 0
    assert seen[0].facts == {(PRODUCT, "listing"): {"n": 1}}


def test_the_time_of_a_view_is_that_of_the_record(ledger, clock):
    seen: list = []
    (first,) = ledger.record(looking(seen))
    clock.advance(-2)
    (second,) = ledger.record(looking(seen))
    assert [view.now for view in seen] == [first.recorded_at, second.recorded_at]


def test_an_all_or_none_request_shows_nothing_of_itself_when_refused(ledger):
    seen: list = []
    look = looking(seen, Read(PRODUCT), Read(PRODUCT, "listing"), stream=OTHER)
    with ledger.database.write() as connection:
        stage = staged(ledger, connection)
        bad = submission(decide=lambda claim, view: {}["nothing"])
        stage.load([look, bad])
        refused = stage.decide_together([with_fact(1, stream=PRODUCT), bad])
        assert [type(a).__name__ for a in refused] == ["Abandoned", "Fault"]
        assert isinstance(stage.decide(look), Recorded)
        together = [with_fact(1, stream=PRODUCT), looking(seen, Read(PRODUCT, "listing"))]
        assert all(isinstance(a, Recorded) for a in stage.decide_together(together))
        later = looking(seen, Read(PRODUCT), Read(PRODUCT, "listing"), stream=OTHER)
        assert isinstance(stage.decide(later), Recorded)
        stage.flush({})
    assert [view.facts for view in seen] == [{}, *[{(PRODUCT, "listing"): 1}] * 2]
    assert [view.heads[PRODUCT].seq for view in (seen[0], seen[2])] == [-1, 0]
    with ledger.database.read() as connection:
        assert len(store.load_stream(connection, PRODUCT)) == 1


def test_a_source_that_only_the_decision_knows_stands_in_the_record(ledger):
    (recorded,) = ledger.record(submission(decide=lambda c, v: Draft({}, source="carrier")))
    assert b'"source":"carrier"' in recorded.body


def test_sealed_sections_are_stored_apart_and_open_again(ledger):
    recorded = ledger.add(seals=[make_seal(), make_seal("order", {"number": "A-1001"})])
    assert b"TEST0000000001" not in recorded.body
    from app.ledger.sealstore import sealed_sections

    with ledger.database.read() as connection:
        kept = sealed_sections(connection, UNIT, recorded.id)
    assert set(kept) == {"waybill", "order"}
    salt, content = ledger.vault.open(
        place=(UNIT, recorded.id, "order"),
        sealed=kept["order"].sealed,
        wrapped_key=kept["order"].wrapped_key,
    )
    assert (salt, content) == (b"s" * 32, b'{"number":"A-1001"}')


def test_side_index_and_outbox_are_written_with_the_record(ledger):
    draft = Draft({}, side=(("waybill", b"digest"),), outbox=(("told", {"b": 1, "a": 2}),))
    ledger.record(submission(decide=lambda claim, view: draft))
    with ledger.database.read() as connection:
        ((stream, seq, kind),) = store.find_side(connection, b"digest")
        (row,) = connection.exec_driver_sql("SELECT * FROM outbox").all()
    assert (seq, kind) == (0, "waybill")
    assert (row.stream, row.seq, row.topic, row.attempts) == (stream, 0, "told", 0)
    assert row.payload == b'{"a":2,"b":1}'


def test_a_head_that_another_process_moved_is_named(ledger):
    with ledger.database.read() as connection:
        before = store.load_heads(connection, [UNIT])[UNIT]
    ledger.record(submission(UNIT), submission(OTHER))
    rows = [
        store.Moved(store.stream_key(name), name, 7, b"h" * 32, 1, b"{}", seq)
        for name, seq in ((UNIT, 3), (OTHER, 0))
    ]
    assert not before.exists
    with pytest.raises(store.HeadMoved) as moved, ledger.database.write() as connection:
        store.move_heads(connection, rows)
    assert moved.value.streams == {UNIT}
    with pytest.raises(store.HeadMoved) as moved, ledger.database.write() as connection:
        created = [row._replace(was=-1) for row in rows]
        store.move_heads(connection, [created[0], created[1]._replace(stream=5)])
    assert moved.value.streams == {UNIT}


# ------------------------------------------------------------------ what it costs


def statements(database, run) -> list[str]:
    found: list[str] = []
    dialect = database._writer.dialect
    many, fetch = dialect.do_executemany, hot._fetch

    def note(connection, cursor, statement, *_):
        found.append(statement)

    def note_many(cursor, statement, *more):
        found.append(statement)
        return many(cursor, statement, *more)

    def note_select(connection, statement, bound):
        found.append(statement)
        return fetch(connection, statement, bound)

    event.listen(database._writer, "before_cursor_execute", note)
    with (
        mock.patch.object(dialect, "do_executemany", note_many),
        mock.patch.object(hot, "_fetch", note_select),
    ):
        run()
    event.remove(database._writer, "before_cursor_execute", note)
    return found


def test_a_batch_asks_few_questions_however_many_claims_it_holds(ledger):
    def run(batch):
        return statements(ledger.database, lambda: ledger.record(*batch))

    def batch(size):
        return [
            submission(
                f"{PRODUCT}/21/S{n}",
                reads=(Read(PRODUCT), Read(PRODUCT, "listing")),
                reads_after=lambda head: (Read(OTHER),),
            )
            for n in range(size)
        ]

    run(batch(100))
    few, many = run(batch(2)), run(batch(100))
    assert sum(s.startswith("SELECT") for s in many) <= 5
    assert len(many) == len(few)


@pytest.mark.sqlite_only("PostgreSQL plans by what a table holds, which here is next to nothing")
def test_ids_and_facts_are_found_by_their_index(quick_ledger):
    # A row-value IN reads the whole table: every write would cost more, the older the database.
    ledger = quick_ledger
    ledger.record(submission(UNIT), with_fact(1, stream=PRODUCT))
    asked = statements(
        ledger.database,
        lambda: ledger.record(submission(UNIT, reads=(Read(PRODUCT, "listing"),))),
    )
    with ledger.database.read() as connection:
        for statement in (s for s in asked if s.startswith("SELECT")):
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", tuple(0 for _ in range(statement.count("?")))
            ).all()
            assert not [row for row in plan if row[3].startswith("SCAN")], (statement, plan)


def test_a_fault_in_a_decision_is_answered_as_it_is(ledger):
    fault = Fault("internal", n=1)

    def decide(claim, view) -> Draft:
        raise fault

    assert ledger.record(submission(decide=decide)) == [fault]
