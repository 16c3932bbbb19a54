"""A folder that becomes the log's anchor: whatever it held before, it goes on from what was served."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

import pytest

from app.ledger.adopting import adopt_anchor
from app.ledger.anchor import Anchor
from app.ledger.note import split_note
from app.ledger.publisher import Publisher
from tests.ledger.ledgers import check_log
from tests.ledger.test_witnesses import Scene


@pytest.fixture
def scene(sqlite_ledger):
    with ExitStack() as exits:
        yield Scene(sqlite_ledger, exits)


def test_the_anchor_of_a_log_that_ended_is_brought_to_the_one_that_goes_on(ledger, tmp_path):
    """Whose size is smaller: sizes of two logs tell nothing of each other."""
    ledger.grow(50)
    ledger.publish()
    (tmp_path / "old").mkdir()
    shutil.copy(ledger.keys_dir / "anchor", tmp_path / "old")
    ledger.grow(5)
    ledger.publish()
    ledger.rotate()
    ledger.grow(3)
    ledger.publish()
    anchor = Anchor(tmp_path / "old")
    told = adopt_anchor(ledger.database, anchor, ledger.keys.logs)
    assert anchor.read() == told.note == ledger.anchor.read()
    # It keeps the final checkpoint too, and can put it back.
    assert anchor.read_final(0) == ledger.anchor.read_final(0) is not None
    publisher = Publisher(
        ledger.database, signer=ledger.keys.log, frozen=ledger.keys.frozen, anchor=anchor,
        clock=ledger.clock,
    )  # fmt: skip
    publisher.check_start()
    ledger.grow(2)
    assert publisher.publish().size == told.size + 2


def test_an_anchor_that_is_ahead_of_what_was_served_stays(ledger):
    ledger.grow(3)
    ledger.publish()
    ledger.grow(3)
    note = ledger.anchor.read()
    ledger.publisher.publish()
    ahead = ledger.anchor.read()
    ledger.sql("DELETE FROM checkpoint WHERE size = 6")
    assert ahead != note
    if told := adopt_anchor(ledger.database, ledger.anchor, ledger.keys.logs):
        assert told.size < 6
    assert ledger.anchor.read() == ahead


def test_what_witnesses_cosigned_is_anchored_without_their_lines(scene, tmp_path):
    scene.peer()
    publisher = scene.join("witness.test/w1")
    scene.grow()
    publisher.publish()
    plain = scene.ledger.anchor.read()
    (tmp_path / "new").mkdir()
    anchor = Anchor(tmp_path / "new")
    adopt_anchor(scene.ledger.database, anchor, scene.ledger.keys.logs)
    assert anchor.read() == plain
    publisher = Publisher(
        scene.ledger.database, signer=scene.ledger.keys.log, anchor=anchor,
        clock=scene.ledger.clock, cosigning=scene.cosigning,
    )  # fmt: skip
    publisher.publish()
    assert [line.name for line in split_note(scene.served().note)[1]] == [
        scene.ledger.keys.log.vkey.name, "witness.test/w1",
    ]  # fmt: skip
    check_log(scene.ledger)
