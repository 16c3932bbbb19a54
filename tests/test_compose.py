"""docker-compose.yml, without an engine: the file is read, and its steps are followed as processes.

Followed for real: init, migrate, serve and worker with the environment that the file gives them, on a
real PostgreSQL, and the health check of `serve`. Only read: what the engine itself does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from app.config import check_names
from tests.asking import fetch
from tests.databases import DATABASES
from tests.drills.deployment import wait_until
from tests.drills.processes import run, start
from tests.ports import free_port
from tests.test_dockerfile import environment, read_stages

ROOT = Path(__file__).resolve().parents[1]
GIVEN = {"POSTGRES_PASSWORD": "0f" * 24, "SUXIN_BASE_URL": "https://trace.example"}
OURS = ("init", "migrate", "serve", "worker")
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:\?|:-)([^}]*))?\}")


class Missing(Exception):
    """A variable that the file demands is not set."""


def filled_in(text: str, given: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if given.get(name):
            return given[name]
        if kind == ":?":
            raise Missing(name)
        return rest or ""

    return _VARIABLE.sub(value, text)


def read(given: dict[str, str]) -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return yaml.safe_load(filled_in("\n".join(lines), given))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return read(GIVEN)["services"]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Returns volume names by where they are mounted."""
    return {place: name for name, place in (one.split(":") for one in service["volumes"])}


# ---------------------------------------------------------------- read


def test_it_has_a_service_a_worker_and_a_database(services):
    assert set(services) == {"db", *OURS}
    for name in OURS:
        assert (services[name]["build"], services[name]["image"]) == (".", "suxin")


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_without_a_password_or_an_address_nothing_starts(name):
    with pytest.raises(Missing, match=name):
        read({**GIVEN, name: ""})


def test_no_secret_stands_in_it():
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    for line in text.splitlines():
        if "PASSWORD" in line and not line.startswith("#"):
            assert "${POSTGRES_PASSWORD:?" in line


def test_every_setting_is_one_and_all_of_ours_have_the_same(services):
    for name in OURS:
        check_names(services[name]["environment"])
        assert services[name]["environment"] == services["serve"]["environment"]
    assert services["serve"]["environment"]["SUXIN_WORKER"] == "external", "or two kinds would lead"


def test_user_and_password_are_the_databases_own(services):
    own = services["db"]["environment"]
    expected = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@db:5432/{POSTGRES_DB}"
    url = services["serve"]["environment"]["SUXIN_DATABASE_URL"]
    assert url == expected.format(**own)


def test_every_command_is_one(services):
    from app.cli import cli

    known = typer.main.get_command(cli).commands
    for name in OURS:
        command = services[name]["command"]
        assert command[0] == name
        assert command[0] in known
    (image,) = [stage for stage in read_stages() if not stage.name]
    assert services["serve"]["command"] == json.loads(image.last("CMD"))


def test_keys_and_data_are_volumes_apart_where_the_image_looks_for_them(services):
    env = environment(read_stages()[-1])
    places = {env["SUXIN_KEYS_DIR"], env["SUXIN_DATA_DIR"]}
    for name in OURS:
        assert set(mounts(services[name])) == places
        assert not {"SUXIN_KEYS_DIR", "SUXIN_DATA_DIR"} & set(services[name]["environment"])
    keys = mounts(services["worker"])[env["SUXIN_KEYS_DIR"]]
    assert {mounts(services[name])[env["SUXIN_KEYS_DIR"]] for name in OURS} == {keys}
    others = {*mounts(services["db"]).values(), mounts(services["worker"])[env["SUXIN_DATA_DIR"]]}
    assert keys not in others
    assert set(read(GIVEN)["volumes"]) == {keys, *others}
    assert "/var/lib/postgresql/data" in mounts(services["db"])


def test_each_waits_for_what_it_needs(services):
    healthy = {"db": {"condition": "service_healthy"}}
    migrated = {"migrate": {"condition": "service_completed_successfully"}}
    assert [services[name]["depends_on"] for name in OURS] == [
        healthy, healthy, migrated, migrated,
    ]  # fmt: skip
    assert services["db"]["healthcheck"]["test"][1] == "pg_isready"


def test_what_prints_the_admin_key_is_not_started_by_up(services):
    assert services["init"]["profiles"]
    assert not any("profiles" in services[name] for name in ("db", "migrate", "serve", "worker"))


def test_what_runs_on_is_started_again_and_what_ends_is_not(services):
    for name in ("db", "serve", "worker"):
        assert services[name]["restart"] == "unless-stopped"
    for name in ("init", "migrate"):
        assert "restart" not in services[name]


def test_only_this_machine_reaches_it(services):
    assert [port for one in services.values() for port in one.get("ports", [])] == [
        "127.0.0.1:8000:8000"
    ]


def test_images_of_others_have_a_version(services):
    assert re.fullmatch(r"postgres:\d+-\w+", services["db"]["image"])


def test_only_who_serves_is_asked_over_http(services):
    for name in ("init", "migrate", "worker"):
        assert services[name]["healthcheck"] == {"disable": True}


# ---------------------------------------------------------------- followed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_steps_lead_to_a_service_whose_worker_leads(services, kind, tmp_path):
    url = DATABASES.empty(tmp_path, kind=kind)
    port = free_port()

    def env(name: str) -> dict[str, str]:
        told = dict(services[name]["environment"])
        for folder in ("keys", "data"):
            told[f"SUXIN_{folder.upper()}_DIR"] = str(tmp_path / folder)
        return {**told, "SUXIN_DATABASE_URL": url, "SUXIN_PORT": str(port)}

    def step(name: str) -> Any:
        return run(*services[name]["command"], cwd=tmp_path, env=env(name))

    assert step("serve").code == 2, "nothing is served before init"
    made = step("init")
    assert made.code == 0, made
    assert "admin key" in made.out
    assert step("migrate").code == 0
    running = [
        start(
            services[name]["command"], cwd=tmp_path, env=env(name),
            out=tmp_path / f"{name}.out", err=tmp_path / f"{name}.err",
        )
        for name in ("serve", "worker")
    ]  # fmt: skip
    try:
        check = services["serve"]["healthcheck"]["test"]
        command = [sys.executable, *(part.replace(":8000/", f":{port}/") for part in check[2:])]

        def healthy() -> bool:
            return subprocess.run(command, check=False, capture_output=True).returncode == 0

        def ready() -> dict[str, Any]:
            answer = fetch(f"http://127.0.0.1:{port}/readyz", timeout=5)
            return answer.json() if answer.status_code == 200 else {}

        wait_until(healthy, "the health check succeeds")
        wait_until(lambda: ready().get("leader") is not None, "the worker leads")
        assert ready()["leads"] is False, "the service does not"
        address = f"http://127.0.0.1:{port}/log/checkpoint"
        wait_until(lambda: fetch(address).status_code == 200, "the worker signs")
    finally:
        for process in running:
            process.terminate()
            process.join(30)
    # uvicorn hands the signal on, once it has ended in order.
    assert [process.exitcode for process in running] == [-15, 0]
    DATABASES.drop(url)
