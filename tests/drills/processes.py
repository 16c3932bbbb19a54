"""`suxin` commands as processes of their own: real pids, signals and exit codes.

They are forked from a server that has imported the command once, because a drill starts some fifty
of them and an import costs more than a second. `tests/drills/test_cli.py` runs the installed command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_context = multiprocessing.get_context("forkserver")
# What the command line imports late: nearly every command that a drill calls serves, opens the rooms or
# migrates a database.
PRELOADED = [
    "tests.drills.processes", "app.cli", "app.serving", "app.rotating",
    "alembic.command", "app.db.migrations.online", "tests.drills.preloaded",
]  # fmt: skip
_context.set_forkserver_preload(PRELOADED)


@dataclass(frozen=True)
class Done:
    """How a command ended. code: -9 after kill -9."""

    code: int
    out: str
    err: str


def start(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    out: Path,
    err: Path,
    days_ago: int = 0,
    code: Path | None = None,
) -> ForkServerProcess:
    """Returns the running command; it ends with this process at the latest.

    days_ago: by how much its clock is behind, for what takes days to come about. code: another tree
    than this one whose command it is.
    """
    for path in (out, err):
        path.write_bytes(b"")  # there to be read before the command has begun
    process = _context.Process(
        target=_become,
        args=(list(arguments), str(cwd), dict(env), str(out), str(err), days_ago, code),
        daemon=True,
    )
    process.start()
    return process


def run(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float = 60,
    code: Path | None = None,
) -> Done:
    """Returns how the command ended; fails the test if it does not end."""
    cwd.mkdir(parents=True, exist_ok=True)
    out, err = cwd / f".out-{os.getpid()}", cwd / f".err-{os.getpid()}"
    process = start(arguments, cwd=cwd, env=env, out=out, err=err, code=code)
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"suxin {' '.join(arguments)} still ran after {timeout_s} s")
    done = Done(process.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))
    process.close()
    out.unlink()
    err.unlink()
    return done


def _become(
    arguments: list[str],
    cwd: str,
    env: dict[str, str],
    out: str,
    err: str,
    days_ago: int,
    code: Path | None,
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    for name in [name for name in os.environ if name.startswith("SUXIN_")]:
        del os.environ[name]
    os.environ.update(env)
    for descriptor, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    if code is not None:
        assert not days_ago
        main_of = "from app.cli import main; main()"
        asked = [sys.executable, "-P", "-c", main_of, *arguments]
        os.execve(asked[0], asked, {**os.environ, "PYTHONPATH": str(code)})
    sys.argv = ["suxin", *arguments]
    from app.cli import main

    if days_ago:
        _set_clock_back(days_ago)
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _set_clock_back(days: int) -> None:
    from app.kit.clock import SystemClock

    told = SystemClock.now
    SystemClock.now = lambda self: told(self) - timedelta(days=days)
