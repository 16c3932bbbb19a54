"""A rotation on PostgreSQL leads from its first write to its last, or writes nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from app.db.lease import Lease, OtherLeads, Standing
from app.ledger import logstore
from app.ledger.heads import rotating_to
from app.ledger.keyring import Keyring, next_key
from app.ledger.publisher import Publisher
from app.ledger.rotation import Rotated, Rotation, RotationOvertaken
from app.ledger.sequencer import Sequencer
from tests.ledger.ledgers import ORIGIN, Ledger, check_log, submission
from tests.ledger.test_leading import Process
from tests.ledger.test_rotation import SECOND, STEPS, heads_of, origins
from tests.sentences import explain


@pytest.fixture
def ledger(postgresql_database_url: str, tmp_path: Path, clock):
    opened = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


class Rotating:
    """A rotation under a lease of its own; `reached` and `waited` keep what it told."""

    def __init__(self, ledger: Ledger, *, lease_s: float = 30.0, at=lambda _: None) -> None:
        self.reached: list[str] = []
        self.waited: list[Standing] = []
        lease = Lease(ledger.database, lease_s=lease_s)

        def publisher_of(keys: Keyring) -> Publisher:
            return Publisher(
                ledger.database, signer=keys.log, frozen=keys.frozen, anchor=ledger.anchor,
                clock=ledger.clock, lease=lease,
            )  # fmt: skip

        def reached(step: str) -> None:
            self.reached.append(step)
            at(step)

        self.lease = lease
        self.rotation = Rotation(
            ledger.database,
            ledger.recorder,
            Sequencer(ledger.database, lease=lease),
            keys_dir=ledger.keys_dir,
            anchor=ledger.anchor,
            clock=ledger.clock,
            publisher_of=publisher_of,
            reached=reached,
        )

    def run(self) -> Rotated:
        return self.rotation.run(self.rotation.plan(), waiting=self.waited.append)


def is_rotating(ledger: Ledger) -> bool:
    with ledger.database.read() as connection:
        return rotating_to(connection) is not None


def leader_of(ledger: Ledger, *, lease_s: float) -> Process:
    """A process that leads, and signs what is there."""
    leader = Process(ledger)
    leader.lease._lease_s = lease_s
    leader.work()
    return leader


def test_a_leader_that_died_is_waited_for_as_long_as_its_lease(ledger):
    rotating, dead = Rotating(ledger), leader_of(ledger, lease_s=1.5)
    assert dead.lease.renew()  # what it did took its time
    assert rotating.run().new == SECOND
    assert {standing.holder for standing in rotating.waited} == {dead.lease.id}
    assert all(0 <= standing.left_s <= 1.5 for standing in rotating.waited)
    assert not rotating.lease.leads(), "the service that starts next waits for nobody"
    assert Process(ledger).lease.renew()
    check_log(ledger, records=5)


def test_beside_a_leader_that_lives_it_says_who_and_has_written_nothing(ledger):
    # Ten renewals in a lease: one may come late on a busy machine.
    leader = leader_of(ledger, lease_s=2.5)
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(0.25):
            leader.lease.renew()

    living = threading.Thread(target=live)
    living.start()
    try:
        rotating = Rotating(ledger, lease_s=2.5)
        with pytest.raises(OtherLeads) as found:
            rotating.run()
    finally:
        ended.set()
        living.join()
    assert found.value.params["holder"] == leader.lease.id
    assert all(found.value.params["where"] in sentence for sentence in explain(found.value))
    assert rotating.reached == []
    assert next_key(ledger.keys_dir) is None
    assert heads_of(ledger) == []
    leader.publisher.check_start()
    leader.work()
    check_log(ledger, records=6)


def test_it_renews_its_lease_however_long_a_step_takes(ledger):
    ledger.add()
    other = Process(ledger)
    took: list[str] = []

    def dawdle(step: str) -> None:
        until = time.monotonic() + 2.7
        while step in ("rotated recorded", "vkey kept", "opened") and time.monotonic() < until:
            if other.lease.renew():
                took.append(step)
            time.sleep(0.05)

    # A fifth of a lease passes between two renewals: what is left must be enough on a busy machine.
    Rotating(ledger, lease_s=2.4, at=dawdle).run()
    assert took == []
    check_log(ledger, records=3)


@pytest.mark.parametrize("works", [True, False], ids=["works", "leads"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_overtaken_at_any_step_it_stops_and_is_completed_by_running_it_again(ledger, step, works):
    """It stood still longer than its lease, and whoever took over may have given places since."""
    ledger.add()
    ledger.publish()
    ledger.add()
    other = Process(ledger)

    def overtake(reached: str) -> None:
        if reached == step:
            other.take_over()
            if works:
                ledger.record(submission())
                other.sequencer.sequence()

    first = Rotating(ledger, at=overtake)
    with pytest.raises(RotationOvertaken) as found:
        first.run()
    assert all(explain(found.value))
    assert "begun" not in first.reached
    if step == "key":
        assert not is_rotating(ledger), "recorded although another led"
    if step in ("published", "final kept", "vkey kept"):
        assert origins(ledger) == [ORIGIN], "opened although another had led"
    other.lease.release()
    done = Rotating(ledger).run()
    assert (done.old, done.new) == (ORIGIN, SECOND)
    ledger.reopen()
    ledger.publisher.check_start()
    ledger.add()
    ledger.publish()
    with ledger.database.read() as connection:
        assert len(logstore.load_states(connection)) == 2
        assert rotating_to(connection) is None
    check_log(ledger)


def test_overtaken_before_its_first_record_it_records_none(ledger):
    """Where nothing waits for a place, that record is the first thing that it writes."""
    ledger.add()
    ledger.publish()
    other = Process(ledger)
    rotating = Rotating(ledger, at=lambda step: step == "key" and other.take_over())
    with pytest.raises(RotationOvertaken):
        rotating.run()
    assert heads_of(ledger) == []
    other.publisher.check_start()
    other.work()
    check_log(ledger, records=4)


def test_no_other_gives_a_place_in_a_log_that_has_not_taken_over(ledger):
    """Its first leaf is the hand-over; anything else there would be for ever."""
    ledger.add()

    class Died(BaseException):
        pass

    def die(step: str) -> None:
        if step == "opened":
            raise Died

    with pytest.raises(Died):
        Rotating(ledger, at=die).run()
    ledger.add()
    assert Process(ledger).take_over().sequencer.sequence() == 0
    ledger.sql("UPDATE leader SET expires_at = 0")
    Rotating(ledger).run()
    check_log(ledger)
    assert [fields["type"] for fields in heads_of(ledger)] == ["rotated", "continued"]
