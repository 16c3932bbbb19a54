"""Hosts that share no anchor: whoever begins to lead asks the witnesses first, and signs no fork."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from app.config import Settings
from app.ledger.anchor import Anchor
from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.policy import parse_policy
from app.ledger.prover import prove_to
from app.ledger.publisher import (
    AnchorForeign,
    AnchorMissing,
    DatabaseContradictsAnchor,
    WitnessesUnheard,
)
from app.ledger.witnesses import QuorumsDisjoint, WitnessAhead, WitnessContradicts, Witnesses
from app.rooms import _open_witnesses
from tests.ledger.ledgers import ORIGIN, Ledger, check_log
from tests.ledger.peers import Memory, Peer, says
from tests.ledger.test_leading import Process, anchored_size, served_size
from tests.sentences import explain

MOST = "group most 2 witness.test/w1 witness.test/w2 witness.test/w3\nquorum most\n"


class Hosts:
    """Hosts on one database, each with its keys, an anchor of its own, and the same three witnesses."""

    def __init__(self, ledger: Ledger, folder: Path, exits: ExitStack) -> None:
        self.ledger = ledger
        self._folder = folder
        self._exits = exits
        self.peers = [Peer(f"witness.test/w{n}", 40 + n) for n in (1, 2, 3)]
        for peer in self.peers:
            exits.callback(peer.close)
        self.memories = [Memory(peer) for peer in self.peers]

    @property
    def policy(self) -> bytes:
        return ("".join(peer.line for peer in self.peers) + MOST).encode()

    def host(self, name: str, *, own_anchor: bool = True) -> Process:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        cosigning = Witnesses(
            parse_policy(self.policy), prove=partial(prove_to, self.ledger.database)
        )
        self._exits.callback(cosigning.close)
        return Process(
            self.ledger, anchor=Anchor(folder), own_anchor=own_anchor, cosigning=cosigning
        )

    def checkpoint(self, size: int, *, root: bytes = b"r" * 32) -> str:
        """A checkpoint that the log signed elsewhere: on a database that is not this one."""
        return sign_checkpoint(Checkpoint(ORIGIN, size, root), self.ledger.keys.log)

    @property
    def posts(self) -> int:
        return sum(len(peer.posts) for peer in self.peers)


@pytest.fixture
def hosts(postgresql_database_url: str, tmp_path: Path, clock):
    opened = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    with ExitStack() as exits:
        yield Hosts(opened, tmp_path, exits)
    opened.close()


def test_each_goes_on_from_the_other_by_what_the_witnesses_say(hosts):
    a, b = hosts.host("a"), hosts.host("b")
    for turn, process in enumerate((a, b, a, b), 1):
        process.publisher.check_start()
        process.take_over().work()
        assert served_size(hosts.ledger) == 3 * turn
        assert anchored_size(hosts.ledger, process.anchor) == 3 * turn
    # Asked once while one leads: its own anchor then holds what was signed last.
    asked = [len([1 for method, _, _ in peer.asked if method == "GET"]) for peer in hosts.peers]
    b.work()
    assert asked == [
        len([1 for method, _, _ in peer.asked if method == "GET"]) for peer in hosts.peers
    ]
    check_log(hosts.ledger)


def check_signs_nothing(hosts: Hosts, process: Process, why: type[Exception]) -> None:
    before = (process.anchor.read(), hosts.posts, served_size(hosts.ledger))
    with pytest.raises(why) as found:
        process.work()
    explain(found.value)
    assert (process.anchor.read(), hosts.posts, served_size(hosts.ledger)) == before


def test_a_quorum_alone_excuses_no_foreign_anchor(hosts):
    hosts.host("a", own_anchor=False).work()
    b = hosts.host("b", own_anchor=False).take_over()
    with pytest.raises(AnchorForeign):
        b.publisher.check_start()
    check_signs_nothing(hosts, b, AnchorForeign)
    with pytest.raises(AnchorMissing):
        hosts.ledger.publisher.check_start()


def test_while_too_few_witnesses_say_what_they_saw_nothing_is_signed(hosts):
    """One of three that is heard is not in every two of three."""
    hosts.host("a").work()
    for memory in hosts.memories[:2]:
        memory._peer.say = says(404)  # also one that shows nothing
    b = hosts.host("b").take_over()
    check_signs_nothing(hosts, b, WitnessesUnheard)
    hosts.peers[0].say = hosts.memories[0].say
    b.work()
    assert served_size(hosts.ledger) == 9


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_restored_database_is_not_gone_on_from_under_any_anchor(hosts, name):
    """Also under the very anchor that the old copy names, which holds as much as the copy."""
    hosts.host("a").work()
    hosts.memories[2].keep(hosts.checkpoint(20))
    process = hosts.host(name)
    with pytest.raises(WitnessAhead):
        process.publisher.check_start()
    check_signs_nothing(hosts, process.take_over(), WitnessAhead)
    hosts.memories[2].keep(hosts.checkpoint(2))
    check_signs_nothing(hosts, process, WitnessContradicts)


def test_a_tree_that_the_served_checkpoint_is_no_beginning_of_is_not_signed(hosts):
    hosts.host("a").work()
    note = hosts.checkpoint(3)
    hosts.ledger.sql("UPDATE checkpoint SET note = ?, root = ?", note, b"r" * 32)
    check_signs_nothing(hosts, hosts.host("b").take_over(), DatabaseContradictsAnchor)


def test_a_host_goes_on_after_a_rotation_that_was_done_elsewhere(hosts):
    """Its anchor ends in the middle of the log before; one witness has not seen the new log yet."""
    a, b = hosts.host("a"), hosts.host("b")
    b.work()
    a.take_over().work()
    hosts.ledger.anchor = a.anchor
    hosts.ledger.sql("UPDATE leader SET expires_at = 0")
    hosts.ledger.rotation().run(hosts.ledger.rotation().plan())
    hosts.ledger.reopen()
    for memory in hosts.memories:
        memory.keep(a.anchor.read_final(0))
    hosts.memories[0].keep(a.anchor.read())
    hosts.peers[1].say = says(500)
    b = hosts.host("b")
    b.publisher.check_start()
    b.take_over().work()
    vkey = hosts.ledger.keys.log.vkey
    assert open_checkpoint(b.anchor.read(), [vkey], origin=vkey.name).size == 4


def test_hosts_without_a_shared_anchor_need_quorums_that_share_a_witness(hosts, tmp_path):
    def start(policy: bytes | None) -> None:
        path = None if policy is None else tmp_path / "policy"
        if path is not None:
            path.write_bytes(policy)
        settings = Settings(
            data_dir=tmp_path, keys_dir=tmp_path / "keys", anchor_shared=False, witness_policy=path
        )
        _open_witnesses(hosts.ledger.database, settings).close()

    start(hosts.policy)
    for policy in (
        None,
        hosts.policy.replace(b"quorum most", b"quorum none"),
        hosts.policy.replace(b"group most 2", b"group most any"),
    ):
        with pytest.raises(QuorumsDisjoint) as found:
            start(policy)
        explain(found.value)
