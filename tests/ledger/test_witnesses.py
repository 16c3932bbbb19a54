"""The publisher and its witnesses: whatever they do, the log goes on and never forks."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from hashlib import sha256

import pytest

from app.ledger import logstore
from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.cosign import Cosigner, read_cosignatures
from app.ledger.note import split_note
from app.ledger.policy import PolicyMalformed, parse_policy
from app.ledger.prover import prove_to
from app.ledger.publisher import Publisher
from app.ledger.served import load_checkpoint
from app.ledger.witness import read_request
from app.ledger.witnesses import (
    QuorumMissing,
    QuorumUnreachable,
    WitnessAhead,
    WitnessContradicts,
    Witnesses,
)
from tests.fakes import START
from tests.ledger.ledgers import ORIGIN, check_log
from tests.ledger.peers import Peer, is_slow, says, true_witness
from tests.sentences import explain

SIZE = {"Content_Type": "text/x.tlog.size"}
# How long one that answers may take on a busy machine; who is slow on purpose is given a time-out of its own.
TIMEOUT_S = 30.0
BOTH = "group both all witness.test/w1 witness.test/w2\n"
STRANGERS = Cosigner("witness.test/x", b"x" * 32).cosign("a\n", at=START).encode()


class Scene:
    """A ledger with witnesses, and a clock for their pauses."""

    def __init__(self, ledger, exits: ExitStack) -> None:
        self.ledger = ledger
        self._exits = exits
        self.now_s = 100.0
        self.peers: list[Peer] = []

    def peer(self, say=None) -> Peer:
        number = len(self.peers) + 1
        peer = Peer(f"witness.test/w{number}", 40 + number, say)
        self._exits.callback(peer.close)
        self.peers.append(peer)
        return peer

    def join(
        self, quorum: str = "none", *, timeout_s: float = TIMEOUT_S, more: str = ""
    ) -> Publisher:
        lines = "".join(peer.line for peer in self.peers)
        return self.publisher(f"{lines}{more}quorum {quorum}\n", timeout_s=timeout_s)

    def publisher(self, policy: str, *, timeout_s: float = TIMEOUT_S) -> Publisher:
        ledger = self.ledger
        self.cosigning = Witnesses(
            parse_policy(policy.encode()), prove=self.prove,
            timeout_s=timeout_s, monotonic_s=lambda: self.now_s,
        )  # fmt: skip
        self._exits.callback(self.cosigning.close)
        return Publisher(
            ledger.database, signer=ledger.keys.log, anchor=ledger.anchor, clock=ledger.clock,
            cosigning=self.cosigning,
        )  # fmt: skip

    def prove(self, old: int, new: Checkpoint) -> list[bytes]:
        assert new.origin == ORIGIN
        return prove_to(self.ledger.database, old, new)

    def grow(self, leaves: int = 3) -> None:
        self.ledger.grow(leaves)

    def served(self):
        with self.ledger.database.read() as connection:
            return load_checkpoint(connection, self.ledger.keys.log.vkey)

    def cosigners(self) -> list[str]:
        """Whose cosignatures the served note bears; all of them are verified."""
        served = self.served()
        keys = [peer.signer.vkey for peer in self.peers]
        found = [one.key.name for one in read_cosignatures(served.note, keys)]
        assert len(split_note(served.note)[1]) == len(found) + 1
        return [name.removeprefix("witness.test/") for name in found]


@pytest.fixture
def scene(sqlite_ledger):
    with ExitStack() as exits:
        yield Scene(sqlite_ledger, exits)


@pytest.fixture
def scene_of_each(ledger):
    """A scene on each kind of database, for what the database has a part in."""
    with ExitStack() as exits:
        yield Scene(ledger, exits)


def test_every_checkpoint_is_cosigned_with_a_proof_from_the_last(scene_of_each):
    scene = scene_of_each
    one, two = scene.peer(), scene.peer()
    publisher = scene.join("both", more=BOTH)  # nobody would wait long for one more than enough
    for _ in range(3):
        scene.grow()
        published = publisher.publish()
        assert published.note == scene.served().note
        assert published.note.startswith(scene.ledger.anchor.read())
        assert scene.cosigners() == ["w1", "w2"]
        assert publisher.publish() is None
    assert one.posts == two.posts == [0, 3, 6]
    assert len(read_request(one.asked[2][2])[1]) > 0
    check_log(scene.ledger, records=9)


def test_a_true_witness_over_http_cosigns_and_a_restart_of_ours_starts_from_its_size(
    scene, tmp_path
):
    key = scene.ledger.keys.log.vkey
    with true_witness(tmp_path / "heads", "witness.test/true", [key]) as (signer, url):
        policy = f"witness w {signer.vkey} {url}/\nquorum w\n"
        for _ in range(3):
            scene.grow(300)
            publisher = scene.publisher(policy)  # which knows nothing of the witness
            publisher.check_start()
            assert publisher.publish() is not None
            (cosignature,) = read_cosignatures(scene.served().note, [signer.vkey])
            assert cosignature.line in scene.served().note
            assert scene.cosigning.failed == {"witness.test/true": 0}
        # Without the monitoring read, its 409 tells.
        scene.grow(5)
        assert scene.publisher(policy).publish().size == 905


def test_without_a_policy_nobody_is_asked(scene):
    scene.grow()
    assert scene.ledger.publisher.publish().note == scene.ledger.anchor.read()


# ------------------------------------------------------------------------------- the quorum


def test_without_its_quorum_a_checkpoint_is_not_served_and_the_same_note_is_offered_again(
    scene_of_each,
):
    scene = scene_of_each
    one, two = scene.peer(), scene.peer(says(503))
    publisher = scene.join("both", more=BOTH)
    scene.grow()
    assert publisher.publish() is None
    assert isinstance(publisher.fault, QuorumMissing)
    assert "witness.test/w1" in explain(publisher.fault)[0]
    anchored = scene.ledger.anchor.read()
    assert scene.served() is None
    for _ in range(3):
        scene.now_s += 60
        assert publisher.publish() is None
        assert scene.ledger.anchor.read() == anchored
    assert {body.decode().split("\n\n", 1)[1] for _, _, body in two.asked} == {anchored}
    assert len(one.asked) == 1  # what it gave is kept
    two.say = two.cosign
    scene.now_s += 60
    assert publisher.publish().note.startswith(anchored)
    assert publisher.fault is None
    assert scene.cosigners() == ["w1", "w2"]
    check_log(scene.ledger, records=3)


def test_a_restart_offers_the_anchored_note_and_signs_no_other(scene):
    two = scene.peer(says(503))
    scene.grow()
    assert scene.join("witness.test/w1").publish() is None
    anchored = scene.ledger.anchor.read()
    two.say = two.cosign
    scene.ledger.reopen()
    publisher = scene.join("witness.test/w1")
    publisher.check_start()
    assert publisher.publish().note.startswith(anchored)
    assert scene.ledger.anchor.read() == anchored


def test_the_log_grows_past_a_checkpoint_that_was_never_served(scene):
    peer = scene.peer(says(503))
    publisher = scene.join("witness.test/w1")
    scene.grow()
    assert publisher.publish() is None
    scene.grow()
    assert publisher.publish() is None
    peer.say = peer.cosign
    scene.now_s += 60
    assert publisher.publish().size == 6


def test_what_was_served_without_its_quorum_is_missing_it_until_it_is_there(scene):
    """A policy that came later: also while nobody is due to be asked."""
    scene.grow()
    scene.ledger.publisher.publish()
    peer = scene.peer(says(500))
    publisher = scene.join("witness.test/w1")
    for _ in range(3):
        assert publisher.publish() is None
        assert isinstance(publisher.fault, QuorumMissing)
    assert len(peer.posts) == 1
    peer.say = peer.cosign
    scene.now_s += 60
    assert publisher.publish().size == 3
    assert publisher.fault is None


def test_with_two_of_three_one_may_be_down(scene):
    for _ in range(3):
        scene.peer()
    group = "group most 2 witness.test/w1 witness.test/w2 witness.test/w3\n"
    publisher = scene.join("most", more=group)
    scene.peers[0].say = says(500)
    scene.grow()
    assert publisher.publish() is not None
    assert scene.cosigners() == ["w2", "w3"]
    scene.peers[1].say = says(500)
    scene.grow()
    assert publisher.publish() is None
    assert scene.served().size == 3


def test_a_quorum_that_nobody_could_reach_is_refused(scene):
    key = Cosigner("witness.test/offline", b"\x09" * 32).vkey
    with pytest.raises(QuorumUnreachable) as found:
        scene.publisher(f"witness w {key}\nquorum w\n")
    explain(found.value)
    for url in ("ftp://w.test", "w.test", "https://"):
        with pytest.raises(PolicyMalformed) as found:
            scene.publisher(f"\nwitness w {key} {url}\nquorum none\n")
        assert found.value.line == 2
        explain(found.value)


# ------------------------------------------------------------------- witnesses that misbehave


def publish_until(scene: Scene, publisher: Publisher, cosigners: list[str]) -> None:
    until = time.monotonic() + TIMEOUT_S
    while scene.cosigners() != cosigners:
        assert time.monotonic() < until, scene.cosigners()
        time.sleep(0.02)
        publisher.publish()


def test_who_is_late_is_added_and_nobody_waits_longer_than_the_time_out(scene):
    scene.peer()
    late = scene.peer()
    awake = threading.Event()
    late.say = lambda *asked: (awake.wait(60), late.cosign(*asked))[1]
    publisher = scene.join(timeout_s=1)
    scene.grow()
    first = publisher.publish()
    publish_until(scene, publisher, ["w1"])
    scene.ledger.clock.advance(60)
    assert publisher.publish() is None  # it is still being asked
    awake.set()
    publish_until(scene, publisher, ["w1", "w2"])
    assert len(late.asked) == 1
    assert scene.served().published_at_ms == first.published_at_ms
    assert publisher.publish() is None


def test_a_log_that_never_rests_serves_what_a_slow_witness_cosigned(scene):
    """Its answer comes after the time-out, and meanwhile there is always something newer."""
    slow = scene.peer()
    slow.say = is_slow(0.5, slow.cosign)
    publisher = scene.join("witness.test/w1", timeout_s=0.2)
    sizes = set()
    until = time.monotonic() + 60
    while len(sizes) < 3:
        assert time.monotonic() < until, sizes
        scene.now_s += 60  # an answer later than four time-outs is none, and it rests
        scene.grow(1)
        if (published := publisher.publish()) is not None:
            sizes.add(published.size)
            assert (scene.served().size, scene.cosigners()) == (published.size, ["w1"])
        time.sleep(0.05)
    slow.say = slow.cosign
    while publisher.publish() is None:
        assert time.monotonic() < until
        scene.now_s += 60
        time.sleep(0.05)
    check_log(scene.ledger)


def test_a_slow_witness_that_could_not_make_the_quorum_holds_no_checkpoint_up(scene):
    slow = scene.peer()
    slow.say = is_slow(60, slow.cosign)
    scene.peer(says(500))
    publisher = scene.join("both", more=BOTH, timeout_s=0.8)
    for size in (3, 6):
        scene.grow()
        assert publisher.publish() is None
        assert f"\n{size}\n" in scene.ledger.anchor.read()
        until = time.monotonic() + TIMEOUT_S
        while not scene.cosigning.failed["witness.test/w2"]:  # its answer may yet be on its way
            assert time.monotonic() < until
            time.sleep(0.02)


def test_once_there_are_enough_the_others_get_a_moment_only(scene):
    scene.peer()
    slow = scene.peer()
    awake = threading.Event()
    slow.say = lambda *asked: (awake.wait(60), slow.cosign(*asked))[1]
    publisher = scene.join("witness.test/w1", timeout_s=30)
    scene.grow()
    begun = time.monotonic()
    assert publisher.publish() is not None
    assert time.monotonic() - begun < 20
    awake.set()


def test_a_slippery_witness_ends(scene):
    """It answers 409 with another size each time."""
    told = iter(range(1, 10_000))
    slippery = scene.peer(
        lambda *_: (409, {"Content-Type": "text/x.tlog.size"}, b"%d\n" % next(told))
    )
    scene.peer()
    publisher = scene.join()
    scene.grow(90)
    publisher.publish()
    assert scene.cosigners() == ["w2"]
    assert slippery.posts == [0, 1, 2]
    # And it is left alone for longer and longer.
    for _ in range(200):
        publisher.publish()
        scene.now_s += 0.5
    assert len(slippery.posts) <= 3 * 9
    assert scene.cosigning.failed["witness.test/w1"] * 3 == len(slippery.posts)


BAD = {
    "403": says(403, b"no\n"),
    "404": says(404),
    "422": says(422),
    "429": says(429, Retry_After="9"),
    "500": says(500),
    "redirect": says(302, Location="http://127.0.0.1:9/"),
    "409 without its type": says(409, b"2\n"),
    "409 with a leading zero": says(409, b"02\n", **SIZE),
    "409 without a line feed": says(409, b"2", **SIZE),
    "409 with words": says(409, b"two\n", **SIZE),
    "409 with the same": says(409, b"0\n", **SIZE),
    "409 beyond all bounds": says(409, b"9999999999999999999\n", **SIZE),
    "409 ahead of us": says(409, b"1000\n", **SIZE),
    "garbage": says(200, b"\xff\xfe\x00"),
    "a page": says(200, b"<html>\n"),
    "nothing": says(200),
    "huge": says(200, b"\xe2\x80\x94 w AAAA\n" * 1_000_000),
    "a bomb": says(200, b"\x1f\x8b" + b"\0" * 90_000, Content_Encoding="gzip"),
    "a stranger's line": says(200, STRANGERS),
}  # fmt: skip


@pytest.mark.parametrize("how", BAD)
def test_one_that_answers_wrongly_is_counted_and_stops_nobody(scene, how, logs):
    bad = scene.peer(BAD[how])
    scene.peer()
    publisher = scene.join()
    scene.grow()
    assert publisher.publish() is not None
    assert scene.cosigners() == ["w2"]
    assert scene.cosigning.failed == {"witness.test/w1": 1, "witness.test/w2": 0}
    assert [entry["witness"] for entry in logs if entry["event"] == "witness.failed"] == [
        "witness.test/w1"
    ]
    assert len(bad.posts) <= 2
    asked = len(bad.asked)
    publisher.publish()  # it rests
    assert len(bad.asked) == asked
    bad.say = bad.cosign
    scene.now_s += 1.1
    publisher.publish()
    assert scene.cosigners() == ["w1", "w2"]


def test_what_it_signed_is_verified_before_it_is_kept(scene):
    liar = scene.peer()
    honest = liar.cosign

    def other_text(method, path, body):
        text = split_note(read_request(body)[2])[0].replace("\n3\n", "\n4\n")
        return 200, {}, liar.signer.cosign(text, at=liar.clock.now()).encode()

    liar.say = other_text
    publisher = scene.join("witness.test/w1")
    scene.grow()
    assert publisher.publish() is None
    assert scene.served() is None
    liar.say = honest
    scene.now_s += 60
    assert publisher.publish() is not None


def test_one_that_is_not_there_or_never_ends_costs_a_time_out(scene):
    gone = scene.peer()
    gone.close()
    scene._exits.pop_all()  # closed already; the others are below
    stuck = scene.peer(is_slow(60, says(200)))
    scene.peer()
    publisher = scene.join(timeout_s=1)
    try:
        scene.grow()
        begun = time.monotonic()
        publisher.publish()
        assert time.monotonic() - begun < 20
        for _ in range(5):
            scene.grow(1)
            publisher.publish()
        assert len(stuck.asked) == 1  # it is still being asked, and nobody waits for it again
        assert scene.served().size == 8
        publish_until(scene, publisher, ["w3"])
        begun = time.monotonic()
        scene.cosigning.close()
        assert time.monotonic() - begun < 20
    finally:
        scene.cosigning.close()
        stuck.close()
        scene.peers[2].close()


def test_a_row_whose_cosignatures_were_altered_is_served_again_as_they_were(scene):
    scene.peer()
    publisher = scene.join("witness.test/w1")
    scene.grow()
    publisher.publish()
    true = scene.served().note
    forged = str(true.splitlines(keepends=True)[-1]).replace("A", "B")
    for note in (scene.ledger.anchor.read(), true + true.splitlines(keepends=True)[-1],
                 scene.ledger.anchor.read() + forged, true + "— x AAAAAAAA\n"):  # fmt: skip
        scene.ledger.sql("UPDATE checkpoint SET note = ?", note)
        publisher.publish()
        assert scene.served().note == true


# ---------------------------------------------------------------------------------- at start


def state_of(ledger):
    with ledger.database.read() as connection:
        return logstore.load_state(connection)


def test_a_restored_backup_is_refused_where_a_witness_remembers_more(scene_of_each, tmp_path):
    scene = scene_of_each
    ledger = scene.ledger
    with true_witness(tmp_path / "heads", "witness.test/true", [ledger.keys.log.vkey]) as (
        signer,
        url,
    ):
        policy = f"witness w {signer.vkey} {url}\nquorum w\n"
        scene.grow(2)
        scene.publisher(policy).publish()
        old, anchor = state_of(ledger), ledger.anchor.read()
        scene.grow(3)
        scene.publisher(policy).publish()
        # Database and anchor of the day before, restored together: nothing here contradicts itself.
        ledger.sql(
            "UPDATE log_state SET size = ?, root = ?, edge = ?", 2, old.root, b"".join(old.edge)
        )
        ledger.sql("DELETE FROM log_leaf WHERE leaf_index >= 2")
        ledger.sql("DELETE FROM checkpoint WHERE size > 2")
        (ledger.keys_dir / "anchor").write_text(anchor)
        (ledger.keys_dir / "anchor.edge").unlink()
        ledger.publisher.check_start()  # without witnesses nobody can know
        with pytest.raises(WitnessAhead) as found:
            scene.publisher(policy).check_start()
        assert "5" in explain(found.value)[0]
        # Grown past it, it is another log.
        ledger.sql("DELETE FROM tile")
        ledger.sql("DELETE FROM unsequenced")
        scene.grow(4)
        with pytest.raises(WitnessContradicts) as found:
            scene.publisher(policy).check_start()
        explain(found.value)


def last_seen(note: str):
    return lambda method, *_: (200, {}, note.encode()) if method == "GET" else (503, {}, b"")


def test_a_beginning_of_our_log_is_no_reason_even_where_tiles_are_damaged(scene):
    ledger = scene.ledger
    scene.grow(5)
    ledger.publish()
    seen = ledger.anchor.read()
    scene.peer(last_seen(seen))
    scene.grow(5)
    publisher = scene.join()
    publisher.check_start()
    path = f"/w/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    assert scene.peers[0].asked[0][:2] == ("GET", path)
    ledger.sql("UPDATE tile SET data = ? WHERE level = 0", b"\x01" * 320)
    publisher.check_start()
    assert scene.join().publish().size == 10


def test_only_our_own_signature_is_believed_at_start(scene):
    ledger = scene.ledger
    scene.grow(5)
    ledger.publish()
    huge = Checkpoint(ORIGIN, 10**6, b"\x01" * 32)
    stranger = ledger.keys.receipt.__class__(ORIGIN, b"\x09" * 32)
    answers = [
        says(404), says(500), says(200, b"garbage"), says(200, b"x" * 10**6),
        says(200, sign_checkpoint(huge, stranger).encode()),
        is_slow(1, says(200)),
    ]  # fmt: skip
    for say in answers:
        scene.peer(say)
    scene.join(timeout_s=0.5).check_start()
    scene.peer(says(200, sign_checkpoint(huge, ledger.keys.log).encode()))
    with pytest.raises(WitnessAhead):
        scene.join().check_start()


def test_at_the_same_size_the_root_must_be_ours(scene):
    ledger = scene.ledger
    scene.grow(5)
    ledger.publish()
    size = open_checkpoint(ledger.anchor.read(), [ledger.keys.log.vkey]).size
    for at in (size, size - 1):
        scene.peers.clear()
        other = Checkpoint(ORIGIN, at, b"\x01" * 32)
        scene.peer(says(200, sign_checkpoint(other, ledger.keys.log).encode()))
        with pytest.raises(WitnessContradicts):
            scene.join().check_start()
