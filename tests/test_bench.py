"""The bench: one figure, on either database, and nothing left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from app.cli import cli

ROOT = Path(__file__).resolve().parents[1]


def bench(*arguments: str) -> CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "bench", *arguments]
    return run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def told_by(done: CompletedProcess[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # and nothing else is there
    (figure,) = told["figures"]
    return told["machine"], figure


def of_bulk(figure: dict[str, Any]) -> None:
    assert (figure["name"], figure["n"], figure["unit"]) == ("bulk_post", 100, "events/s")
    assert 0 < figure["value"] < figure["ceiling"]
    assert sum(figure["cpu_us"].values()) > 0


def test_bulk_is_held_against_the_bare_driver():
    machine, figure = told_by(bench("--only", "bulk_post", "--scale", "0.01", "--json"))
    assert machine["database"].startswith("SQLite 3.")
    of_bulk(figure)


def test_on_postgresql_every_deployment_has_a_database_that_is_dropped(postgres):
    url = postgres.url("postgres")
    with psycopg.connect(url) as connection:
        names = "SELECT count(*) FROM pg_database WHERE datname LIKE 'suxin_bench_%'"
        made = bench("--only", "bulk_post", "--scale", "0.01", "--json", "--database", url)
        machine, figure = told_by(made)
        assert machine["database"].startswith("PostgreSQL ")
        of_bulk(figure)
        assert connection.execute(names).fetchone() == (0,)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--database", "mysql://somewhere/x"), "expected postgresql://"),
        (("--database", "postgresql:///x?host=/nowhere"), "/nowhere"),
        (("--only", "nothing"), "nothing is no figure"),
        (("--scale", "0"), "above 0"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_was_expected(arguments, told):
    done = CliRunner().invoke(cli, ["bench", *arguments])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert told in done.stderr.replace("\n", " ")
