"""A matter, and goods, about which very much was said: pages stay pages, and nothing is told wrongly."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from app.db.engine import Database
from app.ledger import reading, store
from app.ledger.record import stream_key
from app.oversight import cases
from app.trace import texts
from app.trace.identifiers import parse_code
from app.trace.requests import ConsumerProof
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.test_consumers_api import inner
from tests.web.test_texts_api import bought, complain, erase, follow, review, sealed, ticket


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """As if a hundred were two, and five hundred three."""
    monkeypatch.setattr(cases, "MOST_SAID", 2)
    monkeypatch.setattr(texts, "MOST_TEXTS", 2)
    monkeypatch.setattr(reading, "_PIECE", 3)


def say(market, it, made, words: str, **more) -> dict:
    more = {"headers": ticket(made), "sealed": sealed(words, "detail"), **more}
    return market.send(None, it.unit.code, "message", {"of": made["id"]}, **more)


def test_of_a_long_matter_the_first_the_newest_and_the_first_answers_are_shown(market):
    it = bought(market)
    made = complain(market, it, "打不开盖子")
    for n in range(3):
        say(market, it, made, f"追问{n}")
    reply = {"of": made["id"], "outcome": "accepted"}
    market.send(SHOP, it.unit.code, "reply", reply, sealed=sealed("马上换"))
    for n in range(3, 6):
        say(market, it, made, f"追问{n}")
    told = follow(market, made)
    said = [one["text"] for one in told["said"]]
    assert said == ["打不开盖子", "追问0", "追问1", "马上换", "追问4", "追问5"]
    assert told["left_out"] == 2
    assert told["status"] == "answered"
    assert all(due["met_at"] for due in told["dues"])
    form = {"ticket": made["ticket"], "query": made["query_code"]}
    page = market.call("POST", "/ticket", data=form | {"lang": "en"}).text
    assert "2 more stand in the chain" in page
    one = market.ask("GET", f"/api/v1/complaints/{made['ticket']}", token=market.keys[SHOP])
    assert one["left_out"] == 2


def test_a_text_is_found_hidden_and_erased_wherever_it_stands(market):
    """On a lot that others buy from, too, whose sales are before it and behind it."""
    it = bought(market)
    first = review(market, it, "第一句")
    more = {"headers": it.proof, "sealed": sealed("再说一句")}
    later = [
        market.send(None, it.unit.code, "follow_up", {"rating": 3}, **more)["id"] for _ in range(3)
    ]
    key = market.keys[AUTHORITY]
    body = {"code": it.unit.code, "of": first["id"], "reason": "insult"}
    market.ask("POST", "/api/v1/hidings", body, token=key, status=201)
    principal = market.rooms.keys.authenticate(key)
    shown = market.rooms.texts.public(principal, parse_code(it.unit.code))
    assert [one.id for one in shown.texts] == later[-2:]
    assert shown.is_more
    shown = market.rooms.texts.public(
        principal, parse_code(it.unit.code), before=shown.texts[0].seq
    )
    assert [(one.id, one.hidden) for one in shown.texts] == [
        (first["id"], "insult"),
        (later[0], ""),
    ]
    assert not shown.is_more
    written = market.rooms.texts.written(
        parse_code(it.unit.code), ConsumerProof(token=it.proof["Suxin-Claim"])
    )
    assert [one["id"] for one in written] == later[-2:]
    form = {"code": it.unit.code, "proof_kind": "claim", "proof": it.proof["Suxin-Claim"]}
    seen = market.call("POST", "/privacy", data=form | {"lang": "en"}).text
    assert "These are the newest 2." in seen
    assert erase(market, it, first["id"], it.proof).status_code == 201
    other = bought(market)
    assert erase(market, it, later[0], other.proof).status_code == 403
    form = {"code": other.unit.code, "proof_kind": "claim", "proof": other.proof["Suxin-Claim"]}
    seen = market.call("POST", "/privacy", data=form | {"lang": "en"}).text
    assert "These are the newest" not in seen


def test_nobody_who_holds_a_reader_waits_for_a_second_one(market, monkeypatch):
    """On PostgreSQL there are fewer of them than threads: all would wait for each other."""
    it = bought(market)
    by_inner = inner(it.unit.inner)
    made = review(market, it, "扫码写的", headers=by_inner)
    held, most, read = 0, 0, Database.read

    @contextmanager
    def counted(self):
        nonlocal held, most
        held, most = held + 1, max(most, held + 1)
        try:
            with read(self) as connection:
                yield connection
        finally:
            held -= 1

    monkeypatch.setattr(Database, "read", counted)
    proof = ConsumerProof(inner=it.unit.inner)
    written = market.rooms.texts.written(parse_code(it.unit.code), proof)
    assert [one["id"] for one in written] == [made["id"]]
    assert most == 1


def test_the_record_says_of_what_type_it_is_and_not_the_row_beside_it(market):
    """The column is an index: altered it hides no hiding, keeps no author from erasing, breaks no page."""
    it = bought(market)
    words, other = "谁也不该再读到的一句", "写的人要删去的一句"
    of, mine = review(market, it, words)["id"], complain(market, it, other)
    body = {"code": it.unit.code, "of": of, "reason": "insult"}
    key = market.keys[AUTHORITY]
    market.ask("POST", "/api/v1/hidings", body, token=key, status=201)
    stream = stream_key(it.unit.code)
    for was, now in (("hiding", "label"), ("complaint", "label"), ("dispatch", "message")):
        market.tamper("UPDATE record SET type = ? WHERE stream = ? AND type = ?", now, stream, was)
    principal = market.rooms.keys.authenticate(key)
    (shown,) = market.rooms.texts.public(principal, parse_code(it.unit.code)).texts
    assert (shown.text, shown.hidden) == (None, "insult")
    assert [one["kind"] for one in follow(market, mine)["said"]] == ["complaint"]
    assert erase(market, it, mine["id"], it.proof).status_code == 201


def test_that_a_matter_is_settled_stays_said_however_much_is_answered_afterwards(market):
    """What who complained said last decides, so it is kept, and nothing of theirs before it."""
    it = bought(market)
    made = complain(market, it, "打不开盖子")
    for n in range(3):
        say(market, it, made, f"追问{n}")
    of = {"of": made["id"]}
    more = {"headers": ticket(made), "sealed": sealed("好了", "detail")}
    market.send(None, it.unit.code, "message", of | {"settled": True}, **more)
    for n in range(4):
        market.send(SHOP, it.unit.code, "reply", of, sealed=sealed(f"谢谢{n}"))
    told = follow(market, made)
    said = [one["text"] for one in told["said"]]
    assert said == ["打不开盖子", "追问0", "追问1", "好了", "谢谢0", "谢谢2", "谢谢3"]
    assert told["left_out"] == 2
    assert told["status"] == "settled"
    say(market, it, made, "又坏了")
    told = follow(market, made)
    said = [one["text"] for one in told["said"]]
    assert said == ["打不开盖子", "追问0", "追问1", "谢谢0", "谢谢3", "又坏了"]
    assert (told["left_out"], told["status"]) == (4, "answered")


def test_of_a_long_chain_no_other_records_are_loaded(market, monkeypatch):
    """A lot has records for every step of each consignment; the database passes over them."""
    it = bought(market)
    made = [review(market, it, "一句")["id"], complain(market, it, "又一句")["id"]]
    loaded, read = [], store.read_told_record

    def counted(body):
        loaded.append(fields := read(body))
        return fields

    monkeypatch.setattr(store, "read_told_record", counted)
    stream = it.unit.code
    with market.rooms.database.read() as connection:
        types = frozenset({"review", "complaint", "hiding"})
        found = list(reading.each_of(connection, stream, types))
        assert [one["id"] for one in found] == made
        assert [one["id"] for one in loaded] == made
        after = found[0]["seq"]
        assert list(reading.each_of(connection, stream, types, after_seq=after)) == found[1:]
