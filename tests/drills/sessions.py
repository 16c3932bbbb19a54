"""PostgreSQL on the sessions of a deployment: who waits for whom, and who stands still with row locks."""

from __future__ import annotations

import signal
import time

from tests.databases import Run
from tests.drills.deployment import Deployment

_TRIES = 300
_ALL = """
SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid),
       clock_timestamp() - xact_start, clock_timestamp() - state_change, left(query, 120)
FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start
"""
# Behind rows of the recorder's, which has moved heads by then. Of the sequencer's and the publisher's locks
# whoever leads next needs one itself, and so would know.
_RECORDING = """
SELECT 1 FROM pg_stat_activity JOIN leader ON split_part(holder, ':', 3) = application_name
WHERE datname = current_database() AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL
AND query ~ '^(UPDATE head|INSERT INTO)' AND query !~ '^INSERT INTO (log_leaf|tile|checkpoint) '
"""


def describe_sessions(run: Run) -> str:
    """Returns every session that is in a transaction, a line each, the oldest first."""
    return "\n".join(" | ".join(map(str, row)) for row in run(_ALL))


def stop_with_locks(leader: Deployment) -> None:
    """Stops the processes of a leader under load at a moment at which its recorder has heads locked.

    Tried again and again: nobody can say beforehand when that is.
    """
    for n in range(_TRIES):
        leader.signal_all(signal.SIGSTOP)
        with leader.opened() as run:
            if run(_RECORDING):
                return
        leader.signal_all(signal.SIGCONT)
        time.sleep(0.02 + n % 7 / 300)
    raise AssertionError(f"{leader.log.name} had no head locked at any of {_TRIES} moments")
