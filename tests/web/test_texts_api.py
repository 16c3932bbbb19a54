"""What people wrote: complaints followed by ticket, texts hidden with a reason, one's own erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.i18n import text
from app.trace.requests import ConsumerProof, EventRequest
from app.trace.texts import REASONS
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL, told
from tests.web.shown_forms import Shown
from tests.web.test_consumers_api import INVALID, claim, inner

WORDS = "石质细润，独一无二的句子七四一"


@dataclass(frozen=True)
class Bought:
    """A unit that was sold and signed for, and the buyer's proof."""

    unit: Any
    proof: dict[str, str]


def bought(market: Any, **more: Any) -> Bought:
    unit = market.one(inner=True, **more)
    token = market.sell_by_platform(unit.code, hours=-5)["claim_token"]
    market.dispatch(unit.code)
    market.sign(unit.code)
    return Bought(unit, claim(token))


def sealed(words: str, name: str = "text") -> dict[str, Any]:
    return {name: {"content": {"text": words}}}


def review(market: Any, it: Bought, words: str = WORDS, **more: Any) -> dict[str, Any]:
    more = {"headers": it.proof, "sealed": sealed(words), **more}
    return market.send(None, it.unit.code, "review", {"rating": 2}, **more)


def complain(market: Any, it: Bought, words: str = WORDS) -> dict[str, Any]:
    more = {"headers": it.proof, "sealed": sealed(words, "detail")}
    return market.send(None, it.unit.code, "complaint", {"category": "quality"}, **more)


def ticket(told: dict[str, Any]) -> dict[str, str]:
    return {"Suxin-Ticket": told["query_code"]}


def page(market: Any, it: Bought) -> str:
    return market.call("GET", f"/{it.unit.code}", headers={"User-Agent": "curl"}).text


def follow(market: Any, made: dict[str, Any], **more: Any) -> dict[str, Any]:
    more = {"headers": ticket(made), **more}
    return market.ask("GET", f"/api/v1/tickets/{made['ticket']}", **more)


def erase(market: Any, it: Bought, of: str, proof: dict[str, str]) -> Any:
    return market.call("POST", "/api/v1/erasures", {"code": it.unit.code, "of": of}, headers=proof)


def audit_is_clean(market: Any) -> None:
    """The whole audit finds nothing: what was hidden or erased is on record."""
    market.publish()
    job = market.ask(
        "POST", "/api/v1/audits", {"scope": "all"}, token=market.keys[AUTHORITY], status=202
    )
    market.work()
    done = market.ask("GET", f"/api/v1/audits/{job['id']}", token=market.keys[AUTHORITY])
    assert (done["status"], done["findings"]) == ("done", 0)


# ---------------------------------------------------------------- hidden


def test_a_text_is_hidden_with_its_reason_and_can_be_shown_again(market):
    it = bought(market)
    of = review(market, it)["id"]
    assert WORDS in page(market, it)
    body = {"code": it.unit.code, "of": of, "reason": "personal_data"}
    made = market.ask("POST", "/api/v1/hidings", body, token=market.keys[AUTHORITY], status=201)
    shown = page(market, it)
    assert WORDS not in shown
    assert "holds another person&#39;s data" in shown
    record = market.ask("GET", f"{it.unit.path}/events")["items"][-1]["record"]
    assert (record["type"], record["actor"], record["source"]) == ("hiding", AUTHORITY, "regulator")
    assert (record["data"], record["id"]) == ({"of": of, "reason": "personal_data"}, made["id"])
    again = body | {"shown": True}
    market.ask("POST", "/api/v1/hidings", again, token=market.keys[AUTHORITY], status=201)
    assert WORDS in page(market, it)
    # And once more: what was lifted may be hidden for the same reason.
    market.ask("POST", "/api/v1/hidings", body, token=market.keys[AUTHORITY], status=201)
    assert WORDS not in page(market, it)
    assert market.ask("GET", it.unit.path)["verdict"] == "intact"
    audit_is_clean(market)


def test_the_operator_hides_in_its_own_name_and_a_repeat_is_one(market):
    it = bought(market)
    body = {"code": it.unit.code, "of": review(market, it)["id"], "reason": "insult"}
    body |= {"id": "0192f3a0-0000-7000-8000-00000000cafe"}
    first = market.ask("POST", "/api/v1/hidings", body, token=market.admin, status=201)
    assert market.ask("POST", "/api/v1/hidings", body, token=market.admin, status=201) == first
    record = market.ask("GET", f"{it.unit.path}/events")["items"][-1]["record"]
    assert (record["actor"], record["source"], record["seq"]) == ("system", "system", first["seq"])


def test_neither_seller_nor_rival_hides_a_text_and_nobody_hides_a_fact(market):
    it = bought(market)
    of = review(market, it)["id"]
    body = {"code": it.unit.code, "of": of, "reason": REASONS[0]}
    for token in (market.keys[SHOP], market.keys[RIVAL]):
        assert told(market.call("POST", "/api/v1/hidings", body, token=token))[:2] == (
            403, "forbidden",
        )  # fmt: skip
    sale = market.ask("GET", f"{it.unit.path}/events")["items"]
    for one in sale:
        if one["record"]["type"] == "sale":
            answer = market.call(
                "POST", "/api/v1/hidings", body | {"of": one["record"]["id"]},
                token=market.keys[AUTHORITY],
            )  # fmt: skip
            assert told(answer)[:2] == (404, "not-found")
    for type_ in ("hiding", "erasure"):
        assert market.refused(AUTHORITY, it.unit.code, type_, {"of": of})[:2] == (422, "invalid")


# ---------------------------------------------------------------- erased


def test_an_erased_review_is_nowhere_and_its_chain_verifies_on(market):
    it = bought(market)
    of = review(market, it)["id"]
    market.publish()
    before = market.ask("GET", f"{it.unit.path}/events")["items"]
    answer = erase(market, it, of, it.proof)
    assert answer.status_code == 201, answer.text
    assert "erased by" in page(market, it)
    assert WORDS not in page(market, it)
    after = market.ask("GET", f"{it.unit.path}/events")["items"]
    assert after[: len(before)] == before
    record = after[-1]["record"]
    assert (record["type"], record["actor"]) == ("erasure", "system")
    assert record["data"] == {"of": of, "sections": ["text"]}
    seen = market.ask("GET", f"{it.unit.path}/verification")
    assert seen["verdict"] == "intact"
    assert all(check["ok"] is not False for check in seen["checks"])
    audit_is_clean(market)
    # The key is destroyed with the content: neither is in the database any more.
    with market.rooms.database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT sealed, wrapped_key FROM sealed_section WHERE erased_at IS NOT NULL"
        ).all()
    assert rows
    assert {tuple(row) for row in rows} == {(None, None)}
    # Asked again it is answered as before, and nothing is written.
    again = erase(market, it, of, it.proof)
    assert again.json() == answer.json()
    assert len(market.ask("GET", f"{it.unit.path}/events")["items"]) == len(after)


def test_only_who_wrote_it_erases_it(market):
    it, other = bought(market), bought(market)
    of = review(market, it)["id"]
    made = complain(market, other)
    for proof in (other.proof, claim("P" + "A" * 26), inner("WRONG"), ticket(made)):
        assert told(erase(market, it, of, proof)) == INVALID
    # The pack's code did not write it: who has the pack now need not be who wrote.
    assert told(erase(market, it, of, inner(it.unit.inner))) == INVALID
    assert told(erase(market, it, of, {}))[:2] == (401, "unauthenticated")
    assert WORDS in page(market, it)


def test_a_token_that_a_return_has_ended_still_erases_what_was_written_with_it(market):
    it = bought(market)
    of = review(market, it)["id"]
    market.send(SHOP, it.unit.code, "return", {"reason": "no_reason_7_days"}, hours=-0.5)
    assert told(market.post(None, it.unit.code, "complaint", {"category": "other"},
                            headers=it.proof)) == INVALID  # fmt: skip
    later = market.sell_by_platform(it.unit.code, hours=-0.2)["claim_token"]
    assert told(erase(market, it, of, claim(later))) == INVALID
    assert erase(market, it, of, it.proof).status_code == 201


def test_the_code_inside_the_pack_erases_until_the_pack_goes_back(market):
    it = bought(market)
    pack = inner(it.unit.inner)
    of = review(market, it, headers=pack)["id"]
    later = market.send(
        None, it.unit.code, "follow_up", {"rating": 1}, headers=pack, sealed=sealed("二"),
    )["id"]  # fmt: skip
    assert erase(market, it, later, pack).status_code == 201
    market.send(SHOP, it.unit.code, "return", {"reason": "no_reason_7_days"}, hours=-0.5)
    assert told(erase(market, it, of, pack)) == INVALID


# ---------------------------------------------------------------- tickets


def test_a_complaint_is_followed_from_its_ticket_to_its_end(market):
    it = bought(market)
    made = complain(market, it)
    case = follow(market, made)
    assert (case["status"], case["code"], case["category"]) == ("waiting", it.unit.code, "quality")
    assert [one["text"] for one in case["said"]] == [WORDS]
    reply, proposal = case["dues"]
    assert (reply["name"], reply["met_at"], reply["late"]) == ("reply", None, False)
    assert reply["due_at"] < proposal["due_at"]

    market.clock.advance(25 * 3_600)
    assert follow(market, made)["status"] == "overdue"
    market.send(SHOP, it.unit.code, "reply", {"of": made["id"]}, sealed=sealed("请补充照片"))
    case = follow(market, made)
    assert (case["status"], case["said"][-1]["text"]) == ("answered", "请补充照片")
    assert case["dues"][0]["late"] is True
    assert case["dues"][1]["met_at"] is None

    more = {"headers": ticket(made), "sealed": sealed("裂纹在背面", "detail")}
    message = market.send(None, it.unit.code, "message", {"of": made["id"]}, **more)
    data = {"of": message["id"], "outcome": "accepted"}
    market.send(SHOP, it.unit.code, "reply", data, sealed=sealed("同意换货"))
    end = {"of": made["id"], "rating": 4, "settled": True}
    market.send(None, it.unit.code, "message", end, headers=ticket(made))
    case = follow(market, made)
    assert case["status"] == "settled"
    assert [one["kind"] for one in case["said"]] == [
        "complaint", "reply", "message", "reply", "message",
    ]  # fmt: skip
    assert case["dues"][1]["late"] is False
    assert case["said"][-1]["rating"] == 4
    shown = page(market, it)
    for secret in (WORDS, "裂纹在背面", made["ticket"], made["query_code"]):
        assert secret not in shown
    assert "同意换货" in shown
    audit_is_clean(market)


def test_a_ticket_needs_its_own_code(market):
    it = bought(market)
    one, two = complain(market, it), complain(market, it, "另一件事")
    path = f"/api/v1/tickets/{one['ticket']}"
    assert told(market.call("GET", path, headers=ticket(two))) == INVALID
    assert told(market.call("GET", path, headers={"Suxin-Ticket": ""})) == INVALID
    assert told(market.call("GET", path))[:2] == (401, "unauthenticated")
    assert told(market.call("GET", "/api/v1/tickets/AAAAAAAAAA", headers=ticket(one))) == INVALID
    typed = {"Suxin-Ticket": f"{one['query_code'][:4]}-{one['query_code'][4:]}".lower()}
    assert follow(market, one | {"ticket": one["ticket"].lower()}, headers=typed)


def test_a_message_goes_on_with_the_senders_own_complaint_alone(market):
    it, other = bought(market), bought(market)
    made, theirs = complain(market, it), complain(market, other)
    about = {"of": made["id"]}
    words = sealed("还有", "detail")
    code = it.unit.code

    def refused(data: dict[str, Any], **more: Any) -> tuple[int, str, str | None]:
        return market.refused(None, code, "message", data, **{"sealed": words, **more})

    assert refused(about, headers=ticket(theirs)) == INVALID
    assert refused(about, headers=it.proof) == INVALID
    assert refused({"of": theirs["id"]}, headers=ticket(theirs)) == INVALID
    assert refused(about, headers=ticket(made), sealed={})[:2] == (422, "invalid")
    assert refused(about | {"rating": 6}, headers=ticket(made))[:2] == (422, "invalid")
    assert market.refused(RIVAL, code, "message", about, sealed=words)[:2] == (403, "forbidden")
    # The query code proves a complaint, not a purchase.
    assert market.refused(None, code, "review", {"rating": 1}, headers=ticket(made)) == INVALID


def test_an_erased_complaint_takes_what_its_author_said_on_along_and_nobody_elses_words(market):
    it = bought(market)
    made = complain(market, it)
    more = {"headers": ticket(made), "sealed": sealed("裂纹在背面", "detail")}
    about = {"of": made["id"]}
    market.send(None, it.unit.code, "message", about, **more)
    market.send(SHOP, it.unit.code, "message", about, sealed=sealed("请寄回照片", "detail"))
    market.send(SHOP, it.unit.code, "reply", about, sealed=sealed("好的"))
    answer = erase(market, it, made["id"], ticket(made))
    assert answer.status_code == 201
    assert len(answer.json()["items"]) == 2
    said = follow(market, made)["said"]
    assert [one["text"] for one in said] == [None, None, "请寄回照片", "好的"]
    assert "请寄回照片" not in page(market, it)
    audit_is_clean(market)


def test_a_message_that_says_nothing_is_asked_for_one_of_three(market):
    made = complain(market, bought(market))
    form = {"ticket": made["ticket"], "query": made["query_code"], "lang": "en"}
    asked = Shown(market.call("POST", "/ticket", data=form).text)
    assert text("en", "page.ticket.more.hint") in asked.words["more-hint"]
    refused = market.call("POST", "/ticket", data=form | {"act": "message", "text": " "})
    assert refused.status_code == 422
    shown = Shown(refused.text)
    (more,) = [one for one in shown.forms if one.named("text")]
    assert text("en", "field.message_empty") in shown.said_about(more, "text")
    assert "optional" not in refused.text.split('id="more"')[1].split("more-hint")[0]
    for more in ({"text": "还有"}, {"rating": "2"}, {"settled": "yes"}):
        answer = market.call("POST", "/ticket", data=form | {"act": "message", **more})
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("answered", [False, True])
def test_the_ticket_of_an_erased_complaint_asks_for_no_more_words(market, answered):
    it = bought(market)
    made = complain(market, it)
    if answered:
        words = sealed("请寄回照片", "detail")
        market.send(SHOP, it.unit.code, "message", {"of": made["id"]}, sealed=words)
    form = {"ticket": made["ticket"], "query": made["query_code"], "lang": "en"}
    assert 'id="more"' in market.call("POST", "/ticket", data=form).text
    for act in ({"act": "erase"}, {}):
        shown = market.call("POST", "/ticket", data=form | act).text.split("<main")[1]
        assert shown.count("erased at its author’s request") == 1
        assert "nothing can be added to this ticket" in shown
        assert "say more" not in shown.lower()
        assert 'id="more"' not in shown
        assert ("请寄回照片" in shown) is answered


ERASED = (409, "lifecycle-conflict", "complaint_erased")


def test_what_its_author_says_while_a_complaint_is_erased_goes_with_it(market, monkeypatch):
    it = bought(market)
    made, code = complain(market, it), it.unit.code
    recorder, said = market.rooms.texts._recorder, []
    submit = recorder.submit_and_wait

    def submit_late(submissions, **more):
        if not said:
            said.append("")  # the message comes this way, too
            words = {"headers": ticket(made), "sealed": sealed("裂纹在背面", "detail")}
            said[0] = market.send(None, code, "message", {"of": made["id"]}, **words)["id"]
        return submit(submissions, **more)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(recorder, "submit_and_wait", submit_late)
        assert erase(market, it, made["id"], ticket(made)).status_code == 201
    assert [one["text"] for one in follow(market, made)["said"]] == [None, None]
    assert said != [""]
    audit_is_clean(market)


def test_an_erased_complaint_takes_no_more_of_its_author_and_all_of_the_others(market):
    it = bought(market)
    made, code = complain(market, it), it.unit.code
    about = {"of": made["id"]}
    more = {"headers": ticket(made), "sealed": sealed("裂纹在背面", "detail")}
    said = market.send(None, code, "message", about, **more)
    erase(market, it, made["id"], ticket(made))
    assert market.refused(None, code, "message", about, **more) == ERASED
    rated = about | {"rating": 1, "settled": True}
    assert market.refused(None, code, "message", rated, headers=ticket(made)) == ERASED
    # Who has no query code is told nothing of it; a repeat is answered as before.
    assert market.refused(None, code, "message", about, **more | {"headers": it.proof}) == INVALID
    again = market.send(None, code, "message", about, id=said["id"], **more, status=200)
    assert again["seq"] == said["seq"]
    words = sealed("请寄回照片", "detail")
    market.send(SHOP, code, "message", about, sealed=words)
    market.send(SHOP, code, "referral", about | {"to": "regulator"}, sealed=words)
    market.send(SHOP, code, "reply", about, sealed=sealed("好的"))
    audit_is_clean(market)


def test_a_complaint_that_is_erased_meanwhile_takes_no_more_either(market):
    it = bought(market)
    made = complain(market, it)
    request = EventRequest(code=it.unit.code, type="message", data={"of": made["id"], "rating": 2})
    prepared = market.rooms.recording.prepare(
        None, request, ConsumerProof(query=made["query_code"])
    )
    erase(market, it, made["id"], ticket(made))
    (answer,) = market.rooms.recorder.submit_and_wait([prepared])
    assert getattr(answer, "reason", None) == "complaint_erased"


def test_a_tab_that_does_not_know_of_the_erasure_is_told_so(market):
    it = bought(market)
    made = complain(market, it)
    form = {"ticket": made["ticket"], "query": made["query_code"], "lang": "en"}
    market.call("POST", "/ticket", data=form | {"act": "erase"})
    answer = market.call("POST", "/ticket", data=form | {"act": "message", "text": "还有"})
    assert answer.status_code == 409
    shown = answer.text.split("<main")[1]
    assert 'role="alert">The words of this complaint were erased' in shown
    assert 'id="more"' not in shown


def test_a_lots_consignment_has_its_own_complaints(market):
    lot = market.lot("TXT-1")
    for name in ("c1", "c2"):
        market.send(SHOP, lot, "sale", {"consignment": name, "region": "440100"}, hours=-5)
    made = market.send(
        AUTHORITY, lot, "complaint", {"category": "price", "consignment": "c1"},
        sealed=sealed(WORDS, "detail"),
    )  # fmt: skip
    market.send(SHOP, lot, "return", {"reason": "other", "consignment": "c2"}, hours=-1)
    assert follow(market, made)["status"] == "waiting"
    about = {"of": made["id"]}
    more = {"headers": ticket(made), "sealed": sealed("还有", "detail")}
    assert market.refused(None, lot, "message", about | {"consignment": "c2"}, **more)[0] == 404
    market.send(None, lot, "message", about | {"consignment": "c1"}, **more)
    assert len(follow(market, made)["said"]) == 2
    audit_is_clean(market)


@pytest.mark.parametrize("path", ["/api/v1/hidings", "/api/v1/erasures"])
def test_a_code_without_records_is_unknown(market, path):
    body = {"code": "01/06901234567892/21/N0SUCHC0DE00", "of": "x"}
    body |= {"reason": "illegal"} if path.endswith("hidings") else {}
    headers = {} if path.endswith("hidings") else claim("P" + "A" * 26)
    token = market.keys[AUTHORITY] if path.endswith("hidings") else None
    answer = market.call("POST", path, body, token=token, headers=headers)
    assert told(answer)[:2] == (404, "code-unknown")
