"""`suxin credit replay`: what another policy would change, seen before it is in force, changing nothing."""

from __future__ import annotations

import copy
import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from app import crediting
from app.cli import cli
from app.credit.loader import Policies, load_policy
from app.credit.service import Credit, NewEntry
from app.kit.clock import format_time, parse_time
from tests.web.market import told

C = "/api/v1/credit"


@pytest.fixture
def harsher(tmp_path):
    """A second version: gaps cost twice as much, and late steps are noticed ten days ahead."""
    data = copy.deepcopy(json.loads(json.dumps(dict(load_policy(1).data))))
    data |= {"version": 2, "announced_on": "2026-11-20", "effective_on": "2026-12-20"}
    data["notice_working_days"] = 10
    for rule in data["rules"]:
        if rule["id"] == "continuity_uncured":
            rule["points"] = -60
    data["score"] |= {"base": 720}
    path = tmp_path / "2.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


@pytest.fixture
def run(market, monkeypatch):
    monkeypatch.setattr(crediting, "SystemClock", lambda: market.clock)
    monkeypatch.setenv("SUXIN_DATA_DIR", str(market.settings.data_dir))
    monkeypatch.setenv("SUXIN_KEYS_DIR", str(market.settings.keys_dir))
    monkeypatch.setenv("SUXIN_DATABASE_URL", market.settings.database_url)
    return lambda *given: CliRunner().invoke(cli, ["credit", "replay", *given])


def charge(market, party: str, *, credit: Credit | None = None) -> str:
    now = market.clock.now()
    new = NewEntry(party, "continuity_uncured", format_time(now), {"finding": "f"}, now)
    return (credit or market.rooms.credit).post(new)


def test_replay_tells_each_party_before_and_after(market, run, harsher):
    party, clean = market.newcomer(), market.newcomer()
    entry = charge(market, party)
    market.clock.set(market.clock.now() + timedelta(days=12))
    before = market.rooms.credit.card(party), market.count_rows()
    done = run("--policy", str(harsher), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["current"], found["policy"], found["refused"]) == (1, 2, None)
    changed = {one["party"]: one for one in found["changed"]}
    assert clean not in changed, "who has no entry has nothing to be replayed"
    mine = changed[party]
    assert mine["now"] == {"score": 670, "grade": "C"}
    assert mine["switched"] == {"score": 690, "grade": "C"}, "an old entry keeps its points"
    # Noticed ten working days ahead, it would not have taken effect yet.
    assert mine["replayed"] == {"score": 720, "grade": "B"}
    (one,) = mine["entries"]
    assert (one["id"], one["points"], one["weight"]) == (entry, [-30, -60], [-30, 0])
    assert one["effective_at"][0] < one["effective_at"][1]
    assert (market.rooms.credit.card(party), market.count_rows()) == before
    said = run("--policy", str(harsher)).output
    assert f"{party}  670 C -> 690 C -> 720 B" in said
    assert "continuity_uncured  -30 -> -60  weighs -30 -> 0" in said


def test_the_policy_in_force_changes_nothing(market, run):
    party = market.newcomer()
    charge(market, party)
    found = json.loads(run("--policy", "1", "--json").stdout)
    assert found["refused"] is None
    assert found["parties"] >= 1
    # Another test may have left somebody's entries of another version behind.
    assert party not in {one["party"] for one in found["changed"]}
    everybody = json.loads(run("--policy", "1", "--all", "--json").stdout)
    assert len(everybody["changed"]) == found["parties"]
    (mine,) = [one for one in everybody["changed"] if one["party"] == party]
    assert mine["now"] == mine["replayed"]


def test_a_policy_that_could_not_follow_says_why(run, harsher):
    data = json.loads(harsher.read_text("utf-8"))
    data["graces"]["late_record_hours"] = 48
    harsher.write_text(json.dumps(data), "utf-8")
    found = json.loads(run("--policy", str(harsher), "--json").stdout)
    assert found["refused"].startswith("graces")
    data["announced_on"] = "2026-12-19"
    harsher.write_text(json.dumps(data), "utf-8")
    for unusable in (str(harsher), "9", "no-such-file"):
        done = run("--policy", unusable)
        assert done.exit_code == 2, unusable


def test_a_new_version_never_rewrites_old_entries(market, harsher, tmp_path):
    (tmp_path / "1.json").write_text(json.dumps(dict(load_policy(1).data)), "utf-8")
    rooms, party = market.rooms, market.newcomer()
    credit = Credit(rooms.database, rooms.recorder, clock=rooms.clock, policies=Policies(tmp_path))
    market.clock.set(max(market.clock.now(), parse_time("2026-12-18T02:00:00Z")))
    old = charge(market, party, credit=credit)
    assert credit.policy.version == 1
    market.clock.set(market.clock.now() + timedelta(days=3))
    assert credit.policy.version == 2
    new = charge(market, party, credit=credit)
    told_of = {e.id: (e.points, e.policy_version) for e in credit.entries(party)[0]}
    assert told_of == {old: (-30, 1), new: (-60, 2)}
    market.clock.set(market.clock.now() + timedelta(days=40))
    assert credit.card(party).score == 720 - 30 - 60
    assert told(market.call("GET", f"{C}/policy/2"))[0] == 404
