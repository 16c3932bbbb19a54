"""The chains in an audit's report: each record with its hash, on paper and as data, and what was left out."""

from __future__ import annotations

import json
import resource
import time
from hashlib import sha256

import pytest

from app.i18n import text
from app.ledger.note import open_note, parse_vkey, sign_note
from app.ledger.record import stream_key
from app.oversight import audit_reports, report_chains
from tests.labels.reading import page_texts
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.filling import lengthen
from tests.web.market import GTIN, PRODUCT
from tests.web.people import open_people_market
from tests.web.test_audit_reports import made, paper, receipt_key, run
from tests.web.test_audits_api import audit


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("chains")) as running:
        yield running


@pytest.fixture(scope="module")
def unit(market):
    """A unit with a whole life, in which the shop set one record right."""
    market.lot("L1", produced_on="2026-10-01")
    unit = market.one(lot="L1")
    market.sell_by_platform(unit.code)
    sent = market.dispatch(unit.code)
    changes = {"of": sent["id"], "changes": {"to": "440300"}}
    market.send(SHOP, unit.code, "correction", changes)
    market.publish()
    market.sign(unit.code)
    market.publish()
    return unit


def report_of(market, scope) -> tuple[dict, dict]:
    """Returns the signed report of an audit and what it says."""
    report = made(market, audit(market, scope)["id"])
    return report, report["report"]


def printed(market, report: dict, lang: str) -> str:
    return "\n".join(page_texts(paper(market, report["report"]["id"], lang)))


def register(market, gtin: str, *, by: str = SHOP) -> str:
    """Registers a product that nobody lists, so that what happens to it stays apart."""
    body = {"gtin": gtin, "name": "另外之物", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[by], status=201)
    return gtin


def only_chain(content: dict) -> dict:
    (chain,) = content["chains"]
    return chain


def test_every_record_of_the_chain_stands_in_the_data_and_on_paper_with_the_same_hash(market, unit):
    report, content = report_of(market, {"code": unit.code})
    chain = only_chain(content)
    told = market.ask("GET", f"{unit.path}/chain")["items"]
    assert [(one["stream"], one["seq"], one["hash"]) for one in chain["records"]] == [
        (one["stream"], one["seq"], one["hash"]) for one in told
    ]
    own = [one for one in chain["records"] if one["own"]]
    assert [one["type"] for one in own] == [
        "registration", "sale", "dispatch", "correction", "signature",
    ]  # fmt: skip
    assert {one["type"] for one in chain["records"] if not one["own"]} >= {"listing"}
    assert [one["prev"] for one in own][1:] == [one["hash"] for one in own][:-1]
    for lang in ("zh", "en"):
        words = printed(market, report, lang)
        for one in chain["records"]:
            assert one["hash"] in words, (lang, one["seq"])
            assert one["prev"] in words
        for one in own:
            assert text(lang, f"event.{one['type']}") in words
        assert "示例（虚构）" in words
        assert PLATFORM in words
    assert (chain["broken"], chain["left_out"], chain["later"]) == (0, 0, 0)
    assert (content["result"], chain["gaps"]) == ("sound", [])


def test_it_is_said_who_told_a_record_and_how_that_is_known(market, unit):
    _, content = report_of(market, {"code": unit.code})
    by_type = {one["type"]: one for one in only_chain(content)["records"] if one["own"]}
    sale, arrival = by_type["sale"], by_type["signature"]
    assert (sale["actor"], sale["via"], sale["source"]) == (SHOP, PLATFORM, "platform")
    assert (arrival["actor"], arrival["source"], arrival["voice"]) == (
        CARRIER,
        "carrier",
        "service",
    )
    assert by_type["registration"]["voice"] == "system"
    assert content["parties"][CARRIER] == "示例（虚构）"
    assert by_type["correction"]["corrects"]["seq"] == by_type["dispatch"]["seq"]
    assert by_type["correction"]["corrects"]["fields"] == ["to"]
    assert by_type["dispatch"]["corrected_by"] == [by_type["correction"]["seq"]]


def test_every_record_is_anchored_in_time_by_a_checkpoint_that_the_log_signed(market, unit):
    _, content = report_of(market, {"code": unit.code})
    key = parse_vkey(market.call("GET", "/log/key").text.strip())
    anchors = {(one["origin"], one["size"]): one for one in content["anchors"]}
    (log,) = content["logs"]
    for one in only_chain(content)["records"]:
        anchor = anchors[one["log"], one["anchor"]]
        assert one["leaf_index"] < anchor["size"] <= log["size"]
        said = open_note(anchor["note"], [key]).text.split("\n")
        assert said[:3] == [anchor["origin"], str(anchor["size"]), anchor["root"]]
    assert len(anchors) == len({one["anchor"] for one in only_chain(content)["records"]})
    own = [one["anchor"] for one in only_chain(content)["records"] if one["own"]]
    assert own[:4] == own[:1] * 4
    assert own[3] < own[4], "each stands under the first one that covered it, not under the newest"


def test_what_came_after_the_audit_is_counted_and_not_told(market):
    unit = market.one()
    market.sell(unit.code)
    market.publish()
    job = audit(market, {"code": unit.code})
    market.dispatch(unit.code)
    market.publish()
    chain = only_chain(made(market, job["id"])["report"])
    assert [one["type"] for one in chain["records"] if one["own"]] == ["registration", "sale"]
    assert chain["later"] == 1
    # The gap is the one of that day: since then the goods were sent.
    assert [(gap["step"], gap["standing"]) for gap in chain["gaps"]] == [("dispatch", "awaited")]


def test_steps_that_are_missing_are_told_with_their_dates_as_of_the_audit(market):
    unit = market.one()
    market.dispatch(unit.code)  # nobody said that it was sold
    market.publish()
    (sale, arrival) = only_chain(report_of(market, {"code": unit.code})[1])["gaps"]
    assert (sale["step"], sale["standing"], sale["party"]) == ("sale", "grace", SHOP)
    assert (arrival["step"], arrival["standing"]) == ("signature", "awaited")
    market.clock.advance(40 * 24 * 3600)
    report, content = report_of(market, {"code": unit.code})
    gaps = {gap["step"]: gap for gap in only_chain(content)["gaps"]}
    assert {gap["standing"] for gap in gaps.values()} == {"counts"}
    assert gaps["sale"]["due_at"] == sale["due_at"] <= content["at"]
    words = printed(market, report, "zh")
    assert words.count(text("zh", "report.gaps.counts")) == len(gaps) == 2
    assert only_chain(content)["broken"] == 0
    assert content["result"] == "sound", "what is missing was not altered"


def test_a_consignment_of_goods_without_serials_has_its_own_missing_steps(market):
    lot = market.lot("BULK", produced_on="2026-10-01")
    market.send(SHOP, lot, "sale", {"consignment": "A", "region": "440100"}, hours=-3)
    market.send(SHOP, lot, "sale", {"consignment": "B", "region": "440100"}, hours=-3)
    data = {"consignment": "B", "carrier": CARRIER, "from": "441200", "to": "440100"}
    market.send(SHOP, lot, "dispatch", data, hours=-2)
    market.publish()
    chain = only_chain(report_of(market, {"code": lot})[1])
    assert {(gap["consignment"], gap["step"]) for gap in chain["gaps"]} == {
        ("A", "dispatch"), ("B", "signature"),
    }  # fmt: skip


def test_a_listing_that_came_late_heals_the_gap_only_once_the_audit_could_know_it(market):
    gtin = register(market, "06901234567908")
    unit = market.one(gtin=gtin)
    market.sell(unit.code, hours=-1)
    market.publish()
    before = audit(market, {"code": unit.code})
    market.send(SHOP, f"01/{gtin}", "listing", {"platform": PLATFORM}, hours=-2)
    market.publish()
    first = only_chain(made(market, before["id"])["report"])
    assert "listing" in {gap["step"] for gap in first["gaps"]}
    later = only_chain(report_of(market, {"code": unit.code})[1])
    assert "listing" not in {gap["step"] for gap in later["gaps"]}


def test_an_altered_record_is_shown_at_the_record_with_what_was_expected_and_found(market, damaged):
    report, content = report_of(market, {"code": damaged.code})
    chain = only_chain(content)
    (broken,) = [one for one in chain["records"] if "problems" in one]
    assert (broken["seq"], broken["own"], chain["broken"]) == (1, True, 1)
    assert broken["checks"]["hash"] == "differs"
    assert broken["checks"]["link"] == "unchecked", "nothing is ticked off on altered bytes"
    (problem,) = broken["problems"]
    met = content["told"][0]["evidence"]
    assert problem["evidence"] | {} == {name: met[name] for name in problem["evidence"]}
    assert (content["result"], chain["gaps_unknown"]) == ("findings", "broken")
    for lang in ("zh", "en"):
        words = printed(market, report, lang)
        for name in ("expected", "got"):
            assert problem["evidence"][name] in words
        assert text(lang, "report.gaps.broken")[:20] in words.replace("\n", "")


def test_what_was_altered_between_audit_and_report_is_told_too(market):
    unit = market.one()
    sent = market.sell(unit.code)
    market.publish()
    job = audit(market, {"code": unit.code})
    place = bytes.fromhex(sent["hash"])
    statement = "UPDATE record SET body = replace(body, ?, ?) WHERE hash = ?"
    market.tamper(statement, "440100", "440300", place)
    try:
        content = made(market, job["id"])["report"]
    finally:
        market.tamper(statement, "440300", "440100", place)
    assert (content["findings"], content["altered"], content["result"]) == (0, 1, "altered")


def test_a_record_that_is_gone_keeps_its_line(market):
    unit = market.one(gtin=register(market, "06901234567939"))
    market.sell(unit.code)
    market.dispatch(unit.code)
    market.publish()
    market.tamper("DELETE FROM record WHERE stream = ? AND seq = 1", stream_key(unit.code))
    report, content = report_of(market, {"code": unit.code})
    own = [one for one in only_chain(content)["records"] if one["own"]]
    assert [one["seq"] for one in own] == [0, 1, 2]
    assert own[1]["state"] == "gone"
    assert text("en", "chain.gone").split()[0] in printed(market, report, "en")


def test_of_a_few_chains_all_are_told_and_all_ends_are_listed(market):
    gtin = register(market, "06901234567915")
    units = [one.code for one in market.issue(2, gtin=gtin)]
    market.publish()
    _, content = report_of(market, {"gtin": gtin})
    assert content["listed"] == "every"
    expected = [f"01/{gtin}", *sorted(units)]
    assert [one["stream"] for one in content["chains"]] == expected
    assert [one["stream"] for one in content["streams_listed"]["ends"]] == expected
    for chain in content["chains"]:
        assert chain["records"]
        assert ("gaps" in chain) is ("/21/" in chain["stream"])
    assert "missing" not in content


def test_of_many_chains_those_with_findings_are_told_and_the_others_by_their_ends(
    market, damaged, monkeypatch
):
    for _ in range(report_chains.MOST_CHAINS):
        market.one()
    market.publish()
    report, content = report_of(market, {"gtin": GTIN})
    assert content["listed"] == "with_findings"
    assert only_chain(content)["stream"] == damaged.code
    listed = content["streams_listed"]
    ends = {one["stream"]: one for one in listed["ends"]}
    assert listed["count"] == len(ends) > report_chains.MOST_CHAINS
    head = market.ask("GET", f"/api/v1/products/{GTIN}/chain")["items"][-1]
    assert ends[PRODUCT] == {"stream": PRODUCT, "seq": head["seq"], "hash": head["hash"]}
    assert ends[PRODUCT]["hash"] in printed(market, report, "zh")
    assert isinstance(content["missing"], dict)

    monkeypatch.setattr(report_chains, "MOST_LISTED", 3)
    monkeypatch.setattr(report_chains, "MOST_CHAINS", 0)
    _, content = report_of(market, {"gtin": GTIN})
    assert content["streams_listed"]["sha256"] == listed["sha256"]
    assert len(content["streams_listed"]["ends"]) == 3
    assert content["chains_left_out"] == {"count": 1, "named": [damaged.code]}


def test_of_everything_no_chain_is_listed_but_those_with_findings_and_the_map_of_all(
    market, damaged
):
    market.map_heads()
    report, content = report_of(market, "all")
    assert damaged.code in [one["stream"] for one in content["chains"]]
    assert "streams_listed" not in content
    assert content["heads"]["root"] in printed(market, report, "en")


def test_missing_steps_of_a_wide_scope_are_counted(market):
    seller = market.newcomer()
    gtin = register(market, "06901234567922", by=seller)
    units = market.issue(21, gtin=gtin, by=seller)
    data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    for unit in units[:3]:
        market.send(seller, unit.code, "dispatch", data, hours=-2)
    market.clock.advance(40 * 24 * 3600)
    market.work()
    _, content = report_of(market, {"gtin": gtin})
    assert content["listed"] == "with_findings"
    assert (content["missing"]["sale"], content["missing"]["signature"]) == (3, 3)


def test_a_long_chain_is_told_up_to_the_bound_in_bounded_time_and_memory(market):
    lot = market.lot("LONG", produced_on="2026-10-01")
    lengthen(market, lot, report_chains.MOST_RECORDS + 500)
    job = audit(market, {"code": lot})
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    # Not over HTTP, whose client here waits for 20 s: the machine may be busy with other tests.
    by = market.rooms.keys.authenticate(market.keys[AUTHORITY])
    made_, _ = market.rooms.audit_reports.make(by, job["id"])
    taken_s = time.monotonic() - began
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    report = made_.told
    chain = only_chain(report["report"])
    assert len(chain["records"]) == report_chains.MOST_RECORDS
    listed = sum(one["own"] for one in chain["records"])
    total = report_chains.MOST_RECORDS + 501
    assert chain["left_out"] >= total - listed
    assert chain["gaps_unknown"] == "left_out"
    words = printed(market, report, "zh")
    assert all(one["hash"] in words for one in chain["records"])
    assert grown_kib < 200 * 1024
    assert taken_s < 60


def test_a_table_begins_each_page_with_its_header(market):
    lot = market.lot("HEADERS", produced_on="2026-10-01")
    lengthen(market, lot, 60)
    report, _ = report_of(market, {"code": lot})
    texts = page_texts(paper(market, report["report"]["id"], "zh"))
    header = text("zh", "report.column.who")
    with_rows = [one for one in texts if text("zh", "report.note.prev") in one]
    assert len(with_rows) > 2
    assert all(header in one and lot in one for one in with_rows)


def test_a_stranger_checks_the_states_of_the_log_in_it(market, unit, tmp_path):
    report, content = report_of(market, {"code": unit.code})
    file, keys = tmp_path / "report.json", tmp_path / "keys.txt"
    file.write_text(json.dumps(report))
    log_key = market.call("GET", "/log/key").text.strip()
    keys.write_text(f"{log_key}\n{receipt_key(market)}\n")
    code, found = run(file, "--key", keys)
    assert code == 0
    counted = {one["key"]: one["params"].get("count") for one in found["checked"]}
    assert counted["checked_states"] == len(content["logs"]) + len(content["anchors"])
    assert counted["checked_records"] == len(only_chain(content)["records"])

    # What the log signed is held against what the report says of it, whoever signed the report.
    forged = json.loads(json.dumps(content))
    forged["anchors"][0]["size"] += 1
    file.write_text(json.dumps(signed_anew(market, report, forged, report["format"])))
    code, found = run(file, "--key", keys)
    assert code == 1
    (wrong,) = found["broken"]
    assert (wrong["key"], wrong["params"]["size"]) == ("state", forged["anchors"][0]["size"])
    assert found["headline"] == "inside"


def signed_anew(market, report: dict, content: dict, format_: str) -> dict:
    """Returns a report with other content under the service's own signature."""
    digest = sha256(audit_reports.canonical(content)).hexdigest()
    lines = [format_, content["id"], content["made_at"], f"report {digest}"]
    lines += [f"{lang} {report['pdf'][lang]['sha256']}" for lang in ("zh", "en")]
    note = sign_note("\n".join([*lines, ""]), market.rooms.keyring.receipt)
    new = {"format": format_, "report": content, "report_sha256": digest, "note": note}
    return {**report, **new}


NEW = (
    "chains", "listed", "anchors", "at", "bounds", "parties", "altered", "streams_listed",
    "heads", "missing", "chains_left_out",
)  # fmt: skip


def test_a_report_of_the_first_format_still_verifies(market, unit, tmp_path):
    report, content = report_of(market, {"code": unit.code})
    first = {name: value for name, value in content.items() if name not in NEW}
    old = signed_anew(market, report, first, "suxin-audit-report/1")
    market.tamper("UPDATE audit_report SET signed = ? WHERE job = ?", json.dumps(old), first["id"])
    reports = market.rooms.audit_reports
    assert reports.is_signed(reports.get(first["id"]))
    page = market.call("GET", f"/audit-reports/{first['id']}?lang=en").text
    assert text("en", "report.page.signed") in page
    file = tmp_path / "report.json"
    file.write_text(json.dumps(old))
    assert run(file, "--key", receipt_key(market))[0] == 0
    # A format nobody knows is none, whoever signed it.
    new = signed_anew(market, report, first, "suxin-audit-report/9")
    market.tamper("UPDATE audit_report SET signed = ? WHERE job = ?", json.dumps(new), first["id"])
    assert not reports.is_signed(reports.get(first["id"]))
