"""One log goes on from another: what the records say, what is refused, and death at every step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from app.kit.errors import Fault
from app.ledger import logstore, store
from app.ledger.checkpoint import Checkpoint, open_checkpoint
from app.ledger.fsck import LogCheck
from app.ledger.handover import check_handovers
from app.ledger.heads import HEADS
from app.ledger.keyring import KeyLost, next_key
from app.ledger.note import NoteSigner
from app.ledger.prover import Provers
from app.ledger.publisher import (
    DatabaseBehindAnchor,
    DatabaseContradictsAnchor,
    LogFault,
    Publisher,
    RotationUnfinished,
)
from app.ledger.rotation import OriginMalformed, OriginTaken, RotationBegun
from app.ledger.served import load_checkpoint
from tests.ledger.drills import flipped
from tests.ledger.ledgers import ORIGIN, OTHER, UNIT, Ledger, check_log, submission

SECOND = f"{ORIGIN}/2026"
THIRD = f"{ORIGIN}/2027"

STEPS = (
    "key",
    "rotated recorded",
    "rotated sequenced",
    "published",
    "final kept",
    "vkey kept",
    "opened",
    "key taken",
    "continued recorded",
    "continued sequenced",
    "begun",
)


class Killed(BaseException):
    """Nobody catches it, as nobody catches a death."""


@pytest.fixture(autouse=True)
def _year(clock) -> None:
    assert clock.now().year == 2026


def heads_of(ledger: Ledger) -> list[dict]:
    with ledger.database.read() as connection:
        return [record.fields for record in store.load_stream(connection, HEADS)]


def origins(ledger: Ledger) -> list[str]:
    with ledger.database.read() as connection:
        return [state.origin for state in logstore.load_states(connection)]


def fsck(ledger: Ledger, connection=None) -> list:
    if connection is None:
        with ledger.database.read() as connection:
            return fsck(ledger, connection)
    signed = ledger.signed(connection)
    return [
        *LogCheck(connection, signed).check(),
        *check_handovers(connection, ledger.keys.logs, signed),
    ]


def test_each_log_names_the_other_and_the_records_go_on(ledger):
    ledger.grow(300)
    ledger.add()
    old_key = ledger.keys.log.vkey
    done = ledger.rotate()
    assert (done.old, done.size, done.new) == (ORIGIN, 302, SECOND)
    assert ledger.keys.logs == (old_key, ledger.keys.log.vkey)
    assert ledger.keys.log.vkey.name == SECOND
    rotated, continued = heads_of(ledger)
    assert (rotated["type"], rotated["actor"], rotated["source"]) == ("rotated", "system", "system")
    assert rotated["data"] == {"origin": SECOND, "key": done.key}
    assert continued["type"] == "continued"
    assert continued["data"] == {
        "origin": ORIGIN, "key": str(old_key), "root": done.root.hex(), "size": 302,
    }  # fmt: skip
    with ledger.database.read() as connection:
        # The last leaf of one and the first of the other.
        assert logstore.find_leaf(connection, HEADS, 0)[0] == 301
        assert logstore.find_leaf(connection, HEADS, 1)[0] == 302
    anchored = open_checkpoint(ledger.anchor.read(), [ledger.keys.log.vkey], origin=SECOND)
    assert anchored.size == 1
    ledger.add()
    ledger.grow(300)
    ledger.publish()
    assert ledger.size == 302
    assert fsck(ledger) == []
    check_log(ledger, records=604)


def test_leaves_of_every_log_are_proven_each_in_its_own(ledger):
    first = ledger.add()
    ledger.rotate()
    second = ledger.add(OTHER)
    ledger.rotate()
    third = ledger.add()
    ledger.publish()
    later = ledger.add()
    ledger.sequence()
    with ledger.database.read() as connection:
        provers = Provers(connection, ledger.keys.logs)
        places = []
        for record in (first, second, third, later):
            position, entry = logstore.find_leaf(connection, record.stream, record.seq)
            found = provers.prove(position, entry)
            places.append((found.standing, found.origin, found.index))
            assert provers.prove(position, b"f" * 32).standing in ("unproven", "pending")
    assert places == [
        ("proven", ORIGIN, 0),
        ("proven", SECOND, 1),
        ("proven", THIRD, 1),
        ("pending", THIRD, 2),
    ]
    check_log(ledger, records=8)


def test_what_waits_while_the_log_ends_stands_in_the_next_one(ledger):
    ledger.add()

    def squeeze(step: str) -> None:
        if step in ("rotated recorded", "opened"):
            ledger.add(OTHER)

    rotation = ledger.rotation(squeeze)
    rotation.run(rotation.plan())
    ledger.reopen()
    ledger.publish()
    with ledger.database.read() as connection:
        states = logstore.load_states(connection)
        assert logstore.find_leaf(connection, HEADS, 1)[0] == states[1].log.start
    assert [state.size for state in states] == [2, 3]
    assert fsck(ledger) == []
    check_log(ledger, records=5)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_it_is_completed_by_running_it_again(ledger, step):
    ledger.add()
    ledger.publish()
    ledger.add()

    def die(reached: str) -> None:
        if reached == step:
            raise Killed

    rotation = ledger.rotation(die)
    with pytest.raises(Killed):
        rotation.run(rotation.plan())
    ledger.reopen()
    try:
        ledger.publisher.check_start()
    except RotationUnfinished:
        assert step not in ("key", "begun")
    else:
        # The old log goes on, or the new one does: whichever it is, it is one.
        assert step in ("key", "continued sequenced", "begun")
        ledger.add()
        ledger.publish()
    done = ledger.rotate() if step not in ("begun", "continued sequenced") else None
    assert origins(ledger) == [ORIGIN, SECOND]
    assert next_key(ledger.keys_dir) is None
    assert done is None or done.new == SECOND
    assert fsck(ledger) == []
    ledger.add()
    ledger.publish()
    check_log(ledger)
    assert [fields["type"] for fields in heads_of(ledger)] == ["rotated", "continued"]


@pytest.mark.parametrize("first", STEPS[1:8])
def test_killed_twice_it_is_still_completed(sqlite_ledger, first):
    ledger = sqlite_ledger
    ledger.add()
    for step in (first, STEPS[STEPS.index(first) + 1]):

        def die(reached: str, step: str = step) -> None:
            if reached == step:
                raise Killed

        rotation = ledger.rotation(die)
        with pytest.raises(Killed):
            rotation.run(rotation.plan())
        ledger.reopen()
    ledger.rotate()
    assert origins(ledger) == [ORIGIN, SECOND]
    check_log(ledger, records=3)


def test_run_again_at_once_it_changes_nothing(ledger):
    ledger.add()
    first = ledger.rotate()
    assert ledger.rotation().plan().done
    assert ledger.rotate() == first
    assert origins(ledger) == [ORIGIN, SECOND]


def test_the_next_number_is_taken_where_the_years_name_is(ledger):
    ledger.add()
    ledger.rotate()
    ledger.add()
    ledger.publish()
    assert ledger.rotation().plan().new == THIRD
    with pytest.raises(OriginTaken):
        ledger.rotation().plan(ORIGIN)
    with pytest.raises(OriginTaken):
        ledger.rotation().plan(SECOND)
    for malformed in ("with space", "a+b", "https://suxin.test/log", ""):
        with pytest.raises(OriginMalformed):
            ledger.rotation().plan(malformed)
    ledger.rotate("elsewhere.test/log")
    assert origins(ledger) == [ORIGIN, SECOND, "elsewhere.test/log"]
    ledger.add()
    ledger.publish()
    check_log(ledger)


def test_another_origin_is_refused_once_the_old_log_has_said_its_last_word(ledger):
    ledger.add()

    def die_at(step: str):
        def die(reached: str) -> None:
            if reached == step:
                raise Killed

        return ledger.rotation(die)

    with pytest.raises(Killed):
        die_at("key").run(ledger.rotation().plan())
    with pytest.raises(Killed):
        # Nothing was said yet, so the key of the other name is forgotten.
        die_at("rotated recorded").run(ledger.rotation().plan("elsewhere.test/log"))
    with pytest.raises(RotationBegun):
        ledger.rotation().plan(SECOND)
    assert ledger.rotate().new == "elsewhere.test/log"
    check_log(ledger)


def test_without_the_key_that_was_handed_over_to_it_stops(ledger):
    ledger.add()

    def die(reached: str) -> None:
        if reached == "rotated sequenced":
            raise Killed

    rotation = ledger.rotation(die)
    with pytest.raises(Killed):
        rotation.run(rotation.plan())
    (ledger.keys_dir / "log.next.key").unlink()
    with pytest.raises(KeyLost):
        ledger.rotate()


def test_the_old_secret_is_gone_and_its_verifier_key_stays(ledger):
    ledger.add()
    secret = (ledger.keys_dir / "log.key").read_text()
    ledger.rotate()
    kept = [path.read_text() for path in ledger.keys_dir.iterdir() if path.is_file()]
    assert not any(secret.strip() in text for text in kept)
    assert (ledger.keys_dir / "log.0.vkey").stat().st_mode & 0o777 == 0o600
    ledger.add()
    ledger.rotate()
    (ledger.keys_dir / "log.0.vkey").unlink()
    with pytest.raises(Fault):
        ledger.reopen()
    ledger.keys_dir.joinpath("log.1.vkey").unlink()
    ledger._open()
    with pytest.raises(LogFault, match="frozen_key_missing"):
        ledger.publisher.check_start()


@pytest.mark.parametrize("taken", ["before", "ended", "opened"])
def test_a_backup_from_before_the_rotation_is_refused(sqlite_ledger, tmp_path, taken):
    ledger = sqlite_ledger
    ledger.add()
    ledger.publish()
    path = tmp_path / "suxin.db"
    backup = tmp_path / "backup.db"

    def back_up(reached: str) -> None:
        if reached == {"ended": "published", "opened": "opened"}.get(taken):
            ledger.database.truncate_log()
            shutil.copyfile(path, backup)

    if taken == "before":
        ledger.database.truncate_log()
        shutil.copyfile(path, backup)
    rotation = ledger.rotation(back_up)
    rotation.run(rotation.plan())
    ledger.close()
    for name in ("suxin.db-wal", "suxin.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    shutil.copyfile(backup, path)
    ledger._open()
    ledger.clock.advance(60)
    # Of the two later ones the head still says that a rotation is under way, and that is explained.
    expected = DatabaseBehindAnchor if taken == "before" else RotationUnfinished
    with pytest.raises(expected):
        ledger.publisher.check_start()
    with pytest.raises((DatabaseBehindAnchor, RotationUnfinished)):
        ledger.publisher.publish()
    # And running the rotation forks nothing: what was signed of the new log is not there.
    with pytest.raises(Fault):
        ledger.rotation().run(ledger.rotation().plan())
    with ledger.database.read() as connection:
        kinds = {problem.kind for problem in ledger.problems(connection)}
    assert "log.checkpoint_ahead" in kinds


def test_an_old_log_that_is_another_than_the_anchored_one_is_not_gone_on_from(ledger):
    ledger.add()

    def die(reached: str) -> None:
        if reached == "continued sequenced":
            raise Killed

    rotation = ledger.rotation(die)
    with pytest.raises(Killed):
        rotation.run(rotation.plan())
    ledger.reopen()
    ledger.sql("UPDATE log_state SET root = ? WHERE log = 0", b"\x01" * 32)
    with pytest.raises(DatabaseContradictsAnchor):
        ledger.publisher.check_start()


TAMPERINGS = {
    "a tile": (
        "UPDATE tile SET data = ? WHERE log = 0 AND level = 0 AND tile_index = 0",
        b"x" * 32,
    ),
    "the last tile": ("DELETE FROM tile WHERE log = 0 AND level = 0 AND tile_index = ?", 1),
    "a bundle": ("UPDATE tile SET data = ? WHERE log = 0 AND level = -1", b"x"),
    "the root": ("UPDATE log_state SET root = ? WHERE log = 0", b"x" * 32),
    "the size": ("UPDATE log_state SET size = ? WHERE log = 0", 5),
    "the beginning": ("UPDATE log_state SET start = ? WHERE log = 1", 5),
    "a state gone": ("DELETE FROM log_state WHERE log = ?", 0),
    "a leaf": ("UPDATE log_leaf SET hash = ? WHERE leaf_index = 7", b"x" * 32),
    "a leaf gone": ("DELETE FROM log_leaf WHERE leaf_index = ?", 7),
    "a body": ("UPDATE record SET body = ? WHERE seq = 7", b"{}"),
    "the final checkpoint": ("DELETE FROM checkpoint WHERE log = ?", 0),
    "a checkpoint more": (
        "INSERT INTO checkpoint (log, size, root, note, published_at) VALUES (0, 999, ?, 'x', 0)",
        b"x" * 32,
    ),
    "the hand-over": ("UPDATE record SET body = ? WHERE type = 'rotated'", b"{}"),
}


@pytest.fixture(scope="module")
def rotated(request, tmp_path_factory) -> Iterator[Ledger]:
    """A log of 300 leaves that another one went on from."""
    from app.db.engine import sqlite_url

    folder = tmp_path_factory.mktemp("rotated")
    template = request.getfixturevalue("sqlite_template")
    opened = Ledger(sqlite_url(shutil.copyfile(template, folder / "suxin.db")), folder / "keys")
    opened.grow(300)
    opened.rotate()
    opened.grow(20)
    opened.publish()
    yield opened
    opened.close()


@pytest.mark.parametrize("what", TAMPERINGS)
def test_what_is_changed_in_a_frozen_log_is_found_by_audit_and_fsck(rotated, what):
    statement, value = TAMPERINGS[what]
    from tests.ledger.drills import Undone
    from tests.ledger.ledgers import runner

    with pytest.raises(Undone), rotated.database.write() as connection:
        run = runner(connection)
        for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            run(f"DROP TRIGGER {name}")
        assert rotated.problems(connection) == []
        assert fsck(rotated, connection) == []
        run(statement, value)
        assert rotated.problems(connection) != []
        # The second opinion derives; that a row too many is no checkpoint, the first one says.
        assert fsck(rotated, connection) != [] or what in (
            "a checkpoint more",
            "the final checkpoint",
        )
        raise Undone


def test_a_frozen_logs_final_checkpoint_is_put_back_and_a_foreign_one_goes(ledger):
    ledger.grow(5)
    ledger.publish()
    ledger.rotate()
    with ledger.database.read() as connection:
        final = load_checkpoint(connection, ledger.keys.frozen[0])
    ledger.sql("DELETE FROM checkpoint WHERE log = 0 AND size = ?", final.size)
    foreign = (
        "INSERT INTO checkpoint (log, size, root, note, published_at) VALUES (0, 9, ?, 'x', 0)"
    )
    ledger.sql(foreign, b"x")
    kinds = ["log.checkpoint_mismatch", "log.checkpoint_missing"]
    assert sorted(problem.kind for problem in ledger.problems()) == kinds
    ledger.reported.clear()
    ledger.publisher.publish()
    assert sorted(problem.kind for problem in ledger.reported) == kinds
    with ledger.database.read() as connection:
        assert load_checkpoint(connection, ledger.keys.frozen[0]).note == final.note
    check_log(ledger)


def test_on_an_old_copy_no_final_checkpoint_is_touched(ledger):
    """A database from before the rotation: its rows are not judged by keys that it does not know."""
    ledger.add()
    ledger.publish()
    old = ledger.keys.log.vkey
    fresh = NoteSigner("elsewhere.test/log", b"\x07" * 32)
    publisher = Publisher(
        ledger.database, signer=fresh, frozen=[old], anchor=ledger.anchor, clock=ledger.clock,
        report=ledger.reported.extend,
    )  # fmt: skip
    ledger.sql("UPDATE checkpoint SET note = 'spoilt'")
    with pytest.raises(DatabaseBehindAnchor):
        publisher.publish()
    assert ledger.sql("SELECT note FROM checkpoint") == [("spoilt",)]
    assert ledger.reported == []


@pytest.mark.parametrize("what", ["origin", "key", "size", "root"])
def test_a_false_hand_over_is_a_finding_on_the_log(ledger, what, monkeypatch):
    """The operator itself lies: records, leaves and tree all agree, and what they say is not so."""
    from app.ledger import rotation

    def lie(old, final: Checkpoint) -> dict:
        data = {"origin": old.name, "key": str(old), "root": final.root.hex(), "size": final.size}
        return data | {
            what: 7 if what == "size" else flipped(data[what].encode()).decode("latin-1")
        }

    ledger.add()
    monkeypatch.setattr(rotation, "continued_data", lie)
    ledger.rotate()
    told = [(p.kind, p.evidence) for p in ledger.problems()]
    assert told == [("log.handover_mismatch", {"record": "continued", "log": SECOND})]


def test_a_service_and_a_rotation_shut_each_other_out(database):
    from app.db.engine import Database
    from app.db.service_lock import hold_service_lock

    other = Database(database.url)
    try:
        with hold_service_lock(database, alone=False) as first:
            with hold_service_lock(other, alone=False) as second:
                assert first
                assert second
            with hold_service_lock(other, alone=True) as rotating:
                assert rotating is (database.dialect == "sqlite")
        with hold_service_lock(other, alone=True) as rotating:
            assert rotating
            with hold_service_lock(database, alone=False) as served:
                assert served is (database.dialect == "sqlite")
    finally:
        other.close()


def test_a_database_of_one_log_becomes_the_first_of_several(request, tmp_path):
    """Made by 0001 and 0002, with everything in it; then it migrates, and goes on."""
    for kind in ("sqlite", "postgresql"):
        _migrate(request, tmp_path, kind)


def _migrate(request, tmp_path, kind: str) -> None:
    from alembic import command
    from sqlalchemy import inspect

    from app.db import schema
    from app.db.engine import Database, sqlite_url

    if kind == "sqlite":
        url = sqlite_url(tmp_path / "old.db")
    else:
        server = request.getfixturevalue("postgres")
        server.execute("CREATE DATABASE old_suxin")
        url = server.url("old_suxin")
    source = Ledger(sqlite_url(shutil.copyfile(
        request.getfixturevalue("sqlite_template"), tmp_path / f"source-{kind}.db"
    )), tmp_path / f"keys-{kind}")  # fmt: skip
    source.grow(300)
    source.publish()
    source.add(UNIT)
    old = Database(url)
    command.upgrade(schema._config(old, (4, 60)), "0002")
    with source.database.read() as read, old.write() as write:
        for table in (
            "head",
            "record",
            "log_leaf",
            "unsequenced",
            "tile",
            "checkpoint",
            "log_state",
        ):
            rows = [dict(row) for row in read.exec_driver_sql(f"SELECT * FROM {table}").mappings()]
            columns = {column["name"] for column in inspect(write).get_columns(table)}
            for given in rows:
                row = given | ({"id": given["log"] + 1} if table == "log_state" else {})
                row = {name: value for name, value in row.items() if name in columns}
                names, marks = (
                    ", ".join(row),
                    ", ".join(["?" if kind == "sqlite" else "%s"] * len(row)),
                )
                write.exec_driver_sql(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values())
                )
    source.close()
    assert schema.migrate(old) != []
    assert schema.migrate(old) == []
    with old.read() as connection:
        (state,) = logstore.load_states(connection)
        assert (state.log, state.origin, state.size) == (logstore.Log(0, 0), ORIGIN, 300)
    old.close()
    moved = Ledger(url, tmp_path / f"keys-{kind}")
    moved.publish()
    check_log(moved, records=301)
    moved.rotate()
    moved.add()
    moved.publish()
    check_log(moved, records=304)
    # Leaves that the logs hold are never taken away, in either of them.
    from sqlalchemy.exc import DatabaseError

    for position in (5, 302, 303):
        with pytest.raises(DatabaseError), moved.database.write() as connection:
            connection.exec_driver_sql(f"DELETE FROM log_leaf WHERE leaf_index = {position}")
    moved.close()
    if kind == "postgresql":
        request.getfixturevalue("postgres").execute("DROP DATABASE old_suxin WITH (FORCE)")


def test_the_state_of_the_head_is_plain(ledger):
    ledger.add()
    ledger.rotate()
    rows = ledger.sql("SELECT state FROM head WHERE name = ?", HEADS)
    assert [json.loads(bytes(row.state)) for row in rows] == [{}]
    assert ledger.record(submission()) != []
