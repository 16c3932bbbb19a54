"""Two organisations watch each other's logs: real services, real witnesses, real processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from app.ledger.checkpoint import open_checkpoint
from app.ledger.cosign import parse_cosigner_vkey, read_cosignatures
from app.ledger.note import parse_vkey
from tests.asking import fetch
from tests.databases import DATABASES
from tests.drills.deployment import wait_until
from tests.drills.processes import run
from tests.drills.trade import CARRIER, PLATFORM, SHOP, STALL, Trade, api_path
from tests.drills.watching import WatchedLog, WitnessProcess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def two(tmp_path):
    """Two logs; the witness of each organisation watches the other's."""
    logs = {name: WatchedLog(tmp_path / name, name) for name in ("duan", "xinghu")}
    witnesses = {name: WitnessProcess(tmp_path / f"{name}-w", f"{name}.test/w") for name in logs}
    for name, other in (("duan", "xinghu"), ("xinghu", "duan")):
        logs[name].ask_of(f"{other}.test/w", witnesses[other].line)
    witnesses["duan"].serve(logs["xinghu"].key)
    witnesses["xinghu"].serve(logs["duan"].key)
    yield logs, witnesses
    for log in logs.values():
        log.close()
    for witness in witnesses.values():
        witness.stop()


def covered(log: WatchedLog) -> bool:
    return log.get("/api/v1/ledger")["pending"] == 0


def size_of(log: WatchedLog) -> int:
    return open_checkpoint(log.checkpoint, [parse_vkey(log.key)]).size


def test_two_organisations_watch_each_others_logs(two, tmp_path):
    logs, witnesses = two
    duan = logs["duan"].serve()
    xinghu = logs["xinghu"].serve()
    trade = Trade(duan).begin()
    (code,) = trade.issue(SHOP, 1)
    xinghu.record(STALL)
    for log, watcher in ((duan, witnesses["xinghu"]), (xinghu, witnesses["duan"])):
        log.wait_settled()
        (cosignature,) = read_cosignatures(log.checkpoint, [parse_cosigner_vkey(watcher.key)])
        (told,) = log.get("/api/v1/ledger")["witnesses"]
        assert told["name"] == watcher.name
        assert told["at"] == cosignature.at.isoformat(timespec="milliseconds")[:-6] + "Z"
        # What the watcher remembers is what the log shows.
        place = sha256(f"{log.name}.test/log/1".encode()).hexdigest()
        seen = fetch(f"{watcher.url}/{place}/checkpoint").text
        assert open_checkpoint(seen, [parse_vkey(log.key)]).size == size_of(log)

    # A buyer's evidence, checked with the policy alone, by the command and by the one file.
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(duan.call("GET", f"{api_path(code)}/evidence", expect=200).content)
    policy = str(duan.folder / "policy")
    done = duan.suxin("verify", str(bundle), "--policy", policy, "--json")
    report = json.loads(done.out)
    assert (done.code, report["verdict"]) == (0, "matches")
    assert {"key": "checked_witnesses", "place": "", "params": {"count": 1}} in report["checked"]
    script = [sys.executable, str(ROOT / "scripts" / "verify_bundle.py"), str(bundle), "--json"]
    alone = subprocess.run(
        [*script, "--policy", policy], capture_output=True, check=False, timeout=60
    )
    assert (alone.returncode, json.loads(alone.stdout)) == (0, report)
    logs["xinghu"].ask_of("xinghu.test/w", witnesses["xinghu"].line, log=duan.key)
    told = duan.suxin("verify", str(bundle), "--policy", str(xinghu.folder / "policy"), "--json")
    assert told.code == 0  # the same witness by another's policy
    (tmp_path / "strict").write_text(
        f"log {duan.key}\n{witnesses['duan'].line}quorum duan.test/w\n"
    )
    done = duan.suxin("verify", str(bundle), "--policy", str(tmp_path / "strict"), "--json")
    assert (done.code, json.loads(done.out)["broken"][0]["key"]) == (1, "quorum_missing")


def test_while_its_witness_is_down_a_log_records_and_serves_what_was_cosigned(two):
    logs, witnesses = two
    log, watcher = logs["duan"].serve(), witnesses["xinghu"]
    log.record(SHOP)
    wait_until(lambda: covered(log), "published")
    before = log.checkpoint
    watcher.stop(kill=True)
    log.record(STALL)
    wait_until(lambda: waits(log), "it says that it waits")
    assert log.checkpoint == before
    assert log.get("/api/v1/ledger")["pending"] > 0
    # A restart while it is down: the service starts, and serves the same.
    log.stop()
    log.start()
    wait_until(lambda: waits(log), "it is there, and not ready while nothing is published")
    assert "witness" in log.log.read_text("utf-8")
    watcher.serve(log.key)
    wait_until(lambda: log.call("GET", "/readyz").status_code == 200, "ready")
    assert covered(log)
    assert size_of(log) > open_checkpoint(before, [parse_vkey(log.key)]).size
    assert read_cosignatures(log.checkpoint, [parse_cosigner_vkey(watcher.key)])
    assert log.audit()[0] == 0


def waits(log: WatchedLog) -> bool:
    """Whether it says that it is not ready for want of witnesses."""
    try:
        answer = log.call("GET", "/readyz")
    except httpx.TransportError:
        return False
    return answer.status_code == 503 and "quorum_missing" in answer.json()["detail"]


def test_a_restored_backup_does_not_start_where_a_witness_saw_more(two, tmp_path):
    """Data and keys folder of the same evening: only somebody else can know that they are old."""
    logs, witnesses = two
    log = logs["duan"].serve()
    log.record(SHOP)
    wait_until(lambda: covered(log), "published")
    log.stop()
    backup = tmp_path / "backup"
    copied = DATABASES.copy(log.database_url, backup)
    shutil.copytree(log.keys_dir, backup / "keys")
    log.serve()
    for party in (STALL, CARRIER, PLATFORM):
        log.record(party)
    wait_until(lambda: covered(log), "published")
    log.stop()
    DATABASES.put_back(log.database_url, copied)
    shutil.rmtree(log.keys_dir)
    shutil.copytree(backup / "keys", log.keys_dir)
    done = log.suxin("serve", "--port", "0")
    assert done.code == 2
    (sentence,) = [line for line in done.err.splitlines() if line.startswith("suxin:")]
    assert "xinghu.test/w" in sentence
    assert "older copy" in sentence
    # With the witness down nobody knows, and the service starts: the lock is as good as the witness.
    witnesses["xinghu"].stop()
    log.ask_of("none", witnesses["xinghu"].line)
    log.serve()


def test_a_rotation_waits_for_the_witnesses_of_the_logs_last_word(two):
    """Its final checkpoint is served for ever: without cosignatures no policy would ever take it."""
    logs, witnesses = two
    log, watcher = logs["duan"].serve(), witnesses["xinghu"]
    log.record(SHOP)
    wait_until(lambda: covered(log), "published")
    log.stop()
    watcher.stop()
    rotate = ("log", "rotate", "--origin", "duan.test/log/2", "--yes", "--json")
    done = log.suxin(*rotate)
    assert done.code == 2
    assert "too few witnesses" in done.err
    watcher.serve(log.key)
    done = log.suxin(*rotate)
    assert done.code == 0, done.err
    new_key = json.loads(done.out)["new"]["key"]
    watcher.stop()
    watcher.serve(log.key, new_key)  # told of the new key, it watches on
    log.serve()
    log.record(STALL)
    wait_until(lambda: covered(log), "published")
    cosigner = [parse_cosigner_vkey(watcher.key)]
    final = log.call("GET", "/log/of/0/checkpoint", expect=200).text
    assert open_checkpoint(final, [parse_vkey(log.key)]).origin == "duan.test/log/1"
    assert open_checkpoint(log.checkpoint, [parse_vkey(new_key)]).origin == "duan.test/log/2"
    for note in (final, log.checkpoint, (log.keys_dir / "anchor.0").read_text("utf-8")):
        assert len(read_cosignatures(note, cosigner)) == 1


# ------------------------------------------------------------------------------- the command


def refused(folder: Path, *arguments: str) -> str:
    done = run("witness", *arguments, cwd=folder, env={})
    assert done.code == 2, done
    (sentence,) = done.err.strip().splitlines()
    assert sentence.startswith("suxin: "), sentence
    return sentence


def test_a_witness_is_made_once_and_never_without_its_memory(tmp_path):
    made = run("witness", "init", "--dir", "w", "--name", "w.test/1", cwd=tmp_path, env={})
    again = run("witness", "init", "--dir", "w", "--name", "w.test/1", cwd=tmp_path, env={})
    assert (made.code, made.out) == (again.code, again.out)
    assert "witness w.test/1 w.test/1+" in made.out
    key = tmp_path / "w" / "witness.key"
    assert oct(key.stat().st_mode & 0o777) == "0o600"
    assert "w.test/1 already" in refused(tmp_path, "init", "--dir", "w", "--name", "w.test/2")
    assert "spaces" in refused(tmp_path, "init", "--dir", "x", "--name", "two words")
    serve = ("serve", "--dir", "w", "--port", "0")
    assert "--log" in refused(tmp_path, *serve)
    assert "key of a signed note" in refused(tmp_path, *serve, "--log", "nonsense")
    (tmp_path / "logs").write_text("log nonsense\n")
    assert "line 1" in refused(tmp_path, *serve, "--logs", "logs")
    vkey = WatchedLog(tmp_path / "log", "duan").key
    assert "absent" in refused(tmp_path, "serve", "--dir", "absent", "--log", vkey)
    (tmp_path / "w" / "heads").rmdir()
    assert "memory" in refused(tmp_path, *serve, "--log", vkey)
    (tmp_path / "w" / "heads").mkdir()
    (tmp_path / "w" / "heads" / "something").write_text("cosigned")
    secret = key.read_text()
    key.write_text("garbage\n")
    assert "no witness's key" in refused(tmp_path, *serve, "--log", vkey)
    key.unlink()
    assert "cosigned before" in refused(tmp_path, "init", "--dir", "w", "--name", "w.test/1")
    key.write_text(secret)


def test_a_policy_that_cannot_be_used_is_one_sentence_at_start(tmp_path):
    log = WatchedLog(tmp_path / "log", "duan")
    done = log.suxin("serve", "--port", "0")
    assert (done.code, "policy" in done.err) == (2, True)
    log.ask_of("nobody")
    done = log.suxin("serve", "--port", "0")
    assert (done.code, "line 2" in done.err) == (2, True)
