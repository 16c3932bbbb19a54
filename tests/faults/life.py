"""A ledger's working life under faults, and what must hold of it after each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.ledger import logstore, store
from app.ledger.checkpoint import open_checkpoint
from app.ledger.fsck import LogCheck
from app.ledger.merkle import leaf_hash, root_of
from app.ledger.receipts import Receipts
from app.ledger.served import load_checkpoint
from app.ledger.store import as_bytes
from app.ledger.submission import Recorded, Submission
from tests.faults.receipts import check_receipts, kept_promises
from tests.ledger.ledgers import (
    OTHER,
    PRODUCT,
    SHOP_KEY,
    UNIT,
    Ledger,
    check_log,
    key_record,
    make_seal,
    submission,
)

Place = tuple[str, str]
"""Stream and id."""
# As the service promises unless it is set otherwise.
PUBLISH_WITHIN = timedelta(seconds=60)


@dataclass
class Life:
    """acked: what the recorder said is recorded. receipts: what whoever sent it holds in hand. sent: what
    is asked again until it is. notes: every signed checkpoint that anybody outside could have seen, in the
    anchor or served. kept: receipts that were seen to be kept in time."""

    ledger: Ledger
    acked: dict[Place, Recorded] = field(default_factory=dict)
    receipts: dict[Place, str] = field(default_factory=dict)
    sent: dict[Place, Submission] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def begin(self) -> Life:
        self.ask(key_record(), submission(PRODUCT))
        return self

    def turn(self) -> None:
        """One of each: sealed and signed records, an atomic pair, a round of the log, a checkpoint."""
        self.ask(
            submission(UNIT, seals=(make_seal(),), signed_by=SHOP_KEY),
            submission(OTHER, seals=(make_seal("recipient"),)),
        )
        self.ask(submission(PRODUCT), submission(UNIT), atomic=True)
        self.attempt(self.ledger.sequencer.sequence)
        self.attempt(self.ledger.publisher.publish)

    def ask(self, *submissions: Submission, atomic: bool = False) -> None:
        for one in submissions:
            self.sent[one.claim.stream, one.claim.id] = one
        answers = self.ledger.record(*submissions, atomic=atomic)
        assert len(answers) == len(submissions)
        for answer in answers:
            if isinstance(answer, Recorded):
                self.acknowledge(answer)
            else:
                self.faults.append(type(answer).__name__)

    def acknowledge(self, answer: Recorded) -> None:
        """Gives the receipt of an answer to who asked. A second one must be the first."""
        place = (answer.stream, answer.id)
        self.acked[place] = answer
        receipt = Receipts(self.ledger.keys.receipt, publish_within=PUBLISH_WITHIN).issue(answer)
        assert self.receipts.setdefault(place, receipt) == receipt, f"{place}: another receipt"

    def attempt(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as err:  # whatever failed, what stands is judged afterwards
            self.faults.append(type(err).__name__)

    def look(self) -> None:
        """What a watcher sees now, and who holds receipts."""
        with self.ledger.database.read() as connection:
            served = load_checkpoint(connection, self.ledger.keys.log.vkey)
            if served is not None:
                waiting = set(self.receipts.values()) - self.kept
                self.kept |= kept_promises(connection, waiting, **served_keys(self.ledger))
        self.notes |= {served.note} if served else set()
        self.notes |= {note} if (note := self.ledger.anchor.read()) else set()

    def settle(self) -> None:
        """After the fault: the process starts again, senders repeat, the log goes on, all is checked."""
        self.ledger.reopen()
        self.ledger.publisher.check_start()
        self.ask(*(one for place, one in self.sent.items() if place not in self.acked))
        assert self.acked.keys() >= self.sent.keys()
        self.ledger.publish()
        self.look()
        self.check()

    def check(self) -> None:
        """Audit and fsck are clean, every receipt is kept, each record there once, no two notes disagree."""
        check_log(self.ledger, records=len(self.acked))
        with self.ledger.database.read() as connection:
            check = LogCheck(connection, self.ledger.signed(connection))
            assert list(check.check()) == []
            for (stream, id_), told in self.acked.items():
                found = store.find_by_id(connection, [(stream, id_)])
                assert found[stream, id_][1] == told.hash, (stream, id_)
            assert self.receipts.keys() == self.acked.keys()
            check_receipts(
                connection, self.receipts.values(), **served_keys(self.ledger), kept=self.kept
            )
        check_notes(self.ledger, self.notes)


def served_keys(ledger: Ledger) -> dict[str, str]:
    """Returns the keys as they are served at /log/receipt-key and /log/key."""
    return {"receipt_key": str(ledger.keys.receipt.vkey), "log_key": str(ledger.keys.log.vkey)}


def check_notes(ledger: Ledger, notes: Iterable[str]) -> None:
    """Every note is the log's own at its size: then no two of them disagree."""
    with ledger.database.read() as connection:
        state = logstore.load_state(connection)
        assert state is not None
        entries = logstore.leaf_hashes(connection, 0, state.size)
    hashes = [leaf_hash(as_bytes(entry)) for entry in entries.values()]
    for note in notes:
        seen = open_checkpoint(note, [ledger.keys.log.vkey])
        assert seen.size <= len(hashes), "a signed checkpoint covers what is gone"
        assert seen.root == root_of(hashes[: seen.size]), f"a fork at size {seen.size}"
