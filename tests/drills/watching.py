"""`suxin witness` as a process of its own, and logs whose policy names it."""

from __future__ import annotations

import json
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx

from tests.asking import fetch
from tests.drills.deployment import Deployment
from tests.drills.processes import run, start
from tests.ports import free_port


class WitnessProcess:
    """A witness in a folder; `serve` and `stop` may be called again and again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        done = run("witness", "init", "--dir", "w", "--name", name, "--json", cwd=folder, env={})
        assert (done.code, done.err) == (0, ""), done
        self.key = json.loads(done.out)["key"]
        self._process: ForkServerProcess | None = None

    @property
    def line(self) -> str:
        """Its line of a policy."""
        return f"witness {self.name} {self.key} {self.url}\n"

    def serve(self, *log_keys: str) -> None:
        (self.folder / "logs").write_text("".join(f"log {key}\n" for key in log_keys))
        asked = ["witness", "serve", "--dir", "w", "--logs", "logs", "--port", str(self.port)]
        self._process = start(
            asked, cwd=self.folder, env={}, out=self.folder / "out", err=self.folder / "err"
        )
        until = time.monotonic() + 60
        while True:
            assert self._process.is_alive(), (self.folder / "err").read_text()
            assert time.monotonic() < until
            try:
                fetch(f"{self.url}/x/checkpoint", timeout=5)
                return
            except httpx.TransportError:
                time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.join(30)
        assert self._process.exitcode is not None
        self._process.close()
        self._process = None


class WatchedLog(Deployment):
    """A deployment with a log of its own name and a policy of witnesses."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(
            folder, SUXIN_WITNESS_POLICY="policy", SUXIN_LOG_ORIGIN=f"{name}.test/log/1",
            SUXIN_BASE_URL=f"http://{name}.test",
        )  # fmt: skip
        self.name = name
        self.suxin_init = self.suxin("init", "--json")
        told = json.loads(self.suxin_init.out)
        self._admin, self.key = told["admin_key"], told["log_key"]

    def ask_of(self, quorum: str, *lines: str, log: str = "") -> None:
        policy = f"log {log or self.key}\n{''.join(lines)}quorum {quorum}\n"
        (self.folder / "policy").write_text(policy)

    def record(self, uscc: str) -> None:
        """Registers a party: one more record."""
        body = {"uscc": uscc, "name": "示例", "roles": ["merchant"], "region": "441200"}
        self.call("POST", "/api/v1/parties", body, token=self.admin, expect=201)

    @property
    def checkpoint(self) -> str:
        return self.call("GET", "/log/checkpoint", expect=200).text
