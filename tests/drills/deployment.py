"""A deployment of its own: a folder with data, keys and a served port, asked over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx

from app.kit.clock import SystemClock, to_ms
from tests.asking import plain_client
from tests.databases import DATABASES, Run, opened
from tests.drills.processes import Done, run, start
from tests.ports import free_port, is_free

START_TIMEOUT_S = 120
_SERVING = "Suxin is serving at"
# What the outbox has to do now, what has no place in the log yet, and what has and was not judged.
_UNSETTLED = """
SELECT (SELECT count(*) FROM outbox WHERE available_at <= ?) + (SELECT count(*) FROM unsequenced)
+ (SELECT count(*) FROM log_leaf WHERE leaf_index >
   (SELECT coalesce(max(position), -1) FROM cursor WHERE name = 'findings.follow'))
"""


class Deployment:
    """One folder. `serve` and `stop` may be called again and again; `kill` is kill -9.

    database_url: of a database that is there; a new one of the kind that `--database` says is made.
    database: SQLite's file. code: the tree whose program it runs, if not this one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        admin: str | None = None,
        database_url: str | None = None,
        code: Path | None = None,
        **env: str,
    ) -> None:
        self.folder = folder
        self.code = code
        self.log = folder / "serve.log"
        self.database = folder / "data" / "suxin.db"
        self.keys_dir = folder / "data-keys"
        self.database_url = database_url or DATABASES.empty(self.database.parent)
        if not self.database_url.startswith("sqlite"):
            env = {"SUXIN_DATABASE_URL": self.database_url, **env}
        # The drills ask more than a person would; the limit has tests of its own.
        self.env = {"SUXIN_ANONYMOUS_PER_SECOND": "0", **env}
        self.url = ""
        self.vkey = self.receipt_key = ""  # of the log and of receipts, for who asked for them
        self._admin = admin
        self._process: ForkServerProcess | None = None
        self._client: httpx.Client | None = None

    def beside(self, name: str) -> Deployment:
        """Returns another process's place in the same deployment, on the same host; it runs this tree."""
        other = Deployment(
            self.folder, admin=self._admin, database_url=self.database_url, **self.env
        )
        other.log = self.folder / f"{name}.log"
        return other

    # --- the command ---------------------------------------------------------------------------

    def suxin(self, *arguments: str) -> Done:
        return run(*arguments, cwd=self.folder, env=self.env, code=self.code)

    def init(self) -> Deployment:
        done = self.suxin("init", "--json")
        assert done.code == 0, done.err
        self._admin = json.loads(done.out)["admin_key"] or self._admin
        return self

    def audit(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Returns the exit code and the answer of `suxin audit --json`."""
        done = self.suxin("audit", "--json", *arguments)
        assert done.code in (0, 1), done
        assert done.out, done.err
        return done.code, json.loads(done.out)

    @property
    def admin(self) -> str:
        assert self._admin is not None
        return self._admin

    # --- the service ---------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def processes(self) -> dict[str, list[int]]:
        """The pids of the service by name: the first one is `suxin`, its children say what they do."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(self.pid)],
            capture_output=True, text=True, check=False,  # 1 where it has none
        ).stdout  # fmt: skip
        found = {"suxin": [self.pid]}
        for line in listed.splitlines():
            pid, name = line.split()
            found.setdefault(name, []).append(int(pid))
        return found

    def signal_all(self, number: int) -> None:
        """Sends a signal to every process of the service."""
        for pid in [pid for pids in self.processes.values() for pid in pids]:
            os.kill(pid, number)

    def serve(self, *, days_ago: int = 0, port: int | None = None) -> Deployment:
        """Returns when all of the service's processes are there, and it is ready.

        Fails the test, with its log, where it ends instead. days_ago: by how much the service's clock is
        behind. port: a free one unless given.
        """
        self.start(days_ago=days_ago, port=port)
        assert self._process is not None
        until = time.monotonic() + START_TIMEOUT_S
        # The first process that answers is there before the last one is.
        while not (_SERVING in self.log.read_text("utf-8") and self._is_ready()):
            assert self._process.is_alive(), self.log.read_text("utf-8")
            assert time.monotonic() < until, self.log.read_text("utf-8")
            time.sleep(0.02)
        return self

    def start(self, *, days_ago: int = 0, port: int | None = None) -> None:
        """Starts what `serve` waits for."""
        assert self._process is None
        if port is None:
            port = free_port()
        else:
            # Of a service that was killed, the children end a moment after their parent.
            wait_until(lambda: is_free(port), f"port {port} is free")
        self.url = f"http://127.0.0.1:{port}"
        self._process = start(
            ["serve", "--port", str(port)],
            cwd=self.folder, env=self.env, out=self.log.with_suffix(".out"), err=self.log,
            days_ago=days_ago, code=self.code,
        )  # fmt: skip
        self._client = plain_client(base_url=self.url, timeout=30)

    def ended(self) -> int:
        """Returns the exit code of a service that ends by itself."""
        return self._end(lambda process: None)

    def stop(self) -> int:
        """Returns the exit code after SIGTERM."""
        return self._end(ForkServerProcess.terminate)

    def kill(self) -> int:
        """Returns -9 after kill -9."""
        return self._end(ForkServerProcess.kill)

    def close(self) -> None:
        if self._process is not None:
            self.stop()

    def _end(self, how: Callable[[ForkServerProcess], None]) -> int:
        assert self._process is not None
        assert self._client is not None
        self._client.close()
        how(self._process)
        self._process.join(30)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        self._process.close()
        self._process = self._client = None
        assert code is not None, "the service did not end within 30 s"
        return code

    def _is_ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    # --- asking --------------------------------------------------------------------------------

    @property
    def client(self) -> httpx.Client:
        assert self._client is not None
        return self._client

    def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        token: str | None = None,
        expect: int | None = None,
        **more: Any,
    ) -> httpx.Response:
        headers = {"Accept-Language": "en", **more.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if json is not None:
            more["json"] = json
        answer = self.client.request(method, path, headers=headers, **more)
        if expect is not None:
            assert answer.status_code == expect, (method, path, answer.status_code, answer.text)
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self.call("GET", path, expect=200, **more).json()

    def wait_published(self) -> None:
        """Returns when a signed checkpoint covers every record."""
        wait_until(lambda: self.get("/api/v1/ledger")["pending"] == 0, "everything is published")

    def wait_settled(self) -> None:
        """Returns when all that follows from the records is done, recorded and published too.

        Chains are counted and goods judged a moment after what brought it about was answered. From here on
        the log stands still unless somebody records, or time passes.
        """
        wait_until(self._has_settled, "what follows from the records is done")
        self.wait_published()

    def _has_settled(self) -> bool:
        with self.opened() as run:
            ((left,),) = run(_UNSETTLED, to_ms(SystemClock().now()))
        return left == 0

    # --- the disk ------------------------------------------------------------------------------

    def copy_to(self, folder: Path) -> Deployment:
        """Returns a copy of what is stored; on PostgreSQL nobody may be using it."""
        env = {name: value for name, value in self.env.items() if name != "SUXIN_DATABASE_URL"}
        copied_url = DATABASES.copy(self.database_url, folder / "data")
        copied = Deployment(folder, admin=self._admin, database_url=copied_url, **env)
        copied.database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.keys_dir, copied.keys_dir)
        return copied

    def opened(self) -> AbstractContextManager[Run]:
        """Runs SQL in the database as somebody with the disk does; committed at the end."""
        return opened(self.database_url)


def wait_until(true: Callable[[], bool], what: str, *, timeout_s: float = 120) -> float:
    """Returns after how many seconds it was true; fails the test if it never was.

    timeout_s: when `never` is said. What the worker does comes behind everything else (`nice`), so on a busy
    machine it comes late.
    """
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < timeout_s, f"{what}: not within {timeout_s} s"
        time.sleep(0.02)
    return time.monotonic() - begun
