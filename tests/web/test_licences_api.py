"""A licence after the registration: told by the seller, seen by who verifies, and what follows from it."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from app.kit.clock import china_day
from app.ledger import store
from app.parties import licencestore, retellstore
from tests.web.conftest import AUTHORITY, PLATFORM
from tests.web.market import RIVAL
from tests.web.test_audits_api import audit, findings

DAY = 86_400
_numbers = itertools.count(1)


def number() -> str:
    return f"JY1441200{next(_numbers):07d}"


def day(market, n: int = 0) -> str:
    return china_day(market.clock.now() + timedelta(days=n))


@pytest.fixture
def seller(market):
    """A verified shop with food to sell and no licence for it: `gtin` -> its product."""
    party = market.newcomer("merchant", region="441200")
    gtin = market.ask(
        "POST", "/api/v1/products", {"name": "腊肉（虚构）", "category": "food"},
        token=market.keys[party], status=201,
    )["gtin"]  # fmt: skip
    return party, f"01/{gtin}"


def tell(market, party, *, status=201, by=None, **given):
    body = {"kind": "food_business", **given}
    path = f"/api/v1/parties/{party}/licences"
    return market.ask("POST", path, body, token=by or market.keys[party], status=status)


def judge(market, party, told, verdict="verified", *, by=None, status=201, **more):
    body = {
        "status": verdict,
        "evidence": "looked up: 张三 13800000000",
        "told": told["told"],
        **more,
    }
    path = f"/api/v1/parties/{party}/licences/{told['id']}/verification"
    return market.ask("POST", path, body, token=by or market.keys[AUTHORITY], status=status)


def held(market, party, *, by=None):
    return market.ask("GET", f"/api/v1/parties/{party}/licences", token=by)["items"]


def lists(market, seller) -> str:
    """Returns whether the seller's food may be listed, or the slug by which it is refused."""
    party, code = seller
    answer = market.post(party, code, "listing", {"platform": PLATFORM})
    return "listed" if answer.status_code == 201 else answer.json()["type"].rpartition("/")[2]


def records(market, party):
    with market.rooms.database.read() as connection:
        return [one.fields for one in store.load_stream(connection, f"party/{party}")]


def test_who_starts_to_sell_food_says_so_and_lists_once_it_was_seen(market, seller):
    party, _ = seller
    assert lists(market, seller) == "licence-missing"
    one = number()
    told = tell(market, party, number=f" {one.lower()} ", valid_until=day(market, 700))
    assert (told["state"], told["number"]) == ("waiting", one)
    assert lists(market, seller) == "licence-missing", (
        "a sentence of the seller's own opens nothing"
    )
    assert held(market, party) == [], "the public sees what was seen"
    assert [one["state"] for one in held(market, party, by=market.keys[party])] == ["waiting"]
    assert held(market, party, by=market.keys[RIVAL]) == []
    judge(market, party, told)
    assert lists(market, seller) == "listed"
    (shown,) = held(market, party)
    assert (shown["state"], shown["valid_from"]) == ("in_force", day(market))
    assert market.ask("GET", f"/api/v1/parties/{party}")["licences"][0]["number"] == one
    page = market.call("GET", f"/credit/{party}", headers={"Accept-Language": "en"}).text
    assert one in page
    assert "https://www.gsxt.gov.cn/" in page


def test_the_same_again_is_one_record_and_other_words_take_its_place(market, seller):
    party, _ = seller
    given = {"number": number(), "valid_until": day(market, 300)}
    first = tell(market, party, **given)
    assert tell(market, party, status=200, **given) == first
    other = tell(market, party, **{**given, "valid_until": day(market, 301)})
    assert (other["id"], other["told"] != first["told"]) == (first["id"], True)
    assert [one["type"] for one in records(market, party)].count("licence") == 2
    # Who looked at the first did not see the second.
    judge(market, party, first, status=409)
    judge(market, party, other)
    judge(market, party, other, status=409)


def test_the_record_says_what_was_found_and_seals_what_was_seen(market, seller):
    party, _ = seller
    one = number()
    judge(market, party, tell(market, party, number=one, url="https://example.gov.cn/1"))
    told, seen = records(market, party)[-2:]
    assert (told["type"], told["actor"], told["source"]) == ("licence", party, "merchant")
    assert told["data"] == {
        "kind": "food_business", "number": one, "url": "https://example.gov.cn/1"
    }  # fmt: skip
    assert (seen["actor"], seen["source"], set(seen["sealed"])) == (
        AUTHORITY,
        "regulator",
        {"evidence"},
    )
    assert seen["data"] == {
        "kind": "food_business", "number": one, "status": "verified", "told": told["id"]
    }  # fmt: skip


def test_what_was_not_found_true_says_why_and_can_be_told_again(market, seller):
    party, _ = seller
    told = tell(market, party, number=number())
    judge(market, party, told, "rejected", reason="other_holder")
    (shown,) = held(market, party, by=market.keys[party])
    assert (shown["state"], shown["reason"]) == ("refused", "other_holder")
    assert lists(market, seller) == "licence-missing"
    judge(market, party, tell(market, party, number=told["number"], valid_until=day(market, 90)))
    assert lists(market, seller) == "listed"
    assert [one["state"] for one in held(market, party, by=market.keys[party])] == ["in_force"]


def test_who_may_look_is_who_may_verify_the_party(market, seller):
    party, _ = seller
    told = tell(market, party, number=number())
    for by in (market.keys[party], market.keys[RIVAL], market.keys[PLATFORM]):
        judge(market, party, told, by=by, status=403)
    brought = market.newcomer("merchant", token=market.keys[PLATFORM])
    own = tell(market, brought, number=number())
    judge(market, brought, own, by=market.keys[PLATFORM])
    by_operator = tell(
        market, party, number=told["number"], valid_until=day(market, 9), by=market.admin
    )
    judge(market, party, by_operator, by=market.admin)
    tell(market, party, number=number(), by=market.keys[RIVAL], status=403)


def test_a_renewal_that_came_late_heals_no_sale_in_between(market, seller):
    """And one that came in time leaves nothing to find."""
    party, code = seller
    one = number()
    judge(market, party, tell(market, party, number=one, valid_until=day(market, 2)))
    assert lists(market, seller) == "listed"
    gtin = code.removeprefix("01/")
    market.clock.advance(4 * DAY)
    assert lists(market, seller) == "licence-missing"
    judge(market, party, tell(market, party, number=one, valid_until=day(market, 2)))
    assert lists(market, seller) == "listed"
    until = day(market, -2)
    (gap,) = market.issue(1, by=party, gtin=gtin)
    market.send(party, gap.code, "sale", {}, hours=-24)
    (fine,) = market.issue(1, by=party, gtin=gtin)
    judge(market, party, tell(market, party, number=one, valid_until=day(market, 900)))
    market.clock.advance(5 * DAY)
    market.send(party, fine.code, "sale", {})
    market.work()
    query = f"?kind=licence.expired_selling&party={party}"
    (found,) = market.ask("GET", f"/api/v1/findings{query}", token=market.keys[AUTHORITY])["items"]
    assert (found["evidence"]["valid_until"], found["evidence"]["sold_on"]) == (
        until,
        day(market, -6),
    )


def test_given_up_or_struck_out_it_lists_nothing_more_from_that_moment(market, seller):
    party, _ = seller
    one = tell(market, party, number=number())
    path = f"/api/v1/parties/{party}/licences/{one['id']}"
    judge(market, party, one)
    market.ask("DELETE", path, token=market.keys[RIVAL], status=403)
    for _ in range(2):
        market.ask("DELETE", path, token=market.keys[party], status=204)
    assert lists(market, seller) == "licence-missing"
    assert [one["state"] for one in held(market, party)] == ["ended"]
    assert [one["type"] for one in records(market, party)].count("licence_ended") == 1
    again = tell(market, party, number=one["number"])
    judge(market, party, again)
    assert lists(market, seller) == "listed"
    struck = {"status": "rejected", "reason": "not_in_force", "evidence": "revoked"}
    market.ask("POST", f"{path}/verification", struck, token=market.keys[AUTHORITY], status=201)
    assert lists(market, seller) == "licence-missing"
    market.ask("POST", f"{path}/verification", struck, token=market.keys[AUTHORITY], status=404)


def test_a_withdrawn_telling_waits_for_nobody(market, seller):
    party, _ = seller
    told = tell(market, party, number=number())
    market.ask(
        "DELETE",
        f"/api/v1/parties/{party}/licences/{told['id']}",
        token=market.keys[party],
        status=204,
    )
    judge(market, party, told, status=404)


def waiting(market, by, state="waiting"):
    path = f"/api/v1/licences?state={state}&limit=500"
    return market.ask("GET", path, token=by)["items"]


def test_what_waits_and_what_ends_is_found_by_those_who_verify(market, seller):
    party, _ = seller
    told = tell(market, party, number=number(), valid_until=day(market, 29))
    law, admin = market.keys[AUTHORITY], market.admin
    for by in (law, admin):
        assert (told["id"], party) in [(one["id"], one["party"]) for one in waiting(market, by)]
    assert told["id"] not in [one["id"] for one in waiting(market, market.keys[PLATFORM])]
    assert told["id"] not in [one["id"] for one in waiting(market, law, "ending")]
    judge(market, party, told)
    assert told["id"] not in [one["id"] for one in waiting(market, law)]
    assert told["id"] in [one["id"] for one in waiting(market, law, "ending")]
    tell(market, party, number=told["number"], valid_until=day(market, 800))
    (renewal,) = [one for one in waiting(market, law) if one["id"] == told["id"]]
    assert renewal["ends_on"] == day(market, 29)
    (mine,) = [one for one in held(market, party, by=market.keys[party]) if "told" in one]
    judge(market, party, mine)
    assert told["id"] not in [one["id"] for one in waiting(market, law, "ending")]


def test_pages_of_what_waits_follow_one_another(market):
    party = market.newcomer("merchant")
    made = {tell(market, party, number=number())["id"] for _ in range(5)}
    seen, path = [], "/api/v1/licences?limit=2"
    while path:
        page = market.ask("GET", path, token=market.keys[AUTHORITY])
        seen += [one["id"] for one in page["items"]]
        path = page["next"] and f"/api/v1/licences?limit=2&cursor={page['next']}"
    assert made <= set(seen)
    assert len(seen) == len(set(seen))


def test_search_by_number_finds_it_as_soon_as_it_was_told(market, seller):
    party, _ = seller
    one = number()
    tell(market, party, number=one)
    found = market.ask("POST", "/api/v1/desk/search", {"q": one}, token=market.keys[AUTHORITY])
    assert party in str(found)


ALTERED = {
    "party.licences": "UPDATE party SET licences = '[]' WHERE id = ?",
    "licence.": "UPDATE licence SET ends_on = '2099-01-01' WHERE party = ?",
    "licence": "DELETE FROM licence WHERE party = ?",
}


@pytest.mark.parametrize("column", ALTERED)
def test_rows_that_were_altered_are_found_and_made_again_from_the_records(market, seller, column):
    party, _ = seller
    judge(market, party, tell(market, party, number=number(), valid_until=day(market, 500)))
    tell(market, party, number=number())
    before = (held(market, party, by=market.keys[party]), rows(market, party))
    market.work()
    audit(market, "all")
    assert columns(market, party) == ""
    market.tamper(ALTERED[column], party)
    audit(market, "all")
    assert columns(market, party).startswith(column)
    with market.rooms.database.write() as connection:
        assert retellstore.put_right(connection).damaged == ()
    assert (held(market, party, by=market.keys[party]), rows(market, party)) == before
    audit(market, "all")
    assert columns(market, party) == ""


def rows(market, party):
    with market.rooms.database.read() as connection:
        return {row.licence: row._asdict() for row in licencestore.rows_of(connection, party)}


def columns(market, party) -> str:
    found = [
        one["evidence"]["column"]
        for one in findings(market, "&kind=index&status=open")
        if one["stream"] == f"party/{party}"
    ]
    return " ".join(found)


def test_a_state_that_opens_a_category_no_record_opens_is_found(market, seller):
    party, _ = seller
    told = tell(market, party, number=number())
    judge(market, party, told, "rejected", reason="not_found")
    false = '"licences":[{"kind":"food_business","number":"1"}]'
    alter = "UPDATE head SET state = replace(state, ?, ?) WHERE stream = ?"
    stream = store.stream_key(f"party/{party}")
    market.tamper(alter, '"licences":[]', false, stream)
    try:
        assert lists(market, seller) == "listed", "nobody would notice by using it"
        audit(market, "all")
        found = {
            one["kind"]
            for one in findings(market, "&status=open")
            if one["stream"] == f"party/{party}"
        }
        assert found == {"integrity.index_mismatch"}
    finally:
        market.tamper(alter, false, '"licences":[]', stream)
        audit(market, "all")


def test_a_registration_is_answered_as_the_first_time_whatever_was_told_since(market):
    registered = {"kind": "food_business", "number": number(), "valid_until": day(market, 40)}
    party = market.newcomer("merchant", licences=[registered])
    path = f"/api/v1/parties/{party}"
    body = {
        "uscc": party, "name": records(market, party)[0]["data"]["name"], "roles": ["merchant"],
        "licences": [registered],
    }  # fmt: skip
    first = market.ask("POST", "/api/v1/parties", body, token=market.admin)
    judge(market, party, tell(market, party, **{**registered, "valid_until": day(market, 400)}))
    assert market.ask("GET", path)["licences"][0]["valid_until"] == day(market, 400)
    assert market.ask("POST", "/api/v1/parties", body, token=market.admin) == first
    assert first["licences"][0]["valid_until"] == day(market, 40)


def test_a_renewal_is_withdrawn_and_what_counts_goes_on(market, seller):
    party, code = seller
    paper = number()
    first = tell(market, party, number=paper, valid_until=day(market, 60))
    judge(market, party, first)
    wrong = tell(market, party, number=paper, valid_until=day(market, 4_000))
    path, own = f"/api/v1/parties/{party}/licences/{wrong['id']}", market.keys[party]
    market.ask("DELETE", f"{path}?told={first['told']}", token=own, status=204)  # decided long ago
    assert [one["state"] for one in held(market, party, by=own)] == ["waiting", "in_force"]
    for _ in range(2):
        market.ask("DELETE", f"{path}?told={wrong['told']}", token=own, status=204)
    assert [one["state"] for one in held(market, party, by=own)] == ["in_force"]
    judge(market, party, wrong, status=409)
    market.send(party, code, "listing", {"platform": "集市"})
    assert [one["type"] for one in records(market, party)].count("licence_ended") == 1
    audit(market, "all")
    assert columns(market, party) == ""
    with market.rooms.database.write() as connection:
        assert retellstore.put_right(connection).damaged == ()
    assert [one["state"] for one in held(market, party, by=own)] == ["in_force"]
