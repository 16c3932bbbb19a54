"""The demo: what it promises to hold, that it can be had again, and that nothing of it stays."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.databases import DATABASES
from tests.fakes import START, FakeClock

SUXIN = Path(sys.executable).with_name("suxin")


def make(folder: Path, *, seed: int = 1):
    from app.demo import build, demo_settings

    url = DATABASES.empty(folder / "data")
    settings = demo_settings(folder, port=8000, database_url=url)
    return settings, build(settings, seed=seed, now=START + timedelta(minutes=17))


@pytest.fixture(scope="module")
def kept(databases):
    """One demo for this file; open a copy of it, never itself."""
    from app.demo.deployment import fast_folder

    folder = Path(tempfile.mkdtemp(prefix="suxin-test-demo-", dir=fast_folder()))
    try:
        yield folder, *make(folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def settings(kept, tmp_path):
    from app.demo import demo_settings

    shutil.copytree(kept[0], tmp_path / "demo")
    url = DATABASES.copy(kept[1].database_url, tmp_path / "demo" / "data")
    return demo_settings(tmp_path / "demo", port=8000, database_url=url)


@pytest.fixture
def rooms(settings):
    from app.rooms import close_rooms, open_rooms

    opened = open_rooms(settings, clock=FakeClock())
    yield opened
    close_rooms(opened)


@pytest.fixture
def built(kept):
    return kept[2]


def look(rooms, stream: str):
    from app.trace.identifiers import parse_code

    return rooms.looks.look(parse_code(stream))


def _findings(rooms, kind: str, status: str | None = None):
    from app.oversight.casestore import Wanted
    from app.parties.principal import OPERATOR

    wanted = Wanted(kind=kind, status=status)
    return [one.row for one in rooms.casework.list(OPERATOR, wanted, after=None, limit=100)]


def walk_once_round(rooms) -> None:
    from app.oversight.store import load_cursor

    for _ in range(200):
        rooms.audits.walk()
        with rooms.database.read() as connection:
            if load_cursor(connection, "audit.walk") == -1:
                return
    pytest.fail("the walk did not come round")


def offers_of_one_product(rooms):
    from app.credit.offers import Candidate
    from app.credit.ranking import Band
    from app.demo.cast import INKSTONE, MERCHANTS

    candidates = [Candidate(m.party, INKSTONE, m.party, 1) for m in reversed(MERCHANTS)]
    return {one.id: one for one in rooms.ranking.rank(candidates, mode="boost", band=Band()).ranked}


def test_a_few_hundred_codes_and_more_than_ten_whole_chains_a_merchant(rooms, built):
    from app.demo.cast import MERCHANTS

    assert 200 < len(built.codes) < 500
    assert len(set(built.codes)) == len(built.codes)
    for merchant in MERCHANTS:
        card = rooms.credit.card(merchant.party)
        assert card.completed_chains > 10
        assert card.data_enough


def test_lives_are_of_every_kind(rooms, built):
    from app.ledger.store import load_heads

    with rooms.database.read() as connection:
        heads = load_heads(connection, built.codes).values()
        types = Counter(
            connection.exec_driver_sql("SELECT type FROM record WHERE seq >= 0").scalars()
        )
    states = Counter(head.state["state"] for head in heads)
    assert {"registered", "sold", "in_transit", "signed", "returned"} <= set(states)
    assert states["signed"] > 100
    for kind in (
        "review",
        "follow_up",
        "reply",
        "complaint",
        "return",
        "refusal",
        "recall",
        "notice",
        "inspection",
        "customs_release",
        "mandate",
    ):
        assert types[kind] > 0, kind


def test_consumers_speak_by_every_kind_of_proof(rooms):
    with rooms.database.read() as connection:
        bodies = connection.exec_driver_sql("SELECT body FROM record WHERE type = 'review'")
        proofs = {json.loads(body)["data"]["proof"] for body in bodies.scalars()}
    assert proofs == {"platform", "carrier", "inner"}


@pytest.mark.parametrize(
    ("kind", "verdict", "warnings"),
    [
        ("intact", "intact", ()),
        ("incomplete", "incomplete", ()),
        ("broken", "broken", ()),
        ("recalled", "intact", ("recalled",)),
        ("not yet sold", "intact", ()),
        ("sold again after a return", "intact", ("sold_before",)),
        ("cross-border", "intact", ()),
    ],
)
def test_the_guide_shows_units_of_each_verdict(rooms, built, kind, verdict, warnings):
    seen = look(rooms, built.shown[kind])
    assert (seen.verdict, seen.warnings) == (verdict, warnings)


def test_the_unknown_code_is_unknown(rooms, built):
    from app.trace.decide import CodeUnknown

    with pytest.raises(CodeUnknown):
        look(rooms, built.shown["unknown"])


def test_missing_signatures_are_the_careless_shops_own(rooms):
    from app.demo.cast import CARELESS

    found = _findings(rooms, "continuity", status="open")
    assert {(row.kind, row.party) for row in found} == {
        ("continuity.missing_signature", CARELESS.party)
    }
    entries, _ = rooms.credit.entries(CARELESS.party)
    notices = [e for e in entries if e.rule == "continuity_uncured"]
    assert any(e.effective_at <= START for e in notices), "none has taken effect yet"
    assert any(e.effective_at > START for e in notices), "none is only announced yet"


def test_what_consumers_say_over_and_over_does_not_look_copied():
    from app.demo.cast import GRUMBLES, PRAISE
    from app.trace.detectors.brushing import shingles

    assert [text for text in (*PRAISE, *GRUMBLES) if shingles(text)] == []


def test_honesty_pays(rooms):
    from app.demo.cast import ALTERED, CARELESS, HONEST

    honest, careless, altered = (
        rooms.credit.card(one.party) for one in (HONEST, CARELESS, ALTERED)
    )
    assert (honest.grade, careless.grade) == ("A", "C")
    assert honest.score > altered.score > careless.score


def test_nothing_is_known_of_the_alteration_before_the_audit_comes_by(rooms):
    from app.demo.cast import ALTERED

    assert rooms.credit.card(ALTERED.party).holds == ()
    assert offers_of_one_product(rooms)[ALTERED.party].boost > 0


def test_the_walk_finds_the_altered_record_and_score_and_ranking_follow(rooms, built):
    from app.demo.cast import ALTERED, HONEST

    before = rooms.credit.card(ALTERED.party)
    walk_once_round(rooms)
    found = _findings(rooms, "integrity")
    assert [(f.kind, f.stream_name, f.party) for f in found] == [
        ("integrity.hash_mismatch", built.shown["broken"], ALTERED.party)
    ]
    after = rooms.credit.card(ALTERED.party)
    assert [hold.points for hold in after.holds] == [50]
    assert (after.score, after.score_without_holds) == (before.score - 50, before.score)
    ranked = offers_of_one_product(rooms)
    assert ranked[ALTERED.party].boost == 0
    assert ranked[HONEST.party].rank == 1
    assert ranked[HONEST.party].boost > 0


def test_no_witness_is_asked_about_a_demo(tmp_path, monkeypatch):
    from app.demo import demo_settings

    monkeypatch.setenv("SUXIN_WITNESS_POLICY", str(tmp_path / "policy"))
    assert demo_settings(tmp_path, port=0).witness_policy is None


def test_an_audit_that_is_asked_for_finds_it_too(rooms, kept, built):
    from app.demo.cast import ALTERED, REGULATOR

    regulator = rooms.keys.authenticate(built.keys[REGULATOR.party])
    job = rooms.audits.ask(regulator, {"party": ALTERED.party})
    assert rooms.audits.run_job()
    done = rooms.audits.job(job.id)
    assert (done.status, done.findings) == ("done", 1)
    assert [hold.points for hold in rooms.credit.card(ALTERED.party).holds] == [50]


def test_the_log_itself_stayed_whole(settings, built):
    told = subprocess.run(
        [SUXIN, "audit", "--json"],
        env=os.environ
        | {
            "SUXIN_DATA_DIR": str(settings.data_dir),
            "SUXIN_KEYS_DIR": str(settings.keys_dir),
            "SUXIN_DATABASE_URL": settings.database_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1, told.stderr
    assert [(f["kind"], f["stream"]) for f in json.loads(told.stdout)["findings"]] == [
        ("integrity.hash_mismatch", built.shown["broken"])
    ]


def test_every_key_of_the_guide_opens_its_role(rooms, settings, built):
    from app.demo.cast import CAST
    from app.demo.guide import write_guide

    guide = write_guide(
        settings,
        built.admin_key,
        built.keys,
        built.shown,
        built.people,
        built.numbers,
        built.bought,
    )
    for player in CAST:
        assert built.keys[player.party] in guide
        principal = rooms.keys.authenticate(built.keys[player.party])
        assert (principal.party, principal.roles) == (player.party, {player.role})
    assert built.admin_key in guide
    assert rooms.keys.authenticate(built.admin_key).admin
    assert all(f"http://127.0.0.1:8000/{stream}" in guide for stream in built.shown.values())


def test_everybody_of_the_guide_can_sign_in(rooms, settings, built):
    from app.demo.cast import CUSTOMS, HONEST, PLATFORM, REGULATOR
    from app.demo.guide import write_guide
    from app.parties.accounts import NOWHERE

    guide = write_guide(
        settings,
        built.admin_key,
        built.keys,
        built.shown,
        built.people,
        built.numbers,
        built.bought,
    )
    parties = set()
    for name, password in built.people.values():
        assert name in guide
        assert password in guide
        opened = rooms.people.sign_in.enter(name, password, client=NOWHERE)
        assert opened.stage == "full"
        parties.add(rooms.people.sessions.resume(opened.token).person.party)
    assert {HONEST.party, REGULATOR.party, CUSTOMS.party, PLATFORM.party, None} <= parties
    assert rooms.applications.count_waiting() == 1


def test_somebody_can_speak_as_a_buyer(rooms, settings, built):
    from app.demo.guide import write_guide
    from app.trace.identifiers import parse_code
    from app.trace.proof import ProofInvalid
    from app.trace.requests import ConsumerProof

    code, proof = built.bought
    look_at = (settings, built.admin_key, built.keys, built.shown, built.people)
    guide = write_guide(*look_at, built.numbers, built.bought)
    assert f"http://127.0.0.1:8000/{code}\n  proof of purchase         {proof}\n" in guide
    # Whose proof holds is shown what that buyer wrote, which is nothing yet.
    unit = parse_code(code)
    assert rooms.texts.written(unit, ConsumerProof(token=proof)) == []
    with pytest.raises(ProofInvalid):
        rooms.texts.written(unit, ConsumerProof(token=proof[:-4] + "AAAA"))


def test_the_desks_of_its_people_have_something_to_do(rooms, built):
    from app.demo.cast import CARELESS, CUSTOMS, FAST, HONEST, REGULATOR
    from app.oversight.sought import Query

    honest, regulator, customs = (
        rooms.keys.authenticate(built.keys[one.party]) for one in (HONEST, REGULATOR, CUSTOMS)
    )
    waiting = rooms.complaints.page(honest, is_open=True, limit=10)
    assert any(not one.late for one in waiting), "no clock is running any more"
    assert rooms.reviews.count_unanswered(honest, most=100)
    assert [one.status for one in rooms.lists.of_party(HONEST.party, None)] == ["listed"]
    signed = rooms.commitments.of_party(HONEST.party, None)
    assert {one.status for one in signed} == {"active"}
    assert rooms.ratings.summary(FAST.party, days=90).lines
    _, objected = rooms.undecided.page(regulator, limit=10)
    assert [one.party for one in objected] == [CARELESS.party]
    assert rooms.packing.cases(honest, after=None, limit=5)
    told = rooms.customs.look(customs, built.numbers["declaration"], {
        name: built.numbers[name] for name in ("order", "payment", "waybill")
    }, purpose="inspection 2026-9")  # fmt: skip
    assert told.outcome == "agree"
    # Its people are in office in a region where nobody made, sold or holds the import.
    office = replace(customs, region=CUSTOMS.region)
    for name, number in built.numbers.items():
        found = rooms.seeking.find(office, Query(text=number, purpose="inspection 2026-9"))
        assert found.hits["lots" if name == "declaration" else "units"], name


def test_every_party_and_product_says_that_it_is_made_up():
    from app.demo.cast import CAST, GOODS

    assert all("虚构" in player.name for player in CAST)
    assert all("示例" in goods.facts["name"] for goods in GOODS)


@pytest.mark.slow
def test_one_seed_gives_the_same_serials_and_states(kept, rooms, tmp_path):
    from app.ledger.store import load_heads
    from app.rooms import close_rooms, open_rooms

    settings, again = make(tmp_path / "again")
    built = kept[2]
    assert again.codes == built.codes
    assert again.shown == built.shown
    assert not set(again.keys.values()) & set(built.keys.values()), "keys are never shared"
    others = open_rooms(settings, clock=FakeClock())
    try:
        with rooms.database.read() as one, others.database.read() as other:
            left, right = load_heads(one, built.codes), load_heads(other, built.codes)
    finally:
        close_rooms(others)
    assert {name: without_ids(head.state) for name, head in left.items()} == {
        name: without_ids(head.state) for name, head in right.items()
    }


def without_ids(state: Mapping[str, Any]) -> dict[str, Any]:
    """A life without the id of the packing that brought it into a case: ids are new each time."""
    case = {name: value for name, value in state.get("case", {}).items() if name != "id"}
    return {**state, **({"case": case} if case else {})}


def test_another_seed_gives_other_lives():
    from app.demo.lives import plan_lives, slots_until

    slots = slots_until(START)
    one, same, other = (
        [(life.stock.lot, life.n, life.steps) for life in plan_lives(seed, slots)]
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


@pytest.mark.parametrize("hour", range(24))
def test_a_unit_lives_in_order_whenever_the_demo_is_made(hour):
    from app.demo.lives import plan_lives, slots_until

    end = START.replace(hour=hour)
    slots = slots_until(end)
    assert slots[-1] == end
    assert all(a < b for a, b in pairwise(slots))
    for life in plan_lives(1, slots):
        times = [step.at for step in life.steps]
        assert times == sorted(times)
        assert all(step.at < slots[step.slot] for step in life.steps)


def demo(tmp_path: Path, *args: str) -> subprocess.Popen:
    return subprocess.Popen(
        [SUXIN, "demo", *args],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite"])  # the command makes no other
def test_data_only_prints_the_guide_and_leaves_nothing_behind(kind, tmp_path):
    done = demo(tmp_path, "--data-only", "--port", "8123")
    out, err = done.communicate(timeout=600)
    assert done.returncode == 0, err
    assert "http://127.0.0.1:8123/01/" in out
    assert not list(tmp_path.iterdir())


def check_as_told(guide: Iterable[str], elsewhere: Path) -> subprocess.CompletedProcess[str]:
    """Pastes what the guide says of checking its data into a shell that is in another folder."""
    lines = list(itertools.takewhile(lambda line: not line.startswith("Everything"), guide))
    told = "".join(line for line in lines if line.startswith(("  export ", "  /")))
    env = {name: value for name, value in os.environ.items() if not name.startswith("SUXIN_")}
    (elsewhere / ".env").write_text("SUXIN_DATABASE_URL=sqlite:///another.db\n", "utf-8")
    try:
        return subprocess.run(
            ["/bin/sh"], input=told, cwd=elsewhere, env=env, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    finally:
        (elsewhere / ".env").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite"])  # the command makes no other
def test_a_demo_that_is_told_to_end_takes_its_folder_along(kind, tmp_path):
    serving = demo(tmp_path, "--port", "0")
    try:
        line = next(line for line in serving.stderr if "is serving at" in line)
        assert "http://127.0.0.1:" in line
        checked = check_as_told(serving.stdout, tmp_path)
        assert checked.returncode == 1, checked.stderr
        audited, recounted = checked.stdout.splitlines()[1::2]
        assert re.fullmatch(r"\d+ streams, \d+ records: 1 finding", audited)
        assert re.fullmatch(r"\d+ leaves, \d+ tiles: 1 finding", recounted)
        assert list(tmp_path.iterdir())
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=60)
    finally:
        serving.kill()
        serving.communicate()
    assert not list(tmp_path.iterdir())


def test_the_greeting_has_no_line_of_the_log_in_it():
    made = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "demo", "--data-only", "--port", "0"],
        capture_output=True, text=True, check=True, timeout=180,
    )  # fmt: skip
    assert made.stdout.startswith("Suxin 溯信 demo.")
    assert "heads.recorded" not in made.stdout + made.stderr
