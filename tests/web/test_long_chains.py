"""Chains of thousands of records: read page by page, looked at in part, never told to be something else."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy import select

from app.ledger.merkle import leaf_hash, verify_inclusion
from app.ledger.record import stream_key
from app.ledger.store import RECORD
from app.web.paging import encode_place
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.filling import lengthen
from tests.web.market import GTIN, told
from tests.web.people import open_people_market, signed_in
from tests.web.test_texts_api import sealed

LONG = 5_001


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("long")) as running:
        running.long = running.lot("LONG", produced_on="2026-10-01")
        running.early = review(running, running.long, "A", "早先写下的一句话三六九")
        lengthen(running, running.long, LONG)
        running.late = review(running, running.long, "B", "后来写下的一句话五八二")
        body = {"code": running.long, "of": running.early["id"], "reason": "insult"}
        key = running.keys[AUTHORITY]
        running.ask("POST", "/api/v1/hidings", body, token=key, status=201)
        reply = {"of": running.late["id"]}
        running.send(SHOP, running.long, "reply", reply, sealed=sealed("谢谢您的评价"))
        running.publish()
        yield running


def review(market, lot: str, consignment: str, words: str) -> dict:
    data = {"consignment": consignment, "platform": PLATFORM}
    sale = market.send(PLATFORM, lot, "sale", data, hours=-3, actor=SHOP)
    proof = {"Suxin-Claim": sale["claim_token"]}
    rating = {"consignment": consignment, "rating": 2}
    made = market.send(None, lot, "review", rating, headers=proof, sealed=sealed(words))
    return made | {"proof": proof}


def path_of(lot: str) -> str:
    return f"/api/v1/lots/{GTIN}/{lot.rsplit('/', 1)[1]}"


def pages(market, path: str, limit: int | None = None):
    query, cursor = "" if limit is None else f"&limit={limit}", ""
    while True:
        told = market.ask("GET", f"{path}?{query}{cursor}")
        yield told
        if told["next"] is None:
            return
        cursor = f"&cursor={told['next']}"


def checks(item) -> dict[str, bool | None]:
    return {one["name"]: one["ok"] for one in item["checks"]}


# --- the chain, page by page -------------------------------------------------------------------


def test_a_long_chain_is_read_page_by_page_each_record_once_and_proven(market):
    found = list(pages(market, f"{path_of(market.long)}/chain"))
    own = [[one for one in page["items"] if one["stream"] == market.long] for page in found]
    sizes = [len(items) for items in own]
    assert sizes[:-1] == [1_000] * (len(sizes) - 1)
    seqs = [one["seq"] for items in own for one in items]
    assert seqs == list(range(len(seqs)))
    assert len(seqs) > LONG
    for page in found:
        assert (page["verdict"], page["problems"]) == ("intact", [])
    assert all(checks(one)["link"] is True for items in own for one in items)
    hashes = [one["hash"] for items in own for one in items]
    assert [one["record"]["prev"] for items in own for one in items][1:] == hashes[:-1]
    last = own[-1][-1]
    verify_inclusion(
        index=last["leaf_index"],
        size=last["checkpoint"]["size"],
        leaf_hash=leaf_hash(bytes.fromhex(last["hash"])),
        proof=[base64.b64decode(part) for part in last["inclusion"]],
        root=bytes.fromhex(last["checkpoint"]["root"]),
    )


def test_the_story_comes_in_the_same_pages(market):
    found = list(pages(market, f"{path_of(market.long)}/events"))
    assert [len(page["items"]) for page in found][1:-1] == [1_000] * (len(found) - 2)
    seqs = [one["record"]["seq"] for page in found for one in page["items"]
            if one["record"]["stream"] == market.long]  # fmt: skip
    assert seqs == list(range(len(seqs)))
    assert len(seqs) > LONG


def test_a_usual_chain_is_whole_and_its_pages_can_be_made_small(market):
    unit = market.one()
    market.complete(unit.code)
    market.publish()
    for name in ("chain", "events"):
        whole = market.ask("GET", f"{unit.path}/{name}")
        assert whole["next"] is None
        parts = list(pages(market, f"{unit.path}/{name}", limit=1))
        assert len(parts) == 4
        records = [one["record"] for page in parts for one in page["items"]]
        own = [one for one in records if one["stream"] == unit.code]
        assert own == [one["record"] for one in whole["items"]
                       if one["record"]["stream"] == unit.code]  # fmt: skip
        # What a record refers to is beside it.
        (sale,) = (page for page in parts if page["items"][-1]["record"]["type"] == "sale"
                   or any(one["record"]["type"] == "sale" for one in page["items"]))  # fmt: skip
        assert any(one["record"]["type"] == "listing" for one in sale["items"])


@pytest.mark.parametrize("place", [(10**9,), (-7,), (2**63 - 1,), (0,)])
def test_a_made_up_cursor_accuses_nobody(market, place):
    for path in (path_of(market.long), market.one().path):
        cursor = encode_place(place)
        found = market.ask("GET", f"{path}/chain?limit=3&cursor={cursor}")
        assert (found["verdict"], found["problems"]) == ("intact", [])
        assert not any(one["problems"] for one in found["items"])
        market.ask("GET", f"{path}/events?limit=3&cursor={cursor}")


def test_an_authority_reads_it_in_pages_too(market):
    browser = signed_in(market, "owner", AUTHORITY)
    page = browser.get(f"/desk/chains/{market.long}?lang=en").text
    assert page.count('class="card-head"') >= 200
    assert f"{LONG + 7} records" in page
    cursor = encode_place((199,))
    assert f"cursor={cursor}" in page
    following = browser.get(f"/desk/chains/{market.long}?lang=en&cursor={cursor}").text
    assert "<h3>200 " in following
    assert "<h3>199 " not in following


# --- a page shows a part, and says so -----------------------------------------------------------


def test_the_page_of_a_long_lot_says_which_part_was_checked_and_where_the_rest_is(market):
    total = market.ask("GET", path_of(market.long))["head"]["seq"] + 1
    verification = market.ask("GET", f"{path_of(market.long)}/verification")
    (extent,) = [one for one in verification["checks"] if one["name"] == "extent"]
    assert extent["ok"] is None
    for number in (500, total):
        assert str(number) in extent["detail"]
    for lang in ("en", "zh"):
        page = market.call("GET", f"/{market.long}?lang={lang}").text
        assert str(total) in page
        assert f'href="{path_of(market.long)}/chain"' in page
        assert "/evidence" not in page, "there is none of a chain that long"
        assert 'class="seal seal-intact"' not in page, "it says that the chain is whole"
    assert "500" in page
    details = {one["name"]: one["detail"] for one in verification["checks"]}
    assert "newest" in details["hash"]
    assert "newest" in details["link"]
    assert market.call("GET", f"/{market.long}").text.count('class="step ') < 510


def test_what_applies_to_all_is_known_however_long_ago_it_was_said(market):
    lot = market.lot("RECALLED", produced_on="2026-10-01", expires_on="2026-10-02")
    market.send(SHOP, lot, "recall", {"reason": "示例召回"})
    lengthen(market, lot, 620)
    found = market.ask("GET", f"{path_of(lot)}/verification")
    assert (found["verdict"], found["problems"]) == ("intact", [])
    assert {"recalled", "expired"} <= set(found["warnings"])
    page = market.call("GET", f"/{lot}?lang=en").text
    assert "示例召回" in page
    assert "2026" in page
    market.send(SHOP, lot, "recall_lifted", {"reason": "已整改"})
    market.publish()
    assert "recalled" not in market.ask("GET", f"{path_of(lot)}/verification")["warnings"]


def test_a_state_that_was_altered_is_seen_on_a_long_lot_too(market):
    lot = market.lot("STATE")
    market.send(SHOP, lot, "recall", {"reason": "示例召回"})
    lengthen(market, lot, 620)
    key = stream_key(lot)
    with market.rooms.database.read() as connection:
        (state,) = connection.exec_driver_sql(f"SELECT state FROM head WHERE stream = {key}").one()
    market.tamper("UPDATE head SET state = ? WHERE stream = ?", b"{}", key)
    told_ = market.ask("GET", f"{path_of(lot)}/verification")
    assert [one["kind"] for one in told_["problems"]] == ["integrity.index_mismatch"]
    market.tamper("UPDATE head SET state = ? WHERE stream = ?", bytes(state), key)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("UPDATE record SET hash = ? WHERE stream = ? AND seq = ?", "integrity.index_mismatch"),
        ("UPDATE record SET body = ? WHERE stream = ? AND seq = ?", "integrity.hash_mismatch"),
        ("DELETE FROM record WHERE hash <> ? AND stream = ? AND seq = ?",
         "integrity.record_missing"),
    ],
)  # fmt: skip
def test_what_is_altered_in_the_newest_part_breaks_the_page_at_once(market, change, kind):
    lot = market.lot(f"NEWEST-{kind[10:14]}-{change[:2]}")
    lengthen(market, lot, 620)
    market.tamper(change, b"\x00" * 32, stream_key(lot), 600)
    found = market.ask("GET", f"{path_of(lot)}/verification")
    assert found["verdict"] == "broken"
    assert (kind, 600) in [(one["kind"], one["seq"]) for one in found["problems"]]
    assert len(found["problems"]) == 1


def test_a_chain_cut_short_at_its_end_is_seen_in_part_too(market):
    lot = market.lot("CUT")
    lengthen(market, lot, 620)
    market.tamper("DELETE FROM record WHERE seq > ? AND stream = ?", 610, stream_key(lot))
    found = market.ask("GET", f"{path_of(lot)}/verification")
    seqs = [one["seq"] for one in found["problems"]]
    assert seqs == list(range(611, 621))


def test_what_is_altered_earlier_is_on_its_page_and_on_every_page_once_it_was_met(market):
    lot = market.lot("EARLIER")
    lengthen(market, lot, 620)
    market.tamper("UPDATE record SET body = ? WHERE stream = ? AND seq = ?",
                  b"{}", stream_key(lot), 30)  # fmt: skip
    found = market.ask("GET", f"{path_of(lot)}/verification")
    assert found["verdict"] == "intact", "not claimed of what was not checked"
    assert any(one["name"] == "extent" for one in found["checks"])
    chain = list(pages(market, f"{path_of(lot)}/chain", limit=100))
    broken = [(one["seq"], n) for n, page in enumerate(chain) for one in page["items"]
              if one["problems"]]  # fmt: skip
    assert broken == [(30, 0)]
    market.work()
    assert market.ask("GET", f"{path_of(lot)}/verification")["verdict"] == "broken"
    assert "altered" in market.call("GET", f"/{lot}?lang=en").text


def test_a_record_that_is_gone_between_two_pages_stands_on_one_of_them(market):
    lot = market.lot("BETWEEN")
    lengthen(market, lot, 50)
    for seq in (10, 11, 25):
        market.tamper("DELETE FROM record WHERE stream = ? AND seq = ?", stream_key(lot), seq)
    found = list(pages(market, f"{path_of(lot)}/chain", limit=10))
    seqs = [one["seq"] for page in found for one in page["items"] if one["stream"] == lot]
    assert seqs == list(range(51))
    gone = [one["seq"] for page in found for one in page["items"] if one["problems"]]
    assert gone == [10, 11, 25]
    assert found[-1]["verdict"] == "broken"


# --- evidence ------------------------------------------------------------------------------------


def test_evidence_is_of_a_whole_chain_or_not_at_all(market):
    refused = market.call("GET", f"{path_of(market.long)}/evidence")
    assert told(refused)[:2] == (409, "chain-too-long")
    lot = market.lot("SHORT")
    lengthen(market, lot, 620)
    bundle = market.ask("GET", f"{path_of(lot)}/evidence")
    (own,) = [one for one in bundle["streams"] if one["stream"] == lot]
    assert len(own["records"]) == 621


# --- reviews of a long chain ----------------------------------------------------------------------


def test_a_review_behind_thousands_of_records_is_there_and_a_hidden_one_is_hidden(market):
    found = market.ask("GET", "/api/v1/reviews?limit=500", token=market.keys[SHOP])["items"]
    by_id = {one["first"]["id"]: one["first"] for one in found}
    late, early = by_id[market.late["id"]], by_id[market.early["id"]]
    assert late["said"]["text"] == "后来写下的一句话五八二"
    assert [one["text"] for one in late["replies"]] == ["谢谢您的评价"]
    assert (early["said"]["hidden"], early["said"]["text"]) == ("insult", "")


def test_a_review_whose_record_was_altered_is_called_neither_written_nor_erased(market):
    lot = market.lot("SPOILT")
    made = review(market, lot, "A", "改动之前的话")
    market.publish()
    hash_, change = bytes.fromhex(made["hash"]), "UPDATE record SET body = ? WHERE hash = ?"
    with market.rooms.database.read() as connection:
        query = select(RECORD.c.body).where(RECORD.c.hash == hash_)
        body = bytes(connection.execute(query).scalar_one())
    market.tamper(change, b"{}", hash_)
    found = market.ask("GET", "/api/v1/reviews?limit=500", token=market.keys[SHOP])["items"]
    (one,) = [one["first"] for one in found if one["first"]["id"] == made["id"]]
    market.tamper(change, body, hash_)
    assert one["said"]["unreadable"] is True
    assert one["said"]["text"] == ""


def test_a_text_erased_behind_thousands_of_others_is_no_hand_in_the_database(market):
    lot = market.lot("ERASED")
    made = review(market, lot, "A", "要删除的话")
    lengthen(market, lot, 1_010, "erasure")
    body = {"code": lot, "of": made["id"]}
    market.ask("POST", "/api/v1/erasures", body, headers=made["proof"], status=201)
    market.publish()
    found = market.ask("GET", f"{path_of(lot)}/chain?limit=10")
    assert (found["verdict"], found["problems"]) == ("intact", [])
    assert not any(one["problems"] for one in found["items"])
