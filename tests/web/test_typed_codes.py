"""A code that a person typed into a page: full width, small letters; and what is never guessed at."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from app.kit.errors import Invalid
from app.ledger.record import stream_key
from app.trace.code import normalise_inner
from app.trace.sscc import is_sscc
from app.trace.typed import read_typed
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import GTIN, PRODUCT
from tests.web.people import open_people_market, signed_in
from tests.web.test_language_switch import codes_of
from tests.web.test_texts_api import bought, review

PAGE = {"Accept": "text/html", "Accept-Language": "en"}
WIDE = {number: number + 0xFEE0 for number in range(0x21, 0x7F)} | {0x20: 0x3000}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("typed")) as running:
        yield running


def led_to(market, typed: str) -> str:
    answer = market.call("GET", "/code", params={"code": typed}, headers=PAGE)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


@pytest.fixture(scope="module")
def lots(market):
    """Lots whose names differ by their letters alone, and one of each kind without such a twin."""
    for name in ("ab/1", "AB/1", "CD-2", "ef-3", "ij-5", "IJ-5"):
        market.lot(name)
    return market


def test_a_code_in_small_letters_or_full_width_leads_to_its_own_page(market):
    code = market.one().code
    serial = code.rpartition("/")[2]
    assert serial != serial.lower()
    for typed in (
        code, code.lower(), code.translate(WIDE), code.lower().translate(WIDE), f"　{code.lower()} ",
        f"(01){GTIN}(21){serial.lower()}".translate(WIDE), f"01 {GTIN} 21 {serial.lower()}",
        f"https://id.example/{code.lower()}", f"]d201{GTIN}21{serial.lower()}",
    ):  # fmt: skip
        assert led_to(market, typed) == f"/{code}", typed
    assert led_to(market, PRODUCT.translate(WIDE)) == f"/{PRODUCT}"
    assert market.call("GET", led_to(market, code.lower()), headers=PAGE).status_code == 200


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("ab%2F1", "ab%2F1"),
        ("AB%2F1", "AB%2F1"),
        ("Ab%2F1", "AB%2F1"),
        ("cd-2", "CD-2"),
        ("ef-3", "ef-3"),
        ("EF-3", "EF-3"),
        ("gh-4", "gh-4"),
    ],
)
def test_capitals_and_small_letters_are_apart_where_both_were_issued(lots, typed, name):
    place = led_to(lots, f"{PRODUCT}/10/{typed}")
    assert place == f"/{PRODUCT}/10/{name}"
    known = lots.call("GET", place, headers=PAGE).status_code == 200
    assert known == (name not in ("EF-3", "gh-4"))


def test_what_only_the_log_still_knows_is_not_taken_for_another(lots):
    """A code whose head a hand has deleted has a page that says so, in its own letters."""
    code = f"{PRODUCT}/10/ij-5"
    lots.work()
    lots.tamper("DELETE FROM head WHERE stream = ?", stream_key(code))
    assert led_to(lots, code) == f"/{code}"


def test_a_scanned_address_a_cameras_text_and_the_api_take_a_code_as_it_stands(market):
    code = market.one().code
    for path in (f"/{code.lower()}", f"/api/v1/code?code={code.lower()}"):
        assert market.call("GET", path, headers=PAGE).status_code == 404
    answer = market.call("POST", "/scan", data={"text": code.lower()}, headers=PAGE)
    assert answer.headers["Location"] == f"/{code.lower()}"
    wide = {"code": code.translate(WIDE)}
    assert market.call("GET", "/api/v1/code", params=wide).status_code == 422


def test_what_is_no_code_however_it_is_typed_is_told_as_before(market):
    answer = market.call(
        "GET",
        "/code",
        params={"code": "０１／０６９０１２３４５６７８９２／２１／１é"},
        headers=PAGE,
    )
    assert (answer.status_code, "é" in answer.text) == (422, True)
    assert "０６９０１" in answer.text


def typings(code: str) -> tuple[str, ...]:
    return code.lower(), code.translate(WIDE), code.lower().translate(WIDE)


def test_who_wrote_something_may_type_code_and_proof_as_they_like(market):
    it = bought(market)
    review(market, it, "看得见的字")
    token = it.proof["Suxin-Claim"]
    for code in (it.unit.code, *typings(it.unit.code)):
        for proof in (token, *typings(token)):
            form = {"code": code, "proof_kind": "claim", "proof": proof}
            answer = market.call("POST", "/privacy", data=form, headers=PAGE)
            assert answer.status_code == 200, (code, proof)
            assert "看得见的字" in answer.text


def test_number_query_code_and_token_may_be_typed_full_width(market):
    it = bought(market)
    form = {"category": "quality", "text": "坏了", "proof": it.proof["Suxin-Claim"].translate(WIDE)}
    page = f"/{it.unit.code}/complaint"
    answer = market.call("POST", page, data=form, headers=PAGE)
    assert answer.status_code == 201, answer.text
    ticket, query = codes_of(answer.text)
    for shape in (lambda told: told.translate(WIDE), lambda told: f"{told[:4]}－{told[4:]}"):
        typed = {"ticket": shape(ticket), "query": shape(query)}
        assert market.call("POST", "/ticket", data=typed, headers=PAGE).status_code == 200
    report = market.call("POST", "/reports", data={"text": "假的"}, headers=PAGE).text
    ticket, query = codes_of(report)
    typed = {"ticket": ticket.translate(WIDE), "query": query.translate(WIDE)}
    assert market.call("POST", "/ticket", data=typed, headers=PAGE).status_code == 200
    erased = market.call("POST", "/privacy", data=typed | {"act": "report"}, headers=PAGE)
    assert erased.status_code == 200


def test_nothing_longer_than_any_code_is_put_into_another_form():
    assert normalise_inner("ａ" * 256) == "A" * 256
    assert normalise_inner("ａ" * 257) == "Ａ" * 257
    with pytest.raises(Invalid) as refused:
        read_typed("１" * 2049)
    assert refused.value.errors[0].params["got"] == 2049


def test_the_packing_table_takes_a_label_that_was_typed(market):
    shop = signed_in(market, party=SHOP, scopes=("events", "codes"))
    for typing in range(3):
        code = market.one().code
        market.sell(code)
        shop.get("/desk/dispatch")
        sent = {"carrier": CARRIER, "waybill": f"SF0001{typing:06d}", "code": typings(code)[typing]}
        answer = shop.post("/desk/dispatch", **sent)
        assert code.replace("/", "%2F") in answer.headers["Location"]


def test_a_cases_number_may_be_typed_full_width(market):
    shop = signed_in(market, party=SHOP, scopes=("events", "codes"))
    case, unit = "306912345000000018", market.one().code
    assert is_sscc(case)
    path = f"/api/v1/cases/{case}/pack"
    market.ask("POST", path, {"codes": [unit]}, token=market.keys[SHOP], status=201)
    wide = case.translate(WIDE)
    for typed in (wide, f"（００）{wide}", f"{wide[:9]}　{wide[9:]}"):
        answer = shop.http.get("/desk/cases", params={"case": typed}, follow_redirects=False)
        assert answer.headers["Location"] == f"/desk/cases/{case}", typed
    shop.get("/desk/dispatch")
    sent = {"carrier": CARRIER, "waybill": "SF0001990001", "code": f"（００）{wide}"}
    answer = shop.post("/desk/dispatch", **sent)
    assert f"done={unit.replace('/', '%2F')}" in answer.headers["Location"]


def test_a_bare_serial_or_lot_is_looked_for_as_typed_and_then_in_capitals(lots):
    office = signed_in(lots, "owner", AUTHORITY)

    def shown(typed: str) -> set[str]:
        office.get("/desk/search")
        page = office.post("/desk/search", 200, q=typed, purpose="case 2026-9").text
        return set(re.findall(r"<code>(01/[^<]+)</code>", page))

    code = lots.one().code
    serial = code.rpartition("/")[2]
    for typed in typings(serial):
        assert shown(typed) == {code}, typed
    for typed, name in (("ab/1", "ab%2F1"), ("AB/1", "AB%2F1"), ("cd-2", "CD-2"), ("ef-3", "ef-3")):
        assert shown(typed) == {f"{PRODUCT}/10/{name}"}, typed
    assert shown(f"(01){GTIN}(10)cd-2") == {f"{PRODUCT}/10/CD-2"}
    assert shown("EF-3") == set()
    body = {"q": serial.lower(), "purpose": "case 2026-9"}
    found = lots.ask("POST", "/api/v1/desk/search", body, token=lots.keys[AUTHORITY])
    assert found["groups"]["units"]["count"] == 0, "a program's number is taken as it stands"


def test_an_authority_types_a_code_into_its_own_forms(market):
    code = market.one().code
    office = signed_in(market, "owner", AUTHORITY)
    for typed in typings(code):
        office.get("/desk/evidence")
        answer = office.post("/desk/evidence", 200, goods=typed, purpose="case 2026-9")
        assert answer.headers["Content-Type"] == "application/zip"
        office.get("/desk/audits")
        page = office.post("/desk/audits", scope="code", about=typed).headers["Location"]
        assert code in office.get(page).text
        office.get("/desk/search")
        assert f"/desk/chains/{code}" in office.post("/desk/search", 200, q=typed).text
    body = {"q": code.lower(), "purpose": "case 2026-9"}
    found = market.ask("POST", "/api/v1/desk/search", body, token=market.keys[AUTHORITY])
    assert found["groups"]["units"]["count"] == 0, "a program's code is taken as it stands"


@pytest.mark.parametrize(
    ("lang", "title", "bound"),
    [
        ("zh", "输入的内容太长", "长度不对：应不大于 {most}，收到 {got}。"),
        ("en", "What was typed is too long", "Wrong length: expected at most {most}, got {got}."),
    ],
)
def test_what_is_typed_too_long_is_told_so_with_its_bound(market, lang, title, bound):
    for path, name, most, got in (("/code", "code", 2048, 2049), ("/search", "q", 100, 3000)):
        headers = {"Accept": "text/html", "Accept-Language": lang}
        answer = market.call("GET", path, params={name: "0" * got}, headers=headers)
        assert answer.status_code == 422
        assert f"<h1>{title}</h1>" in answer.text
        assert bound.format(most=most, got=got) in answer.text
    answer = market.call("GET", f"/credit/{'9' * 65}", headers=PAGE)
    assert "There is no such page" in answer.text, "a link that leads nowhere was not typed"


def test_a_ticket_page_says_what_it_is_of_and_that_its_number_is_missing(market):
    for typed in ({}, {"ticket": " "}, {"query": "ABCD"}):
        answer = market.call("POST", "/ticket", data=typed, headers=PAGE)
        assert answer.status_code == 422
        assert text("en", "page.ticket.number.missing") in answer.text
        assert re.search(
            r'id="ticket"[^>]*aria-describedby="ticket-error[^>]*aria-invalid', answer.text
        )
    answer = market.call("POST", "/reports", data={"text": "假的"}, headers=PAGE)
    ticket, _ = codes_of(answer.text)
    shown = market.call("POST", "/ticket", data={"ticket": ticket}, headers=PAGE).text
    assert "<title>Your report" in shown
    assert '<h1 class="page-title">Your report</h1>' in shown
    assert "Your complaint" not in shown.split("<footer")[0].split("<main")[1]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_link_to_a_ticket_is_called_as_its_page_is(market, lang):
    headers = {"Accept": "text/html", "Accept-Language": lang}
    shown = market.call("GET", "/ticket", headers=headers).text
    (title,) = re.findall('<h1 class="page-title">([^<]+)</h1>', shown)
    home = market.call("GET", "/", headers=headers).text
    links = re.findall(r'<a class="quiet" href="/ticket[^"]*">([^<]+)</a>', shown + home)
    assert (set(links), len(links)) == ({title}, 3), (
        "in both footers, and for buyers on the front page"
    )
    assert f"<title>{title}" in shown


def test_the_numbers_to_call_follow_the_sentence_that_says_so(market):
    it = bought(market)
    form = {"category": "quality", "text": "坏了", "proof": it.proof["Suxin-Claim"]}
    page = market.call("POST", f"/{it.unit.code}/complaint", data=form, headers=PAGE).text
    said, numbers, mark = (
        page.index(one) for one in ("call:", "tel:12315", text("en", "page.result.hash"))
    )
    assert said < numbers < mark
