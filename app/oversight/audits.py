"""Audits: everything in turn within a budget, what somebody asks for at once.

The walk goes round all streams by key, a slice of time in each second, and checks the log's tree once
a round. A job is an audit that a party or regulator asked for; when it says done, its findings and
their effect on credit are readable.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import uuid_utils
from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import NotFound, TooMany
from app.ledger.anchor import Anchor
from app.ledger.audit import LedgerAudit
from app.ledger.auditstore import Span
from app.ledger.handover import check_handovers
from app.ledger.headcheck import check_heads
from app.ledger.note import VerifierKey
from app.ledger.served import load_checkpoint, signed_checkpoints
from app.ledger.treecheck import check_tree
from app.ledger.vault import Vault
from app.ledger.verifier import Problem
from app.oversight import jobstore, store
from app.oversight.documentwalk import DocumentWalk
from app.oversight.finding_rows import DOCUMENT, as_text, concerned_in, dump
from app.oversight.findings import Findings, leaf_findings
from app.oversight.salescheck import check_strangers
from app.oversight.scopes import read_scope
from app.oversight.whole_audit import new_audit
from app.parties.principal import Principal
from app.parties.roles import Reach, reach
from app.parties.store import find_parties
from app.trace.story import Stories

_WALK = "audit.walk"
_NOT_AS_SIGNED = ("log.checkpoint_mismatch", "log.checkpoint_ahead", "log.checkpoint_missing")
# Little at a time, with rests: who waits for a page meanwhile waits for a core, too.
_TURNS_PER_S = 4
_SLICE_S = 0.1 / _TURNS_PER_S
_SLICE_STREAMS = 200 // _TURNS_PER_S
_SLICE_STEP = 10
# Between two steps: 200 streams a second at most, and a tenth of the time where they take longer.
_REST_S = 1 / _TURNS_PER_S / (_SLICE_STREAMS // _SLICE_STEP)
_REST_TIMES = 9
_JOB_CHUNK = 500
_RETRY_S = 10
_OPERATORS = ""
_MOST_OPEN: Mapping[Reach, int] = {"own": 20, "any": 100}
"""Audits that one party may have open; who may audit anything has many cases at a time."""

MOST_MET = 2_000
"""Findings of one audit that are kept with it as they were met; all of them are counted."""


class AuditsOpen(TooMany):
    """The caller has as many audits open as it may have."""


class AuditUnknown(NotFound):
    """No such audit, or not yours to see."""


@dataclass(frozen=True, slots=True)
class Met:
    """What an audit met, as somebody sees it: (number, finding), in order.

    outside: how many more it met about parties of regions in which that one is not in office.
    """

    findings: Sequence[tuple[int, dict[str, Any]]]
    outside: int


class _Read(NamedTuple):
    """Streams that were read in one snapshot. before: ids of the findings that were open in it."""

    names: list[str]
    before: frozenset[str]
    problems: list[Problem]
    records: int


class Audits:
    """Runs audits; `walk` and `run_job` are loops of the worker, and so is `documents.work`."""

    def __init__(
        self,
        database: Database,
        findings: Findings,
        stories: Stories,
        *,
        clock: Clock,
        vault: Vault,
        log_keys: Sequence[VerifierKey],
        anchor: Anchor,
        records_per_s: int,
    ) -> None:
        self._database = database
        self._findings = findings
        self._stories = stories
        self._clock = clock
        self._vault = vault
        self._log_keys = log_keys
        self._anchor = anchor
        self._records_per_s = records_per_s
        self._most_records = max(1, records_per_s // _TURNS_PER_S)
        self.pause_s: float = _REST_S
        """How long to rest after a `walk`; after a whole round for a second, however small it was."""
        self._served: str | None = None  # the party whose turn was last
        self.documents = DocumentWalk(database, findings, clock=clock, vault=vault)

    def ask(self, principal: Principal, scope: Mapping[str, str] | None) -> Any:
        """Returns the job for a scope: None for all, else one of party, gtin, code.

        Raises AuditsOpen while too many of the caller's are not done yet, or what `read_scope` raises.
        """
        with self._database.read() as connection:
            scope = read_scope(connection, principal, scope)
        row = {
            "id": str(uuid_utils.uuid7()),
            "scope": json.dumps(scope or "all", ensure_ascii=False, sort_keys=True),
            "asked_by": principal.party,
            "status": "waiting",
            "streams": 0,
            "records": 0,
            "findings": 0,
            "error": None,
            "created_at": to_ms(self._clock.now()),
            "finished_at": None,
            "started_at": None,
            "total": None,
            "checkpoints": None,
        }
        most = _MOST_OPEN[reach(principal.roles, "audit.start") or "own"]
        with self._database.write() as connection:
            if jobstore.count_open(connection, principal.party) >= most:
                raise AuditsOpen("audits_open", retry_after_s=_RETRY_S, limit=most)
            store.insert_job(connection, row)
        return self.job(row["id"])

    def job(self, job_id: object) -> Any:
        """Returns a job's row. Raises AuditUnknown. Read-only."""
        with self._database.read() as connection:
            row = store.find_job(connection, str(job_id))
        if row is None:
            raise AuditUnknown("audit_unknown", id=str(job_id)[:80])
        return row

    def own(self, principal: Principal, job_id: object) -> Any:
        """Returns a job's row to whoever may see it. Raises AuditUnknown or Denied. Read-only."""
        row = self.job(job_id)
        principal.check_may("audit.start", owner=row.asked_by or _OPERATORS)
        return row

    def asked_by(self, principal: Principal, *, after: str | None, limit: int) -> list[Any]:
        """Returns the jobs that the principal's party asked for, newest first. Read-only."""
        principal.check_may("audit.start")
        with self._database.read() as connection:
            return jobstore.list_jobs(connection, principal.party, after=after, limit=limit)

    def met(self, job_id: str, *, after: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Returns (number, finding) of what a job met, as it was then; at most MOST_MET in all.

        Behind a number, in order: what was altered first. Read-only.
        """
        with self._database.read() as connection:
            rows = jobstore.met_by(connection, job_id, after=after, limit=limit)
        return [(row.n, json.loads(row.told)) for row in rows]

    def seen(self, principal: Principal, job_id: object, *, after: int, limit: int) -> Met:
        """Returns what an audit met about parties for whose region the caller is in office. Read-only.

        Raises AuditUnknown or Denied.
        """
        job = self.own(principal, job_id)
        if principal.region is None:
            return Met(self.met(job.id, after=after, limit=limit), 0)
        met = self.met(job.id, after=-1, limit=MOST_MET)
        concerned = {n: concerned_in(one) for n, one in met}
        with self._database.read() as connection:
            parties = find_parties(connection, sorted(frozenset().union(*concerned.values())))
        here = {one.id for one in parties if principal.in_office(one.region)}
        inside = [(n, one) for n, one in met if concerned[n] & here]
        shown = [(n, one) for n, one in inside if n > after]
        return Met(shown[:limit], len(met) - len(inside))

    def run_job(self) -> bool:
        """Runs the oldest audit of the party whose turn it is; returns whether there was one."""
        with self._database.read() as connection:
            job = jobstore.next_in_turn(connection, self._served)
        if job is None:
            return False
        self._served = job.asked_by or ""
        scope = json.loads(job.scope)
        streams = records = 0
        found: set[str] = set()
        try:
            parts = self._begin(job.id, scope)
            for part in self._chunks(scope, parts):
                streams, records = streams + len(part.names), records + part.records
                found |= self._take_in(part)
                with self._database.write() as connection:
                    store.update_job(
                        connection, job.id, streams=streams, records=records, findings=len(found)
                    )
            if scope == "all":
                found |= self.check_log()
        except Exception as err:
            with self._database.write() as connection:
                store.update_job(connection, job.id, status="failed", error=repr(err)[:500])
            raise
        with self._database.write() as connection:
            store.update_job(
                connection,
                job.id,
                status="done",
                streams=streams,
                records=records,
                findings=len(found),
                finished_at=to_ms(self._clock.now()),
            )
            jobstore.keep_met(connection, job.id, self._told(connection, found))
        return True

    def _begin(self, job_id: str, scope: Any) -> list[str]:
        """Returns the streams of a scope, none for all; notes how many, and what was signed until now."""
        names = [] if scope == "all" else self.names(scope)
        with self._database.read() as connection:
            total = jobstore.count_streams(connection) if scope == "all" else len(names)
            signed = [(key, load_checkpoint(connection, key)) for key in self._log_keys]
        told = [
            {"key": str(key), "note": one.note, "published_at": one.published_at_ms}
            for key, one in signed
            if one is not None
        ]
        with self._database.write() as connection:
            store.update_job(
                connection,
                job_id,
                status="running",
                started_at=to_ms(self._clock.now()),
                total=total,
                checkpoints=json.dumps(told),
            )
        return names

    def _told(self, connection: Connection, found: set[str]) -> list[str]:
        rows = jobstore.findings_of(connection, sorted(found))[:MOST_MET]
        return [dump(as_text(row)) for row in rows]

    def walk(self, rest: Callable[[float], object] = lambda _: None) -> bool:
        """Audits the next streams for a fortieth of a second; at the end of a round also the log.

        rest: called between steps of a few milliseconds, with the seconds to wait before the next.
        """
        worked_s = rest_s = 0.0
        with self._database.read() as connection:
            after = store.load_cursor(connection, _WALK)
            rows = store.next_streams(connection, after, _SLICE_STREAMS)
            before = _open_before(connection, [row.name for row in rows])
            audit = self._audit(connection, documents=_altered_documents(connection, rows))
            names: list[str] = []
            problems: list[Problem] = []
            for at in range(0, len(rows), _SLICE_STEP):
                if at:
                    rest(rest_s)
                began = time.monotonic()
                step = rows[at : at + _SLICE_STEP]
                problems += _check_next(audit, after, step)
                after = step[-1].stream
                names += [row.name for row in step]
                took_s = time.monotonic() - began
                worked_s, rest_s = worked_s + took_s, max(_REST_S, _REST_TIMES * took_s)
                if worked_s > _SLICE_S or audit.records >= self._most_records:
                    break
        round_done = len(names) == len(rows) < _SLICE_STREAMS
        # As long as so many records may take, also where a step had more of them than a turn may have.
        whole_s = audit.records / self._records_per_s
        self.pause_s = 1.0 if round_done else max(_REST_S, rest_s, whole_s)
        with self._database.write() as connection:
            # Moved before findings are written: what cannot be written must not stop the walk.
            position = -1 if round_done else after
            store.save_cursor(connection, _WALK, position, to_ms(self._clock.now()))
        self._take_in(_Read(names, before, problems, audit.records))
        if round_done:
            self.check_log()
        return False

    def check_log(self) -> set[str]:
        """Checks the whole tree, and streams and rows that nobody is left of; returns ids of findings."""
        anchored = self._anchor.read_all()
        with self._database.read() as connection:
            signed, foreign = signed_checkpoints(connection, self._log_keys, anchored)
            problems = list(check_tree(connection, signed))
            is_signed = not any(problem.kind in _NOT_AS_SIGNED for problem in problems)
            problems += foreign
            problems += check_handovers(connection, self._log_keys, signed)
            audit = self._audit(connection)
            problems += audit.check_lost()
            before = leaf_findings(connection)
            suspects = {row.stream_name for row in before} - {"log"}
            problems += audit.check_streams(name for name in suspects if name.isascii())

            def is_known(name: str) -> bool:
                found = list(audit.check_streams([name])) if name.isascii() else []
                problems.extend(found)
                return bool(found)

            problems += list(check_heads(connection, is_known=is_known))
            problems += check_strangers(connection)
        ids = set(self._findings.report(problems))
        if is_signed:
            # A tree that is not the signed one clears nobody: what it says may be what was altered.
            self._findings.close_log_restored(before, still=ids)
        return ids

    def _chunks(self, scope: Any, names: list[str]) -> Iterator[_Read]:
        if scope == "all":
            after = -1
            while True:
                with self._database.read() as connection:
                    rows = store.next_streams(connection, after, _JOB_CHUNK)
                    part = [row.name for row in rows]
                    before = _open_before(connection, part)
                    audit = self._audit(connection)
                    problems = _check_next(audit, after, rows)
                if not rows:
                    return
                after = rows[-1].stream
                yield _Read(part, before, problems, audit.records)
        else:
            for start in range(0, len(names), _JOB_CHUNK):
                yield self._check(names[start : start + _JOB_CHUNK])

    def names(self, scope: Mapping[str, str]) -> list[str]:
        """Returns the names of the streams in a scope that is not everything. Read-only."""
        with self._database.read() as connection:
            if "party" in scope:
                return store.party_streams(connection, scope["party"])
            if "gtin" in scope:
                return store.stream_names(connection, f"01/{scope['gtin']}")
        return [scope["code"]]

    def _check(self, names: list[str]) -> _Read:
        with self._database.read() as connection:
            before = _open_before(connection, names)
            audit = self._audit(connection)
            return _Read(names, before, list(audit.check_streams(names)), audit.records)

    def _take_in(self, part: _Read) -> set[str]:
        ids = set(self._findings.report(part.problems))
        self._findings.close_restored(part.names, before=part.before, still=ids)
        return ids

    def _audit(
        self,
        connection: Connection,
        documents: Callable[[str], Collection[str] | None] = lambda _: None,
    ) -> LedgerAudit:
        return new_audit(connection, vault=self._vault, stories=self._stories, documents=documents)


def _altered_documents(
    connection: Connection, rows: Sequence[Any]
) -> Callable[[str], Collection[str]]:
    """Returns by stream the digests of documents with an open finding, which may be over.

    Other documents are left to DocumentWalk, a few at a time.
    """
    altered: dict[str, list[str]] = {}
    for row in store.open_findings(connection, [row.name for row in rows], kind="index."):
        column = str(json.loads(row.evidence).get("column", ""))
        if column.startswith(DOCUMENT):
            altered.setdefault(row.stream_name, []).append(column.removeprefix(DOCUMENT))
    return lambda stream: altered.get(stream, ())


def _open_before(connection: Connection, names: Sequence[str]) -> frozenset[str]:
    return frozenset(row.id for row in store.open_findings(connection, names))


def _check_next(audit: LedgerAudit, after: int, rows: Sequence[Any]) -> list[Problem]:
    """Returns what is wrong from behind a key up to the last of these streams, which follow it."""
    keys = [row.stream for row in rows]
    if not all(type(key) is int for key in keys):  # a hand has been there
        return [problem for key in keys for problem in audit.check_key(key)]
    return list(audit.check_span(Span(after, keys[-1]))) if keys else []
