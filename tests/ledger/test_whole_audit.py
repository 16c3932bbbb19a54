"""An audit that is shared out finds what one process finds, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from app.ledger.auditstore import Span
from app.oversight import whole_audit
from app.oversight.whole_audit import AuditFailed, AuditPlan, WholeAudit, _cut_keys
from app.trace.gaps import Graces
from tests.ledger.ledgers import OTHER, SHOP_KEY, UNIT, key_record, submission

GRACES = Graces(late=timedelta(hours=24), dispatch=timedelta(days=7), signature=timedelta(days=15))


def plan_of(ledger) -> AuditPlan:
    keys = ledger.keys
    return AuditPlan(
        str(ledger.database.url), keys.vault_key, keys.logs, ledger.anchor.read_all(), GRACES
    )


@pytest.fixture
def plan(ledger):
    """Five streams, two of them tampered with, and a tile; no state is one of real goods."""
    ledger.record(
        key_record(), submission(signed_by=SHOP_KEY), submission(OTHER), submission(OTHER)
    )
    for n in range(2):
        ledger.record(submission(f"01/0690123456789{n}"))
    ledger.publish()
    ledger.sql("UPDATE record SET type = 'void' WHERE type = 'notice' AND seq = 1")
    ledger.sql("UPDATE tile SET data = ? WHERE level = -1", b"no bundle")
    return plan_of(ledger)


@contextlib.contextmanager
def shared_out(plan, processes):
    with contextlib.closing(WholeAudit(plan, processes=processes)) as whole:
        yield whole


def test_shared_out_it_finds_and_counts_the_same(plan):
    told = []
    with shared_out(plan, 1) as alone, shared_out(plan, 3) as together:
        first, second = alone.run(), together.run(told.append)
    assert first.problems == second.problems
    assert (first.streams, first.records) == (second.streams, second.records) == (5, 6)
    kinds = {problem.kind for problem in first.problems}
    assert {"integrity.index_mismatch", "log.tile_mismatch"} <= kinds
    assert {UNIT, OTHER} <= {problem.stream for problem in first.problems}
    assert max(told) <= 6


def test_the_pieces_hold_every_key_once():
    spans = _cut_keys(64)
    assert (spans[0].after, spans[-1].until) == (None, None)
    assert [one.until for one in spans[:-1]] == [one.after for one in spans[1:]]
    assert all(one == Span(*one) and 0 < one.until < 2**63 for one in spans[:-1])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def pids(whole: WholeAudit) -> list[int]:
    return [worker.pid for worker, _ in whole._workers]


def test_when_it_is_closed_or_stopped_no_process_is_left(plan, monkeypatch):
    monkeypatch.setattr(whole_audit, "_work", lambda *_: time.sleep(60))
    with shared_out(plan, 3) as whole:
        started = pids(whole)
        assert not any(map(gone, started))
        whole.stop()
        for worker, _ in whole._workers:
            worker.join(30)
        assert all(map(gone, started))


def test_a_process_that_is_killed_fails_the_audit_and_is_never_taken_for_clean(plan, monkeypatch):
    work = whole_audit._work

    def die(*given):
        if given[4]:  # every process but the first
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*given)

    monkeypatch.setattr(whole_audit, "_work", die)
    with shared_out(plan, 2) as whole, pytest.raises(AuditFailed):
        whole.run()


def test_what_a_process_raises_is_raised(plan, monkeypatch):
    work = whole_audit._work

    def fail(*given):
        if given[4]:
            raise ValueError("disk")
        return work(*given)

    monkeypatch.setattr(whole_audit, "_work", fail)
    with shared_out(plan, 2) as whole, pytest.raises(ValueError, match="disk"):
        whole.run()
