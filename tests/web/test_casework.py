"""Findings worked through: filters, who works on which, notes, decisions and who made them."""

from __future__ import annotations

import re

import pytest

from app.i18n import format_moment, text
from app.kit.clock import parse_time
from app.ledger.record import stream_key
from app.oversight.casestore import Wanted
from app.oversight.decisions import Decisions
from app.oversight.figurestore import findings_by_region
from app.oversight.kinds import SEVERITIES, severity_of
from app.oversight.store import queue
from tests.web.authority import HERE, THERE, neglected, open_two_provinces
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import CUSTOMS
from tests.web.people import make_account, signed_in

F = "/api/v1/findings"
ADVICE = ["audit", "events"]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("casework")) as running:
        running.keys["nation"] = running.keys[running.nation]
        running.missing = [neglected(running, running.near) for _ in range(11)]
        neglected(running, running.far)
        running.clock.advance(60 * 86_400)
        running.work()
        (broken,) = running.issue(by=running.near)
        running.publish()
        running.tamper(
            "UPDATE record SET body = ? WHERE stream = ?", b"{}", stream_key(broken.code)
        )
        running.call("GET", broken.path)
        running.work()
        yield running


def found(market, query="", *, by=AUTHORITY, status=200):
    told = market.ask("GET", f"{F}?{query}", token=market.keys[by], status=status)
    return told["items"] if status == 200 else told


def one_of(market, n):
    """A finding that no other test decides about."""
    wanted = {unit.code: unit for unit in market.missing}
    (finding,) = [one for one in found(market, "kind=continuity.missing_dispatch&limit=500")
                  if one["stream"] == list(wanted)[n]]  # fmt: skip
    return finding["id"]


def work(market, finding, *, by=AUTHORITY):
    return market.ask("GET", f"{F}/{finding}/work", token=market.keys[by])


def post(market, path, body, *, status=200):
    return market.ask("POST", path, body, token=market.keys[AUTHORITY], status=status)


def done(market, finding, *, by=AUTHORITY):
    return [(one["kind"], one["about"]) for one in work(market, finding, by=by)["items"]]


def test_findings_are_chosen_by_every_filter(market):
    everything = found(market, "limit=500")
    for query, holds in (
        ("severity=grave", lambda one: one["kind"].startswith("integrity.")),
        ("severity=ordinary", lambda one: one["kind"].startswith("continuity.")),
        (f"region={THERE}", lambda one: one.get("party") == market.far),
        ("region=440000", lambda one: one.get("party") == market.near),
        (f"party={market.near}", lambda one: one.get("party") == market.near),
        ("kind=continuity", lambda one: one["kind"].startswith("continuity.")),
        ("status=waiting", lambda one: one["status"] in ("open", "grace")),
        ("until=2020-01-01", lambda _: False),
        ("assignee=", lambda one: "assignee" not in one),
    ):
        told = {one["id"] for one in found(market, f"{query}&limit=500")}
        assert told == {one["id"] for one in everything if holds(one)}, query
        assert told or query.startswith("until")
    day = everything[0]["opened_at"][:10]
    assert everything[0]["id"] in {one["id"] for one in found(market, f"since={day}&limit=500")}


def test_a_finding_is_given_to_a_colleague_who_may_see_it_and_found_by_their_name(market):
    finding = one_of(market, 0)
    name, _ = make_account(market, "staff", AUTHORITY, scopes=ADVICE, region=HERE)
    away, _ = make_account(market, "staff", AUTHORITY, scopes=ADVICE, region=THERE)
    idle, _ = make_account(market, "staff", AUTHORITY, scopes=["credit"])
    foreign, _ = make_account(market, "owner", CUSTOMS)
    path = f"{F}/{finding}/assignment"
    for wrong in (away, idle, foreign, "nobody-here"):
        told = post(market, path, {"assignee": wrong}, status=422)
        kind = "assignee_office" if wrong == away else "assignee"
        assert told["errors"][0]["kind"] == kind, wrong
    market.ask("POST", path, {"assignee": name}, token=market.keys[AUTHORITY])
    assert [one["id"] for one in found(market, f"assignee={name}")] == [finding]
    assert work(market, finding)["assignee"] == name
    assert done(market, finding) == [("assigned", name)]
    # Another authority's own work is its own.
    assert work(market, finding, by=CUSTOMS) == {"assignee": None, "items": []}
    market.ask("POST", path, {"assignee": None}, token=market.keys[AUTHORITY])
    assert found(market, f"assignee={name}") == []
    found(market, f"assignee={foreign}", status=422)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_word_of_a_findings_page_means_two_things(market, lang):
    (finding,) = [one["id"] for one in found(market, "severity=grave")]
    page = (
        signed_in(market, "owner", market.nation).get(f"/desk/findings/{finding}?lang={lang}").text
    )
    told = re.findall(r"<dt>(.*?)</dt>", page)
    assert {text(lang, "casework.opened"), text(lang, "chain.evidence.got")} <= set(told)
    assert len(set(told)) == len(told)


def test_giving_a_finding_to_who_has_it_changes_nothing_and_says_so(market):
    finding = one_of(market, 4)
    browser = signed_in(market, "staff", AUTHORITY, scopes=ADVICE)
    name, _ = make_account(market, "staff", AUTHORITY, scopes=ADVICE)
    path, told = f"/desk/findings/{finding}", text("en", "told.finding_unmoved")
    browser.get(path)

    def says(assignee):
        answer = browser.post(path, do="assign", assignee=assignee)
        return told in browser.get(answer.headers["location"]).text

    assert says("")
    assert done(market, finding) == []
    assert [says(name), says(name), says("")] == [False, True, False]
    post(market, f"{F}/{finding}/assignment", {"assignee": None})
    assert done(market, finding) == [("assigned", name), ("released", "")]


def test_what_is_attributed_to_the_operator_is_not_told_of_the_merchant(market):
    finding, near = one_of(market, 5), market.near

    def counts():
        with market.rooms.database.read() as connection:
            region = dict(map(tuple, findings_by_region(connection, since_ms=0, until_ms=2**60)))
            return queue(connection, near, limit=1)[0], region

    (waiting, before), browser = counts(), signed_in(market, "staff", AUTHORITY, scopes=ADVICE)
    post(market, f"{F}/{finding}/attribution", {"to": "operator", "reason": "记录由运营方丢失"})
    now, after = counts()
    assert now == waiting - 1
    (region,) = {one for one in before if before[one] != after.get(one, 0)} - {None}
    assert after[region] == before[region] - 1
    assert after[None] == before.get(None, 0) + 1
    page = browser.get(f"/desk/findings?party={near}").text
    (line,) = [one for one in page.split("<li>") if finding in one]
    assert text("en", "casework.attributed", to=text("en", "casework.to.operator")) in line
    (shown,) = [one for one in found(market, f"party={near}&limit=500") if one["id"] == finding]
    assert shown["attributed_to"] == "operator"


def test_notes_are_sealed_and_the_authoritys_own(market):
    finding, told = one_of(market, 1), "电话 13800000000 已核实"
    post(market, f"{F}/{finding}/notes", {"text": told}, status=201)
    assert [one["text"] for one in work(market, finding)["items"]] == [told]
    assert told.encode() not in market.stored_bytes()
    assert work(market, finding, by=CUSTOMS)["items"] == []
    for by in (SHOP, CARRIER):
        market.ask("GET", f"{F}/{finding}/work", token=market.keys[by], status=403)


def test_which_person_decided_is_noted_and_the_decision_is_a_record_of_the_authority(market):
    finding = one_of(market, 2)
    browser = signed_in(market, "staff", AUTHORITY, scopes=ADVICE)
    path = f"/desk/findings/{finding}"
    (told,) = [one["evidence"] for one in found(market, "limit=500") if one["id"] == finding]
    # The step and its times are said in words, the time as it is in China.
    page = browser.get(path).text
    assert not [name for name in ("step", "since", "due_at") if f">{told[name]}<" in page]
    assert format_moment("en", parse_time(told["due_at"])) in page
    assert f">{told['kind']}<" not in page
    assert f">{told['seller']}<" not in page
    assert market.rooms.parties.get(told["seller"]).name in page
    page = browser.post(path, 422, do="dismiss", reason="").text
    assert "f-reason-error" in page
    browser.post(path, do="dismiss", reason="包裹已找到")
    assert finding in [one["id"] for one in found(market, "status=dismissed")]
    (done,) = work(market, finding)["items"]
    assert (done["kind"], done["by"], done["text"]) == ("dismissed", browser.name, "包裹已找到")
    decided = [
        record.fields
        for record in _stream(market, f"party/{market.near}")
        if record.fields["type"] == "dismissal" and record.fields["data"]["finding"] == finding
    ]
    assert [(one["actor"], sorted(one["sealed"])) for one in decided] == [(AUTHORITY, ["reason"])]
    browser.get(path)
    assert 'value="attribute"' not in browser.page
    # A second time nothing more is written; another reason would be kept nowhere, and is refused.
    post(market, f"{F}/{finding}/dismissal", {"reason": "包裹已找到"})
    post(market, f"{F}/{finding}/dismissal", {"reason": "x"}, status=409)
    post(market, f"{F}/{finding}/attribution", {"to": "merchant", "reason": "x"}, status=409)
    assert len(work(market, finding)["items"]) == 1


def test_who_decides_after_somebody_else_is_told_so_and_keeps_what_was_written(market):
    finding = one_of(market, 6)
    path = f"/desk/findings/{finding}"
    first, second = (signed_in(market, "staff", AUTHORITY, scopes=ADVICE) for _ in range(2))
    seen = re.search(r'name="seen" value="(\d+)"', first.get(path).text)[1]
    second.get(path)
    first.post(path, do="dismiss", reason="包裹已找到", seen=seen)
    first.get(path)
    first.post(path, do="dismiss", reason="包裹已找到", seen=seen)  # the same again
    page = second.post(path, 409, do="dismiss", reason="快递已赔付", seen=seen).text
    assert text("en", "fault.already_dismissed") in page
    news = page.split(text("en", "casework.news"))[1].split("</ol>")[0]
    assert "包裹已找到" in news
    assert news.count("<li>") == 1
    assert text("en", "casework.unkept") in page
    assert re.search(r'<textarea id="f-text"[^>]*>快递已赔付</textarea>', page)
    assert [one["text"] for one in work(market, finding)["items"]] == ["包裹已找到"]


def test_what_was_attributed_is_not_dismissed_from_a_page_that_was_opened_before(market):
    finding = one_of(market, 7)
    path = f"/desk/findings/{finding}"
    browser = signed_in(market, "staff", AUTHORITY, scopes=ADVICE)
    seen = re.search(r'name="seen" value="(\d+)"', browser.get(path).text)[1]
    his = {"to": "merchant", "reason": "卖家漏报"}
    post(market, f"{F}/{finding}/attribution", his)
    page = browser.post(path, 409, do="dismiss", reason="包裹已找到", seen=seen).text
    assert text("en", "fault.already_attributed", to=text("en", "casework.to.merchant")) in page
    post(market, f"{F}/{finding}/attribution", his)
    for body in ({"to": "none", "reason": "卖家漏报"}, {"to": "merchant", "reason": "x"}):
        post(market, f"{F}/{finding}/attribution", body, status=409)
    told = post(market, f"{F}/{finding}/attribution", {"to": "none", "reason": "x"}, status=409)
    assert told["type"] == "/problems/already-exists"
    shown = market.ask("GET", f"{F}/{finding}", token=market.keys[AUTHORITY])
    assert (shown["status"], shown["attributed_to"]) == ("open", "merchant")
    assert done(market, finding) == [("attributed", "merchant")]
    # Who knows of it undoes it so, and what was charged goes with it.
    post(market, f"{F}/{finding}/dismissal", {"reason": "包裹已找到"})
    assert done(market, finding) == [("attributed", "merchant"), ("dismissed", "")]


@pytest.mark.parametrize("first", ["attribution", "dismissal"])
def test_of_two_decisions_at_once_one_is_told_that_the_finding_moved(market, monkeypatch, first):
    finding = one_of(market, {"attribution": 9, "dismissal": 10}[first])
    bodies = {"attribution": {"to": "merchant", "reason": "a"}, "dismissal": {"reason": "b"}}
    (second,) = set(bodies) - {first}
    record = Decisions.record

    def other_comes_first(self, kind, *args, **more):
        if kind == second:
            monkeypatch.setattr(Decisions, "record", record)
            post(market, f"{F}/{finding}/{first}", bodies[first])
        return record(self, kind, *args, **more)

    monkeypatch.setattr(Decisions, "record", other_comes_first)
    told = post(market, f"{F}/{finding}/{second}", bodies[second], status=409)
    assert told["type"] == "/problems/already-exists"
    assert len(done(market, finding)) == 1
    shown = market.ask("GET", f"{F}/{finding}", token=market.keys[AUTHORITY])
    assert (shown["status"] == "dismissed") == (first == "dismissal")


def test_who_decides_on_what_has_moved_since_sees_what_came_and_decides_again(market):
    finding = one_of(market, 8)
    path = f"/desk/findings/{finding}"
    browser = signed_in(market, "staff", AUTHORITY, scopes=ADVICE)
    seen = re.search(r'name="seen" value="(\d+)"', browser.get(path).text)[1]
    market.send(market.near, market.missing[8].code, "dispatch", {"carrier": CARRIER})
    market.work()
    page = browser.post(path, 409, do="dismiss", reason="包裹已找到", seen=seen).text
    assert text("en", "fault.finding_moved") in page
    assert text("en", "casework.why.healed") in page.split(text("en", "casework.news"))[1]
    assert "包裹已找到</textarea>" in page
    now = re.search(r'name="seen" value="(\d+)"', page)[1]
    browser.post(path, do="dismiss", reason="包裹已找到", seen=now)
    assert done(market, finding) == [("dismissed", "")]


def test_what_the_bytes_contradict_is_attributed_and_never_dismissed(market):
    (finding,) = [one["id"] for one in found(market, "severity=grave")]
    browser = signed_in(market, "owner", market.nation)
    path = f"/desk/findings/{finding}"
    assert 'value="dismiss"' not in browser.get(path).text
    assert 'role="alert"' in browser.post(path, 409, do="dismiss", reason="x").text
    browser.get(path)
    page = browser.post(path, 422, do="attribute", to="me", reason="kept").text
    assert "kept" in page
    browser.post(path, do="attribute", to="operator", reason="磁盘损坏")
    told = market.ask("GET", f"{F}/{finding}", token=market.keys[AUTHORITY])
    assert told["attributed_to"] == "operator"
    assert done(market, finding, by="nation") == [("attributed", "operator")]
    # About nobody, it is for accounts without a region.
    signed_in(market, "owner", AUTHORITY).get(path, 404)


def test_a_measure_is_recorded_from_a_finding_once(market):
    finding = one_of(market, 3)
    browser = signed_in(market, "staff", AUTHORITY, scopes=ADVICE)
    path = f"/desk/findings/{finding}"
    browser.get(path)
    assert "field-error" in browser.post(path, 422, do="measure", kind="warn", basis="").text
    told = {"do": "measure", "kind": "warn", "basis": "《电子商务法》第八十条",
            "record": "0192f3a0-0000-7000-8000-0000000000ab"}  # fmt: skip
    for _ in range(2):
        browser.get(path)
        browser.post(path, **told)
    records = [record.fields for record in _stream(market, f"party/{market.near}")]
    assert [one["data"]["basis"] for one in records if one["type"] == "measure"] == [
        "《电子商务法》第八十条"
    ]
    assert [one["kind"] for one in work(market, finding)["items"]] == ["measure"]
    log = browser.get(path).text.split('id="work-title"')[1].split("</ol>")[0]
    assert "Recorded a measure: warn" in log
    assert told["record"] not in log, "an id tells nobody anything"


def test_the_queue_on_a_page_is_filtered_by_address_and_says_what_is_wrong(market):
    browser = signed_in(market, "owner", market.nation)
    page = browser.get("/desk/findings").text
    assert market.near in page
    assert market.far in page
    page = browser.get(f"/desk/findings?region={THERE}").text
    assert market.near not in page
    assert market.far in page
    page = browser.get("/desk/findings?region=12", 422).text
    assert "f-region-error" in page
    assert 'value="12"' in page
    page = browser.get("/desk/findings?assignee=%40nobody&severity=grave").text
    assert "/desk/findings/" in page
    signed_in(market, "owner", SHOP).get("/desk/findings", 403)


def _stream(market, name):
    from app.ledger.store import load_stream

    with market.rooms.database.read() as connection:
        return load_stream(connection, name)


def test_the_list_says_its_order_and_keeps_it_from_page_to_page(market):
    browser = signed_in(market, "owner", AUTHORITY)
    page = browser.get("/desk/findings").text
    assert "The gravest first" in page.split('id="list-title"')[1]
    kinds = [one.row.kind for one in in_order(market, "gravest", 500)]
    assert kinds[0].startswith("integrity.")
    assert sorted(kinds, key=rank) == kinds
    assert in_order(market, "gravest", 2) == in_order(market, "gravest", 500)
    opened = [one.row.opened_at for one in in_order(market, "oldest", 3)]
    assert opened == sorted(opened)
    assert opened[::-1] == [one.row.opened_at for one in in_order(market, "newest", 500)]
    assert (
        "The oldest first"
        in browser.get("/desk/findings?sort=oldest").text.split('id="list-title"')[1]
    )
    browser.get("/desk/findings?sort=nonsense", 422)


def rank(kind: str) -> int:
    return SEVERITIES.index(severity_of(kind))


def in_order(market, order: str, size: int):
    """Returns every finding, read in pages of a size."""
    principal = market.rooms.keys.authenticate(market.keys[AUTHORITY])
    found, place = [], None
    while True:
        page = market.rooms.casework.list(principal, Wanted(), after=place, limit=size, order=order)
        found += page
        if len(page) < size:
            return found
        place = (page[-1].row.opened_at, page[-1].row.id)
