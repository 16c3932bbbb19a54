"""A whole ledger on one database, as the service joins it, and the one check of everything in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.db.engine import Database
from app.kit.canonical import canonical_bytes, parse_json
from app.ledger import logstore, tilestore
from app.ledger.anchor import Anchor
from app.ledger.audit import LedgerAudit
from app.ledger.auditstore import EVERYTHING
from app.ledger.checkpoint import Checkpoint
from app.ledger.handover import check_handovers
from app.ledger.keyring import Keyring, create_keys, load_keys
from app.ledger.merkle import edge_append, edge_root, leaf_hash, root_of
from app.ledger.note import encode_base64
from app.ledger.publisher import Publisher
from app.ledger.record import (
    ZERO_HASH,
    Claim,
    Signed,
    claim_message,
    record_hash,
    seal_commitment,
    stream_key,
)
from app.ledger.recorder import Recorder
from app.ledger.rotation import Rotated, Rotation
from app.ledger.sequencer import Sequencer
from app.ledger.served import signed_checkpoints
from app.ledger.submission import Draft, Read, Recorded, Seal, Submission
from app.ledger.tiles import append_tiles
from app.ledger.treecheck import _TreeCheck, check_tree
from app.ledger.vault import Vault
from app.ledger.verifier import Problem
from tests.fakes import START, FakeClock

ORIGIN = "suxin.test/log"
SHOP = "91441200MA4TE5T00Q"
SHOP_KEY = Ed25519PrivateKey.from_private_bytes(b"\x04" * 32)
UNIT = "01/06901234567892/21/8F3K2M9QZ7AB"
OTHER = "01/06901234567892/21/QZ7AB8F3K2M9"
PRODUCT = "01/06901234567892"
PARTY = f"party/{SHOP}"

_ids = iter(range(10**9))


def new_id() -> str:
    """A UUID no bit away from any other."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(next(_ids))))


def count(claim, view) -> Draft:
    """Decides everything: the state counts the stream's records."""
    head = view.heads[claim.stream]
    return Draft({"count": head.state.get("count", 0) + 1})


def make_seal(name: str = "waybill", content: Any = None, *, salt: bytes = b"s" * 32) -> Seal:
    return Seal(name, salt, canonical_bytes(content or {"number": "TEST0000000001"}))


def submission(
    stream: str = UNIT,
    *,
    id: str | None = None,
    type: str = "notice",
    actor: str = SHOP,
    data: Mapping[str, Any] | None = None,
    decide: Callable[..., Draft] = count,
    seals: Sequence[Seal] = (),
    signed_by: Ed25519PrivateKey | None = None,
    key_id: str = "k1",
    source: str = "merchant",
    **more: Any,
) -> Submission:
    """A submission as a room would make it."""
    claim = Claim(
        stream=stream,
        id=id or new_id(),
        type=type,
        actor=actor,
        occurred_at=START - timedelta(hours=1),
        data=data or {},
        sealed={s.name: seal_commitment(s.name, salt=s.salt, content=s.content) for s in seals},
    )
    if signed_by is not None:
        value = encode_base64(signed_by.sign(claim_message(claim.fields())))
        more["signed"] = Signed(key_id, value)
    return Submission(claim, source, decide, seals=tuple(seals), **more)


def referring(*refs: tuple[str, int], **more: Any) -> Submission:
    """A submission that refers to records."""

    def decide(claim, view) -> Draft:
        return Draft(count(claim, view).state, refs=refs)

    return submission(decide=decide, reads=tuple(Read(s) for s, _ in refs), **more)


def key_record(key: Ed25519PrivateKey = SHOP_KEY, key_id: str = "k1", **more: Any) -> Submission:
    public = encode_base64(key.public_key().public_bytes_raw())
    data = {"key_id": key_id, "public_key": public}
    return submission(PARTY, type="signing_key", data=data, **more)


class Ledger:
    """Recorder, sequencer, publisher and audit of one database; `reopen` forgets all in memory."""

    def __init__(
        self, url: str, keys_dir: Path, *, clock: FakeClock | None = None, writers: Any = None
    ) -> None:
        self.url = url
        self.keys_dir = keys_dir
        self.clock = clock or FakeClock()
        self.writers = writers or {}
        create_keys(keys_dir, origin=ORIGIN)
        self._open()
        with self.database.write() as connection:
            logstore.create_state(connection, ORIGIN)

    def _open(self) -> None:
        self.keys: Keyring = load_keys(self.keys_dir)
        self.vault = Vault(self.keys.vault_key)
        self.anchor = Anchor(self.keys_dir)
        self.database = Database(self.url)
        self.recorder = self.new_recorder()
        self.reported: list[Problem] = []
        self.sequencer = Sequencer(self.database, report=self.reported.extend)
        self.publisher = self.new_publisher(self.keys)

    def new_publisher(self, keys: Keyring) -> Publisher:
        return Publisher(
            self.database,
            signer=keys.log,
            frozen=keys.frozen,
            anchor=self.anchor,
            clock=self.clock,
            report=self.reported.extend,
        )

    def rotation(self, reached: Callable[[str], None] = lambda _: None) -> Rotation:
        return Rotation(
            self.database,
            self.recorder,
            self.sequencer,
            keys_dir=self.keys_dir,
            anchor=self.anchor,
            clock=self.clock,
            publisher_of=self.new_publisher,
            reached=reached,
        )

    def rotate(self, origin: str | None = None) -> Rotated:
        """Lets the log go on under another origin, as one does who stops and starts the service."""
        rotation = self.rotation()
        done = rotation.run(rotation.plan(origin))
        self.reopen()
        self.publisher.check_start()
        return done

    def new_recorder(self, database: Any = None) -> Recorder:
        return Recorder(
            database or self.database, vault=self.vault, clock=self.clock, writers=self.writers
        )

    def reopen(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        self.recorder.close()
        self.database.close()

    def record(self, *submissions: Submission, atomic: bool = False) -> list[Any]:
        return self.recorder.submit_and_wait(submissions, atomic=atomic)

    def add(self, *args: Any, **more: Any) -> Recorded:
        """Records one thing and returns it."""
        given = args[0] if args and isinstance(args[0], Submission) else submission(*args, **more)
        (answer,) = self.record(given)
        assert isinstance(answer, Recorded), answer
        return answer

    def grow(self, leaves: int, *, stream: str = "01/06901234567892/10/GROWN") -> None:
        """Makes the log that many leaves larger, quickly."""
        self.record(*(submission(stream) for _ in range(leaves)))
        self.sequence()

    def sequence(self) -> int:
        done = 0
        while more := self.sequencer.sequence():
            done += more
        return done

    def publish(self) -> None:
        self.sequence()
        self.publisher.publish()

    @property
    def size(self) -> int:
        with self.database.read() as connection:
            state = logstore.load_state(connection)
        assert state is not None
        return state.size

    def problems(self, connection: Any = None, **options: Any) -> list[Problem]:
        """Everything that an audit finds, streams first; inside a transaction, if one is given.

        Asked twice, as the service does and by the long way alone: the quick one hides nothing.
        """
        if connection is None:
            with self.database.read() as connection:
                return self.problems(connection, **options)
        audit = LedgerAudit(connection, vault=self.vault, **options)
        signed, foreign = signed_checkpoints(connection, self.keys.logs, self.anchor.read_all())
        found = [*audit.check_all(), *check_tree(connection, signed)]
        slow = LedgerAudit(connection, vault=self.vault, **options)
        with mock.patch.object(_TreeCheck, "_prove_clean", return_value=None):
            explained = [*slow.explain_span(EVERYTHING), *check_tree(connection, signed)]
        assert found == explained
        assert (audit.streams, audit.records) == (slow.streams, slow.records)
        return [*found, *foreign, *check_handovers(connection, self.keys.logs, signed)]

    def signed(self, connection) -> list[Checkpoint]:
        return signed_checkpoints(connection, self.keys.logs, self.anchor.read_all())[0]

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Runs SQL behind the service's back, past the triggers; `?` stands for a value."""
        with tampering(self.database) as run:
            return run(statement, *values)


def begin_at(ledger: Ledger, size: int) -> None:
    """Makes the log `size` leaves large by hand; no records stand behind them."""
    entries = [n.to_bytes(32, "big") for n in range(size)]
    edge = edge_append(0, (), [leaf_hash(entry) for entry in entries])
    with ledger.database.write() as connection:
        before = logstore.load_state(connection)
        after = replace(before, size=size, root=edge_root(size, edge), edge=edge)
        rows = [
            {"leaf_index": n, "stream": n, "seq": 0, "hash": entry}
            for n, entry in enumerate(entries)
        ]
        if rows:
            connection.execute(logstore.LEAF.insert(), rows)
        tilestore.save_tiles(connection, before.log, append_tiles(0, entries, lambda *_: None))
        logstore.move_state(connection, before, after)


Run = Callable[..., list[Any]]


@contextmanager
def tampering(database: Database) -> Iterator[Run]:
    """Yields a function that runs SQL in one transaction while nothing forbids it."""
    with database.write() as connection:
        run = runner(connection)
        if database.dialect == "postgresql":
            run("SET LOCAL session_replication_role = 'replica'")
            yield run
            return
        triggers = run("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        for name, _ in triggers:
            run(f"DROP TRIGGER {name}")
        yield run
        for _, statement in triggers:
            run(statement)


def runner(connection: Any) -> Run:
    """Returns a function that runs SQL; `?` stands for a value on either database."""

    def run(statement: str, *values: Any) -> list[Any]:
        if connection.dialect.name == "postgresql":
            statement = statement.replace("?", "%s")
        found = connection.exec_driver_sql(statement, values or None)
        return list(found) if found.returns_rows else []

    return run


def check_log(ledger: Ledger, *, records: int | None = None) -> None:
    """Reopens the ledger and verifies all of it twice: by the audit, and by plain arithmetic here."""
    ledger.reopen()
    assert ledger.problems() == []
    with ledger.database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT stream, seq, hash, body FROM record ORDER BY stream, seq"
        ).all()
        heads = {row.stream: row for row in connection.exec_driver_sql("SELECT * FROM head").all()}
        leaves = connection.exec_driver_sql("SELECT * FROM log_leaf ORDER BY leaf_index").all()
        waiting = connection.exec_driver_sql("SELECT stream, seq, hash FROM unsequenced").all()
        states = logstore.load_states(connection)
        signed = ledger.signed(connection)
    assert records is None or len(rows) == records
    last: dict[int, tuple[int, bytes]] = {}
    for row in rows:
        seq, prev = last.get(row.stream, (-1, ZERO_HASH))
        fields = parse_json(bytes(row.body))
        assert stream_key(fields["stream"]) == row.stream
        assert (row.seq, fields["seq"], fields["prev"]) == (seq + 1, seq + 1, prev.hex())
        assert record_hash(bytes(row.body)) == bytes(row.hash)
        last[row.stream] = (row.seq, bytes(row.hash))
    assert {key: (head.seq, bytes(head.hash)) for key, head in heads.items()} == last
    # Each record is in the log once, or waits; and a stream's order is the log's order.
    assert [leaf.leaf_index for leaf in leaves] == list(range(len(leaves)))
    logged = [(leaf.stream, leaf.seq, bytes(leaf.hash)) for leaf in leaves]
    queued = [(row.stream, row.seq, bytes(row.hash)) for row in waiting]
    assert sorted(logged + queued) == [(r.stream, r.seq, bytes(r.hash)) for r in rows]
    for key in last:
        order = [seq for stream, seq, _ in logged if stream == key]
        assert order == list(range(len(order)))
    hashes = [leaf_hash(entry) for _, _, entry in logged]
    # Each log begins where the one before it ended, and is a tree of its own.
    assert [state.log.number for state in states] == list(range(len(states)))
    assert [state.log.start for state in states] == [0, *(state.end for state in states[:-1])]
    assert states[-1].end == len(hashes)
    for state in states:
        own = hashes[state.log.start : state.end]
        assert (state.root, state.edge) == (root_of(own), edge_append(0, (), own))
        for checkpoint in signed:
            if checkpoint.origin == state.origin:
                assert checkpoint.root == root_of(own[: checkpoint.size])
    for state in states[:-1]:
        assert Checkpoint(state.origin, state.size, state.root) in signed
