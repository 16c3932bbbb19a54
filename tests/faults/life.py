"""A ledger's working life under faults, and what must hold of it after each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from app.ledger import logstore, store
from app.ledger.checkpoint import open_checkpoint
from app.ledger.fsck import LogCheck
from app.ledger.merkle import leaf_hash, root_of
from app.ledger.served import load_checkpoint
from app.ledger.store import as_bytes
from app.ledger.submission import Recorded, Submission
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

Place = tuple[str, uuid.UUID]


@dataclass
class Life:
    """acked: what the recorder said is recorded. sent: all that was ever asked. notes: every signed
    checkpoint that anybody outside could have seen, in the anchor or served."""

    ledger: Ledger
    acked: dict[tuple[str, str], Recorded] = field(default_factory=dict)
    sent: dict[tuple[str, str], Submission] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)
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
        for one, answer in zip(submissions, answers, strict=True):
            if isinstance(answer, Recorded):
                self.acked[one.claim.stream, one.claim.id] = answer
            else:
                self.faults.append(type(answer).__name__)

    def attempt(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as err:  # whatever failed, what stands is judged afterwards
            self.faults.append(type(err).__name__)

    def look(self) -> None:
        """What a watcher sees now."""
        with self.ledger.database.read() as connection:
            served = load_checkpoint(connection, self.ledger.keys.log.vkey)
        self.notes |= {served.note} if served else set()
        self.notes |= {note} if (note := self.ledger.anchor.read()) else set()

    def settle(self) -> None:
        """After the fault: the process starts again, senders repeat, the log goes on, all is checked."""
        self.ledger.reopen()
        self.ledger.publisher.check_start()
        self.ask(*(one for place, one in self.sent.items() if place not in self.acked))
        assert self.acked.keys() == self.sent.keys()
        self.ledger.publish()
        self.look()
        self.check()

    def check(self) -> None:
        """Audit and fsck are clean, every acknowledged record is there once, no two notes disagree."""
        check_log(self.ledger, records=len(self.sent))
        with self.ledger.database.read() as connection:
            check = LogCheck(connection, self.ledger.signed(connection))
            assert list(check.check()) == []
            for (stream, id_), told in self.acked.items():
                found = store.find_by_id(connection, [(stream, id_)])
                assert found[stream, id_][1] == told.hash, (stream, id_)
        check_notes(self.ledger, self.notes)


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
