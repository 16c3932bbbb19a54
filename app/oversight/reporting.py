"""Reporting what a look found broken, beside the look: a report waits for the writer, a reader must not.

One thread writes the reports in the order of looking, each code once at a time. The queue is bounded;
what does not fit is not lost, for the next look or the audit meets it again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import structlog

from app.kit.errors import Fault
from app.ledger.verifier import Problem
from app.oversight.findings import Findings

log = structlog.get_logger(__name__)

PATIENCE_S = 0.5
_MOST_WAITING = 1_000


class Reporting:
    """Writes findings in a thread of its own."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._thread = ThreadPoolExecutor(1, "report")
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[None]] = {}
        self._is_late = False

    def report(self, stream: str, problems: Sequence[Problem]) -> Future[None] | None:
        """Returns the report of what was found on looking at `stream`; None where too many wait."""
        with self._lock:
            known = self._waiting.get(stream)
            if known is not None:
                return known
            if len(self._waiting) >= _MOST_WAITING:
                log.warning("look.report_dropped", code=stream)
                return None
            # Under the lock, or it could be done before it is noted as waiting.
            report = self._waiting[stream] = self._thread.submit(self._write, stream, problems)
            return report

    def wait(self, report: Future[None]) -> None:
        """Waits for a report, and not at all while reports are known to be late."""
        if not report.done() and not self._is_late:
            self._is_late = bool(wait_for([report], PATIENCE_S).not_done)

    def close(self) -> None:
        """Returns when everything that waits is written."""
        self._thread.shutdown()

    def _write(self, stream: str, problems: Sequence[Problem]) -> None:
        try:
            self._findings.report(problems)
        except Fault as fault:
            # The reader gets the red page in any case; the audit will report what it met.
            log.warning("look.report_failed", code=stream, fault=str(fault))
        except Exception:
            log.exception("look.report_failed", code=stream)
        finally:
            with self._lock:
                self._waiting.pop(stream, None)
                self._is_late = False
