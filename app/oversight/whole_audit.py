"""The audit of everything at once, in one process or shared out among several.

The streams are cut into spans of keys, which are hashes and so spread evenly; the tree is one piece
more. Each process takes the next piece that nobody has, reads in a snapshot of its own, and opens its
own connection. A stream is judged in one snapshot, and so is the tree; whatever a record refers to was
there before it, so it does not matter that the snapshots are not of one moment.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.ledger.audit import LedgerAudit
from app.ledger.auditstore import EVERYTHING, Span
from app.ledger.handover import check_handovers
from app.ledger.headcheck import check_heads, is_explained
from app.ledger.note import VerifierKey
from app.ledger.places import tell_places
from app.ledger.served import signed_checkpoints
from app.ledger.treecheck import check_tree
from app.ledger.vault import Vault
from app.ledger.verifier import Problem
from app.oversight.rowcheck import check_rows
from app.oversight.salescheck import check_strangers
from app.trace.gaps import Graces
from app.trace.story import Stories, keeps_state

_PIECES = 64
"""Of the streams, where there is more than one process."""

_KEYS_END = 1 << 63
_TREE = 0
_STOP_S = 5
_COLLECTED_EVERY = 50_000  # new objects that are still there

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What is audited. log_keys: of all logs. anchored: the anchor's notes, read before any snapshot."""

    database_url: str
    vault_key: bytes
    log_keys: Sequence[VerifierKey]
    anchored: Sequence[str]
    graces: Graces


@dataclass(slots=True)
class Audited:
    """What came of it; problems by the number of the piece they were found in."""

    streams: int = 0
    records: int = 0
    found: dict[int, list[Problem]] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        """Those of the streams by key, then those of the log that they do not explain."""
        pieces = sorted(self.found, key=lambda piece: (piece == _TREE, piece))
        found = [problem for piece in pieces for problem in self.found[piece]]
        streams = {problem.stream for problem in found}
        return [problem for problem in found if not is_explained(problem, streams)]


class AuditFailed(Exception):
    """A process of the audit ended before it had told what it found."""


def new_audit(
    connection: Connection,
    *,
    vault: Vault,
    stories: Stories,
    documents: Callable[[str], Collection[str] | None] = lambda _: None,
    progress: Progress = lambda _: None,
) -> LedgerAudit:
    """Returns the audit of the ledger with all that the rooms above check in it.

    documents: digests of those that are opened of a stream's party, None for all.
    """

    def rows(stream: str, records: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
        return check_rows(
            connection, stream, records, graces=stories.graces, vault=vault, only=documents(stream)
        )

    return LedgerAudit(
        connection,
        vault=vault,
        check_state=stories.state_checker(connection),
        keeps_state=keeps_state,
        check_rows=rows,
        prove_plainly=stories.plain_prover(connection),
        progress=progress,
    )


class WholeAudit:
    """One audit of everything. Read-only.

    The other processes begin when this is made, so that none is copied from one with threads.
    """

    def __init__(self, plan: AuditPlan, *, processes: int = 1) -> None:
        self._plan = plan
        self._spans = [EVERYTHING] if processes == 1 else _cut_keys(_PIECES)
        # Copied where the system can: what is loaded already is then shared, and memory counts once.
        how: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._next = how.Value("q", 0)
        self._done = how.Array("q", processes, lock=False)
        self._workers: list[tuple[Any, Pipe]] = []
        for number in range(1, processes):
            ours, theirs = how.Pipe(duplex=False)
            told = (plan, self._spans, self._next, self._done, number, theirs)
            worker = how.Process(target=_work_for_another, args=told, daemon=True)
            worker.start()
            theirs.close()
            self._workers.append((worker, ours))

    def run(self, progress: Progress = lambda _: None) -> Audited:
        """Returns what was found, once all is read. progress: told the records that are done.

        Raises AuditFailed; what a process raised is raised here.
        """

        def tell() -> None:
            progress(sum(self._done))

        whole = _work(self._plan, self._spans, self._next, self._done, 0, tell)
        for worker, told in self._workers:
            while not told.poll(0.2):
                tell()
            try:
                part = told.recv()
            except EOFError as err:
                worker.join(_STOP_S)
                raise AuditFailed(f"a process ended with {worker.exitcode}") from err
            if isinstance(part, Exception):
                raise part
            whole.streams += part.streams
            whole.records += part.records
            whole.found |= part.found
            tell()
        return whole

    @property
    def pids(self) -> list[int]:
        """The other processes."""
        return [worker.pid for worker, _ in self._workers]

    def stop(self) -> None:
        """Ends the other processes at once; they only read."""
        for worker, _ in self._workers:
            worker.kill()

    def close(self) -> None:
        """Ends what is left of the other processes, and waits for it."""
        self.stop()
        for worker, told in self._workers:
            worker.join(_STOP_S)
            told.close()


@contextlib.contextmanager
def _auditing(plan: AuditPlan, progress: Progress) -> Iterator[tuple[Connection, LedgerAudit]]:
    vault = Vault(plan.vault_key)
    stories = Stories(vault=vault, log_keys=plan.log_keys, graces=plan.graces)
    database = Database(plan.database_url)
    try:
        with database.read() as connection:
            yield connection, new_audit(connection, vault=vault, stories=stories, progress=progress)
    finally:
        database.close()


@contextlib.contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Lets the collector of cycles leave alone what was there before, and look less often.

    Millions of rows come and go and hardly one is part of a cycle.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def audit_stream(plan: AuditPlan, name: str) -> Audited:
    """Returns what was found in one stream. Read-only."""
    with _auditing(plan, lambda _: None) as (connection, audit):
        problems = tell_places(connection, list(audit.check_streams([name])))
        return Audited(audit.streams, audit.records, {1: problems})


def _work(
    plan: AuditPlan,
    spans: list[Span],
    counter: Any,
    done: Any,
    number: int,
    tell: Callable[[], None],
) -> Audited:
    """Returns what was found in the pieces that this process took."""

    def progress(records: int) -> None:
        done[number] = records
        tell()

    with _rarely_collecting(), _auditing(plan, progress) as (connection, audit):
        whole = Audited()
        while (piece := _take(counter)) <= len(spans):
            if piece == _TREE:
                problems = _check_log(connection, plan)
            else:
                problems = list(audit.check_span(spans[piece - 1]))
            whole.found[piece] = tell_places(connection, problems)
            progress(audit.records)
        whole.streams, whole.records = audit.streams, audit.records
        return whole


def _check_log(connection: Connection, plan: AuditPlan) -> list[Problem]:
    signed, foreign = signed_checkpoints(connection, plan.log_keys, plan.anchored)
    return [
        *check_tree(connection, signed),
        *foreign,
        *check_handovers(connection, plan.log_keys, signed),
        *check_heads(connection),
        *check_strangers(connection),
    ]


def _work_for_another(
    plan: AuditPlan, spans: list[Span], counter: Any, done: Any, number: int, tell: Pipe
) -> None:
    """Works in a process of its own. Ctrl-C ends it without a word: the first process has the word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        tell.send(_work(plan, spans, counter, done, number, lambda: None))
    except Exception as err:  # noqa: BLE001 - told, and raised where somebody is listening
        tell.send(err)


def _take(counter: Any) -> int:
    """Returns the number of the next piece that nobody has: the tree first, it is the longest."""
    with counter.get_lock():
        piece = int(counter.value)
        counter.value += 1
        return piece


def _cut_keys(count: int) -> list[Span]:
    """Returns spans that hold every key: the first has no beginning and the last no end."""
    ends = [_KEYS_END // count * n for n in range(1, count)]
    return [Span(after, until) for after, until in zip([None, *ends], [*ends, None], strict=True)]
