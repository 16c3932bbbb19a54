"""The `suxin` command as somebody at a terminal meets it: exit codes, one sentence, nothing created."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main

from app.ledger.keyring import create_keys
from tests.databases import DATABASES, opened
from tests.drills.deployment import Deployment
from tests.drills.processes import Done, run
from tests.drills.trade import SHOP, Trade, api_path
from tests.ports import free_port

SUXIN = Path(sys.executable).with_name("suxin")


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def dump(place: Deployment) -> list[str]:
    """Returns every row, as text."""
    from app.db import tables

    names = sorted(tables.SQLModel.metadata.tables)
    with place.opened() as run:
        rows = [(name, row) for name in names for row in run(f'SELECT * FROM "{name}"')]
    return sorted(map(repr, rows))


def check_refused(done: Done, *words: str, code: int = 2) -> None:
    assert done.code == code, done
    (sentence,) = done.err.strip().splitlines()
    for word in words:
        assert word in sentence, sentence
    assert done.out == ""


def commands() -> list[tuple[str, ...]]:
    from app.cli import cli

    found: list[tuple[str, ...]] = []
    top = typer.main.get_command(cli)
    for name, command in sorted(top.commands.items()):
        found.append((name,))
        found += [(name, below) for below in sorted(getattr(command, "commands", {}))]
    return found


# ---------------------------------------------------------------- init and serve


def test_init_makes_everything_once_and_changes_nothing_the_second_time(tmp_path):
    place = Deployment(tmp_path / "here")
    first = place.suxin("init", "--json")
    told = json.loads(first.out)
    assert (first.code, first.err) == (0, "")
    assert set(told) == {"admin_key", "log_key", "data_dir", "keys_dir"}
    assert told["admin_key"].startswith("sx_")
    keys, rows = list_files(place.keys_dir), dump(place)
    assert keys
    assert {oct(p.stat().st_mode & 0o777) for p in place.keys_dir.iterdir()} == {"0o600"}
    again = place.suxin("init", "--json")
    assert json.loads(again.out) == {**told, "admin_key": None}
    assert (list_files(place.keys_dir), dump(place)) == (keys, rows)
    said = place.suxin("init")
    assert said.code == 0
    assert told["admin_key"] not in said.out
    assert "nothing was changed" in said.out
    assert told["admin_key"].split("_")[2] not in "\n".join(dump(place))


@pytest.mark.parametrize(
    "command",
    [("serve",), ("worker",), ("audit",), ("keys", "revoke", "K"),
     ("keys", "create", "--party", SHOP, "--scope", "events")],
    ids=lambda command: " ".join(command[:2]),
)  # fmt: skip
def test_without_init_a_command_names_it_and_creates_nothing(tmp_path, command):
    done = run(*command, cwd=tmp_path / "empty", env={})
    check_refused(done, "suxin init")
    assert list((tmp_path / "empty").iterdir()) == []


_FILE_LOST = pytest.mark.sqlite_only("its database is a file in the data folder")


@pytest.mark.parametrize("lost", [pytest.param("data", marks=_FILE_LOST), "data-keys"])
def test_serve_does_not_replace_what_was_lost_by_something_new(tmp_path, lost):
    place = Deployment(tmp_path / "here").init()
    (place.folder / lost).rename(tmp_path / "elsewhere")
    check_refused(place.suxin("serve", "--port", "0"), "suxin init", lost)
    assert not (place.folder / lost).exists()


@pytest.mark.sqlite_only("its folder is locked; PostgreSQL lets several serve")
def test_a_second_service_on_the_same_folder_is_refused(served: Trade):
    place = served.place
    check_refused(place.suxin("serve", "--port", str(free_port())), "data", "another process")
    check_refused(place.suxin("worker"), "another process")
    assert place.call("GET", "/healthz").status_code == 200


def test_a_stopped_service_says_nothing_but_where_it_was(market: Trade):
    place = market.place.serve()
    assert place.call("GET", "/healthz").status_code == 200
    # The first of its processes answers before the last one does, and only then is it said.
    until = time.monotonic() + 20
    while place.url not in place.log.read_text("utf-8") and time.monotonic() < until:
        time.sleep(0.05)
    place.stop()
    lines = place.log.read_text("utf-8").splitlines()
    # On PostgreSQL it also says that it leads, and so may sign.
    said = [line for line in lines if '"lease.taken"' not in line]
    assert said == [f"Suxin is serving at {place.url}"]
    assert len(lines) - len(said) <= 1


def test_a_taken_port_is_said_in_one_sentence(tmp_path):
    place = Deployment(tmp_path / "here").init()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = place.suxin("serve", "--port", str(port))
    check_refused(done, str(port), "Address already in use;", f"as in --port {port + 1}")
    narrow = run("serve", "--port", "70000", cwd=place.folder, env=place.env)
    assert (narrow.code, "65535" in narrow.err) == (2, True)


@pytest.mark.sqlite_only("a file that is none")
def test_what_is_no_database_is_said_in_one_sentence_by_each_command(tmp_path):
    place = Deployment(tmp_path / "here").init()
    for suffix in ("", "-wal", "-shm"):
        place.database.with_name(place.database.name + suffix).unlink(missing_ok=True)
    place.database.write_text("这不是数据库。" * 1000, encoding="utf-8")
    for command in (("serve", "--port", "0"), ("audit", "--json")):
        check_refused(place.suxin(*command), "not a database")


# ---------------------------------------------------------------- migrate


@pytest.fixture
def behind(tmp_path) -> Deployment:
    """A deployment whose schema is the second release's."""
    from alembic import command

    from app.db import schema
    from app.db.engine import Database

    place = Deployment(tmp_path / "here")
    place.folder.joinpath("data").mkdir(parents=True)
    database = Database(place.database_url)
    command.upgrade(schema._config(database, (4, 60)), "0002")
    database.close()
    place.keys_dir.mkdir()
    create_keys(place.keys_dir, origin="suxin.test/log")
    return place


def test_serve_refuses_a_schema_that_is_behind_and_names_what_to_do(behind: Deployment):
    for command in (("serve", "--port", "0"), ("worker",), ("audit",)):
        check_refused(behind.suxin(*command), "0002", "suxin migrate")


def test_migrate_says_what_it_will_do_and_does_it(behind: Deployment):
    told = json.loads(behind.suxin("migrate", "--dry-run", "--json").out)
    assert (told["before"], told["done"]) == ("0002", False)
    assert "0006" in [step["revision"] for step in told["steps"]]
    assert behind.suxin("migrate", "--dry-run").out.startswith("would do  0")
    done = behind.suxin("migrate", "--lock-timeout", "2", "--statement-timeout", "60")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[1] for line in done.out.splitlines()] == [
        step["revision"] for step in told["steps"]
    ]
    again = behind.suxin("migrate")
    assert (again.code, "nothing was changed" in again.out) == (0, True)
    assert json.loads(behind.suxin("migrate", "--json").out)["steps"] == []


def test_migrate_refuses_a_database_of_a_later_release_and_serve_does_not(tmp_path):
    place = Deployment(tmp_path / "here").init()
    with place.opened() as run:
        run("UPDATE alembic_version SET version_num = '9999'")
    check_refused(place.suxin("migrate"), "9999", "later release")
    check_refused(place.suxin("migrate", "--dry-run"), "9999", "later release")
    assert place.suxin("init").code == 0
    place.serve()
    assert place.stop() == -15


def test_migrate_makes_no_database_where_there_is_none(tmp_path):
    done = run("migrate", cwd=tmp_path / "empty", env={})
    check_refused(done, "suxin init")
    assert list((tmp_path / "empty").iterdir()) == []


# ---------------------------------------------------------------- verify


@pytest.fixture(scope="module")
def bundle(served: Trade, tmp_path_factory) -> tuple[Path, str]:
    """An evidence bundle as downloaded, and the log's key."""
    path = tmp_path_factory.mktemp("evidence") / "bundle.json"
    told = served.place.call("GET", f"{api_path(served.units[SHOP][0])}/evidence", expect=200)
    path.write_bytes(told.content)
    return path, served.place.call("GET", "/log/key", expect=200).text.strip()


def verify(tmp_path: Path, *arguments: object) -> Done:
    """Offline: in an empty folder, without data or keys."""
    return run("verify", *map(str, arguments), cwd=tmp_path / "offline", env={})


def test_verify_tells_true_false_unreadable_and_unchecked_apart(bundle, tmp_path):
    path, key = bundle
    (tmp_path / "log.key").write_text(f"{key}\n", encoding="utf-8")
    for given in (key, tmp_path / "log.key"):
        true = verify(tmp_path, path, "--key", given)
        assert (true.code, true.err) == (0, "")

    told = json.loads(path.read_text("utf-8"))
    own = next(s for s in told["streams"] if s["stream"] == told["subject"])
    own["records"][1]["body"] = own["records"][1]["body"].replace("440100", "440300")
    (tmp_path / "false.json").write_text(json.dumps(told), encoding="utf-8")
    false = verify(tmp_path, tmp_path / "false.json", "--key", key)
    assert false.code == 1
    assert f"{told['subject']}, record 1" in false.out

    (tmp_path / "text.json").write_text("not a bundle", encoding="utf-8")
    assert verify(tmp_path, tmp_path / "text.json", "--key", key).code == 2
    check_refused(verify(tmp_path, tmp_path / "nowhere.json", "--key", key), "nowhere.json")
    assert verify(tmp_path, path).code == 3


def test_verify_against_another_logs_key_is_false(bundle, tmp_path):
    path, _ = bundle
    other = Deployment(tmp_path / "other").suxin("init", "--json")
    assert verify(tmp_path, path, "--key", json.loads(other.out)["log_key"]).code == 1


def test_verify_as_json_says_the_same(bundle, tmp_path):
    path, key = bundle
    done = verify(tmp_path, path, "--key", key, "--json")
    told = json.loads(done.out)
    assert done.code == 0
    assert told["broken"] == []
    assert told["subject"] == json.loads(path.read_text("utf-8"))["subject"]


# ---------------------------------------------------------------- keys


def test_a_key_made_beside_a_running_service_works_and_a_revoked_one_is_refused_in_a_second(
    served: Trade,
):
    place = served.place
    made = place.suxin("keys", "create", "--party", SHOP, "--scope", "events", "--json")
    told = json.loads(made.out)
    events = {"events": [{"code": "x", "type": "y"}]}

    def send() -> int:
        path = "/api/v1/events/batch"
        return place.call("POST", path, events, token=told["token"]).status_code

    assert (made.code, send()) == (0, 200)
    gone = place.suxin("keys", "revoke", told["key_id"])
    assert gone.code == 0
    began = asked = time.monotonic()
    while send() != 401:
        assert asked - began < 1, "still taken where it was sent after a second"
        asked = time.monotonic()
    assert told["token"].split("_")[2] not in "\n".join(dump(place))


def test_keys_for_nobody_and_scopes_that_are_none_are_refused(served: Trade):
    place = served.place
    nobody = "91441200MA4TE5T99X"
    check_refused(place.suxin("keys", "create", "--party", nobody, "--scope", "events"), nobody)
    check_refused(place.suxin("keys", "create", "--party", SHOP, "--scope", "everything"))
    check_refused(place.suxin("keys", "revoke", "NOSUCHKEY"))


# ---------------------------------------------------------------- audit, settings, openapi


def test_an_audit_of_one_stream_reads_that_alone(served: Trade):
    code = served.units[SHOP][0]
    for given in (code, f"https://example.org/{code}"):
        assert served.place.audit("--stream", given) == (
            0, {"streams": 1, "records": 4, "findings": []},
        )  # fmt: skip
    code, told = served.place.audit("--stream", f"party/{SHOP}")
    assert (code, told["streams"], told["findings"]) == (0, 1, [])
    assert told["records"] == 8  # registration, verification, mandate, five points for chains


def test_an_audit_of_a_stream_that_is_not_there_is_no_clean_bill(served: Trade):
    check_refused(served.place.suxin("audit", "--stream", f"{served.units[SHOP][0]}X"), "recorded")
    check_refused(served.place.suxin("audit", "--stream", "not a code"), "not a code")


def test_an_audit_only_reads(market: Trade):
    before = dump(market.place)
    done = market.place.suxin("audit")
    assert (done.code, done.err) == (0, "")
    assert "clean" in done.out
    assert dump(market.place) == before


def test_settings_shows_every_setting_with_its_meaning(tmp_path):
    done = run("settings", "--json", cwd=tmp_path, env={"SUXIN_PORT": "8123"})
    rows = {row["name"]: row for row in json.loads(done.out)}
    from app.config import Settings

    assert set(rows) == {f"SUXIN_{name.upper()}" for name in Settings.model_fields}
    assert all(row["meaning"] for row in rows.values())
    assert rows["SUXIN_PORT"]["value"] == "8123"
    said = run("settings", cwd=tmp_path, env={})
    assert all(name in said.out for name in rows)
    assert list(tmp_path.iterdir()) == []


def test_settings_shows_a_path_as_it_is(tmp_path):
    said = run("settings", cwd=tmp_path, env={"SUXIN_DATA_DIR": "/srv/[bold]x"})
    assert "SUXIN_DATA_DIR = /srv/[bold]x\n" in said.out


def test_what_nobody_foresaw_is_one_sentence_and_no_verdict(tmp_path):
    # 1 would say that an audit found something.
    bad = "import app.cli\napp.cli.load_settings = lambda: 1 / 0\nimport sys\n"
    bad += "sys.argv = ['suxin', 'audit']\napp.cli.main()"
    done = subprocess.run([sys.executable, "-c", bad], check=False, capture_output=True, text=True)
    assert done.returncode == 70
    (sentence,) = done.stderr.strip().splitlines()
    assert "ZeroDivisionError" in sentence


def test_settings_does_not_show_a_password(tmp_path):
    env = {"SUXIN_DATABASE_URL": "postgresql://suxin:geheim@db/suxin"}
    for done in (run("settings", cwd=tmp_path, env=env), run("audit", cwd=tmp_path, env=env)):
        assert "geheim" not in done.out + done.err


def test_openapi_describes_the_service_without_a_deployment(tmp_path):
    done = run("openapi", cwd=tmp_path, env={})
    described = json.loads(done.out)
    assert described["openapi"].startswith("3.1")
    assert "/api/v1/events" in described["paths"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [("SUXIN_PROT", "1", "SUXIN_PORT"), ("SUXIN_PORT", "eight", "SUXIN_PORT"),
     ("SUXIN_BASE_URL", "example.org", "SUXIN_BASE_URL")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["init", "serve", "settings"])
def test_a_setting_that_is_none_stops_every_command(tmp_path, command, name, value, word):
    check_refused(run(command, cwd=tmp_path, env={name: value}), name, word)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("command", [(), *commands()], ids=" ".join)
def test_every_command_explains_itself(tmp_path, command):
    done = run(*command, "--help", cwd=tmp_path, env={})
    assert (done.code, done.err) == (0, "")
    assert f"Usage: suxin {' '.join(command)}".rstrip() in done.out
    assert len(done.out.splitlines()) > 3
    assert list(tmp_path.iterdir()) == []


def test_the_installed_command_is_this_one(tmp_path):
    if not SUXIN.exists():
        pytest.skip(f"{SUXIN} is not there: Suxin is not installed for this Python")
    done = subprocess.run(
        [SUXIN, "serve"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    check_refused(Done(done.returncode, done.stdout, done.stderr), "suxin init")
    assert list(tmp_path.iterdir()) == []


def test_fsck_derives_the_log_again_and_names_a_tile_that_was_changed(market: Trade):
    place = market.place
    done = place.suxin("log", "fsck", "--json")
    told = json.loads(done.out)
    assert (done.code, told["findings"]) == (0, [])
    assert told["leaves"] > 20
    with opened(place.database_url, guarded=False) as run:
        run("UPDATE tile SET data = zeroblob(length(data)) WHERE level = 0")
    done = place.suxin("log", "fsck")
    assert done.code == 1
    assert "log.tile_mismatch" in done.out
    assert "1 finding" in done.out


def test_an_old_copy_of_the_database_is_no_clean_bill(market: Trade, tmp_path):
    place = market.place
    old = DATABASES.copy(place.database_url, tmp_path / "old")
    place.serve()
    market.issue(SHOP, 1)
    place.wait_published()
    place.stop()
    for command in (("audit",), ("log", "fsck")):
        assert place.suxin(*command).code == 0
    DATABASES.put_back(place.database_url, old)
    for command in (("audit",), ("log", "fsck")):
        done = place.suxin(*command)
        assert done.code == 1, done
        assert "log.checkpoint_ahead" in done.out


def test_a_lost_key_is_said_as_that_by_each_command(tmp_path):
    place = Deployment(tmp_path / "here").init()
    (place.keys_dir / "vault.key").unlink()
    for command in (("init",), ("serve",), ("audit",)):
        check_refused(place.suxin(*command), "vault.key", "from your backup")


@pytest.mark.sqlite_only("a file that is gone")
def test_a_lost_database_is_not_begun_anew_under_its_anchor(market: Trade):
    place = market.place
    for file in (place.folder / "data").iterdir():
        file.unlink()
    check_refused(place.suxin("init"), "Put the newest database back")
    assert not place.database.exists()


def test_a_demo_on_a_taken_port_makes_nothing_first(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("demo", "--port", port, cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    check_refused(done, port, "Address already in use;", f"as in --port {int(port) + 1}")
    narrow = run("demo", "--port", "70000", cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    assert (narrow.code, "65535" in narrow.err) == (2, True)


INTERRUPTED = """
import os, signal, sys, time
from app.cli import main
from app.ledger.quick import QuickProof
def halt(self, *given):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
QuickProof._is_end_clean = halt
sys.argv = ["suxin", "audit"]
main()
"""


def test_an_audit_that_is_interrupted_says_so_in_one_sentence(market: Trade):
    """Cursors half read complained of each other, in tracebacks."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=market.place.folder, env={**os.environ, **market.place.env},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.split("\n") == ["", "suxin: stopped; nothing was changed", ""]
