"""Audits, the findings that come of them, and who answers for those."""

from __future__ import annotations

import time

import pytest

from app.oversight import audits
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT, RIVAL, told

A, F = "/api/v1/audits", "/api/v1/findings"


def audit(market, scope, *, by: str = AUTHORITY) -> dict:
    """Asks for an audit, has it done and returns its result."""
    job = market.ask("POST", A, {"scope": scope}, token=market.keys[by], status=202)
    assert job["status"] == "waiting"
    while market.rooms.audits.run_job():
        pass
    done = market.ask("GET", f"{A}/{job['id']}", token=market.keys[by])
    assert done["status"] == "done", done
    return done


def findings(market, query: str = "", *, by: str = AUTHORITY) -> list[dict]:
    return market.ask("GET", f"{F}?limit=500{query}", token=market.keys[by])["items"]


def test_a_sound_log_has_no_findings(market):
    market.complete(market.one().code)
    market.publish()
    done = audit(market, "all")
    assert (done["scope"], done["findings"]) == ("all", 0)
    assert done["streams"] > 5
    assert done["records"] > 10
    assert findings(market, "&status=open&kind=integrity") == []


def test_a_tile_that_the_growing_log_made_good_stays_known(market):
    market.publish()
    while (size := market.ask("GET", "/api/v1/ledger")["size"]) % 256 == 0:
        market.one()
        market.publish()
    tile = size // 256  # the one that the next record makes wider
    market.tamper("UPDATE tile SET data = zeroblob(32) WHERE level = 0 AND tile_index = ?", tile)
    market.one()
    market.publish()
    (found,) = findings(market, "&kind=log.tile_mismatch")
    assert found["evidence"]["tile"] == f"0/{tile}"
    assert "party" not in found
    assert audit(market, "all")["findings"] == 0
    (found,) = findings(market, "&kind=log.tile_mismatch")
    assert found["status"] == "closed"


def test_a_foreign_checkpoint_row_is_a_finding_and_harms_no_page(market):
    unit = market.one()
    market.sell(unit.code)
    market.publish()
    signed = market.call("GET", "/log/checkpoint").text
    market.tamper(
        "INSERT INTO checkpoint (log, size, root, note, published_at)"
        " VALUES (0, 10000000, x'00', 'junk', 0)"
    )
    assert market.call("GET", "/log/checkpoint").text == signed
    assert market.ask("GET", f"{unit.path}/verification")["verdict"] == "intact"
    assert market.call("GET", f"/{unit.uri.split('/', 3)[3]}").status_code == 200
    assert audit(market, "all")["findings"] == 1
    (found,) = findings(market, "&status=open&kind=log.")
    assert found["kind"] == "log.checkpoint_mismatch"
    assert found["evidence"] == {"size": "10000000", "log": "127.0.0.1:8000/log/1"}
    market.publish()
    assert audit(market, "all")["findings"] == 0
    assert findings(market, "&status=open&kind=log.") == []


def test_scopes_audit_what_they_name(market):
    unit = market.one()
    market.sell(unit.code)
    market.publish()
    assert audit(market, {"code": unit.uri})["records"] == 2
    assert audit(market, {"code": PRODUCT})["streams"] == 1
    by_gtin = audit(market, {"gtin": "6901234567892"})
    assert by_gtin["streams"] >= 2
    assert audit(market, {"gtin": GTIN})["streams"] == by_gtin["streams"]
    own = audit(market, {"party": SHOP}, by=SHOP)
    assert own["streams"] >= 3


@pytest.mark.parametrize("name", ["all", "party", "gtin", "code"])
def test_an_altered_record_is_found_by_every_scope_that_holds_it(market, damaged, name):
    scope = {
        "all": "all",
        "party": {"party": SHOP},
        "gtin": {"gtin": GTIN},
        "code": {"code": damaged.code},
    }[name]
    assert audit(market, scope)["findings"] == 1
    (found,) = findings(market, "&status=open&kind=integrity")
    assert (found["stream"], found["seq"], found["party"]) == (damaged.code, 1, SHOP)
    assert found["kind"] == "integrity.hash_mismatch"
    assert found["evidence"]["got"] != found["evidence"]["expected"]
    again = audit(market, scope)
    assert again["findings"] == 1
    assert [f["id"] for f in findings(market, "&status=open&kind=integrity")] == [found["id"]]


def test_when_an_audit_says_done_its_effect_on_credit_is_readable(market, damaged):
    before = market.ask("GET", f"/api/v1/credit/{SHOP}")
    assert before["holds"] == []
    audit(market, {"code": damaged.code})
    card = market.ask("GET", f"/api/v1/credit/{SHOP}")
    (hold,) = card["holds"]
    assert hold["points"] == 50
    assert card["score"] >= card["score_without_holds"] - 50
    assert card["score"] < card["score_without_holds"]
    assert card["score_without_holds"] == before["score"]
    assert (
        market.ask("GET", f"{F}/{hold['finding']}", token=market.keys[SHOP])["stream"]
        == damaged.code
    )
    audit(market, {"code": damaged.code})
    assert len(market.ask("GET", f"/api/v1/credit/{SHOP}")["holds"]) == 1, "held once"


def test_a_restored_record_closes_its_finding_and_lifts_the_hold(market):
    unit = market.one()
    sent = market.sell(unit.code)
    market.publish()
    statement, place = "UPDATE record SET body = replace(body, ?, ?) WHERE hash = ?", sent["hash"]
    market.tamper(statement, "440100", "440300", bytes.fromhex(place))
    audit(market, {"code": unit.code})
    market.tamper(statement, "440300", "440100", bytes.fromhex(place))
    audit(market, {"code": unit.code})
    assert findings(market, "&status=open&kind=integrity") == []
    (closed,) = [f for f in findings(market, "&status=closed") if f["stream"] == unit.code]
    assert closed["closed_at"]
    assert market.ask("GET", f"/api/v1/credit/{SHOP}")["holds"] == []


def test_a_hold_lifts_by_itself_after_five_working_days(market, damaged):
    audit(market, {"code": damaged.code})
    card = market.ask("GET", f"/api/v1/credit/{SHOP}")
    lifts = card["holds"][0]["lifts_at"]
    now = market.clock.now()
    market.clock.advance(10 * 86400)
    later = market.ask("GET", f"/api/v1/credit/{SHOP}")
    assert later["holds"] == []
    assert later["score"] == later["score_without_holds"]
    market.clock.set(now)
    assert lifts > market.at(4 * 24)


def attribute(market, finding: str, to: str, *, by: str = AUTHORITY):
    body = {"to": to, "reason": "the disk was restored"}
    return market.call("POST", f"{F}/{finding}/attribution", body, token=market.keys[by])


def test_a_regulator_says_whose_fault_it_is(market, damaged):
    audit(market, {"code": damaged.code})
    (found,) = findings(market, "&status=open&kind=integrity")
    for by in (SHOP, RIVAL, PLATFORM, CUSTOMS):
        assert told(attribute(market, found["id"], "operator", by=by))[:2] == (403, "forbidden")
    answer = market.call("POST", f"{F}/{found['id']}/attribution",
                         {"to": "operator", "reason": "x"}, token=market.admin)  # fmt: skip
    assert told(answer)[:2] == (403, "forbidden"), "the operator does not judge itself"
    shown = attribute(market, found["id"], "operator").json()
    assert (shown["attributed_to"], shown["reason"]) == ("operator", "the disk was restored")
    assert market.ask("GET", f"/api/v1/credit/{SHOP}")["holds"] == []
    assert attribute(market, found["id"], "operator").status_code == 200
    assert told(attribute(market, found["id"], "merchant"))[:2] == (409, "already-exists")
    # The page stays red: whose fault it is changes nothing about what is wrong.
    assert market.ask("GET", damaged.path)["verdict"] == "broken"


def test_what_the_merchant_answers_for_becomes_an_entry_after_notice(market):
    seller = market.newcomer()
    unit = market.one(by=seller)
    sent = market.send(seller, unit.code, "sale", {"region": "440100"})
    market.publish()
    market.tamper(
        "UPDATE record SET body = replace(body, '440100', '440300') WHERE hash = ?",
        bytes.fromhex(sent["hash"]),
    )
    audit(market, {"code": unit.code})
    (found,) = findings(market, f"&status=open&kind=integrity&party={seller}")
    assert attribute(market, found["id"], "merchant").status_code == 200
    path = f"/api/v1/credit/{seller}/entries"
    (entry,) = market.ask("GET", path, token=market.keys[seller])["items"]
    assert (entry["rule"], entry["points"], entry["weight"]) == (
        "integrity_attributed_merchant", -300, 0,
    )  # fmt: skip
    assert entry["evidence"]["finding"] == found["id"]
    assert market.ask("GET", path)["items"] == [], "announced, and not public yet"
    # Attributed, so the hold stays until its time; the entry takes effect after the notice.
    now = market.clock.now()
    market.clock.advance(10 * 86400)
    card = market.ask("GET", f"/api/v1/credit/{seller}")
    assert (card["grade"], card["score"]) == ("D", 400)
    assert {"rule": "integrity_attributed_merchant", "points": -300, "count": 1} in card[
        "breakdown"
    ]
    assert len(market.ask("GET", path)["items"]) == 1
    market.clock.set(now)
    market.tamper(
        "UPDATE record SET body = replace(body, '440300', '440100') WHERE hash = ?",
        bytes.fromhex(sent["hash"]),
    )
    audit(market, {"code": unit.code})


# --- who sees and asks what ---------------------------------------------------------------------


def test_a_party_audits_its_own_and_nobody_elses(market):
    unit = market.one(by=RIVAL)
    before = market.count_rows()
    for by, scope in (
        (SHOP, "all"), (SHOP, {"party": RIVAL}), (SHOP, {"code": unit.code}),
        (RIVAL, {"gtin": GTIN}), (RIVAL, {"code": PRODUCT}), (PLATFORM, {"party": SHOP}),
    ):  # fmt: skip
        answer = market.call("POST", A, {"scope": scope}, token=market.keys[by])
        assert told(answer)[:2] == (403, "forbidden"), scope
    assert told(market.call("POST", A, {"scope": "all"}))[:2] == (401, "unauthenticated")
    assert market.count_rows() == before
    job = market.ask(
        "POST", A, {"scope": {"code": unit.code}}, token=market.keys[RIVAL], status=202
    )
    theirs = market.call("GET", f"{A}/{job['id']}", token=market.keys[SHOP])
    assert told(theirs)[:2] == (403, "forbidden")
    assert market.ask("GET", f"{A}/{job['id']}", token=market.admin)["id"] == job["id"]
    unknown = market.call("GET", f"{A}/nothing", token=market.keys[AUTHORITY])
    assert told(unknown)[:2] == (404, "not-found")
    market.work()


def ask_for(market, by: str | None, scope: object):
    token = market.admin if by is None else market.keys[by]
    return market.call("POST", A, {"scope": scope}, token=token)


def test_audits_are_done_in_turn_by_party(market):
    market.work()
    many = [ask_for(market, SHOP, {"party": SHOP}).json()["id"] for _ in range(3)]
    few = ask_for(market, RIVAL, {"party": RIVAL}).json()["id"]
    for _ in range(2):
        assert market.rooms.audits.run_job()
    assert market.ask("GET", f"{A}/{few}", token=market.keys[RIVAL])["status"] == "done"
    waiting = [
        job for job in many
        if market.ask("GET", f"{A}/{job}", token=market.keys[SHOP])["status"] == "waiting"
    ]  # fmt: skip
    assert waiting == many[1:]
    market.work()


def test_a_party_has_so_many_audits_open_and_an_authority_more(market, monkeypatch):
    assert audits._MOST_OPEN == {"own": 20, "any": 100}
    monkeypatch.setattr(audits, "_MOST_OPEN", {"own": 3, "any": 6})
    market.work()
    for _ in range(3):
        assert ask_for(market, SHOP, {"party": SHOP}).status_code == 202
    before = market.count_rows()
    refused = ask_for(market, SHOP, {"party": SHOP})
    assert told(refused)[:2] == (429, "too-many-requests")
    assert int(refused.headers["Retry-After"]) > 0
    assert market.count_rows() == before
    for by in (AUTHORITY, None):
        for _ in range(6):
            assert ask_for(market, by, {"party": RIVAL}).status_code == 202
        assert told(ask_for(market, by, {"party": RIVAL}))[:2] == (429, "too-many-requests")
    assert ask_for(market, RIVAL, {"party": RIVAL}).status_code == 202
    market.work()
    assert ask_for(market, SHOP, {"party": SHOP}).status_code == 202
    market.work()


WRONG_SCOPES = [
    ("everything", 422), ({}, 422), ({"party": SHOP, "gtin": GTIN}, 422), ({"colour": "red"}, 422),
    ({"gtin": "06901234567893"}, 422), ({"code": "nonsense"}, 422), (5, 422), (None, 422),
    ({"gtin": "06923450656174"}, 404), ({"code": f"{PRODUCT}/21/NOBODY"}, 404),
    ({"party": "91441200MA4W000020"}, 404),
]  # fmt: skip


def test_a_scope_that_names_nothing_is_refused_and_nothing_is_queued(market):
    before = market.count_rows()
    for scope, status in WRONG_SCOPES:
        answer = market.call("POST", A, {"scope": scope}, token=market.keys[AUTHORITY])
        assert told(answer)[0] == status, (scope, answer.text)
    assert market.count_rows() == before


def test_findings_are_a_partys_own_and_a_regulators(market, damaged):
    audit(market, {"code": damaged.code})
    (found,) = findings(market, "&status=open&kind=integrity")
    assert [f["id"] for f in findings(market, "&status=open&kind=integrity", by=SHOP)] == [
        found["id"]
    ]
    assert findings(market, "&status=open&kind=integrity", by=RIVAL) == []
    assert findings(market, f"&status=open&kind=integrity&party={SHOP}", by=CUSTOMS) != []
    assert findings(market, f"&status=open&kind=integrity&party={RIVAL}") == []
    foreign = market.call("GET", f"{F}?party={SHOP}", token=market.keys[RIVAL])
    assert told(foreign)[:2] == (403, "forbidden")
    path = f"{F}/{found['id']}"
    assert told(market.call("GET", path, token=market.keys[RIVAL]))[:2] == (404, "not-found")
    assert told(market.call("GET", path))[:2] == (401, "unauthenticated")
    assert market.ask("GET", path, token=market.keys[SHOP])["id"] == found["id"]
    assert told(attribute(market, "nothing", "none"))[:2] == (404, "not-found")
    assert told(attribute(market, found["id"], "nobody"))[:2] == (422, "invalid")


def test_findings_come_page_by_page_newest_first(market):
    units = market.issue(3)
    for unit in units:
        market.sell(unit.code, hours=-24 * 7)
        market.clock.advance(1)
    market.clock.advance(86400)
    market.work()
    seen, cursor = [], ""
    while cursor is not None:
        page = market.ask(
            "GET", f"{F}?kind=continuity&limit=2" + (f"&cursor={cursor}" if cursor else ""),
            token=market.keys[AUTHORITY],
        )  # fmt: skip
        seen += page["items"]
        assert len(page["items"]) <= 2
        cursor = page["next"]
    assert {unit.code for unit in units} <= {f["stream"] for f in seen}
    assert [f["opened_at"] for f in seen] == sorted((f["opened_at"] for f in seen), reverse=True)
    assert len({f["id"] for f in seen}) == len(seen)


# --- the worker ---------------------------------------------------------------------------------


def test_an_audit_that_a_stop_interrupted_is_done_after_all(market, monkeypatch):
    job = market.ask("POST", A, {"scope": "all"}, token=market.keys[AUTHORITY], status=202)

    def die(*_):
        raise SystemExit

    monkeypatch.setattr(market.rooms.audits, "_take_in", die)
    with pytest.raises(SystemExit):
        market.rooms.audits.run_job()
    monkeypatch.undo()
    shown = market.ask("GET", f"{A}/{job['id']}", token=market.keys[AUTHORITY])
    assert shown["status"] == "running"
    market.work()
    assert market.ask("GET", f"{A}/{job['id']}", token=market.keys[AUTHORITY])["status"] == "done"


def test_the_walk_finds_what_nobody_looks_at_and_the_worker_does_what_is_asked(live):
    unit = live.one()
    sent = live.sell(unit.code, query="?wait=published")
    live.tamper("UPDATE record SET body = replace(body, '440100', '440300') WHERE hash = ?",
                bytes.fromhex(sent["hash"]))  # fmt: skip
    began = time.monotonic()
    while not findings(live, "&status=open&kind=integrity"):
        assert time.monotonic() - began < 30, "the walk has not come by"
        time.sleep(0.05)
    job = live.ask("POST", A, {"scope": "all"}, token=live.keys[AUTHORITY], status=202)
    began = time.monotonic()
    while live.ask("GET", f"{A}/{job['id']}", token=live.keys[AUTHORITY])["status"] != "done":
        assert time.monotonic() - began < 30
        time.sleep(0.05)
    assert live.ask("GET", f"{A}/{job['id']}", token=live.keys[AUTHORITY])["findings"] == 1
