"""A party's own credit through the pages, and the authority's that decides: as both would do it."""

from __future__ import annotations

import hashlib
import html
import re

import pytest

from app.kit.clock import parse_time
from tests.credit.files import JPEG
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_undecided_api import enter

OWN, DECIDE = "/desk/credit", "/desk/decisions"
FAR = "440100"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("own")) as running:
        yield running


def hidden(page: str, name: str = "id") -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def seen(market, entry: str, party: str) -> dict:
    path = f"/api/v1/credit/{party}/entries?limit=500"
    items = market.ask("GET", path, token=market.keys[party])["items"]
    return next(one for one in items if one["id"] == entry)


def test_from_a_notice_by_objection_and_repair_to_a_clean_file(market):
    shop = market.newcomer()
    entry = enter(market, shop)
    owner, office = signed_in(market, "owner", shop), signed_in(market, "owner", AUTHORITY)
    page = f"{OWN}/entries/{entry['id']}"
    assert page in owner.get(OWN).text
    assert "State your case" in owner.page
    assert "repair can be applied for from" in owner.get(page).text.lower()

    # Refused: the field says why, and what was typed is kept.
    owner.post(page, 422, do="object", id=hidden(owner.page), text="", number="WB-1")
    assert "f-text-error" in owner.page
    assert 'value="WB-1"' in owner.page
    owner.get(page)
    id_ = hidden(owner.page)
    said = {"do": "object", "id": id_, "text": "已按期\n发货", "number": "WB-1"}
    answer = owner.post(page, file=("waybill.jpg", JPEG), **said)
    assert "objected" in answer.headers["Location"]
    owner.post(page, **said, file=("waybill.jpg", JPEG))  # sent twice: one objection
    steps = seen(market, entry["id"], shop)["steps"]
    assert [one["step"] for one in steps] == ["object"]
    assert steps[0]["text"] == "已按期 发货 [WB-1]"
    assert steps[0]["attachments"] == [hashlib.sha256(JPEG).hexdigest()]
    assert "Decision due" in owner.get(page).text
    owner.post(page, 409, do="object", id=hidden(id_page(market)), text="again")

    assert shop in office.get(DECIDE).text
    case = f"{DECIDE}/entries/{shop}/{entry['id']}"
    assert case in office.page
    assert "已按期 发货 [WB-1]" in office.get(case).text
    assert "Grant it" not in office.page
    office.post(case, 422, do="dismissed", id=hidden(office.page), reason=" ")
    assert "f-reason-error" in office.page
    office.get(case)
    office.post(case, do="dismissed", id=hidden(office.page), reason="揽收凭证不符")
    assert "揽收凭证不符" in owner.get(page).text
    assert shop not in office.get(DECIDE).text

    market.clock.set(parse_time(entry["earliest_repair_at"]))
    owner = signed_in(market, "owner", shop)
    office = signed_in(market, "owner", AUTHORITY)
    owner.get(page)
    owner.post(page, do="repair", id=hidden(owner.page), repair_text="已整改")
    office.get(case)
    office.post(case, do="granted", id=hidden(office.page), reason="经核查")
    assert seen(market, entry["id"], shop)["status"] == "repaired"
    assert "entries that have ended" in owner.get(OWN).text.lower().replace(
        "entry that has", "entries that have"
    )
    assert entry["id"] in owner.page


def id_page(market) -> str:
    """A page that only carries an id of a form that nobody sent before."""
    import uuid_utils

    return f'name="id" value="{uuid_utils.uuid4()}"'


def test_a_listing_is_answered_and_decided(market):
    shop = market.newcomer()
    body = {"party": shop, "criterion": "decision_evaded",
            "evidence": {"title": "决定书", "number": "粤-1"}}  # fmt: skip
    key = market.keys[AUTHORITY]
    listed = market.ask("POST", "/api/v1/lists/black", body, token=key, status=201)
    owner, office = signed_in(market, "owner", shop), signed_in(market, "owner", AUTHORITY)
    page = f"{OWN}/lists/{listed['id']}"
    assert page in owner.get(OWN).text
    assert "粤-1" in owner.get(page).text
    owner.post(page, 422, do="object", id=hidden(owner.page))
    owner.get(page)
    owner.post(page, do="object", id=hidden(owner.page), text="已履行")
    case = f"{DECIDE}/lists/{shop}/{listed['id']}"
    assert "已履行" in office.get(case).text
    office.post(case, do="upheld", id=hidden(office.page), reason="查明已履行")
    assert "查明已履行" in owner.get(page).text
    assert "Cancelled" in owner.page


def test_a_commitment_is_signed_read_withdrawn_and_one_in_question_is_judged(market):
    shop = market.newcomer()
    owner = signed_in(market, "owner", shop)
    path = f"{OWN}/commitments"
    owner.get(path)
    digest = re.search(
        r'name="template" value="seven_day_return">\s*<input type="hidden" name="digest" value="(\w+)"',
        owner.page,
    )[1]
    told = {"do": "sign", "id": hidden(owner.page), "template": "seven_day_return"}
    owner.post(path, 422, **told, digest="0" * 64)
    owner.get(path)
    owner.post(path, **told, digest=digest)
    assert "In force" in owner.get(path).text
    (made,) = market.ask("GET", f"/api/v1/parties/{shop}/commitments")["items"]
    market.rooms.commitments.question(
        made["id"], once="x", evidence={"outcome": "refused", "exception": "perishable"}
    )
    assert "put it in question" in owner.get(path).text
    office = signed_in(market, "owner", AUTHORITY)
    case = f"{DECIDE}/commitments/{shop}/{made['id']}"
    assert "fresh or perishable" in office.get(case).text
    office.post(case, do="cleared", id=hidden(office.page), reason="属于除外商品")
    assert "属于除外商品" in owner.get(path).text
    owner.post(path, do="withdraw", id=hidden(owner.page), commitment=made["id"])
    assert "Withdrawn" in owner.get(path).text


def test_findings_tell_their_grace_their_cure_and_what_they_cost(market):
    unit = market.one()
    market.sell(unit.code, hours=-24 * 9)
    market.clock.advance(2 * 86_400)
    market.work()
    owner = signed_in(market)
    card = next(one for one in owner.get(OWN).text.split('<li class="card">') if unit.code in one)
    assert "Record the dispatch with carrier and waybill" in card
    assert "days left" in card
    assert f'href="/{unit.code}"' in card
    cure = html.unescape(re.search(r'href="(/desk/entry[^"]+)"', card)[1])
    assert f'value="{unit.code}"' in owner.get(cure).text
    assert "days left" in card
    entry = re.search(rf"{OWN}/entries/([\w-]+)", card)[1]
    assert unit.code in owner.get(f"{OWN}/entries/{entry}").text
    market.dispatch(unit.code)
    market.work()
    assert unit.code not in owner.get(OWN).text


def test_whose_it_is_and_who_may(market):
    shop, other = market.newcomer(), market.newcomer()
    entry = enter(market, shop)
    stranger = signed_in(market, "owner", other)
    stranger.get(f"{OWN}/entries/{entry['id']}", 404)
    stranger.get(OWN)
    stranger.post(f"{OWN}/entries/{entry['id']}", 403, do="object", text="x")
    staff = signed_in(market, "staff", shop, scopes=["products"])
    assert OWN not in staff.get("/desk").text
    staff.get(OWN, 403)
    staff.get(DECIDE, 403)
    for party in (SHOP, PLATFORM, CARRIER, RIVAL):
        person = signed_in(market, "owner", party)
        assert OWN in person.get("/desk").text
        assert DECIDE not in person.page
        person.get(DECIDE, 403)
        person.get(f"{DECIDE}/entries/{shop}/{entry['id']}", 403)
    operator = signed_in(market, "operator", None)
    operator.get(OWN, 403)
    operator.get(DECIDE, 403)


def test_who_is_in_office_for_a_region_decides_there_alone(market):
    shop = market.newcomer(region=FAR)
    entry = enter(market, shop)
    owner = signed_in(market, "owner", shop)
    page = f"{OWN}/entries/{entry['id']}"
    owner.get(page)
    owner.post(page, do="object", id=hidden(owner.page), text="情况说明")
    case = f"{DECIDE}/entries/{shop}/{entry['id']}"
    local = signed_in(market, "owner", AUTHORITY, region="441202")
    assert shop not in local.get(DECIDE).text
    local.get(case, 404)
    local.get(DECIDE)
    local.post(case, 404, do="dismissed", reason="x")
    assert seen(market, entry["id"], shop)["status"] == "objected"
