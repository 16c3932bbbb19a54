"""The tamper drill: whatever is changed behind the service's back is found, once, at its place.

And nobody else is named for it: not who refers to it, not who was signed with it.
"""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.kit.errors import Conflict
from app.ledger import store
from app.ledger.audit import LedgerAudit
from app.ledger.record import record_hash, stream_key
from app.ledger.submission import Draft, Recorded
from tests.ledger.drills import GROWN, Change, flipped, place_of
from tests.ledger.ledgers import (
    OTHER,
    PARTY,
    PRODUCT,
    SHOP_KEY,
    UNIT,
    Ledger,
    check_log,
    key_record,
    make_seal,
    new_id,
    referring,
    submission,
)


def test_a_ledger_that_nobody_touched_is_clean(scene):
    with scene.change() as change:
        assert change.found() == []
    check_log(scene.ledger, records=299)


# ------------------------------------------------------------------ the drill


def set_body(stream, seq, make):
    def act(c: Change) -> None:
        body = bytes(c.record(stream, seq).body)
        c.set("record", {"stream": stream, "seq": seq}, body=make(body))

    return act


def set_column(stream, seq, /, **values):
    return lambda c: c.set("record", {"stream": stream, "seq": seq}, **values)


def set_head(stream, /, **values):
    return lambda c: c.set("head", {"stream": stream}, **values)


def erase(table, stream, **more):
    return lambda c: c.delete(table, stream=stream, **more)


def in_turn(*acts):
    def act(c: Change) -> None:
        for one in acts:
            one(c)

    return act


def swap_bodies(first, second, *, hashes=False):
    def act(c: Change) -> None:
        rows = [c.record(*first), c.record(*second)]
        for (stream, seq), row in zip((first, second), reversed(rows), strict=True):
            values = {"body": bytes(row.body)} | ({"hash": bytes(row.hash)} if hashes else {})
            c.set("record", {"stream": stream, "seq": seq}, **values)

    return act


def move_head_back(stream, seq):
    def act(c: Change) -> None:
        row = c.record(stream, seq)
        state = b'{"count":%d,"listed":true}' % (seq + 1)
        c.set(
            "head", {"stream": stream},
            seq=seq, hash=bytes(row.hash), recorded_at=row.recorded_at, state=state,
        )  # fmt: skip

    return act


def insert_record(stream, seq, *, like, head=False, **changes):
    """Puts a record there that was never recorded, or a copy of one that was."""

    def act(c: Change) -> None:
        row = c.record(*like)
        values = {**row._mapping, "stream": stream_key(stream), "seq": seq, "id": b"i" * 16}
        values |= changes
        values["hash"] = record_hash(bytes(values["body"]))
        marks = ", ".join("?" for _ in values)
        c.run(f"INSERT INTO record ({', '.join(values)}) VALUES ({marks})", *values.values())
        if head:
            c.set("head", {"stream": stream}, seq=seq, hash=values["hash"])

    return act


def mismatch(stream, seq, kind="index"):
    return (f"integrity.{kind}_mismatch", stream, seq)


def missing(stream, *seqs):
    return [("integrity.record_missing", stream, seq) for seq in seqs]


DRILLS = {
    # a byte of a body
    "body": (set_body(UNIT, 2, flipped), [mismatch(UNIT, 2, "hash")]),
    "body of the first": (set_body(UNIT, 0, flipped), [mismatch(UNIT, 0, "hash")]),
    "body of the last": (set_body(OTHER, 4, flipped), [mismatch(OTHER, 4, "hash")]),
    "body that waits": (set_body(UNIT, 5, flipped), [mismatch(UNIT, 5, "hash")]),
    "body that waits, last": (set_body(UNIT, 6, flipped), [mismatch(UNIT, 6, "hash")]),
    "body emptied": (set_body(UNIT, 1, lambda _: b""), [mismatch(UNIT, 1, "hash")]),
    "body of what others refer to": (set_body(PRODUCT, 1, flipped), [mismatch(PRODUCT, 1, "hash")]),
    "body of a key that signed": (set_body(PARTY, 1, flipped), [mismatch(PARTY, 1, "hash")]),
    "bodies of two": (
        in_turn(set_body(UNIT, 1, flipped), set_body(UNIT, 2, flipped)),
        [mismatch(UNIT, 1, "hash"), mismatch(UNIT, 2, "hash")],
    ),
    # index columns
    "type": (set_column(UNIT, 2, type="void"), [mismatch(UNIT, 2)]),
    "actor": (set_column(UNIT, 2, actor="nobody"), [mismatch(UNIT, 2)]),
    "id": (set_column(UNIT, 2, id=b"i" * 16), [mismatch(UNIT, 2)]),
    "recorded_at, later": (set_column(UNIT, 2, recorded_at=2**50), [mismatch(UNIT, 2)]),
    "recorded_at, earlier": (set_column(UNIT, 2, recorded_at=1), [mismatch(UNIT, 2)]),
    "recorded_at of the last": (set_column(OTHER, 4, recorded_at=2**50), [mismatch(OTHER, 4)]),
    "hash": (set_column(UNIT, 2, hash=b"h" * 32), [mismatch(UNIT, 2)]),
    "hash of the last": (set_column(OTHER, 4, hash=b"h" * 32), [mismatch(OTHER, 4)]),
    "hash that waits": (set_column(UNIT, 5, hash=b"h" * 32), [mismatch(UNIT, 5)]),
    "type that waits": (set_column(UNIT, 6, type="void"), [mismatch(UNIT, 6)]),
    "hash of a key that signed": (set_column(PARTY, 1, hash=b"h" * 32), [mismatch(PARTY, 1)]),
    "type of a key that signed": (set_column(PARTY, 1, type="notice"), [mismatch(PARTY, 1)]),
    "hash of what others refer to": (
        set_column(PRODUCT, 1, hash=b"h" * 32), [mismatch(PRODUCT, 1)],
    ),
    "every column": (
        set_column(UNIT, 2, type="x", actor="y", id=b"i", recorded_at=3), [mismatch(UNIT, 2)],
    ),
    "seq": (set_column(UNIT, 2, seq=2**40), missing(UNIT, 2)),
    "seq, into the gap before": (set_column(UNIT, 0, seq=-1), missing(UNIT, 0)),
    "stream": (set_column(UNIT, 2, stream=stream_key(OTHER), seq=99), missing(UNIT, 2)),
    # heads
    "head.seq, higher": (set_head(UNIT, seq=9), [mismatch(UNIT, 6)]),
    "head.seq, lower": (set_head(UNIT, seq=1), [mismatch(UNIT, 6)]),
    "head.hash": (set_head(UNIT, hash=b"h" * 32), [mismatch(UNIT, 6)]),
    "head.recorded_at": (set_head(UNIT, recorded_at=2**50), [mismatch(UNIT, 6)]),
    "head.name": (set_head(UNIT, name="nonsense"), [mismatch(UNIT, None)]),
    "head.name, that of another": (set_head(UNIT, name=OTHER), [mismatch(UNIT, None)]),
    "head.name, no ASCII": (set_head(UNIT, name="溯信"), [mismatch(UNIT, None)]),
    "head.state": (set_head(OTHER, state=b'{"count":1}'), [mismatch(OTHER, 4)]),
    "head.state, no JSON": (set_head(OTHER, state=b"\xff"), [mismatch(OTHER, 4)]),
    "head moved back": (move_head_back(UNIT, 3), [mismatch(UNIT, 6)]),
    "head deleted": (erase("head", OTHER), [mismatch(OTHER, 4)]),
    # records deleted
    "a middle record": (erase("record", UNIT, seq=2), missing(UNIT, 2)),
    "the first record": (erase("record", UNIT, seq=0), missing(UNIT, 0)),
    "two in the middle": (
        in_turn(erase("record", UNIT, seq=1), erase("record", UNIT, seq=3)), missing(UNIT, 1, 3),
    ),
    "the last record": (erase("record", OTHER, seq=4), missing(OTHER, 4)),
    "the last record, its head moved back": (
        in_turn(erase("record", OTHER, seq=4), move_head_back(OTHER, 3)), missing(OTHER, 4),
    ),
    "the last two, their head moved back": (
        in_turn(
            erase("record", OTHER, seq=4), erase("record", OTHER, seq=3), move_head_back(OTHER, 2)
        ),
        missing(OTHER, 3, 4),
    ),
    "one that waits": (erase("record", UNIT, seq=5), missing(UNIT, 5)),
    "the last, which waits": (erase("record", UNIT, seq=6), missing(UNIT, 6)),
    "the last, which waited": (
        in_turn(erase("record", UNIT, seq=6), erase("unsequenced", UNIT, seq=6)),
        missing(UNIT, 6),
    ),
    "one that waited": (
        in_turn(erase("record", UNIT, seq=5), erase("unsequenced", UNIT, seq=5)),
        missing(UNIT, 5),
    ),
    "what others refer to": (erase("record", PRODUCT, seq=1), missing(PRODUCT, 1)),
    "a key that signed": (erase("record", PARTY, seq=1), missing(PARTY, 1)),
    "all records": (erase("record", OTHER), missing(OTHER, 0, 1, 2, 3, 4)),
    "all records and the head": (
        in_turn(erase("record", OTHER), erase("head", OTHER)),
        missing(f"#{stream_key(OTHER)}", 0, 1, 2, 3, 4),
    ),
    # bodies swapped
    "two bodies": (
        swap_bodies((UNIT, 0), (UNIT, 3)), [mismatch(UNIT, 0, "hash"), mismatch(UNIT, 3, "hash")],
    ),
    "two bodies beside each other": (
        swap_bodies((UNIT, 1), (UNIT, 2)), [mismatch(UNIT, 1, "hash"), mismatch(UNIT, 2, "hash")],
    ),
    "two bodies with their hashes": (
        swap_bodies((UNIT, 1), (UNIT, 2), hashes=True),
        [mismatch(UNIT, 1, "leaf"), mismatch(UNIT, 2, "leaf")],
    ),
    "two bodies of two streams": (
        swap_bodies((UNIT, 1), (OTHER, 1)),
        [mismatch(OTHER, 1, "hash"), mismatch(UNIT, 1, "hash")],
    ),
    "two bodies of two streams with their hashes": (
        swap_bodies((UNIT, 1), (OTHER, 1), hashes=True),
        [mismatch(OTHER, 1, "leaf"), mismatch(UNIT, 1, "leaf")],
    ),
    # hashed again
    "a stream hashed again": (lambda c: c.hash_again(OTHER), [mismatch(OTHER, 0, "leaf")]),
    "a stream hashed again from its middle": (
        lambda c: c.hash_again(UNIT, 2), [mismatch(UNIT, 2, "leaf")],
    ),
    "a stream hashed again that others refer to": (
        lambda c: c.hash_again(PRODUCT), [mismatch(PRODUCT, 0, "leaf")],
    ),
    "a stream hashed again in the log's rows too": (
        lambda c: c.hash_again(OTHER, logged=True),
        [mismatch(OTHER, seq, "leaf") for seq in range(5)],
    ),
    "what others refer to, hashed again in the log's rows too": (
        lambda c: c.hash_again(PRODUCT, 1, logged=True),
        [mismatch(PRODUCT, seq, "leaf") for seq in (1, 2)],
    ),
    "a signer's stream hashed again": (
        lambda c: c.hash_again(PARTY), [mismatch(PARTY, 0, "leaf")],
    ),
    # records that were never recorded
    "a record behind the last": (
        insert_record(OTHER, 5, like=(OTHER, 4), head=True, body=b"{}"),
        [mismatch(OTHER, 5)],
    ),
    "a copy of a record behind the last": (
        insert_record(OTHER, 5, like=(OTHER, 4), head=True),
        [("integrity.link_broken", OTHER, 5)],
    ),
    "a copy of another stream's record": (
        insert_record(OTHER, 5, like=(UNIT, 4), head=True),
        [("integrity.link_broken", OTHER, 5)],
    ),
    # the queue
    "the hash in the queue": (
        lambda c: c.set("unsequenced", {"stream": UNIT, "seq": 5}, hash=b"h" * 32),
        [mismatch(UNIT, 5, "leaf")],
    ),
    "out of the queue": (
        erase("unsequenced", UNIT, seq=5), [("integrity.unlogged", UNIT, 5)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRILLS)
def test_an_alteration_is_found_once_at_its_place(scene, name):
    act, expected = DRILLS[name]
    with scene.change() as change:
        act(change)
        assert change.found() == sorted(expected, key=repr)


def sealed_at(c: Change, stream=UNIT, name="waybill"):
    (row,) = c.run(
        "SELECT * FROM sealed_section WHERE stream = ? AND name = ?", stream_key(stream), name
    )
    return row


def change_sealed(column, make):
    def act(c: Change) -> None:
        value = make(bytes(getattr(sealed_at(c), column)))
        c.set("sealed_section", {"stream": UNIT, "name": "waybill"}, **{column: value})

    return act


SEALED_DRILLS = {
    "a byte": change_sealed("sealed", lambda data: flipped(data, 20)),
    "the nonce": change_sealed("sealed", flipped),
    "cut short": change_sealed("sealed", lambda data: data[:5]),
    "emptied without being erased": change_sealed("sealed", lambda _: None),
    "the wrapped key": change_sealed("wrapped_key", lambda data: flipped(data, 20)),
    "the wrapped key, gone": change_sealed("wrapped_key", lambda _: None),
    "deleted": erase("sealed_section", UNIT, name="waybill"),
    "that of another unit": lambda c: c.set(
        "sealed_section",
        {"stream": UNIT, "name": "waybill"},
        sealed=bytes(sealed_at(c, OTHER).sealed),
        wrapped_key=bytes(sealed_at(c, OTHER).wrapped_key),
    ),
}


@pytest.mark.parametrize("name", SEALED_DRILLS)
def test_an_altered_sealed_section_is_found_at_its_record(scene, name):
    with scene.change() as change:
        SEALED_DRILLS[name](change)
        assert change.found() == [mismatch(UNIT, 2, "sealed")]


def test_both_sections_of_a_record_are_found(scene):
    with scene.change() as change:
        change.delete("sealed_section", stream=UNIT)
        assert change.found() == [mismatch(UNIT, 2, "sealed")] * 2


@pytest.mark.parametrize(
    ("source", "section", "lawful"),
    [("system", "waybill", True), ("system", "recipient", False), ("merchant", "waybill", False)],
)
def test_an_erased_section_is_no_finding_where_the_stream_tells_of_it(
    ledger, source, section, lawful
):
    """A section emptied by hand was taken for erased, and nobody was told."""
    sale = ledger.add(seals=(make_seal(), make_seal("recipient")))
    ledger.sql(
        "UPDATE sealed_section SET sealed = NULL, wrapped_key = NULL, erased_at = 1"
        " WHERE name = 'waybill'"
    )
    (problem,) = ledger.problems()
    assert (problem.kind, problem.seq) == ("integrity.sealed_mismatch", sale.seq)
    assert problem.evidence["reason"] == "erased_without_record"
    told = {"of": sale.id, "sections": [section]}
    ledger.add(type="erasure", actor="system", data=told, source=source)
    assert (ledger.problems() == []) is lawful


def test_without_the_vaults_key_sealed_sections_are_not_asked_about(scene):
    with scene.change() as change:
        change.delete("sealed_section", stream=UNIT)
        audit = LedgerAudit(change.connection, vault=None)
        assert list(audit.check_all()) == []


@pytest.mark.parametrize("column", ["hash", "id", "type", "actor", "recorded_at", "seq", "body"])
@pytest.mark.parametrize("value", ["text", 7, 2.5])
def test_a_value_of_another_type_is_a_finding_and_no_crash(scene, column, value):
    # SQLite keeps what it is given: sqlite3's replace() turns a BLOB into text.
    if scene.ledger.database.dialect != "sqlite":
        pytest.skip("PostgreSQL keeps the types of its columns")
    with scene.change() as change:
        change.set("record", {"stream": UNIT, "seq": 2}, **{column: value})
        places = change.found()
        assert places
        assert {place[1:] for place in places} <= {(UNIT, 2), (UNIT, 7), (UNIT, None)}


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("head", "seq"), ("head", "hash"), ("head", "recorded_at"), ("head", "name"),
        ("log_leaf", "hash"), ("log_leaf", "seq"), ("unsequenced", "hash"),
        ("sealed_section", "sealed"), ("sealed_section", "wrapped_key"),
        ("record", "stream"), ("head", "stream"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["text", 2.5])
def test_text_or_a_fraction_anywhere_else_is_no_crash_either(scene, table, column, value):
    if scene.ledger.database.dialect != "sqlite":
        pytest.skip("PostgreSQL keeps the types of its columns")
    with scene.change() as change:
        where = {"stream": UNIT} | ({"seq": 2} if table in ("record", "log_leaf") else {})
        where |= {"seq": 5} if table == "unsequenced" else {}
        change.set(table, where, **{column: value})
        assert change.found()


# ------------------------------------------------------------------ single streams and records


@pytest.mark.parametrize("name", DRILLS)
def test_an_audit_of_streams_finds_what_the_audit_of_all_finds_there(scene, name):
    with scene.change() as change:
        DRILLS[name][0](change)
        everything = LedgerAudit(change.connection, vault=scene.ledger.vault)
        found = sorted(map(place_of, everything.check_all()), key=repr)
        audit = LedgerAudit(change.connection, vault=scene.ledger.vault)
        streams = [UNIT, OTHER, PRODUCT, PARTY, GROWN]
        assert sorted(map(place_of, audit.check_streams(streams)), key=repr) == found
        assert audit.records == everything.records
        if "and the head" in name:
            lost = LedgerAudit(change.connection, vault=None)
            assert sorted(map(place_of, lost.check_lost()), key=repr) == found


@pytest.mark.parametrize("name", DRILLS)
def test_what_was_read_already_is_judged_as_if_it_were_read_again(scene, name):
    with scene.change() as change:
        DRILLS[name][0](change)
        for stream in (UNIT, OTHER, PRODUCT, PARTY, GROWN):
            audit = LedgerAudit(change.connection, vault=scene.ledger.vault)
            expected = sorted(map(place_of, audit.check_streams([stream])), key=repr)
            audit = LedgerAudit(change.connection, vault=scene.ledger.vault)
            own = store.load_stream(change.connection, stream)
            head = store.head_rows(change.connection, [stream]).get(stream)
            told = [place_of(problem) for problem in audit.check_read(stream, head, own, ())]
            assert sorted(told, key=repr) == expected


def test_single_records_are_checked_with_the_completeness_of_their_stream(scene):
    def found(change, stream, *seqs):
        connection = change.connection
        audit = LedgerAudit(connection, vault=scene.ledger.vault)
        head = store.head_rows(connection, [OTHER])[OTHER]
        own = store.load_stream(connection, OTHER)
        others = [r for r in store.load_stream(connection, stream) if r.seq in seqs]
        return [place_of(problem) for problem in audit.check_read(OTHER, head, own, others)]

    with scene.change() as change:
        assert found(change, PRODUCT, 1, 2) == []
        change.delete("record", stream=PRODUCT, seq=0)
        assert found(change, PRODUCT, 1, 2) == missing(PRODUCT, 0)
    with scene.change() as change:
        # The one before it was altered; this one is as it was.
        set_body(PRODUCT, 0, flipped)(change)
        assert found(change, PRODUCT, 1, 2) == []
        set_body(PRODUCT, 1, flipped)(change)
        assert found(change, PRODUCT, 1, 2) == [mismatch(PRODUCT, 1, "hash")]
    with scene.change() as change:
        change.delete("record", stream=PRODUCT, seq=2)
        assert found(change, PRODUCT, 1, 2) == missing(PRODUCT, 2)
    with scene.change() as change:
        change.delete("sealed_section", stream=UNIT, name="waybill")
        assert found(change, UNIT, 2) == [mismatch(UNIT, 2, "sealed")]


def test_what_was_read_is_counted_and_told(scene):
    told = []
    with scene.ledger.database.read() as connection:
        audit = LedgerAudit(connection, vault=None, progress=told.append)
        assert list(audit.check_all()) == []
    assert (audit.streams, audit.records) == (5, 299)
    assert all(count <= 299 for count in told)


# ------------------------------------------------------------------ signatures


def revoke(key_id="k1"):
    return submission(PARTY, type="signing_key_revoked", data={"key_id": key_id})


def kinds(ledger) -> list[tuple]:
    return [(p.kind, p.stream, p.seq, p.evidence.get("reason")) for p in ledger.problems()]


def invalid(seq, reason):
    return ("integrity.signature_invalid", UNIT, seq, reason)


def test_a_signature_holds_while_its_key_is_in_force(ledger, clock):
    ledger.record(submission(signed_by=SHOP_KEY))
    clock.advance(5.001)
    ledger.record(key_record(), submission(signed_by=SHOP_KEY))
    clock.advance(1)
    ledger.record(submission(signed_by=SHOP_KEY))
    clock.advance(1)
    ledger.record(revoke())
    clock.advance(5.001)
    ledger.record(submission(signed_by=SHOP_KEY))
    assert kinds(ledger) == [
        invalid(0, "key_not_valid_then"),
        invalid(3, "key_not_valid_then"),
    ]


def test_a_key_revoked_in_the_moment_of_its_last_signature_leaves_that_one_valid(ledger):
    ledger.record(key_record(), submission(signed_by=SHOP_KEY), revoke())
    assert kinds(ledger) == []


@pytest.mark.parametrize(("back_s", "held"), [(4.999, True), (5, True), (5.001, False)])
def test_a_stream_that_is_ahead_of_the_clock_leaves_its_signatures_valid(
    ledger, clock, back_s, held
):
    ledger.record(key_record())
    clock.advance(20)
    ledger.record(submission(signed_by=SHOP_KEY))
    clock.advance(-back_s)
    ledger.record(revoke())
    assert kinds(ledger) == ([] if held else [invalid(0, "key_not_valid_then")])


def test_a_key_whose_stream_is_ahead_of_the_clock_signs_at_once(ledger, clock):
    ledger.record(key_record())
    clock.advance(-5)
    ledger.record(submission(signed_by=SHOP_KEY))
    assert kinds(ledger) == []


def test_a_signature_by_a_key_that_was_never_registered_is_found(ledger):
    ledger.record(key_record(), submission(signed_by=SHOP_KEY, key_id="k2"))
    assert kinds(ledger) == [invalid(0, "unknown_key")]


def test_a_signature_of_something_else_is_found(ledger):
    other = submission(data={"n": 1}, signed_by=SHOP_KEY).signed
    ledger.record(key_record(), submission(data={"n": 2}, signed=other))
    assert kinds(ledger) == [invalid(0, "does_not_verify")]


def test_a_key_that_is_none_verifies_nothing(ledger):
    bad = submission(PARTY, type="signing_key", data={"key_id": "k1", "public_key": 7})
    ledger.record(bad, submission(signed_by=SHOP_KEY))
    assert kinds(ledger) == [invalid(0, "unknown_key")]


# ------------------------------------------------------------------ references


def test_a_reference_to_another_record_than_was_there_is_found(ledger):
    """As if the recorder had been shown another hash: nothing else explains it."""
    product = ledger.add(PRODUCT)
    change = "UPDATE record SET hash = ? WHERE stream = ?"
    ledger.sql(change, b"h" * 32, stream_key(PRODUCT))
    ledger.record(referring((PRODUCT, 0)))
    ledger.sql(change, product.hash, stream_key(PRODUCT))
    assert [place_of(p) for p in ledger.problems()] == [mismatch(UNIT, 0, "ref")]


# ------------------------------------------------------------------ for good, and undone


def test_a_drill_that_stays_is_found_after_reopening_and_gone_when_undone(ledger):
    ledger.record(submission(), submission(), submission(OTHER))
    ledger.publish()
    record = "record WHERE stream = ? AND seq = 1"
    ((body,),) = ledger.sql(f"SELECT body FROM {record}", stream_key(UNIT))
    change = record.replace("record", "UPDATE record SET body = ?", 1)
    ledger.sql(change, flipped(bytes(body)), stream_key(UNIT))
    ledger.reopen()
    assert [place_of(p) for p in ledger.problems()] == [mismatch(UNIT, 1, "hash")]
    # Life goes on around it, and the finding stays where it is.
    ledger.record(submission(), submission(OTHER))
    ledger.publish()
    assert [place_of(p) for p in ledger.problems()] == [mismatch(UNIT, 1, "hash")]
    ledger.sql(change, bytes(body), stream_key(UNIT))
    check_log(ledger, records=5)


# ------------------------------------------------------------------ memory


def test_memory_does_not_grow_with_the_log(quick_ledger):
    ledger = quick_ledger
    peaks = []
    for _ in range(2):
        batch = [
            submission(f"{PRODUCT}/21/{new_id()}", data={"text": "x" * 6_000}) for _ in range(1_200)
        ]
        ledger.record(*batch)
        ledger.sequence()
        with ledger.database.read() as connection:
            tracemalloc.start()
            audit = LedgerAudit(connection, vault=ledger.vault)
            assert sum(1 for _ in audit.check_all()) == 0
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    small, large = peaks
    assert audit.records == 2_400
    assert large < small * 1.2 + 200_000, "the audit holds what it has read"


# ------------------------------------------------------------------ properties


STREAMS = (UNIT, OTHER, PRODUCT, PARTY)


class Refused(Conflict):
    """A rule's refusal."""


def refuse(claim, view) -> Draft:
    raise Refused("abandoned")


def stumble(claim, view) -> Draft:
    raise KeyError("a bug")


one = st.builds(
    lambda stream, kind, salt: (stream, kind, salt),
    st.sampled_from(STREAMS),
    st.sampled_from(["plain", "plain", "sealed", "refers", "refused", "bug", "again", "clash"]),
    st.binary(min_size=32, max_size=32),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(one, min_size=1, max_size=5), st.booleans()),
        st.tuples(st.just("sequence"), st.integers(1, 4), st.none()),
        st.tuples(st.just("publish"), st.none(), st.none()),
        st.tuples(st.just("clock"), st.integers(-2_000, 3_000), st.none()),
        st.tuples(st.just("reopen"), st.none(), st.none()),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(steps)
def test_whatever_is_submitted_the_audit_stays_clean(
    databases, tmp_path_factory, sequence_of_steps
):
    folder = tmp_path_factory.mktemp("property")
    url = databases.new(folder)
    ledger = Ledger(url, folder / "keys")
    done: list[Recorded] = []

    def made(stream, kind, salt):
        earlier = done[salt[0] % len(done)] if done else None
        match kind:
            case "sealed":
                return submission(stream, seals=[make_seal(salt=salt)])
            case "refers" if earlier is not None:
                return referring((earlier.stream, earlier.seq), stream=stream)
            case "refused":
                return submission(stream, decide=refuse)
            case "bug":
                return submission(stream, decide=stumble)
            case "again" if earlier is not None:
                return submission(earlier.stream, id=earlier.id)
            case "clash" if earlier is not None:
                return submission(earlier.stream, id=earlier.id, data={"other": True})
        return submission(stream)

    for act, what, flag in sequence_of_steps:
        match act:
            case "record":
                answers = ledger.record(*(made(*given_) for given_ in what), atomic=flag)
                assert len(answers) == len(what)
                done += [a for a in answers if isinstance(a, Recorded) and not a.replayed]
            case "sequence":
                ledger.sequencer.sequence(what)
            case "publish":
                ledger.publish()
            case "clock":
                ledger.clock.advance(what / 1000)
            case "reopen":
                ledger.reopen()
    check_log(ledger, records=len(done))
    ledger.close()


BYTES = [
    ("record", "body"), ("record", "hash"), ("record", "id"), ("head", "hash"),
    ("log_leaf", "hash"), ("tile", "data"), ("log_state", "root"), ("log_state", "edge"),
    ("sealed_section", "sealed"), ("sealed_section", "wrapped_key"), ("unsequenced", "hash"),
]  # fmt: skip


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(BYTES), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 7))
def test_any_flipped_bit_anywhere_is_one_finding_at_its_place(scene, column, row, at, bit):
    if scene.ledger.database.dialect != "sqlite":
        pytest.skip("the same question, and a slower answer")
    table, name = column
    with scene.change() as change:
        rows = change.run(f"SELECT rowid AS place, * FROM {table} ORDER BY rowid")
        chosen = rows[row % len(rows)]
        data = bytearray(getattr(chosen, name))
        data[at % len(data)] ^= 1 << bit
        change.run(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", bytes(data), chosen.place)
        (place,) = change.found()
    if table in ("tile", "log_state", "log_leaf"):
        assert place[0].startswith("log.")
        return
    assert place[0].startswith("integrity.")
    assert stream_key(place[1]) == chosen.stream
    if hasattr(chosen, "seq"):
        assert place[2] == chosen.seq


@pytest.mark.parametrize("size", ["'5x'", "5.5", "x'05'"])
def test_a_size_of_the_log_that_is_no_number_stops_no_audit(sqlite_ledger, size):
    """Also where a leaf or a waiting record is gone too, and the log is asked what it holds."""
    ledger = sqlite_ledger
    ledger.grow(5)
    ledger.publish()
    ledger.add()
    ledger.sql(f"UPDATE log_state SET size = {size}")
    ledger.sql("DELETE FROM unsequenced")
    ledger.sql("DELETE FROM log_leaf WHERE leaf_index = 2")
    kinds = {problem.kind for problem in ledger.problems()}
    assert {"log.state_mismatch", "log.leaf_missing", "integrity.unlogged"} <= kinds, kinds
