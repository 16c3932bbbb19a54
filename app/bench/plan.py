"""How much is measured, and where: for a look, for a table, or for a night; on which database."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from app.config import Settings, load_settings

RUNS = 5
DATABASE = "database-url"
"""The file of a deployment's folder that names its database; without it, it is on SQLite below `data`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """scale: times the usual number of records; below a tenth only one short run is made of each.

    root: where folders are made. server: the URL of a PostgreSQL server where every deployment gets a
    database of its own, None for SQLite. tell: is told what is being done.
    """

    scale: float
    root: Path
    tell: Callable[[str], None] = lambda _: None
    server: str | None = None
    _made: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether this is a measurement and no mere look."""
        return self.scale >= 0.1

    @property
    def runs(self) -> int:
        """How many runs the median is of."""
        return RUNS if self.full else 1

    @property
    def share(self) -> float:
        """The scale for what would only wear the disk if it grew with it."""
        return min(1.0, max(self.scale, 0.1))

    def count(self, usual: int) -> int:
        """Returns `usual` at this scale, at least one."""
        return max(1, round(usual * self.scale))

    def folder(self, name: str) -> Path:
        """Returns a new folder, for a deployment with a new database."""
        folder = self.root / name
        folder.mkdir()
        if self.server is not None:
            self._make(folder, "template0")
        return folder

    def copied(self, source: Path, name: str) -> Path:
        """Returns a new folder with all that a deployment has, which nobody has open."""
        folder = self.root / name
        shutil.copytree(source, folder)
        if self.server is not None:
            self._make(folder, urlsplit(database_url(source)).path[1:])
        return folder

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Drops the databases that were made, however it ends. The folders are the caller's."""
        try:
            yield
        finally:
            for name in self._made:
                self._say(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _make(self, folder: Path, template: str) -> None:
        assert self.server is not None
        name = f"suxin_bench_{secrets.token_hex(6)}"
        self._say(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING UTF8')
        self._made.append(name)
        (folder / DATABASE).write_text(
            urlsplit(self.server)._replace(path=f"/{name}").geturl(), "utf-8"
        )

    def _say(self, statement: str) -> None:
        assert self.server is not None
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)


def database_url(folder: Path) -> str:
    """Returns where the deployment in `folder` keeps its data."""
    told = folder / DATABASE
    if told.exists():
        return told.read_text("utf-8")
    return f"sqlite:///{folder / 'data' / 'suxin.db'}"


def settings_in(folder: Path) -> Settings:
    """Returns settings whose data is all below `folder`, whatever the environment says."""
    return load_settings(
        data_dir=folder / "data",
        keys_dir=folder / "keys",
        database_url=database_url(folder),
        base_url="https://bench.example",
        log_origin="bench.example/log/1",
        host="127.0.0.1",
        port=0,
        worker="embedded",
        credit_store="local",
        witness_policy=None,
        log_level="warning",
        # What a machine can do is measured, not what one key may ask of it.
        key_per_second=0,
    )
