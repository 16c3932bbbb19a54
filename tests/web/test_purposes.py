"""Who looks at what others sealed, and why: asked where it is not plain, written down each time."""

from __future__ import annotations

import re

import pytest

from tests.web.conftest import AUTHORITY, PLATFORM
from tests.web.market import CUSTOMS
from tests.web.people import new_name, open_people_market, signed_in
from tests.web.standing import step
from tests.web.test_account_pages import apply
from tests.web.test_commitments_api import judge, signed
from tests.web.test_undecided_api import enter, waiting

DECIDE = "/desk/decisions"
WHY = "check of an old case"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("purposes")) as running:
        yield running


@pytest.fixture
def looks(market):
    """The looks that came since, the newest first: (section, purpose)."""

    def all_of_them():
        path = "/api/v1/access-log?limit=500"
        return market.ask("GET", path, token=market.admin)["items"]

    before = len(all_of_them())

    def since():
        items = all_of_them()
        return [(one["section"], one["purpose"]) for one in items[: len(items) - before]]

    return since


@pytest.fixture
def objected(market):
    """A newcomer and an entry to which it has objected."""
    shop = market.newcomer()
    entry = enter(market, shop)["id"]
    step(market, entry, "objection", by=shop)
    return shop, entry


def texts(market, shop, *, by, why="", status=200):
    query = f"?purpose={why}" if why else ""
    path = f"/api/v1/credit/{shop}/entries{query}"
    token = market.admin if by == "admin" else market.keys[by]
    told = market.ask("GET", path, token=token, status=status)
    if status != 200:
        return told
    steps = told["items"][0]["steps"]
    return [(one.get("text"), one.get("closed")) for one in steps]


def test_a_party_reads_its_own_file_and_nobody_writes_it_down(market, objected, looks):
    shop, entry = objected
    step(market, entry, "decision", by=AUTHORITY, outcome="dismissed")
    assert texts(market, shop, by=shop) == [("情况说明", None), ("经核查", None)]
    assert looks() == []


def test_an_authority_that_reads_a_file_says_why(market, objected, looks):
    shop, entry = objected
    step(market, entry, "decision", by=AUTHORITY, outcome="dismissed")
    assert texts(market, shop, by=AUTHORITY) == [(None, True), ("经核查", None)], "its own is open"
    for by in (CUSTOMS, "admin"):
        assert texts(market, shop, by=by) == [(None, True), (None, True)]
    assert looks() == []
    error = texts(market, shop, by=AUTHORITY, why="x", status=422)["errors"][0]
    assert (error["loc"], error["kind"]) == (["query", "purpose"], "length")
    assert looks() == []
    assert texts(market, shop, by=AUTHORITY, why=WHY)[0] == ("情况说明", None)
    assert texts(market, shop, by="admin", why=WHY) == [("情况说明", None), ("经核查", None)]
    assert looks() == [("text", WHY)] * 3
    for by in (PLATFORM, market.newcomer()):
        assert all(one == (None, None) for one in texts_if_any(market, shop, by=by, why=WHY))
    assert len(looks()) == 3, "whom no step concerns opens none"


def texts_if_any(market, shop, *, by, why):
    path = f"/api/v1/credit/{shop}/entries?purpose={why}"
    items = market.ask("GET", path, token=market.keys[by])["items"]
    return [(one.get("text"), one.get("closed")) for item in items for one in item["steps"]]


def test_the_answer_to_a_decision_opens_nothing(market, objected, looks):
    _, entry = objected
    answer = step(market, entry, "decision", by=AUTHORITY, outcome="dismissed")
    assert [one.get("closed") for one in answer["steps"]] == [True, None]
    assert looks() == []


def test_what_waits_for_a_decision_is_opened_for_it_and_each_look_says_so(market, objected, looks):
    shop, entry = objected
    assert ["text" in one for one in waiting(market, shop, query="?limit=500")] == [False]
    assert looks() == [], "who polls the list looks at nothing"
    found = waiting(market, shop, query="?limit=500&opened=true")
    assert [one["text"] for one in found] == ["情况说明"]
    assert looks().count(("text", f"decide objection {entry}")) == 1
    others = market.newcomer()
    second = enter(market, others)["id"]
    market.clock.advance(1)
    step(market, second, "objection", by=others)
    page = market.ask(
        "GET", "/api/v1/credit/undecided?limit=1&opened=true", token=market.keys[AUTHORITY]
    )
    assert page["next"] is not None
    assert ("text", f"decide objection {second}") not in looks(), "of what is shown alone"


def test_the_decider_opens_a_case_without_being_asked_until_it_is_over(market, objected, looks):
    shop, entry = objected
    person = signed_in(market, "owner", AUTHORITY)
    person.get(DECIDE)
    assert "情况说明" not in person.page
    assert looks() == []
    path = f"{DECIDE}/entries/{shop}/{entry}"
    person.get(path)
    assert "情况说明" in person.page
    assert "is on the log" in person.page
    assert looks() == [("text", f"decide objection {entry}")]
    person.post(path, 422, do="dismissed", reason="")
    person.get(path)
    person.post(path, do="dismissed", reason="经核查")
    before = len(looks())

    person.get(path)
    assert "情况说明" not in person.page
    assert "经核查" in person.page, "its own words"
    assert len(looks()) == before
    person.post(path, 422, do="open", purpose="x")
    assert "f-purpose-error" in person.page
    assert "情况说明" not in person.page
    person.post(path, 200, do="open", purpose=WHY)
    assert "情况说明" in person.page
    assert looks()[0] == ("text", WHY)
    assert len(looks()) == before + 1
    person.get("/desk/looks")
    assert f"decide objection {entry}" in person.page
    person.get("/desk/looks?lang=zh")
    assert f"处理异议 {entry}" in person.page


def test_listings_and_commitments_are_opened_like_entries(market, looks):
    shop, key = market.newcomer(), market.keys[AUTHORITY]
    body = {
        "party": shop,
        "criterion": "decision_evaded",
        "evidence": {"title": "决定书", "number": "1"},
    }
    listed = market.ask("POST", "/api/v1/lists/black", body, token=key, status=201)["id"]
    path = f"/api/v1/lists/items/{listed}/objection"
    market.ask("POST", path, {"text": "已履行"}, token=market.keys[shop], status=201)
    person = signed_in(market, "owner", AUTHORITY)
    person.get(f"{DECIDE}/lists/{shop}/{listed}")
    assert "已履行" in person.page
    assert looks() == [("text", f"decide objection {listed}")]
    steps = lambda why="": market.ask(  # noqa: E731
        "GET", f"/api/v1/credit/{shop}/lists{why}", token=key
    )["items"][0]["steps"]
    assert [one.get("closed") for one in steps()] == [True]
    assert steps(f"?purpose={WHY}")[0]["text"] == "已履行"
    assert looks()[0] == ("text", WHY)

    promise = signed(market, shop, "seven_day_return")
    judge(market, promise, "broken")
    found = lambda by, why="": market.ask(  # noqa: E731
        "GET", f"/api/v1/parties/{shop}/commitments{why}", token=market.keys[by]
    )["items"][0]["steps"]
    assert found(AUTHORITY)[-1]["text"] == "经核查", "its own reason"
    assert found(shop)[-1]["text"] == "经核查", "addressed to it"
    before = len(looks())
    assert all("text" not in one for one in found(PLATFORM, f"?purpose={WHY}"))
    assert len(looks()) == before


def test_an_applicants_contact_is_opened_to_decide_and_later_for_a_purpose(market, looks):
    name = f"试店{new_name()}"
    apply(market, name=name, contact="19900000000 陈")
    operator = signed_in(market, "operator", None)
    operator.get("/applications")
    path = re.search(rf'href="(/applications/[^"?]+)[^"]*">[^<]*{name}', operator.page)[1]
    id_ = path.rpartition("/")[2]
    assert looks() == []
    operator.get(path)
    assert "19900000000" in operator.page
    assert looks() == [("contact", f"decide application {id_}")]
    operator.post(path, do="refuse", reason="not readable")
    assert len(looks()) == 1, "to refuse it nothing is opened"
    operator.get(path)
    assert "19900000000" not in operator.page
    operator.post(path, 422, do="open", purpose="x")
    assert "f-purpose-error" in operator.page
    assert "19900000000" not in operator.page
    operator.post(path, 200, do="open", purpose=WHY)
    assert "19900000000" in operator.page
    assert looks() == [("contact", WHY), ("contact", f"decide application {id_}")]
    operator.get("/desk/looks?lang=zh")
    assert f"审核入驻申请 {id_}" in operator.page
