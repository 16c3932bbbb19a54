"""The authority's chain: every record with what was verified of it how, and the altered one pointed at."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy import select

from app.i18n import text
from app.ledger import checkpointstore
from app.ledger.checkpoint import Checkpoint, sign_checkpoint
from app.ledger.merkle import leaf_hash, verify_inclusion
from app.ledger.record import record_hash, stream_key
from app.web.pages.seal import seal_words
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import CUSTOMS, GTIN, RIVAL
from tests.web.people import open_people_market, signed_in


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("chain")) as running:
        running.lot("L/1")
        running.sound, running.altered, running.gone = running.issue(3, lot="L/1")
        for unit in (running.sound, running.altered, running.gone):
            running.complete(unit.code)
        running.work()
        yield running


def chain(market, unit):
    return market.ask("GET", f"{unit.path}/chain")


def checks(item) -> dict[str, bool | None]:
    return {one["name"]: one["ok"] for one in item["checks"]}


def own(told, unit):
    return [one for one in told["items"] if one["stream"] == unit.code]


def test_a_sound_chain_has_every_check_and_a_proof_that_verifies_elsewhere(market):
    told = chain(market, market.sound)
    assert (told["verdict"], told["problems"]) == ("intact", [])
    records = own(told, market.sound)
    assert [one["record"]["type"] for one in records] == [
        "registration", "sale", "dispatch", "signature",
    ]  # fmt: skip
    for one in records:
        assert not one["problems"]
        found = checks(one)
        for name in ("hash", "link", "inclusion", "consistency"):
            assert found[name] is True, name
        assert found["signature"] is None, "nobody signed, so nothing was verified"
        newest, first = one["checkpoint"], one["first_checkpoint"]
        assert one["leaf_index"] < first["size"] <= newest["size"]
        verify_inclusion(
            index=one["leaf_index"],
            size=newest["size"],
            leaf_hash=leaf_hash(bytes.fromhex(one["hash"])),
            proof=[base64.b64decode(part) for part in one["inclusion"]],
            root=bytes.fromhex(newest["root"]),
        )
    hashes = [one["hash"] for one in records]
    assert [one["record"]["prev"] for one in records[1:]] == hashes[:-1]
    above = [one for one in told["items"] if one["stream"] != market.sound.code]
    assert above
    assert {checks(one)["link"] for one in above if one["seq"]} <= {None}


def test_a_record_stands_under_the_first_checkpoint_that_covered_it(market):
    before = own(chain(market, market.sound), market.sound)[-1]["first_checkpoint"]["size"]
    (later,) = market.issue()
    market.publish()
    sizes = own(chain(market, later), later)[0]
    assert sizes["first_checkpoint"]["size"] > before
    again = own(chain(market, market.sound), market.sound)[-1]
    assert again["first_checkpoint"]["size"] == before
    assert again["checkpoint"]["size"] == sizes["checkpoint"]["size"]


def test_a_first_checkpoint_that_nobody_signed_proves_nothing(market):
    unit = market.one()
    market.sell(unit.code)
    market.publish()
    newest = own(chain(market, unit), unit)[-1]
    assert checks(newest)["consistency"] is True
    size = newest["first_checkpoint"]["size"]
    market.one()
    market.publish()
    with market.rooms.database.read() as connection:
        row = checkpointstore.CHECKPOINT
        note = connection.execute(select(row.c.note).where(row.c.size == size)).scalar_one()
    market.tamper("UPDATE checkpoint SET note = ? WHERE size = ?", f"{note}x", size)
    try:
        assert checks(own(chain(market, unit), unit)[-1])["consistency"] is None
    finally:
        market.tamper("UPDATE checkpoint SET note = ? WHERE size = ?", note, size)


def test_before_it_is_published_nothing_is_said_of_the_log(market):
    (fresh,) = market.issue()
    told = own(chain(market, fresh), fresh)[0]
    assert checks(told)["inclusion"] is None
    assert checks(told)["consistency"] is None
    assert told["checkpoint"] is None
    market.publish()


def test_an_altered_record_is_pointed_at_with_what_was_expected_and_found(market):
    key = stream_key(market.altered.code)
    with market.rooms.database.read() as connection:
        body = connection.exec_driver_sql(
            f"SELECT body FROM record WHERE stream = {key} AND seq = 2"
        ).scalar()
    wrong = bytes(body).replace(b"440100", b"440300")
    expected = own(chain(market, market.altered), market.altered)[2]["hash"]
    market.tamper("UPDATE record SET body = ? WHERE stream = ? AND seq = 2", wrong, key)
    told = chain(market, market.altered)
    assert told["verdict"] == "broken"
    broken = [one for one in told["items"] if one["problems"]]
    assert [(one["stream"], one["seq"]) for one in broken] == [(market.altered.code, 2)]
    (problem,) = broken[0]["problems"]
    assert problem["kind"] == "integrity.hash_mismatch"
    assert problem["evidence"] == {"expected": expected, "got": record_hash(wrong).hex()}
    told = checks(broken[0])
    assert told["hash"] is False
    asked = ("link", "signature", "attached")
    assert [told[name] for name in asked] == [None] * 3, "nothing is ticked off on altered bytes"
    page = signed_in(market, "owner", AUTHORITY).get(f"/desk/chains/{market.altered.code}").text
    for said in (expected, record_hash(wrong).hex(), "Expected", "Found", "does not agree"):
        assert said in page


def test_a_record_that_is_gone_has_a_line_where_it_stood(market):
    key = stream_key(market.gone.code)
    market.tamper("DELETE FROM record WHERE stream = ? AND seq = 1", key)
    told = own(chain(market, market.gone), market.gone)
    assert [one["seq"] for one in told] == [0, 1, 2, 3]
    assert told[1]["record"] is None
    assert told[1]["problems"][0]["kind"] == "integrity.record_missing"
    page = signed_in(market, "owner", AUTHORITY).get(f"/desk/chains/{market.gone.code}").text
    assert "A record that is gone" in page


def test_bytes_that_are_no_record_any_more_are_shown_as_they_are(market):
    (unit,) = market.issue()
    market.publish()
    market.tamper("UPDATE record SET body = ? WHERE stream = ?", b"\xff<b>", stream_key(unit.code))
    (told,) = own(chain(market, unit), unit)
    assert told["record"] is None
    assert told["unreadable"] == "\ufffd<b>"
    page = signed_in(market, "owner", AUTHORITY).get(f"/desk/chains/{unit.code}").text
    assert "&lt;b&gt;" in page


def test_lots_and_products_have_their_chains_too(market):
    assert market.ask("GET", f"/api/v1/lots/{GTIN}/L%2F1/chain")["items"]
    assert market.ask("GET", f"/api/v1/products/{GTIN}/chain")["items"]
    browser = signed_in(market, "owner", AUTHORITY)
    for path in (f"01/{GTIN}", f"01/{GTIN}/10/L%2F1", market.sound.code):
        assert "Record by record" in browser.get(f"/desk/chains/{path}").text
    browser.get(f"/desk/chains/01/{GTIN}/21/UNKNOWN", 404)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_who_owns_a_brand_is_a_record_told_in_words(market, lang):
    gtin = {"zh": "06923450656174", "en": "06936983800013"}[lang]
    body = {"gtin": gtin, "name": "示例", "category": "other", "claim": True}
    market.ask("POST", "/api/v1/products", body, token=market.keys[SHOP], status=201)
    market.ask("POST", "/api/v1/products", body, token=market.keys[RIVAL])
    owner = {"party": SHOP, "evidence": "trade mark certificate"}
    market.ask("POST", f"/api/v1/products/{gtin}/owner", owner, token=market.admin)
    browser = signed_in(market, "owner", AUTHORITY)
    page = browser.get(f"/desk/chains/01/{gtin}?lang={lang}").text
    assert f"<h3>1 · {text(lang, 'event.brand_claim')}</h3>" in page
    assert f"<h3>2 · {text(lang, 'event.brand_owner')}</h3>" in page
    assert "brand_" not in page
    # What was only claimed is not called confirmed, for anybody.
    page = market.client.get(f"/01/{gtin}?lang={lang}", headers={"Accept": "text/html"}).text
    for type_ in ("brand_claim", "brand_owner"):
        assert text(lang, f"page.step.{type_}") in page
    assert "brand_" not in page


def signed_too_soon(market):
    """A unit signed for before it was sent, by the times told."""
    unit = market.one()
    market.sell(unit.code)
    market.dispatch(unit.code, hours=-1)
    market.sign(unit.code, hours=-2)
    market.work()
    return unit


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_is_found_on_a_chain_stands_beside_its_verdict(market, lang):
    unit = signed_too_soon(market)
    browser = signed_in(market, "owner", AUTHORITY)
    page = browser.get(f"/desk/chains/{unit.code}?lang={lang}").text
    token = market.keys[AUTHORITY]
    asked = "/api/v1/findings?kind=continuity.impossible_order"
    items = market.ask("GET", asked, token=token)["items"]
    (found,) = (one for one in items if one["stream"] == unit.code)
    verdict = page.partition(text(lang, "verdict.intact"))[2].partition("</section>")[0]
    assert text(lang, "chain.found.one") in verdict
    assert f'href="/desk/findings/{found["id"]}?lang={lang}"' in verdict
    assert text(lang, "finding.continuity.impossible_order") in verdict
    assert text(lang, f"casework.severity.{found['severity']}") in verdict
    assert text(lang, f"casework.status.{found['status']}") in verdict
    assert text(lang, "chain.found.none") not in page
    clean = browser.get(f"/desk/chains/{market.sound.code}?lang={lang}").text
    assert text(lang, "chain.found.none") in clean
    assert text(lang, "chain.found.one") not in clean


def test_a_finding_that_is_another_offices_affair_is_counted_and_not_told(market):
    unit = signed_too_soon(market)
    path = f"/desk/chains/{unit.code}"
    away = signed_in(market, "owner", AUTHORITY, region="310000")
    page = away.get(path).text
    assert text("en", "finding.continuity.impossible_order") not in page
    assert text("en", "chain.found.elsewhere", count=1) in page
    assert text("en", "chain.found.none") not in page
    assert "/desk/findings/" not in page.partition("verdict-title")[2].partition("</section>")[0]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_public_page_tells_the_order_of_times_and_no_finding(market, lang):
    unit = signed_too_soon(market)
    page = market.call("GET", f"/{unit.code}?lang={lang}").text
    assert text(lang, "page.verdict.order") in page
    start = text(lang, "page.step_before_dispatch", at="|").partition("|")[0]
    assert page.count(start) == 1
    assert text(lang, "finding.continuity.impossible_order") not in page
    assert market.ask("GET", unit.path)["verdict"] == "intact"
    sound = market.call("GET", f"/{market.sound.code}?lang={lang}").text
    assert start not in sound
    assert text(lang, "page.verdict.order") not in sound


def test_of_two_signatures_the_order_of_times_is_told_of_the_one_that_stands(market):
    code = market.one().code
    market.send(SHOP, code, "sale", {"region": "440100"}, hours=-12)
    market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, hours=-8)
    market.send(SHOP, code, "signature", {"kind": "in_person"}, hours=-7)
    market.send(CARRIER, code, "signature", {"kind": "in_person"}, hours=-9)
    page = market.call("GET", f"/{code}?lang=en").text
    start = text("en", "page.step_before_dispatch", at="|").partition("|")[0]
    assert page.count(start) == 1
    assert page.count(text("en", "page.step_outweighed")) == 1


def test_what_is_sealed_is_opened_for_a_purpose_and_logged(market):
    path = f"/desk/chains/{market.sound.code}"
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"])
    assert "TEST0" not in browser.get(path).text
    page = browser.post(path, 422, purpose="n").text
    assert "f-purpose-error" in page
    assert 'value="n"' in page
    for lang, told in (("zh", "号码：TEST0"), ("en", "Number: TEST0")):
        page = browser.post(path, 200, purpose="投诉 2026-17", lang=lang).text
        assert f"<b>{told}" in page, "in words, not by the names of its parts"
    looks = market.ask("GET", "/api/v1/access-log", token=market.keys[AUTHORITY])["items"]
    assert {(one["by"], one["purpose"]) for one in looks} == {(browser.name, "投诉 2026-17")}
    assert {one["section"] for one in looks} == {"waybill"}


def test_whoever_may_not_open_is_not_asked_to(market):
    without = signed_in(market, "staff", AUTHORITY, scopes=["audit"])
    page = without.get(f"/desk/chains/{market.sound.code}").text
    assert 'name="purpose"' not in page
    without.post(f"/desk/chains/{market.sound.code}", 403, purpose="case 2026")
    signed_in(market, "owner", CUSTOMS).get(f"/desk/chains/{market.sound.code}")
    signed_in(market, "owner", SHOP).get(f"/desk/chains/{market.sound.code}", 403)


def test_a_signed_tree_that_todays_does_not_go_on_from_is_told(market):
    """Whoever holds the log's key could have signed another history once; the records stay proven."""
    (unit,) = market.issue()
    market.publish()
    index = own(chain(market, unit), unit)[0]["leaf_index"]
    market.one()
    market.publish()
    assert checks(own(chain(market, unit), unit)[0])["consistency"] is True
    with market.rooms.database.read() as connection:
        (first,) = connection.exec_driver_sql(
            f"SELECT min(size) FROM checkpoint WHERE size > {index}"
        ).one()
    signer, forged = market.rooms.keyring.log, bytes(32)
    note = sign_checkpoint(Checkpoint(signer.vkey.name, first, forged), signer)
    market.tamper("UPDATE checkpoint SET root = ?, note = ? WHERE size = ?", forged, note, first)
    told = checks(own(chain(market, unit), unit)[0])
    assert (told["inclusion"], told["consistency"]) == (True, False)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_verdict_is_called_by_the_words_of_its_seal_wherever_it_is_told(lang):
    for verdict in ("intact", "incomplete", "broken"):
        said = text(lang, f"verdict.{verdict}")
        assert said.upper() == " ".join(seal_words(verdict, lang))
        assert text(lang, f"package.verdict.{verdict}").startswith(said)


def test_what_is_known_of_an_import_is_told_in_words(market):
    lot = market.lot("IMP-7", **{"import": {"mode": "9610", "port": "广州南沙", "origin": "IT"}})
    page = signed_in(market, "owner", AUTHORITY).get(f"/desk/chains/{lot}?lang=zh").text
    for said in ("进口方式：直购进口（9610）", "口岸：广州南沙", "原产地：IT"):
        assert said in page
    assert "mode: " not in page
