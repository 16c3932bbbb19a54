"""Entering, objecting, repairing, deciding: who may, when, and what a repeat answers."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from app.credit.loader import packaged
from app.credit.words import Reading
from app.credit.workdays import deadline
from app.kit.clock import parse_time
from tests.scripts.test_recompute_score import script
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM
from tests.web.market import CUSTOMS, told

C = "/api/v1/credit"
DIGEST = "ab" * 32
EVIDENCE = {"title": "抽检报告", "number": "2026-1123", "attachments": [DIGEST]}
DAY = 86_400


@pytest.fixture
def party(market) -> str:
    return market.newcomer()


def enter(market, party: str, rule: str = "spot_check_failed", *, by: str = AUTHORITY, **more):
    token = market.admin if by == "admin" else market.keys[by]
    body = {"rule": rule, "evidence": EVIDENCE, **more}
    return market.call("POST", f"{C}/{party}/entries", body, token=token)


def entered(market, party: str, rule: str = "spot_check_failed", **more) -> dict:
    answer = enter(market, party, rule, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def step(market, entry: str, what: str, *, by: str, **more):
    token = market.admin if by == "admin" else market.keys[by]
    body = {"reason": "经核查"} | more if what == "decision" else {"text": "情况说明"} | more
    return market.call("POST", f"{C}/entries/{entry}/{what}", body, token=token)


def in_effect(market, party: str, **more) -> dict:
    entry = entered(market, party, **more)
    market.clock.set(parse_time(entry["effective_at"]))
    return entry


# --- entering -----------------------------------------------------------------------------------


def test_a_loss_is_announced_and_a_gain_counts_at_once(market, party):
    entry = entered(market, party, occurred_on="2026-11-20")
    assert (entry["points"], entry["status"], entry["weight"]) == (-80, "notice", 0)
    assert (entry["day"], entry["entered_by"], entry["evidence"]) == (
        "2026-11-20",
        AUTHORITY,
        EVIDENCE,
    )
    now = parse_time(entry["entered_at"])
    assert parse_time(entry["effective_at"]) == deadline(now, working_days=5).at
    assert entry["object_until"] > entry["effective_at"] < entry["earliest_repair_at"]
    gain = entered(market, party, "licence_verified", by="admin")
    assert (gain["status"], gain["weight"], gain["entered_by"]) == ("effective", 30, "system")
    assert "object_until" not in gain
    assert market.ask("GET", f"{C}/{party}")["score"] == 730


def test_a_deadline_over_days_without_an_official_calendar_says_so(market):
    # Chinese New Year of 2027 comes from the statute alone until the State Council's notice is known.
    party, before = market.newcomer(), market.clock.now()
    market.clock.set(max(before, parse_time("2027-02-01T02:00:00Z")))
    assert entered(market, party)["approximate"] is True


def test_the_same_id_is_one_entry(market, party):
    own = str(uuid.uuid4())
    first = enter(market, party, id=own)
    assert (first.status_code, first.json()["id"]) == (201, own)
    market.clock.advance(3 * DAY)
    again = enter(market, party, id=own)
    assert again.status_code == 200
    assert again.json()["effective_at"] == first.json()["effective_at"]
    for other in ({"rule": "complaint_upheld"}, {"occurred_on": "2026-01-01"},
                  {"evidence": {**EVIDENCE, "number": "2"}}):  # fmt: skip
        assert told(enter(market, party, **({"id": own} | other)))[:2] == (409, "id-conflict")
    elsewhere = enter(market, market.newcomer(), id=own)
    assert told(elsewhere)[:2] == (409, "id-conflict"), "an id is one entry's, whoever's it is"
    assert len(market.ask("GET", f"{C}/{party}/entries", token=market.keys[party])["items"]) == 1


@pytest.mark.parametrize(
    ("by", "rule"),
    [("admin", "spot_check_failed"), ("admin", "counterfeit"), (AUTHORITY, "chain_completed"),
     (AUTHORITY, "continuity_uncured"), (AUTHORITY, "integrity_attributed_merchant"),
     (PLATFORM, "licence_verified"), (CARRIER, "complaint_upheld"), (CUSTOMS, "counterfeit")],
)  # fmt: skip
def test_who_may_not_enter_what(market, party, by, rule):
    assert told(enter(market, party, rule, by=by))[:2] == (403, "forbidden")


def test_every_rule_is_entered_by_those_whom_the_policy_names(market):
    for rule in packaged().get(1).rules.values():
        for by, role in ((AUTHORITY, "regulator"), ("admin", "operator")):
            done = enter(market, market.newcomer(), rule.id, by=by)
            assert done.status_code == (201 if role in rule.entered_by else 403), rule.id


@pytest.mark.parametrize(
    "more",
    [{"rule": "nonsense"}, {"occurred_on": "2999-01-01"}, {"evidence": {"title": "x"}},
     {"evidence": {"number": "1"}}, {"id": "no uuid"}, {"evidence": EVIDENCE | {"url": "http://x"}},
     {"evidence": EVIDENCE | {"attachments": ["AB" * 32]}}, {"points": -1}],
)  # fmt: skip
def test_nonsense_is_invalid(market, party, more):
    assert told(enter(market, party, **more))[:2] == (422, "invalid")


def test_nobody_acts_in_its_own_case(market):
    office = market.newcomer("regulator")
    assert told(enter(market, office, by=office))[:2] == (403, "forbidden")
    entry = entered(market, office)
    step(market, entry["id"], "objection", by=office)
    done = step(market, entry["id"], "decision", by=office, outcome="upheld")
    assert told(done)[:2] == (403, "forbidden")
    assert step(market, entry["id"], "decision", by=AUTHORITY, outcome="upheld").status_code == 201


def test_an_unknown_party_or_entry_is_not_found(market, party):
    assert told(enter(market, "91441200MA4W000020"))[:2] == (404, "not-found")
    for what, by in (("objection", party), ("repair", party), ("decision", AUTHORITY)):
        more = {"outcome": "upheld"} if what == "decision" else {}
        assert told(step(market, "nothing", what, by=by, **more))[:2] == (404, "not-found")


# --- objection, repair, decision ------------------------------------------------------------------


@pytest.mark.parametrize("what", ["objection", "repair"])
def test_only_the_party_itself_speaks_for_it(market, party, what):
    entry = in_effect(market, party)["id"]
    for by in (AUTHORITY, PLATFORM, market.newcomer(), "admin"):
        assert told(step(market, entry, what, by=by))[:2] == (403, "forbidden")
    assert told(step(market, entry, "decision", by=party, outcome="upheld"))[:2] == (
        403,
        "forbidden",
    )


def test_each_refusal_says_why_in_both_languages(market, party):
    entry = in_effect(market, party)
    cases = (
        ("repair", {}, party, "too_early"),
        ("decision", {"outcome": "granted"}, AUTHORITY, "wrong_state"),
        ("decision", {"outcome": "upheld"}, AUTHORITY, "wrong_state"),
    )
    for what, more, by, reason in cases:
        assert told(step(market, entry["id"], what, by=by, **more)) == (
            409,
            "lifecycle-conflict",
            reason,
        )
    market.clock.set(parse_time(entry["object_until"]) + timedelta(milliseconds=1))
    late = step(market, entry["id"], "objection", by=party)
    assert told(late) == (409, "lifecycle-conflict", "too_late")
    assert entry["object_until"][:10] in late.json()["detail"]
    path = f"{C}/entries/{entry['id']}/repair"
    said = market.call("POST", path, {"text": "x"}, token=market.keys[party],
                       headers={"Accept-Language": "zh"}).json()["detail"]  # fmt: skip
    assert "才可以申请修复" in said


def test_a_refused_repair_may_be_asked_for_again(market, party):
    entry = in_effect(market, party)
    market.clock.set(parse_time(entry["earliest_repair_at"]))
    for outcome, status in (("refused", "effective"), ("granted", "repaired")):
        assert step(market, entry["id"], "repair", by=party).status_code == 201
        decided = step(market, entry["id"], "decision", by=AUTHORITY, outcome=outcome)
        assert decided.json()["status"] == status
    again = step(market, entry["id"], "repair", by=party)
    assert told(again) == (409, "lifecycle-conflict", "wrong_state")
    steps = [one["step"] for one in decided.json()["steps"]]
    assert steps == ["ask_repair", "refuse_repair", "ask_repair", "grant_repair"]


def test_a_repeated_step_answers_as_the_first_time_and_is_one_record(market, party):
    entry = in_effect(market, party)["id"]
    own = str(uuid.uuid4())
    first = step(market, entry, "objection", by=party, id=own, attachments=[DIGEST])
    market.clock.advance(DAY)
    again = step(market, entry, "objection", by=party, id=own, attachments=[DIGEST])
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["steps"] == again.json()["steps"]
    for other in ({"text": "另一说法", "attachments": [DIGEST]}, {"attachments": []}):
        done = step(market, entry, "objection", by=party, id=own, **other)
        assert told(done)[:2] == (409, "id-conflict")


def test_what_was_withdrawn_was_never_there(market, party):
    before = market.ask("GET", f"{C}/{party}")
    entry = in_effect(market, party, rule="counterfeit")["id"]
    assert market.ask("GET", f"{C}/{party}")["grade"] == "D"
    assert step(market, entry, "decision", by=AUTHORITY, outcome="withdrawn").status_code == 201
    after = market.ask("GET", f"{C}/{party}")
    assert {**after, "as_of": ""} == {**before, "as_of": ""}


def test_what_is_said_is_read_by_both_sides_and_committed_to(market, party):
    entry = in_effect(market, party)["id"]
    step(market, entry, "objection", by=party, text="报告所检并非我店商品")
    for by, why in ((party, ""), (AUTHORITY, "?purpose=案件核查")):
        path = f"{C}/{party}/entries{why}"
        (shown,) = market.ask("GET", path, token=market.keys[by])["items"]
        assert shown["steps"][-1]["text"] == "报告所检并非我店商品"
    (public,) = market.ask("GET", f"{C}/{party}/entries")["items"]
    assert public["status"] == "objected"
    assert "text" not in public["steps"][-1]
    assert "并非我店商品".encode() not in market.stored_bytes()


def test_the_script_recomputes_the_score_over_http(market, party):
    in_effect(market, party)
    entered(market, party, "licence_verified")
    for rule in ("complaint_upheld", "listing_mismatch"):
        in_effect(market, party, rule=rule)
    market.clock.advance(150 * DAY)
    base = f"{market.url}{C}"
    credit = script.read(f"{base}/{party}")
    entries = script.read(f"{base}/{party}/entries?limit=2")["items"]
    assert len(entries) == 4
    policy = script.read(f"{base}/policy")
    again = script.recompute(entries, policy, script.to_ms(credit["as_of"]), credit["holds"])
    assert (again["score"], again["grade"]) == (credit["score"], credit["grade"])
    assert {i: w for i, (w, _) in again["weights"].items()} == {
        e["id"]: e["weight"] for e in entries
    }
    assert any(why == "fading" for _, why in again["weights"].values())


def test_the_schema_is_published(market):
    schema = market.ask("GET", f"{C}/policy/schema")
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["required"]) <= set(market.ask("GET", f"{C}/policy"))


def test_only_the_words_of_the_entries_on_a_page_are_opened(market, party, monkeypatch):
    """Whoever may read all of a long ledger pays for the page that is asked for."""
    made = [entered(market, party) for _ in range(4)]
    for entry in made:
        step(market, entry["id"], "objection", by=party, text=f"说明 {entry['id']}")
    opened, of = [], Reading.of

    def note(self, connection, step, **more):
        opened.append(step.entry)
        return of(self, connection, step, **more)

    monkeypatch.setattr(Reading, "of", note)
    path, found, cursor = f"/api/v1/credit/{party}/entries?limit=1", [], ""
    while True:
        opened.clear()
        page = market.ask("GET", path + cursor, token=market.keys[party])
        assert len(set(opened)) <= 1, "of those behind, not even to know that there are some"
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert {one["id"] for one in made} <= {one["id"] for one in found}
    assert all(one["steps"][-1]["text"] == f"说明 {one['id']}" for one in found
               if one["id"] in {entry["id"] for entry in made})  # fmt: skip
    assert found == market.ask("GET", f"{path}00", token=market.keys[party])["items"]
