"""An audit in a process of its own, without the rest of the bench and of the service in its memory.

    python -m app.bench.audited FOLDER PROCESSES

Says one line of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from pathlib import Path

from app.bench.bare import hash_all
from app.bench.figures import Peak, cpu_s
from app.bench.plan import settings_in
from app.credit.graces import graces_in_force
from app.ledger.anchor import Anchor
from app.ledger.keyring import load_keys
from app.oversight.whole_audit import AuditPlan, WholeAudit


def audit(folder: Path, processes: int) -> dict[str, float]:
    """Re-verifies everything as `suxin audit` does, then reads and hashes in a bare loop."""
    settings = settings_in(folder)
    keys = load_keys(settings.keys_dir)
    plan = AuditPlan(
        settings.database_url,
        keys.vault_key,
        keys.logs,
        Anchor(settings.keys_dir).read_all(),
        graces_in_force(),
    )
    began, cpu_began = time.perf_counter(), cpu_s()
    peak = Peak()
    with closing(WholeAudit(plan, processes=processes)) as whole:
        audited = whole.run(lambda _: peak.look([os.getpid(), *whole.pids]))
    taken_s, spent_s = time.perf_counter() - began, cpu_s() - cpu_began
    began, cpu_began = time.perf_counter(), cpu_s()
    hashed = hash_all(settings.database_url)
    return {
        "seconds": taken_s,
        "cpu_seconds": spent_s,
        "bare_seconds": time.perf_counter() - began,
        "bare_cpu_seconds": cpu_s() - cpu_began,
        "records": audited.records,
        "hashed": hashed,
        "problems": len(audited.problems),
        "memory_mb": peak.shared_once_mb,
        "resident_mb": peak.resident_mb,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(audit(Path(sys.argv[1]), int(sys.argv[2]))) + "\n")
