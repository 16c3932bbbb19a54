"""Anybody's computation of a score against the service's own, weight by weight."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.credit.policy import Entry, Hold, score
from app.kit.clock import format_time, to_ms
from tests.credit.examples import (
    POLICY,
    busy_days,
    crowded_months,
    first_months,
    hold_lists,
    ledgers,
    moments,
)

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "recompute_score.py"


def load():
    spec = importlib.util.spec_from_file_location("recompute_score", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load()


def shown(entry: Entry) -> dict:
    """Returns an entry as the API shows it."""
    told = {
        "id": entry.id,
        "rule": entry.rule,
        "points": entry.points,
        "status": str(entry.status),
        "day": entry.day.isoformat(),
        "chains": entry.facts.chains,
    }
    for name in ("effective_at", "earliest_repair_at", "expires_at", "ended_at"):
        moment = getattr(entry, name)
        told[name] = None if moment is None else format_time(moment)
    return {name: value for name, value in told.items() if value is not None}


def shown_hold(hold: Hold) -> dict:
    return {
        "points": hold.points,
        "since": format_time(hold.since),
        "lifts_at": format_time(hold.lifts_at),
    }


def public(ledger: list[Entry]) -> list[Entry]:
    # Who bought is nobody's business: that cap is kept when an entry is made.
    return [replace(one, facts=replace(one.facts, buyer=None)) for one in ledger]


@given(ledgers | busy_days | crowded_months, hold_lists, first_months | moments, st.booleans())
def test_the_script_computes_what_the_service_computes(ledger, holds, at, suspends):
    policy = replace(POLICY, objection=replace(POLICY.objection, suspends=suspends))
    data = json.loads(json.dumps(dict(POLICY.data)))
    data["objection"]["suspends"] = suspends
    ledger = public(ledger)
    card = score(ledger, holds, at, policy)
    entries = json.loads(json.dumps([shown(one) for one in ledger]))
    again = script.recompute(entries, data, to_ms(at), [shown_hold(hold) for hold in holds])
    assert again["weights"] == {
        one.id: (card.weights[one.id].points, str(card.weights[one.id].reason)) for one in ledger
    }
    assert (again["score"], again["score_without_holds"]) == (card.score, card.score_without_holds)
    assert again["grade"] == card.grade


def run(tmp_path: Path, *more: str, entries: object, credit: object) -> subprocess.CompletedProcess:
    for name, value in (("entries", entries), ("policy", dict(POLICY.data)), ("credit", credit)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value), "utf-8")
    places = [str(tmp_path / f"{name}.json") for name in ("entries", "policy", "credit")]
    command = [sys.executable, "-I", str(SCRIPT), *places[:2], "--holds", places[2], *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_the_command_says_where_the_service_tells_another_score(tmp_path):
    entry = {
        "id": "e1", "rule": "continuity_uncured", "points": -30, "status": "effective",
        "effective_at": "2026-11-02T00:00:00.000Z", "expires_at": "2027-11-02T00:00:00.000Z",
        "earliest_repair_at": "2027-02-02T00:00:00.000Z",
    }  # fmt: skip
    credit = {"score": 670, "score_without_holds": 670, "grade": "C", "holds": [],
              "as_of": "2026-11-23T07:00:00.000Z"}  # fmt: skip
    done = run(tmp_path, entries={"items": [entry], "next": None}, credit=credit)
    assert done.returncode == 0, done.stderr
    assert "score 670 (C)" in done.stdout
    done = run(tmp_path, entries=[entry], credit={**credit, "score": 700})
    assert done.returncode == 1
    assert "another one: 700" in done.stdout
    told = json.loads(run(tmp_path, "--json", entries=[entry], credit=credit).stdout)
    assert (told["score"], told["agrees"], told["weights"]) == (670, True, {"e1": [-30, "full"]})
