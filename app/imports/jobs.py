"""Applies files: a job of rows that goes on where it ended, whatever ended it.

The rows are stored first, sealed; chunks of them are applied at low priority. That a row is done is
written in the transaction of its record: killed in between, a row is either wholly there and marked, or
not there and waiting. Applied twice (two processes at one job) it is a repeat, and its first mark stays.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
import uuid_utils
from sqlalchemy import Connection

from app.db.engine import Database
from app.imports import importstore
from app.imports.applying import Applying
from app.imports.columns import Kind
from app.imports.mapping import Layout
from app.imports.plans import Plan, Plans
from app.imports.problems import Problem, of_row
from app.imports.remembered import Remembered
from app.kit.clock import Clock, to_ms
from app.kit.errors import Fault, NotFound, TooMany, Unavailable
from app.ledger.submission import Effect
from app.ledger.vault import SALT_BYTES, SealBroken, Vault
from app.parties import store as party_store
from app.parties.principal import Principal
from app.parties.rules import PartyUnknown

MAX_OPEN = 5
MAX_PLANNED = 3
KEPT = timedelta(days=30)
KEPT_PLANNED = timedelta(hours=1)
_CHUNKS: Mapping[Kind, int] = {"products": 400, "lots": 400, "shipments": 40, "events": 200}
_RETRY_S = 10


class ImportUnknown(NotFound):
    """No such import, or not yours."""


class ImportsOpen(TooMany):
    """The party has as many imports open as it may have."""


class Imports(Remembered):
    """Plans files, applies them as jobs, remembers mappings."""

    def __init__(
        self,
        database: Database,
        plans: Plans,
        applying: Applying,
        *,
        vault: Vault,
        clock: Clock,
    ) -> None:
        super().__init__(database, clock)
        self._plans = plans
        self._applying = applying
        self._vault = vault
        self._served = ""  # the party whose turn was last

    def plan(self, principal: Principal, kind: Kind, raw: bytes, mapping: Layout) -> Plan:
        """Returns what the file would do (app.imports.plans). Read-only."""
        return self._plans.plan(principal, kind, raw, mapping)

    def start(self, principal: Principal, kind: Kind, raw: bytes, mapping: Layout) -> str:
        """Returns the id of the job that applies the file. Writes `import_job`, `import_row`.

        Raises as `plan`; ImportsOpen while the party has MAX_OPEN jobs that are not done. Rows that are
        refused or unchanged by the plan are stored as that, with no word of what they say but the faults.
        """
        return self.store(principal, self.plan(principal, kind, raw, mapping))

    def store(self, principal: Principal, plan: Plan, *, planned: bool = False) -> str:
        """Returns the id of the job that applies a plan just made. Writes, raises as `start`.

        planned: it waits for `begin`, KEPT_PLANNED at the longest, and of MAX_PLANNED the oldest goes.
        """
        party = principal.own_party()
        job = str(uuid_utils.uuid7())
        now_ms = to_ms(self._clock.now())
        rows = [self._row(job, n, one) for n, one in enumerate(plan.rows)]
        about = plan.about() | ({"planned": plan.counts()} if planned else {})
        if plan.listings:
            about["listings"] = dict(plan.listings)
        with self._database.write() as connection:
            if planned:
                waiting = importstore.planned_of(connection, party)
                importstore.drop_planned(connection, waiting[MAX_PLANNED - 1 :])
            else:
                _check_open(connection, party)
            importstore.insert_job(
                connection,
                {
                    "id": job,
                    "party": party,
                    "kind": plan.sheet.kind,
                    "status": importstore.PLANNED if planned else "running",
                    "total": len(rows),
                    "about": json.dumps(about, ensure_ascii=False),
                    "error": None,
                    "created_at": now_ms,
                    "finished_at": None,
                },
                rows,
            )
        return job

    def begin(self, principal: Principal, job: str) -> None:
        """Lets a planned job run; again is no harm. Writes `import_job`.

        Raises ImportUnknown, ImportsOpen.
        """
        with self._database.write() as connection:
            _check_open(connection, _own(connection, principal, job).party)
            importstore.begin_job(connection, job, at_ms=to_ms(self._clock.now()))

    def drop(self, principal: Principal, job: str) -> None:
        """Forgets a planned job. Raises ImportUnknown. Writes `import_job`, `import_row`."""
        with self._database.write() as connection:
            _own(connection, principal, job)
            importstore.drop_planned(connection, [job])

    def forget_ended(self) -> bool:
        """Forgets jobs that ended KEPT ago, with all their rows; returns whether there may be more.

        A loop of the worker. Writes `import_job`, `import_row`.
        """
        before_ms = to_ms(self._clock.now() - KEPT)
        with self._database.read() as connection:
            old = importstore.ended_before(connection, before_ms=before_ms)
        if old:
            with self._database.write() as connection:
                importstore.delete_ended(connection, old)
        return bool(old)

    def _forget_planned(self) -> None:
        before_ms = to_ms(self._clock.now() - KEPT_PLANNED)
        with self._database.read() as connection:
            old = importstore.planned_before(connection, before_ms=before_ms)
        if old:
            with self._database.write() as connection:
                importstore.drop_planned(connection, old)

    def acting_for(self, party: str) -> Principal:
        """Returns who applies a party's files, with the party's roles of now. Raises PartyUnknown."""
        with self._database.read() as connection:
            row = party_store.find_party(connection, party)
        if row is None:
            raise PartyUnknown("party_unknown", party=party[:64])
        scopes = frozenset(("products", "codes", "events"))
        return Principal("import", row.id, frozenset(row.roles), scopes)

    def sellers(self, *, limit: int) -> list[str]:
        """Returns ids of parties that sell, in order. Read-only."""
        with self._database.read() as connection:
            return importstore.sellers(connection, limit=limit)

    def job(self, principal: Principal, job: str) -> tuple[Any, dict[str, int]]:
        """Returns a job's row and how many of its rows came to what. Raises ImportUnknown. Read-only."""
        with self._database.read() as connection:
            row = _own(connection, principal, job)
            return row, importstore.count_outcomes(connection, [job])[job]

    def jobs(
        self, principal: Principal, *, after: tuple[int, str] | None, limit: int
    ) -> list[tuple[Any, dict[str, int]]]:
        """Returns the party's jobs, the newest first. Read-only."""
        with self._database.read() as connection:
            rows = importstore.list_jobs(
                connection, principal.own_party(), after=after, limit=limit
            )
            counts = importstore.count_outcomes(connection, [row.id for row in rows])
        return [(row, counts[row.id]) for row in rows]

    def rows(
        self,
        principal: Principal,
        job: str,
        *,
        outcomes: Sequence[str] = (),
        after: int = -1,
        limit: int,
        told: bool = False,
    ) -> list[Any]:
        """Returns rows of a job behind the row `after`, in the file's order. Read-only.

        told: only those with faults or warnings.
        """
        with self._database.read() as connection:
            _own(connection, principal, job)
            return importstore.list_rows(
                connection, job, outcomes=outcomes, after=after, limit=limit, told=told
            )

    def faults(self, principal: Principal, job: str) -> Iterator[tuple[int, list[Problem]]]:
        """Yields a job's rows, by the spreadsheet's number, each with its faults. Read-only."""
        for number, problems in self.told(principal, job):
            yield number, [one for one in problems if not one.is_warning]

    def told(self, principal: Principal, job: str) -> Iterator[tuple[int, Sequence[Problem]]]:
        """Yields a job's rows with something to say, by the spreadsheet's number. Read-only."""
        after = -1
        while rows := self.rows(principal, job, after=after, limit=1_000, told=True):
            for row in rows:
                yield row.row, of_row(row)
            after = rows[-1].row

    # --- applying -------------------------------------------------------------------------------

    def work(self) -> bool:
        """Applies one chunk for the party whose turn it is; returns whether there may be more to do."""
        with self._database.read() as connection:
            job = importstore.next_in_turn(connection, self._served)
        if job is None:
            self._forget_planned()
            return False
        self._served = job.party
        self._apply_some(job)
        return True

    def work_on(self, job_id: str) -> bool:
        """Applies one chunk of this job; returns whether it is not done yet."""
        with self._database.read() as connection:
            job = importstore.find_job(connection, job_id)
        if job is None or job.status != "running":
            return False
        return self._apply_some(job)

    def _apply_some(self, job: Any) -> bool:
        """Raises Unavailable where the database does not take it now: nothing is lost by that."""
        limit = _CHUNKS[job.kind]
        with self._database.read() as connection:
            rows = importstore.waiting_rows(connection, job.id, limit=limit)
        if not rows:
            self._finish(job.id, status="done", error=None)
            return False
        try:
            principal = self.acting_for(job.party)
            payloads = [self._open(row) for row in rows]
            effects = [Effect("import_row", {"job": job.id, "n": row.n}) for row in rows]
            rows_told = list(zip(payloads, effects, strict=True))
            results = self._applying.apply(principal, job.kind, rows_told)
        except Unavailable:
            raise
        except (Fault, SealBroken) as err:
            # None of the rows can be applied: the party may no more, or they were altered.
            self._finish(job.id, status="failed", error=str(err)[:500])
            return False
        columns = json.loads(job.about)["columns"]
        told = [
            {
                "job": job.id,
                "n": row.n,
                "outcome": outcome,
                "problems": _dumped(
                    [
                        *_loaded(row.problems),
                        *(one.at_column(columns).as_json() for one in problems),
                    ]
                ),
            }
            for row, (outcome, problems) in zip(rows, results, strict=True)
        ]
        with self._database.write() as connection:
            importstore.finish_rows(connection, told)
        return True

    def _finish(self, job: str, *, status: str, error: str | None) -> None:
        with self._database.write() as connection:
            importstore.finish_job(
                connection, job, status=status, error=error, at_ms=to_ms(self._clock.now())
            )

    # --- rows as stored -------------------------------------------------------------------------

    def _row(self, job: str, n: int, planned: Any) -> dict[str, Any]:
        row: dict[str, Any] = {
            "job": job,
            "n": n,
            "row": planned.row,
            "outcome": planned.outcome,
            "sealed": None,
            "wrapped_key": None,
            "problems": _dumped([p.as_json() for p in (*planned.problems, *planned.warnings)]),
        }
        if planned.payload is not None:
            sealed = self._vault.seal(
                place=("import", job, str(n)),
                salt=secrets.token_bytes(SALT_BYTES),
                content=orjson.dumps(planned.payload),
            )
            row |= {
                "outcome": "waiting",
                "sealed": sealed.sealed,
                "wrapped_key": sealed.wrapped_key,
            }
        return row

    def _open(self, row: Any) -> Any:
        _, content = self._vault.open(
            place=("import", row.job, str(row.n)),
            sealed=bytes(row.sealed),
            wrapped_key=bytes(row.wrapped_key),
        )
        return orjson.loads(content)


def _own(connection: Connection, principal: Principal, job: str) -> Any:
    row = importstore.find_job(connection, job)
    if row is None or row.party != principal.party:
        raise ImportUnknown("import_unknown", id=job[:80])
    return row


def _check_open(connection: Connection, party: str) -> None:
    if importstore.count_open(connection, party) >= MAX_OPEN:
        raise ImportsOpen("imports_open", retry_after_s=_RETRY_S, limit=MAX_OPEN)


def _dumped(problems: Sequence[Mapping[str, Any]]) -> str | None:
    return json.dumps(problems, ensure_ascii=False) if problems else None


def _loaded(problems: str | None) -> list[Any]:
    return json.loads(problems) if problems else []
