"""Every write step of recorder, sequencer, publisher and vault fails once, in both ways."""

from __future__ import annotations

import itertools

import pytest

from app.ledger.checkpoint import open_checkpoint
from tests.faults.life import Life
from tests.faults.steps import failing


@pytest.mark.parametrize("how", ["not persisted", "persisted"])
def test_whatever_step_fails_nothing_acknowledged_is_lost_and_nothing_forks(ledger, how, tried):
    life = Life(ledger).begin()
    life.settle()
    hit = []
    for number in itertools.count(1):
        ledger.clock.advance(1)
        with failing(life.ledger.database, number, how) as fault:
            life.turn()
        life.look()
        life.settle()
        if fault.hit is None:
            break
        hit.append(fault.hit)
    assert {"do_commit", "write", "fsync", "rename"} <= set(hit), hit
    assert sum(name.startswith("INSERT") for name in hit) >= 6, hit
    assert hit.count("do_commit") >= 4, hit
    tried(f"a write step fails, {how}", ledger.database.dialect, len(hit))


def test_a_step_that_fails_is_told_to_whoever_waits(ledger):
    """Otherwise the drill above would prove nothing: the fault must reach what it is aimed at."""
    life = Life(ledger).begin()
    told = []
    for number in range(1, 12):
        with failing(life.ledger.database, number, "not persisted") as fault:
            life.turn()
        assert fault.hit is not None
        told.append(bool(life.faults))
        life.faults.clear()
        life.settle()
    assert all(told), told


def test_what_was_anchored_is_what_is_served_after_a_death_between_the_two(ledger):
    life = Life(ledger).begin()
    ledger.sequence()
    anchored = set()
    for number in itertools.count(1):
        with failing(life.ledger.database, number, "not persisted") as fault:
            life.attempt(life.ledger.publisher.publish)
        note = ledger.anchor.read()
        if note is not None:
            anchored.add(open_checkpoint(note, [ledger.keys.log.vkey]).root)
        life.look()
        if fault.hit is None:
            break
    assert len(anchored) == 1, "one size, two roots"
    life.settle()
